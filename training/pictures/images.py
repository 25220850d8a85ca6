"""Image files of seeds, and tables of mixed styles."""

import os
from typing import List, Optional

import numpy as np
from tqdm import tqdm

from dnnlib import cli
from dnnlib.util import UserError
from training import misc
from training.pictures import plotting
from training.pictures.generate import Generator


def check_images(generator: Generator, result_dir: str, seeds: List[int]) -> None:
    """Raise UserError unless there is space for the images of seeds."""
    cli.check_space(result_dir, len(seeds), len(seeds) * generator.image_bytes / 2)


def _save(image, path):
    misc.save_image_grid(image[np.newaxis], path, [0, 255], (1, 1))


def save_images(folder: str, generator: Generator, seeds: List[int]) -> None:
    """Write the image of each seed."""
    images = generator.images_of_seeds(seeds)
    for index, seed in enumerate(seeds):
        print('Generating image for seed %d (%d/%d) ...' % (seed, index, len(seeds)))
        _save(next(images), os.path.join(folder, 'seed%04d.png' % seed))


def save_style_mixing(
    folder: str,
    generator: Generator,
    row_seeds: List[int],
    col_seeds: List[int],
    col_styles: Optional[List[int]],
) -> None:
    """Write the images of rows with some styles of those of columns, and a grid of them.

    Args:
        col_styles: the styles, counted from 0 at 4x4; None: 0 to 6.
    """
    if col_styles is None:
        col_styles = list(range(7))[: generator.num_layers]
    print('Generating W vectors...')
    seeds = sorted(set(row_seeds + col_seeds))
    z = generator.latents(seeds)
    w = generator.dlatents(z)

    print('Generating images...')
    pictures = dict(zip([(seed, seed) for seed in seeds], generator.images_of_seeds(seeds)))

    print('Generating style-mixed images...')
    pairs = [(row, col) for row in row_seeds for col in col_seeds]
    rows, cols = [[seeds.index(pair[i]) for pair in pairs] for i in (0, 1)]
    mixed = w[rows]
    mixed[:, col_styles] = w[cols][:, col_styles]
    images = generator.images(z[rows], mixed, generator.noises(row for row, _ in pairs))
    sources = dict(pictures)
    pictures.update(zip(pairs, tqdm(images, total=len(pairs), disable=None, leave=False)))

    print('Saving images...')
    for (row, col), image in pictures.items():
        _save(image, os.path.join(folder, '%d-%d.png' % (row, col)))

    print('Saving image grid...')
    cells = [np.zeros_like(pictures[pairs[0]])] + [sources[col, col] for col in col_seeds]
    for row in row_seeds:
        cells += [sources[row, row]] + [pictures[row, col] for col in col_seeds]
    size = len(col_seeds) + 1, len(row_seeds) + 1
    misc.save_image_grid(np.stack(cells), os.path.join(folder, 'grid.png'), [0, 255], size)


def check_style_mixing(
    generator: Generator,
    network: str,
    row_seeds: List[int],
    col_seeds: List[int],
    col_styles: Optional[List[int]],
) -> None:
    """Raise UserError unless `save_style_mixing` can be done."""
    check_styles(generator, network, col_styles)
    plotting.check_size(len(col_seeds) + 1, len(row_seeds) + 1, generator.resolution)


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
