"""Figures of "On Noise Injection in GANs" that a trained generator makes.

Fig. 1 (what noise does to an image), 3 and 5 (images of several networks).
"""

import itertools
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from dnnlib.bars import track
from dnnlib.util import UserError
from training.pictures import plotting, sheets
from training.pictures.generate import Generator
from training.pictures.plotting import Panel, save_panels
from training.pictures.sheets import Block, save_sheet

OUTLINES = 0.2  # of all pixels


def check_noise(
    generator: Generator,
    network: str,
    seeds: Sequence[int],
    dpi: int = 100,
    scale: Optional[int] = None,
) -> None:
    """Raise UserError if noise makes no difference to images, or a figure would be too large."""
    if not generator.has_noise:
        raise UserError(
            '%s has no noise injection whose effect could be shown; choose a network '
            'that has, such as one of --config=config-e-fr' % network
        )
    columns = 2 + len(generator.noise_shapes)
    plotting.check_size(columns, len(seeds), plotting.panel_pixels(dpi))
    sheets.check_size(generator.resolution, columns, len(seeds), scale, dpi)


def noise_by_layers(generator: Generator, seed: int) -> np.ndarray:
    """Images of one w with the seed's noise in no layer, the first one, the first two and so on.

    Fig. 1, left: the layers follow each other from the smallest to those of full size.

    Returns: uint8 [layers + 1, C, H, W].
    """
    noise = generator.noise_of(seed)
    counts = range(len(noise) + 1)
    steps = [[x * (index < count) for index, x in enumerate(noise)] for count in counts]
    latents = _same_latents(generator, seed, len(steps))
    return np.stack(list(generator.images(latents, noises=steps)))


def stddev_of_noise(
    generator: Generator, seed: int, num_draws: int, layer: Optional[int] = None
) -> np.ndarray:
    """Standard deviation of every pixel of a seed's image over draws of the noise (Fig. 1, right).

    The draws are the noise maps of the seeds 0, 1, and so on.

    Args:
        layer: index of the only layer with noise; None: all have it.

    Returns: [H, W], the mean over the colours, in levels of 0 to 255, which stand for [-1, 1]. The
        network's output is neither rounded nor clipped, as pictures are.
    """
    maps = map(generator.noise_of, range(num_draws))
    draws = ([x * (layer in (None, index)) for index, x in enumerate(draw)] for draw in maps)
    latents = _same_latents(generator, seed, num_draws)
    images = generator.images(latents, noises=draws, as_uint8=False)
    mean: Any = 0.0
    squares: Any = 0.0
    for number, image in enumerate(images, 1):  # Welford 1962: one image at a time
        difference = image.astype(np.float64) - mean
        mean = mean + difference / number
        squares = squares + difference * (image - mean)
    return np.sqrt(squares / num_draws).mean(axis=0) * 127.5


def share_in_outlines(stddev: np.ndarray, image: np.ndarray) -> float:
    """The part of noise's variance in the outlines of an image: where its brightness changes most.

    Noise that acts everywhere alike has OUTLINES, their part of all pixels.

    Args:
        stddev: [H, W], of `stddev_of_noise`. image: [C, H, W], without noise.
    """
    steepness = np.hypot(*np.gradient(image.astype(np.float64).mean(axis=0)))
    order = np.argsort(steepness, axis=None, kind='stable')[::-1]
    variance = np.square(stddev).ravel()
    return float(variance[order[: round(OUTLINES * order.size)]].sum() / (variance.sum() or 1.0))


def save_noise_layers(
    path: str, generator: Generator, seeds: Sequence[int], scale: Optional[int], dpi: int
) -> None:
    """Write a picture with a row of `noise_by_layers` for each seed; see `save_sheet`."""
    progress = track(seeds, 'Generating', len(seeds))
    rows = [noise_by_layers(generator, seed) for seed in progress]
    titles = ['no noise'] + ['+ ' + name for name in generator.layer_names]
    blocks = [Block(title, column) for title, column in zip(titles, zip(*rows))]
    row_labels = ['seed %d' % seed for seed in seeds]
    save_sheet(path, blocks, 1, row_labels=row_labels, scale=scale, dpi=dpi)


