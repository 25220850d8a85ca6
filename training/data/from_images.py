"""Data sets from image files: all of a folder, or random crops of a few photographs."""

import functools
from typing import Optional, Tuple

import numpy as np
from PIL import Image

from dnnlib.util import UserError
from training.data.decoding import MAX_SIDE, ImageOptions, UnusableImage
from training.data.image_files import ImageFiles, scan, threaded_map
from training.data.labels import take_rows
from training.data.tfrecord_exporter import TFRecordExporter, check_space, check_target

_MAX_DECODED_PHOTOS = 32  # kept at the same time
_MAX_SEED = (1 << 32) - 1


def create_from_images(
    tfrecord_dir: str,
    image_dir: str,
    shuffle: int = 1,
    resize: Optional[int] = None,
    crop: bool = False,
    convert: Optional[str] = None,
    skip_bad: bool = False,
    force: bool = False,
    background: Tuple[int, int, int] = (255, 255, 255),
) -> None:
    """Make a data set of all images in a folder or .zip; nothing is written until all were checked.

    Args:
        tfrecord_dir: folder to make.
        image_dir: folder or .zip; images side by side, or in one folder per class for labels.
        shuffle: 1 = always the same shuffled order, 0 = order of the names.
        resize: side to resize all images to; None = they must have one size already.
        crop: cut out the middle square first.
        convert: 'rgb', 'gray' or 'rgba'; None = all files RGB or all gray.
        skip_bad: leave out files that cannot be used instead of giving up.
        force: replace an existing data set.
        background: RGB colour, 0..255, that transparent pixels are blended with.

    Raises:
        UserError: images that cannot be used, a target in use, or a full disk.
    """
    check_target(tfrecord_dir, force)
    check_side(resize, '--resize')
    options = ImageOptions(resize, crop, convert, background)
    files = ImageFiles(image_dir, skip_bad)
    decode = functools.partial(files.decode, options=options)
    good, shape = scan(files, lambda index: decode(index).shape, skip_bad)
    check_space(tfrecord_dir, len(good), shape)
    with TFRecordExporter(tfrecord_dir, len(good), force=force) as exporter:
        order = exporter.choose_shuffled_order() if shuffle else np.arange(len(good))
        order = good[order]
        for image in threaded_map(decode, order):
            exporter.add_image(image)
        if files.labels is not None:
            exporter.add_labels(take_rows(files.labels, order))


def create_from_crops(
    tfrecord_dir: str,
    image_dir: str,
    resolution: int = 32,
    num_images: int = 5000,
    seed: int = 0,
    min_scale: float = 0.25,
    max_scale: float = 1.0,
    force: bool = False,
    background: Tuple[int, int, int] = (255, 255, 255),
) -> None:
    """Make a data set of random square crops of photographs, each resized to one resolution.

    Args:
        tfrecord_dir: folder to make.
        image_dir: folder or .zip of photographs of any size; read as RGB.
        resolution: side of the crops after resizing, a power of two from 4.
        num_images: number of crops.
        seed: determines the crops; with one version of Pillow, the same seed gives the same bytes.
        min_scale, max_scale: side of a crop as part of the photograph's shorter side.
        force: replace an existing data set.
        background: RGB colour, 0..255, that transparent pixels are blended with.

    Raises:
        UserError: arguments out of range, files that are no images, a target in use, a full disk.
    """
    check_target(tfrecord_dir, force)
    check_side(resolution, '--resolution')
    if not 0 < min_scale <= max_scale <= 1:
        text = '--min-scale=%g and --max-scale=%g must be in order, above 0 and at most 1.'
        raise UserError(text % (min_scale, max_scale))
    check_draws(num_images, seed, '--seed')
    check_space(tfrecord_dir, num_images, (3, resolution, resolution))
    files = ImageFiles(image_dir)
    rnd = np.random.RandomState(seed)
    photos = rnd.randint(len(files.names), size=num_images)
    scales = rnd.uniform(min_scale, max_scale, num_images)
    draws = np.column_stack([photos, scales, rnd.uniform(size=[num_images, 2])])
    open_photo = functools.partial(_open_photo, files, background)
    photo = functools.lru_cache(_MAX_DECODED_PHOTOS)(open_photo)

    def crop(draw):
        image = photo(int(draw[0]))
        width, height = image.size
        side = draw[1] * min(width, height)
        left, top = draw[2] * (width - side), draw[3] * (height - side)
        size, box = (resolution, resolution), (left, top, left + side, top + side)
        small = image.resize(size, Image.LANCZOS, reducing_gap=2.0, box=box)
        return np.asarray(small).transpose(2, 0, 1)

    with TFRecordExporter(tfrecord_dir, num_images, force=force) as exporter:
        for image in threaded_map(crop, draws):
            exporter.add_image(image)
    files.report()


def check_side(side: Optional[int], flag: str) -> None:
    """Raise UserError unless `side` is None or a side that images may have."""
    if side is not None and (side < 4 or side & (side - 1) or side > MAX_SIDE):
        raise UserError('%s=%d is no power of two from 4 to %d.' % (flag, side, MAX_SIDE))


def check_draws(num_images: int, seed: int, seed_flag: str) -> None:
    """Raise UserError unless so many images can be drawn with this seed."""
    if num_images < 1:
        raise UserError('--num-images=%d must be at least 1.' % num_images)
    if not 0 <= seed <= _MAX_SEED:
        raise UserError('%s=%d must be from 0 to %d.' % (seed_flag, seed, _MAX_SEED))


def _open_photo(files, background, index):
    try:
        return files.open(index, ImageOptions(convert='rgb', background=background))
    except UnusableImage as error:
        raise UserError('%r in %r %s.' % (files.names[index], files.path, error))
