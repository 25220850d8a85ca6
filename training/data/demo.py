"""The data set that training uses when none is named: the people and faces in demo_data/."""

import glob
import json
import os

import numpy as np
from PIL import Image

from dnnlib.util import UserError, open_regular, reading
from training.data.labels import OneHotLabels
from training.data.tfrecord_exporter import TFRecordExporter

_SHEET = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'demo_data', 'people-32.png')
NAME = 'demo-people-32'


def ensure_demo_dataset(data_dir: str) -> str:
    """Make the demo data set in `data_dir` unless it is there: 1127 images of 32x32 pixels.

    Returns:
        Its name, to be used as --dataset.

    Raises:
        UserError: `data_dir` cannot be written.
    """
    tfrecord_dir = os.path.join(data_dir, NAME)
    if not _exists(tfrecord_dir):
        print('Making the demo data set %s from %s.' % (tfrecord_dir, _SHEET))
        try:
            create_from_sheet(tfrecord_dir, _SHEET)
        except UserError:
            if not _exists(tfrecord_dir):  # else another process was faster, with the same images
                raise
    return NAME


def create_from_sheet(tfrecord_dir: str, sheet: str) -> None:
    """Make a data set of the tiles of one picture, in a shuffled order that is always the same.

    Args:
        tfrecord_dir: folder to make.
        sheet: picture of square tiles as tools/make_demo_sheet.py makes it, with classes.json in
            the same folder, whose classes become one-hot labels.

    Raises:
        UserError: the files cannot be read or do not fit together, or the target is in use.
    """
    path = os.path.join(os.path.dirname(sheet), 'classes.json')
    with open_regular(path) as file, reading(path, 'the classes of a sheet'):
        about = json.loads(file.read().decode('utf-8'))
        columns, numbers = int(about['columns']), np.array(about['of_tiles'])
        num_classes = len(about['classes'])
    with open_regular(sheet) as file, reading(sheet, 'a sheet of tiles'):
        pixels = np.asarray(Image.open(file).convert('RGB')).transpose(2, 0, 1)
    side, rows = pixels.shape[2] // columns, (len(numbers) - 1) // columns + 1
    if pixels.shape[1:] != (rows * side, columns * side):
        text = '%r is %dx%d pixels, which are no %d rows of %d square tiles as %r has them.'
        raise UserError(text % (sheet, pixels.shape[2], pixels.shape[1], rows, columns, path))
    with TFRecordExporter(tfrecord_dir, len(numbers)) as exporter:
        order = exporter.choose_shuffled_order()
        for number in order:
            y, x = (place * side for place in divmod(number, columns))
            exporter.add_image(pixels[:, y : y + side, x : x + side])
        exporter.add_labels(OneHotLabels(numbers[order], num_classes))


def _exists(tfrecord_dir):
    folder = glob.escape(os.path.expanduser(tfrecord_dir))
    return bool(glob.glob(os.path.join(folder, '*.tfrecords')))