def save_noise_stddev(
    path: str, generator: Generator, seeds: Sequence[int], num_draws: int, dpi: int = 100
) -> np.ndarray:
    """Write a figure: each seed's image, with noise and without, and maps of `stddev_of_noise`.

    There is a map for noise in all layers, and one for noise in each layer alone.

    Returns: the maps [seeds, 1 + layers, H, W].
    """
    names = ['all layers'] + generator.layer_names
    layers = [None] + list(range(len(names) - 1))
    jobs = list(itertools.product(seeds, layers))
    progress = track(jobs, 'Generating', len(jobs))
    maps = np.stack([stddev_of_noise(generator, seed, num_draws, x) for seed, x in progress])
    maps = maps.reshape([len(seeds), len(layers)] + list(maps.shape[1:]))
    limits = (0.0, float(np.quantile(maps, 0.999)) or 1.0)
    no_noise = [np.zeros(shape) for shape in generator.noise_shapes]
    rows: List[List[Panel]] = []
    for seed, seed_maps in zip(seeds, maps):
        noises = [generator.noise_of(seed), no_noise]
        images = generator.images(_same_latents(generator, seed, 2), noises=noises)
        pair = list(images)
        panels = [Panel(image, title) for image, title in zip(pair, ['image', 'no noise'])]
        for x, title in zip(seed_maps, names):
            text = 'mean %.2f, %.0f%%' % (x.mean(), 100 * share_in_outlines(x, pair[1]))
            panels.append(Panel(x, title, text, limits, 'magma'))
        # Titles stand above the first row.
        rows.append([panel._replace(title='') for panel in panels] if rows else panels)
    caption = (
        'Standard deviation of pixels (levels of 0 to 255) over %d draws of noise; below, its mean '
        'and the part of the variance in outlines, which are %.0f%% of the pixels'
    ) % (num_draws, 100 * OUTLINES)
    labels = ['seed %d' % seed for seed in seeds]
    save_panels(path, rows, labels, caption, (limits, 'magma'), dpi)
    return maps


def save_sample_grid(
    path: str,
    generators: Sequence[Tuple[str, Generator]],
    seeds: Sequence[int],
    columns: Optional[int] = None,
    scale: Optional[int] = None,
    dpi: int = 100,
) -> None:
    """Write the images of the same seeds by several networks, side by side (Fig. 3 and 5).

    Args:
        generators: (title, generator) for each.
        columns: images in a row of each; None: about as many as rows.
        scale, dpi: of `save_sheet`.
    """
    blocks = []
    for title, generator in generators:
        images = track(generator.images_of_seeds(seeds), title, len(seeds))
        blocks.append(Block(title, list(images)))
    labels = ['seed %d' % seed for seed in seeds]
    columns = columns or _about_square(len(seeds))
    save_sheet(path, blocks, columns, labels, scale=scale, dpi=dpi)


def check_sample_grid(
    generators: Sequence[Generator],
    seeds: Sequence[int],
    columns: Optional[int] = None,
    scale: Optional[int] = None,
    dpi: int = 100,
) -> None:
    """Raise UserError unless `save_sample_grid` can be done."""
    if columns is not None and columns > len(seeds):
        raise UserError('--columns is %d, but there are %d images' % (columns, len(seeds)))
    columns = columns or _about_square(len(seeds))
    side = max(generator.resolution for generator in generators)
    rows = -(-len(seeds) // columns)
    sheets.check_size(side, len(generators) * columns, rows, scale, dpi)


def _about_square(number):
    return int(np.ceil(np.sqrt(number)))


def _same_latents(generator, seed, number):
    return np.repeat(generator.latents([seed]), number, axis=0)
