"""Image files of seeds, and tables of mixed styles."""

import os
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np

from dnnlib import cli
from dnnlib.bars import track
from dnnlib.util import UserError
from training import misc
from training.pictures import sheets
from training.pictures.generate import Generator
from training.pictures.sheets import Block, save_sheet

_MOST_IN_SHEET = 100
_THUMBNAIL = 256  # pixels of larger images in a sheet


def check_images(
    generator: Generator, result_dir: str, seeds: Sequence[int], scale: Optional[int]
) -> None:
    """Raise UserError unless there is space for the images of seeds."""
    num_bytes = generator.image_bytes * (scale or 1) ** 2 / 2
    cli.check_space(result_dir, len(seeds), len(seeds) * num_bytes)
    columns, rows = _sheet_size(min(len(seeds), _MOST_IN_SHEET))
    sheets.check_size(min(generator.resolution, _THUMBNAIL), columns, rows, scale)


def _save(image, path, scale=None):
    misc.save_image_grid(image[np.newaxis], path, [0, 255], (1, 1), scale or 1)


def save_images(
    folder: str, generator: Generator, seeds: Sequence[int], scale: Optional[int]
) -> None:
    """Write the image of each seed, and sheets that show all with their seeds.

    Args:
        scale: times that pixels are enlarged; None: 1 for the images, `misc.automatic_scale` for
            the sheets.
    """
    print('Generating %d images...' % len(seeds))
    images = track(generator.images_of_seeds(seeds), 'Generating', len(seeds))
    for begin in range(0, len(seeds), _MOST_IN_SHEET):
        part, thumbnails = seeds[begin : begin + _MOST_IN_SHEET], []
        for seed, image in zip(part, images):
            _save(image, os.path.join(folder, 'seed%04d.png' % seed), scale)
            thumbnails.append(_thumbnail(image))
        name = 'grid%04d.png' % (begin // _MOST_IN_SHEET) if len(seeds) > len(part) else 'grid.png'
        labels = ['seed %d' % seed for seed in part]
        columns, _ = _sheet_size(len(part))
        path = os.path.join(folder, name)
        save_sheet(path, [Block('', thumbnails)], columns, labels, scale=scale)


def _sheet_size(number):
    columns = int(np.ceil(np.sqrt(number)))
    return columns, -(-number // columns)


def _thumbnail(image):
    """A large image made smaller by a whole factor: the mean of each square."""
    channels, height, width = image.shape
    factor = max(width // _THUMBNAIL, 1)
    squares = image.reshape(channels, height // factor, factor, width // factor, factor)
    return np.rint(squares.mean(axis=(2, 4))).astype(np.uint8)


def default_styles(num_layers: int) -> List[int]:
    """Styles that mixing takes from the column: official 0 to 6 of 18, the same share of fewer.

    At 32x32 these are 0 to 2: mixed images are about as far from the row's as from the column's.
    """
    return list(range((7 * num_layers + 9) // 18))


def mixed_images(
    generator: Generator, pairs: Sequence[Tuple[int, int]], styles: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yield the images of first seeds with some styles of second ones, uint8 [C, H, W].

    Args:
        pairs: (seed of all else, seed of the styles) each. styles: counted from 0 at 4x4.
    """
    seeds = sorted({seed for pair in pairs for seed in pair})
    z = generator.latents(seeds)
    w = generator.dlatents(z)
    rows, cols = [[seeds.index(pair[i]) for pair in pairs] for i in (0, 1)]
    mixed = w[rows]
    mixed[:, styles] = w[cols][:, styles]
    return generator.images(z[rows], mixed, generator.noises(row for row, _ in pairs))


def save_style_mixing(
    folder: str,
    generator: Generator,
    row_seeds: List[int],
    col_seeds: List[int],
    col_styles: Optional[List[int]],
    format: str = 'png',
    scale: Optional[int] = None,
    dpi: int = 100,
) -> None:
    """Write the images of rows with some styles of those of columns, and a labelled grid of them.

    Args:
        col_styles: the styles, counted from 0 at 4x4; None: `default_styles`.
        format: of the grid. scale, dpi: of the grid, see `save_sheet`; scale also of the images.
    """
    num_layers = generator.num_layers
    assert num_layers is not None, 'check_style_mixing comes first'
    if col_styles is None:
        col_styles = default_styles(num_layers)
    print('Generating W vectors...')
    seeds = sorted(set(row_seeds + col_seeds))
    pairs = [(row, col) for row in row_seeds for col in col_seeds]
    images = mixed_images(generator, pairs, col_styles)

    print('Generating images...')
    pictures = dict(zip([(seed, seed) for seed in seeds], generator.images_of_seeds(seeds)))

    print('Generating style-mixed images...')
    sources = dict(pictures)
    pictures.update(zip(pairs, track(images, 'Generating', len(pairs))))

    print('Saving images...')
    for (row, col), image in pictures.items():
        _save(image, os.path.join(folder, '%d-%d.png' % (row, col)), scale)

    print('Saving image grid...')
    blocks = [Block('', [None] + [sources[row, row] for row in row_seeds])]
    for col in col_seeds:
        column = [sources[col, col]] + [pictures[row, col] for row in row_seeds]
        blocks.append(Block('seed %d' % col, column))
    row_labels = [''] + ['seed %d' % row for row in row_seeds]
    caption = 'Styles %s of the column, the others (of 0-%d) of the row'
    caption %= _ranges(col_styles), num_layers - 1
    path = os.path.join(folder, 'grid.' + format)
    save_sheet(path, blocks, 1, (), row_labels, caption, scale, dpi)


def _ranges(numbers):
    """Numbers as text, such as '0-3, 6'."""
    numbers = sorted(set(numbers))
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ', '.join('%d' % a if a == b else '%d-%d' % (a, b) for a, b in zip(starts, ends))


def check_style_mixing(
    generator: Generator,
    network: str,
    row_seeds: List[int],
    col_seeds: List[int],
    col_styles: Optional[List[int]],
    scale: Optional[int] = None,
    dpi: int = 100,
) -> None:
    """Raise UserError unless `save_style_mixing` can be done."""
    check_styles(generator, network, col_styles)
    sheets.check_size(generator.resolution, len(col_seeds) + 1, len(row_seeds) + 1, scale, dpi)


def check_styles(
    generator: Generator, network: str, col_styles: Optional[List[int]] = None
) -> None:
    """Raise UserError unless a network has these styles, or any at all for None."""
    if generator.num_layers is None:
        raise UserError('the generator of %s has no styles w, which are needed here' % network)
    number = generator.num_layers
    for style in col_styles or []:
        if style >= number:
            text = '--col-styles names style %d; the network has %d, from 0 to %d'
            raise UserError(text % (style, number, number - 1))
