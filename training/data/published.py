"""Data sets from the files in which well-known collections are published.

Every function checks that its input is complete before it writes; see `TFRecordExporter` for what
is written. Labels are one-hot.
"""

import contextlib
import glob
import gzip
import importlib
import io
import os
import sys
from typing import Optional

import numpy as np
from PIL import Image
from tqdm import tqdm

from dnnlib import pickle_reader
from dnnlib.util import UserError, open_regular, reading
from training.data.decoding import ImageOptions, UnusableImage, opened_image, plain_image
from training.data.from_images import check_draws, check_side
from training.data.hdf5_images import Hdf5Images
from training.data.image_files import threaded_map
from training.data.lmdb_values import LmdbValues
from training.data.tfrecord_exporter import TFRecordExporter, check_space, check_target

NUM_IMAGES = {'mnist': 60000, 'cifar10': 50000, 'cifar100': 50000, 'svhn': 73257, 'celeba': 202599}


def create_mnist(tfrecord_dir: str, mnist_dir: str, force: bool = False) -> None:
    """MNIST (LeCun et al.): the files train-*-ubyte.gz, digits padded to 32x32."""
    check_target(tfrecord_dir, force)
    images = _read_mnist_images(mnist_dir)
    labels = _read_gzip(mnist_dir, 'train-labels-idx1-ubyte.gz', 8, [NUM_IMAGES['mnist']])
    if labels.max() > 9:
        raise UserError('The labels in %r are no digits; download them again.' % mnist_dir)
    _export(tfrecord_dir, images[:, np.newaxis], labels, 10, force)


def create_mnistrgb(
    tfrecord_dir: str,
    mnist_dir: str,
    num_images: int = 1000000,
    random_seed: int = 123,
    force: bool = False,
) -> None:
    """Stacked MNIST: three random digits as red, green and blue of a 32x32 image; no labels."""
    check_target(tfrecord_dir, force)
    check_draws(num_images, random_seed, '--random-seed')
    check_space(tfrecord_dir, num_images, (3, 32, 32))
    digits = _read_mnist_images(mnist_dir)
    rnd = np.random.RandomState(random_seed)
    with TFRecordExporter(tfrecord_dir, num_images, force=force) as exporter:
        for _ in range(num_images):
            exporter.add_image(digits[rnd.randint(len(digits), size=3)])


def create_cifar10(tfrecord_dir: str, cifar10_dir: str, force: bool = False) -> None:
    """CIFAR-10 (Krizhevsky), Python version: data_batch_1 .. data_batch_5."""
    check_target(tfrecord_dir, force)
    batches = [_read_pickle(cifar10_dir, 'data_batch_%d' % i) for i in range(1, 6)]
    _export_parts(tfrecord_dir, 'cifar10', cifar10_dir, batches, ('data', 'labels'), 10, force)


def create_cifar100(tfrecord_dir: str, cifar100_dir: str, force: bool = False) -> None:
    """CIFAR-100 (Krizhevsky), Python version: file train, with its fine labels."""
    check_target(tfrecord_dir, force)
    parts, keys = [_read_pickle(cifar100_dir, 'train')], ('data', 'fine_labels')
    _export_parts(tfrecord_dir, 'cifar100', cifar100_dir, parts, keys, 100, force)


def create_svhn(tfrecord_dir: str, svhn_dir: str, force: bool = False) -> None:
    """SVHN (Netzer et al.) as train_1.pkl .. train_3.pkl, a pair (images, labels) each."""
    check_target(tfrecord_dir, force)
    parts = [_read_pickle(svhn_dir, 'train_%d.pkl' % i) for i in range(1, 4)]
    _export_parts(tfrecord_dir, 'svhn', svhn_dir, parts, (0, 1), 10, force)


