"""Network files, image grids and other small things around training."""

import hashlib
import os
from typing import List, Optional, Sequence, Tuple

import numpy as np
import PIL.Image

from dnnlib import util
from dnnlib.download import cache_dir, open_data_url
from dnnlib.options import check_choice
from dnnlib.submission.submit import load_run_func_kwargs
from dnnlib.util import UserError, atomic_write, open_regular
from training import run_options

_GRID_BASE = {'1080p': (1920, 1080, 3, 2), '4k': (3840, 2160, 7, 4), '8k': (7680, 4320, 7, 4)}
_GRID_BASE['screen'] = _GRID_BASE['1080p']
_GRID_MAX = 32
# Pixels that an image is enlarged to, among others and alone, and the longest side of a picture.
_CELL, _LONE_CELL, _PAGE = 128, 256, 2048
_IMAGES_AT_A_TIME = 1 << 14


def open_file_or_url(file_or_url: str, is_trusted: bool = False):
    """Open a file, or a URL through the download cache, for binary reading.

    is_trusted: the content may run; it is not taken from a cache that may be a stranger's.
    """
    if util.is_url(file_or_url):
        return util.open_url(file_or_url, cache_dir()) if is_trusted else open_data_url(file_or_url)
    return open_regular(os.path.expanduser(file_or_url))


def load_pkl(file_or_url: str, trust_network_code: bool = False):
    """Load networks from a file; see `training.exchange.reading.load`."""
    from training.exchange import reading

    with open_file_or_url(file_or_url, trust_network_code) as file:
        return reading.load(file, trust_network_code)


def file_sha256(file_or_url: str) -> str:
    """Hash of a file's content."""
    digest = hashlib.sha256()
    with open_file_or_url(file_or_url) as file:
        for part in iter(lambda: file.read(1 << 20), b''):
            digest.update(part)
    return digest.hexdigest()


def save_pkl(obj, filename: str) -> None:
    """Save networks to a pickle; see `dnnlib.tflib.pickles.save`."""
    from dnnlib.tflib import pickles

    pickles.save(obj, filename)


def adjust_dynamic_range(data, drange_in: Sequence[float], drange_out: Sequence[float]):
    """Map an array or tensor linearly from one range to another."""
    if list(drange_in) == list(drange_out):
        return data
    (low_in, high_in), (low_out, high_out) = np.float32(drange_in), np.float32(drange_out)
    scale = (high_out - low_out) / (high_in - low_in)
    return data * scale + (low_out - low_in * scale)


