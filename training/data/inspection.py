"""Looking into data sets: what they hold, whether they are sound, and their images as files."""

import glob
import os
from typing import Optional

import numpy as np

from dnnlib.bars import track
from dnnlib.util import UserError, atomic_write
from training.data.opening import load_with_labels
from training.data.tfrecords import verify_file
from training.misc import convert_to_pil_image


def info(tfrecord_dir: str) -> None:
    """Print what a data set holds."""
    dataset = load_with_labels(tfrecord_dir)
    folder = os.path.expanduser(tfrecord_dir)
    paths = glob.glob(os.path.join(glob.escape(folder), '*.tfrecords'))
    paths += glob.glob(os.path.join(glob.escape(folder), '*.labels'))
    print('Data set     %s' % folder)
    print('Images       %d' % dataset.num_images)
    print('Shape        %s' % dataset.shape)
    print('Label size   %d' % dataset.label_size)
    print('Fingerprint  %s' % dataset.fingerprint())
    for path in sorted(paths):
        print('File         %-40s %12d bytes' % (os.path.basename(path), os.path.getsize(path)))


def verify(tfrecord_dir: str) -> None:
    """Read every record of a data set and print those that are broken.

    Raises:
        UserError: something is broken.
    """
    pattern = os.path.join(glob.escape(os.path.expanduser(tfrecord_dir)), '*.tfrecords')
    paths = sorted(glob.glob(pattern))
    num_problems = 0
    for path in paths:
        for problem in verify_file(path):
            num_problems += 1
            print(problem)
    if num_problems:
        text = '%d problem(s) in the data set %r; copy its files again or make it again.'
        raise UserError(text % (num_problems, tfrecord_dir))
    dataset = load_with_labels(tfrecord_dir)
    if not paths:
        for index in track(range(dataset.num_images), 'Verifying', dataset.num_images):
            dataset.get_image(index)
    for lod in dataset.lods:
        dataset.check_lod(lod)
    levels = ', '.join(map(str, dataset.lods))
    for lod in sorted(set(range(dataset.resolution_log2 - 1)) - set(dataset.lods)):
        levels += '; level %d is missing' % lod
    print('All %d images are sound at levels of detail %s.' % (dataset.num_images, levels))


def extract(tfrecord_dir: str, output_dir: str) -> None:
    """Write all images, in file order and at full resolution, as img00000000.png and so on."""
    dataset = load_with_labels(tfrecord_dir)
    try:
        os.makedirs(os.path.expanduser(output_dir), exist_ok=True)
    except OSError as error:
        raise UserError('Cannot make the folder %r: %s.' % (output_dir, error.strerror))
    print('Extracting images to "%s"' % output_dir)
    for index in track(range(dataset.num_images), 'Extracting', dataset.num_images):
        path = os.path.join(os.path.expanduser(output_dir), 'img%08d.png' % index)
        with atomic_write(path) as file:
            _to_pil(dataset.get_image(index)).save(file, 'PNG')
    print('Extracted %d images.' % dataset.num_images)


def compare(tfrecord_dir_a: str, tfrecord_dir_b: str, ignore_labels: int = 0) -> Optional[int]:
    """Print how images and labels of two data sets differ; returns exit status 1 if they do."""
    a, b = load_with_labels(tfrecord_dir_a), load_with_labels(tfrecord_dir_b)
    count = min(a.num_images, b.num_images)
    same_images = same_labels = 0
    for index in track(range(count), 'Comparing', count):
        if np.array_equal(a.get_image(index), b.get_image(index)):
            same_images += 1
        else:
            print('Image %d is different' % index)
        if ignore_labels:
            continue
        if np.array_equal(a.get_label(index), b.get_label(index)):
            same_labels += 1
        else:
            print('Label %d is different' % index)
    if a.num_images != b.num_images:
        print('Datasets contain different number of images')
    print('Identical images: %d / %d' % (same_images, count))
    if not ignore_labels:
        print('Identical labels: %d / %d' % (same_labels, count))
    same = same_images == count and (ignore_labels or same_labels == count)
    return None if same and a.num_images == b.num_images else 1


def display(tfrecord_dir: str) -> None:
    """Show one image after the other in the viewer of the desktop; Enter for the next, q ends."""
    dataset = load_with_labels(tfrecord_dir)
    for index in range(dataset.num_images):
        print('idx = %8d' % index)
        print('label = %s' % dataset.get_label(index).tolist())
        _to_pil(dataset.get_image(index)).show(title='dataset_tool')
        try:
            if input('Enter = next, q = end: ').strip().lower() == 'q':
                break
        except EOFError:
            break


def _to_pil(image):
    return convert_to_pil_image(image, [0, 255])