def create_celeba(
    tfrecord_dir: str, celeba_dir: str, cx: int = 89, cy: int = 121, force: bool = False
) -> None:
    """CelebA (Liu et al.): 128x128 around (cx, cy) of img_align_celeba_png/*.png, 178x218 each."""
    check_target(tfrecord_dir, force)
    if not (64 <= cx <= 178 - 64 and 64 <= cy <= 218 - 64):
        text = '--cx=%d --cy=%d puts the crop outside of the images; use 64..114 and 64..154.'
        raise UserError(text % (cx, cy))
    folder = os.path.join(os.path.expanduser(celeba_dir), 'img_align_celeba_png')
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), '*.png')))
    if len(paths) != NUM_IMAGES['celeba']:
        text = 'Found %d images in %r, expected %d; unpack img_align_celeba_png there.'
        raise UserError(text % (len(paths), folder, NUM_IMAGES['celeba']))

    def crop(path):
        try:
            with open_regular(path) as file:
                image = np.asarray(_decode(file))
        except UnusableImage as error:
            raise UserError('%r %s.' % (path, error))
        if image.shape != (218, 178, 3):
            raise UserError('%r has shape %s, expected [218, 178, 3].' % (path, list(image.shape)))
        return image[cy - 64 : cy + 64, cx - 64 : cx + 64].transpose(2, 0, 1)

    with TFRecordExporter(tfrecord_dir, len(paths), force=force) as exporter:
        order = exporter.choose_shuffled_order()
        for image in threaded_map(crop, (paths[i] for i in order)):
            exporter.add_image(image)


def create_from_hdf5(
    tfrecord_dir: str,
    hdf5_filename: str,
    shuffle: int = 1,
    values: str = '0..255',
    force: bool = False,
) -> None:
    """An HDF5 file with images [N, C, R, R]: of its arrays data*, the one of highest resolution.

    Labels [N, label_size] come from <file name without extension>-labels.npy, where it exists.

    Args:
        values: range of the file's values, '0..255', '0..1' or '-1..1'.
    """
    check_target(tfrecord_dir, force)
    _optional_package('h5py')
    with Hdf5Images(hdf5_filename, values) as images:
        labels = images.labels()
        check_space(tfrecord_dir, len(images), images.shape)
        images.check_values()
        with TFRecordExporter(tfrecord_dir, len(images), force=force) as exporter:
            order = exporter.choose_shuffled_order() if shuffle else np.arange(len(images))
            for index in order:
                exporter.add_image(images.read(int(index)))
            if labels is not None:
                exporter.add_labels(labels[order])


def create_lsun(
    tfrecord_dir: str,
    lmdb_dir: str,
    resolution: int = 256,
    max_images: Optional[int] = None,
    force: bool = False,
) -> None:
    """LSUN (Yu et al.), one category as LMDB: middle squares; broken images are left out."""
    check_side(resolution, '--resolution')

    def middle_square(image):
        side = min(image.size)
        left, top = (image.size[0] - side) // 2, (image.size[1] - side) // 2
        box = left, top, left + side, top + side
        square = image.resize((resolution, resolution), Image.LANCZOS, box=box)
        return np.asarray(square).transpose(2, 0, 1)

    _export_lmdb(tfrecord_dir, lmdb_dir, middle_square, max_images, force)


def create_lsun_wide(
    tfrecord_dir: str,
    lmdb_dir: str,
    width: int = 512,
    height: int = 384,
    max_images: Optional[int] = None,
    force: bool = False,
) -> None:
    """LSUN, one category as LMDB: the middle of width:height, on a black square of width x width.

    Images too small or too wide are left out. Unlike upstream's, the crop keeps the aspect ratio.
    """
    check_side(width, '--width')
    if not 1 <= height <= width:
        raise UserError('--height=%d must be from 1 to the width, %d.' % (height, width))

    def letterbox(image):
        source_width, source_height = image.size
        rows = int(np.round(source_width * height / width))
        if source_width < width or source_height < rows:
            return None
        top = (source_height - rows) // 2
        box = 0, top, source_width, top + rows
        resized = image.resize((width, height), Image.LANCZOS, box=box)
        canvas = np.zeros([3, width, width], np.uint8)
        first = (width - height) // 2
        canvas[:, first : first + height] = np.asarray(resized).transpose(2, 0, 1)
        return canvas

    _export_lmdb(tfrecord_dir, lmdb_dir, letterbox, max_images, force)