def create_image_grid(
    images: np.ndarray, grid_size: Optional[Tuple[int, int]] = None
) -> np.ndarray:
    """Put images [N, H, W] or [N, C, H, W] row by row into one, [H, W] or [C, H, W].

    Args:
        grid_size: (columns, rows); None: about square.
    """
    assert images.ndim in (3, 4)
    number, (height, width) = len(images), images.shape[-2:]
    if grid_size is None:
        columns = max(int(np.ceil(np.sqrt(number))), 1)
        grid_size = columns, max((number - 1) // columns + 1, 1)
    columns, rows = grid_size
    grid = np.zeros(images.shape[1:-2] + (rows * height, columns * width), images.dtype)
    for index, image in enumerate(images[: rows * columns]):
        y, x = divmod(index, columns)
        grid[..., y * height : (y + 1) * height, x * width : (x + 1) * width] = image
    return grid


def convert_to_pil_image(image: np.ndarray, drange: Sequence[float] = (0, 1)) -> PIL.Image.Image:
    """Make a Pillow image of [H, W] or [C, H, W] with 1 (gray), 3 (RGB) or 4 (RGBA) channels."""
    assert image.ndim in (2, 3)
    if image.ndim == 3:
        image = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    image = adjust_dynamic_range(image, drange, [0, 255])
    return PIL.Image.fromarray(np.rint(image).clip(0, 255).astype(np.uint8))


def automatic_scale(
    side: int, columns: int = 1, rows: int = 1, dpi: int = 100, page: int = _PAGE
) -> int:
    """How many times a picture of small images is enlarged, so that they are seen well; 1 or more.

    Args:
        side: pixels of an image. columns, rows: images beside and below each other.
        dpi: pixels an inch; more than 100 make larger pictures.
        page: longest side of the picture at 100 dpi, unless the images fill more as they are.
    """
    cell = _LONE_CELL if columns == rows == 1 else _CELL
    return max(min(cell, page // max(columns, rows)) * dpi // (100 * side), 1)


def enlarge(picture: PIL.Image.Image, scale: int) -> PIL.Image.Image:
    """Make each pixel a square of `scale` pixels, at least 1, a side."""
    size = picture.width * scale, picture.height * scale
    return picture if scale == 1 else picture.resize(size, PIL.Image.NEAREST)


def grid_picture(
    images: np.ndarray,
    drange: Sequence[float] = (0, 1),
    grid_size: Optional[Tuple[int, int]] = None,
    scale: Optional[int] = 1,
) -> PIL.Image.Image:
    """Put images [N, C, H, W] into one picture.

    Args:
        grid_size: (columns, rows); None: about square.
        scale: see `enlarge`; None: `automatic_scale`.
    """
    picture = convert_to_pil_image(create_image_grid(images, grid_size), drange)
    side = max(images.shape[-2:])
    columns, rows = picture.width // images.shape[-1], picture.height // images.shape[-2]
    return enlarge(picture, scale or automatic_scale(side, columns, rows))


def drawable(text: str) -> str:
    """Text with escapes for bytes of a file's name that are no text, which fonts do not have."""
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def save_image_grid(
    images: np.ndarray,
    filename: str,
    drange: Sequence[float] = (0, 1),
    grid_size: Optional[Tuple[int, int]] = None,
    scale: Optional[int] = 1,
) -> None:
    """Save a `grid_picture`; the file name's extension says the format."""
    picture = grid_picture(images, drange, grid_size, scale)
    extension = os.path.splitext(filename)[1].lower()
    with atomic_write(filename) as file:
        picture.save(file, PIL.Image.registered_extensions()[extension])


# The next one is here for users' scripts of official StyleGAN2.


def apply_mirror_augment(minibatch: np.ndarray) -> np.ndarray:
    """Flip each image [N, C, H, W] left to right with probability 1/2."""
    mask = np.random.rand(len(minibatch), 1, 1, 1) < 0.5
    return np.where(mask, minibatch[..., ::-1], minibatch)


def parse_config_for_previous_run(run_dir: str) -> dict:
    """The training options of a run: dict(train=..., dataset=...), as plain data.

    Raises:
        FileNotFoundError: the folder does not tell.
        UserError: its submit_config is broken, or not that of a training run.
    """
    try:
        train = run_options.check(load_run_func_kwargs(run_dir))
    except ValueError as error:
        raise UserError('the configuration in %r cannot be used: %s' % (run_dir, error))
    return dict(train=train, dataset=train.get('dataset_args') or {})


def grid_size(shape: Sequence[int], size: str) -> Tuple[int, int]:
    """(columns, rows) of images [C, H, W] in a grid of size '1080p', '4k' or '8k'; else (1, 1).

    'screen': as '1080p', but no more small images than are seen well once they are enlarged.
    """
    if size not in _GRID_BASE:
        return 1, 1
    width, height, *least = _GRID_BASE[size]
    cells = np.maximum(shape[1:], _CELL if size == 'screen' else 1)
    columns, rows = np.clip([width // cells[1], height // cells[0]], least, _GRID_MAX)
    return int(columns), int(rows)


def grid_corner(
    images: np.ndarray, grid_size: Tuple[int, int], pixels: int
) -> Tuple[np.ndarray, Tuple[int, int]]:
    """The upper left images of a grid, at least one, as many as `pixels` a side hold.

    Args:
        images: [columns * rows, C, H, W], row by row. grid_size: (columns, rows).

    Returns: (images, (columns, rows)).
    """
    (columns, rows), (height, width) = grid_size, images.shape[-2:]
    few = min(columns, max(pixels // width, 1)), min(rows, max(pixels // height, 1))
    table = images.reshape((rows, columns) + images.shape[1:])[: few[1], : few[0]]
    return table.reshape((-1,) + images.shape[1:]), few


def setup_snapshot_image_grid(
    training_set, size: str = '1080p', layout: str = 'random'
) -> Tuple[Tuple[int, int], np.ndarray, np.ndarray]:
    """Choose real images for a grid.

    Args:
        size: picture size to fill, see `grid_size`.
        layout: 'random', or one class per block: 'row_per_class', 'col_per_class', 'class4x4'.

    Returns: ((columns, rows), reals uint8 [N, C, H, W], labels [N, label_size]).
    """
    columns, rows = grid_size(training_set.shape, size)
    if layout == 'random':
        reals, labels = training_set.get_minibatch_np(columns * rows)
        return (columns, rows), reals, labels
    blocks = {'row_per_class': (columns, 1), 'col_per_class': (1, rows), 'class4x4': (4, 4)}
    check_choice('grid layout', layout, ['random', *blocks])
    reals = np.zeros([columns * rows] + training_set.shape, training_set.dtype)
    labels = np.zeros([columns * rows, training_set.label_size], training_set.label_dtype)
    for cell, index in _fill_blocks(training_set, columns, rows, *blocks[layout]):
        reals[cell], labels[cell] = training_set.get_image(index), training_set.get_label(index)
    return (columns, rows), reals, labels


def _fill_blocks(training_set, columns, rows, block_width, block_height):
    """Yield (cell, image number): images fill the block of their class, then its next repeats.

    Those of a class come in the order of the stream, from the start again if they are too few. The
    blocks of a class without images stay empty.
    """
    blocks_across = (columns - 1) // block_width + 1
    num_blocks = blocks_across * ((rows - 1) // block_height + 1)
    num_classes, block_size = max(training_set.label_size, 1), block_width * block_height
    blocks = [range(c, num_blocks, num_classes) for c in range(min(num_classes, num_blocks))]
    chosen = _first_images(training_set, [len(own) * block_size for own in blocks])
    for own, images in zip(blocks, chosen):
        for place in range(len(own) * block_size if images else 0):
            outer_y, outer_x = divmod(own[place // block_size], blocks_across)
            inner_y, inner_x = divmod(place % block_size, block_width)
            x, y = outer_x * block_width + inner_x, outer_y * block_height + inner_y
            if x < columns and y < rows:
                yield y * columns + x, images[place % len(images)]


def _first_images(training_set, numbers):
    """For each class c, its first numbers[c] images in one epoch of the stream, a list of lists."""
    classes = training_set.largest_labels()
    found: List[List[int]] = [[] for _ in numbers]
    for begin in range(0, len(classes), _IMAGES_AT_A_TIME):
        order = training_set.stream_order(begin, min(begin + _IMAGES_AT_A_TIME, len(classes)))
        for own, (images, number) in enumerate(zip(found, numbers)):
            if len(images) < number:
                more = order[classes[order] == own]
                images.extend(map(int, more[: number - len(images)]))
        if all(len(images) >= number for images, number in zip(found, numbers)):
            break
    return found
