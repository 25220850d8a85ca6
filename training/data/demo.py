"""The data set that training uses when none is named: crops of the photographs in demo_data/."""

import glob
import os

from dnnlib.util import UserError
from training.data.from_images import create_from_crops

_PHOTO_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'demo_data', 'photos')
NAME = 'demo-32'


def ensure_demo_dataset(data_dir: str) -> str:
    """Make the demo data set in `data_dir` unless it is there: 5000 crops of 32x32 pixels.

    Returns:
        Its name, to be used as --dataset.

    Raises:
        UserError: `data_dir` cannot be written.
    """
    tfrecord_dir = os.path.join(data_dir, NAME)
    if not _exists(tfrecord_dir):
        text = 'Making the demo data set %s from the photographs in %s.'
        print(text % (tfrecord_dir, _PHOTO_DIR))
        try:
            create_from_crops(tfrecord_dir, _PHOTO_DIR, resolution=32, num_images=5000, seed=0)
        except UserError:
            if not _exists(tfrecord_dir):  # else another process was faster, with the same images
                raise
    return NAME


def _exists(tfrecord_dir):
    folder = glob.escape(os.path.expanduser(tfrecord_dir))
    return bool(glob.glob(os.path.join(folder, '*.tfrecords')))