def _export(tfrecord_dir, images, labels, num_classes, force):
    """Write images [N, C, R, R] with class numbers [N], shuffled."""
    one_hot = np.eye(num_classes, dtype=np.float32)[labels]
    with TFRecordExporter(tfrecord_dir, len(images), force=force) as exporter:
        order = exporter.choose_shuffled_order()
        for index in order:
            exporter.add_image(images[index])
        exporter.add_labels(one_hot[order])


def _export_lmdb(tfrecord_dir, lmdb_dir, transform, max_images, force):
    """Write the images of an LMDB in the order of their keys, unless `transform` gives None."""
    check_target(tfrecord_dir, force)
    if max_images is not None and max_images < 1:
        raise UserError('--max-images=%d must be at least 1.' % max_images)
    _optional_package('lmdb')

    def decode(value):
        try:
            return transform(_decode(io.BytesIO(value)))
        except UnusableImage as error:
            return error

    with contextlib.closing(LmdbValues(lmdb_dir)) as values:
        num_images = min(values.num_entries, max_images or values.num_entries)
        with TFRecordExporter(tfrecord_dir, num_images, force=force) as exporter:
            for index, image in enumerate(threaded_map(decode, values)):
                if isinstance(image, UnusableImage):
                    tqdm.write('Entry %d is left out: %s' % (index, image), file=sys.stderr)
                elif image is not None:
                    exporter.add_image(image)
                if exporter.cur_images == num_images:
                    break


def _decode(file):
    """RGB image of a file."""
    with opened_image(file) as image:
        return plain_image(image, ImageOptions(convert='rgb'))[0]


def _read_mnist_images(folder):
    """All digits, uint8 [N, 32, 32], with a border of two pixels."""
    images = _read_gzip(folder, 'train-images-idx3-ubyte.gz', 16, [NUM_IMAGES['mnist'], 28, 28])
    return np.pad(images, [(0, 0), (2, 2), (2, 2)], 'constant')


def _read_gzip(folder, name, offset, shape):
    path = _input_file(folder, name)
    size = int(np.prod(shape))
    with reading(path, 'a complete gzip file'), open_regular(path) as packed:
        with gzip.open(packed, 'rb') as file:
            data = file.read(offset + size + 1)[offset:]
    if len(data) != size:
        raise UserError(
            '%r holds %s%d bytes of data, expected %d; download it again.'
            % (path, 'more than ' if len(data) > size else '', min(len(data), size), size)
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_pickle(folder, name):
    with open_regular(_input_file(folder, name)) as file:
        return pickle_reader.load(file, 'pickle of arrays')


def _input_file(folder, name):
    path = os.path.join(os.path.expanduser(folder), name)
    if not os.path.isfile(path):
        text = 'There is no file %r in %r; unpack the published archive there.'
        raise UserError(text % (name, folder))
    return path


def _export_parts(tfrecord_dir, collection, folder, parts, keys, num_classes, force):
    """Write a collection of 32x32 images, once they and their labels are what was published.

    Args:
        parts: content of its files, joined here.
        keys: of images and class numbers in each of them.
    """
    try:
        images = np.concatenate([part[keys[0]] for part in parts])
        labels = np.concatenate([part[keys[1]] for part in parts]).reshape(-1)
        if images.ndim == 2:  # rows of CIFAR
            images = images.reshape(-1, 3, 32, 32)
    except (TypeError, ValueError, KeyError, IndexError):
        what = 'pairs (images, labels)' if keys == (0, 1) else '"%s" and "%s"' % keys
        raise UserError('The files in %r do not hold %s of 32x32 images.' % (folder, what))
    shape = (NUM_IMAGES[collection], 3, 32, 32)
    if images.dtype != np.uint8 or images.shape != shape:
        text = 'The images in %r are %s %s, expected uint8 %s; download them again.'
        raise UserError(text % (folder, images.dtype, list(images.shape), list(shape)))
    numbers = labels.dtype.kind in 'iu' and labels.shape == shape[:1]
    if not numbers or labels.min() < 0 or labels.max() >= num_classes:
        text = 'The labels in %r are not %d class numbers from 0 to %d; download them again.'
        raise UserError(text % (folder, shape[0], num_classes - 1))
    _export(tfrecord_dir, images, labels, num_classes, force)


def _optional_package(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        text = 'This needs the package %s, which is not installed: run "pip install %s".'
        raise UserError(text % (name, name))
