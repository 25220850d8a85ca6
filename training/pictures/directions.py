"""Directions of W that change images most, found in the weights alone.

Closed-form factorization: Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs",
CVPR 2021, arXiv:2007.06600. A layer gets its style from w by a matrix A; a step n of length 1
changes the styles by A n, most where n is the first eigenvector of A^T A (their Eq. 5 to 8).
"""

import os
from typing import Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from dnnlib import cli, tflib
from dnnlib.bars import track
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, atomic_write
from training import anatomy
from training.misc import automatic_scale
from training.pictures import sheets
from training.pictures.generate import Generator
from training.pictures.images import check_styles
from training.pictures.sheets import Block, save_sheet
from training.pictures.video import check_format, write_video

_FPS, _SECONDS = 30, 4  # of a video, there and back


class Directions(NamedTuple):
    """Directions of W, the strongest first.

    vectors: [number, dlatent_size], of length 1, the largest component of each positive. strengths:
        how much a step of length 1 changes all styles of the layers, [number].
    """

    vectors: np.ndarray
    strengths: np.ndarray


def factorize(matrices: Sequence[np.ndarray]) -> Directions:
    """All directions for the matrices of layers, [dlatent_size, styles] each."""
    A = np.concatenate(matrices, axis=1).astype(np.float64)
    squares, vectors = np.linalg.eigh(A @ A.T)
    vectors = vectors.T[::-1]
    largest = np.argmax(np.abs(vectors), axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, np.newaxis]
    return Directions(vectors, np.sqrt(np.maximum(squares[::-1], 0)))


def check_directions(
    generator: Generator,
    Gs: Network,
    network: str,
    result_dir: str,
    seeds: Sequence[int],
    layers: Optional[List[int]],
    num_directions: int,
    steps: int,
    video: Optional[str],
    scale: Optional[int] = None,
    dpi: int = 100,
) -> None:
    """Raise UserError unless `save_directions` can be done."""
    check_styles(generator, network)
    styles = anatomy.style_weights(Gs)
    if not styles:
        raise UserError('the code of %s is of another project, its styles are not known' % network)
    wrong = [layer for layer in layers or [] if layer >= len(styles)]
    if wrong:
        text = '--layers names layer %d; those of the network are 0 to %d'
        raise UserError(text % (wrong[0], len(styles) - 1))
    size = styles[0].shape.as_list()[0]
    if num_directions > size:
        text = '--num-directions is %d; W of the network has %d dimensions'
        raise UserError(text % (num_directions, size))
    if video is not None:
        check_format(video)
    frames = _FPS * _SECONDS if video else 0
    number = num_directions * len(seeds) * (steps + frames)
    cli.check_space(result_dir, number, number * generator.image_bytes / 2)
    sheets.check_size(generator.resolution, steps, len(seeds), scale, dpi)


def save_directions(
    folder: str,
    generator: Generator,
    Gs: Network,
    seeds: List[int],
    layers: Optional[List[int]],
    num_directions: int,
    extent: float,
    steps: int,
    video: Optional[str] = None,
    format: str = 'png',
    scale: Optional[int] = None,
    dpi: int = 100,
) -> None:
    """Write a sheet for each direction, a row for each seed, and directions.npz.

    Args:
        layers: whose styles are taken, and moved, counted from 0 at 4x4; None: all.
        extent: length of the largest step to both sides, in W; steps: images in a row.
        video: 'mp4' or 'gif', to write a video of each direction, too; None: none.
    """
    matrices = tflib.run(anatomy.style_weights(Gs))
    moving = list(range(generator.num_layers or 0)) if layers is None else sorted(set(layers))
    layers = moving[: len(matrices)]  # the last style may be one of colours alone
    found = factorize([matrices[layer] for layer in layers])
    with atomic_write(os.path.join(folder, 'directions.npz')) as file:
        vectors, strengths = (part[:num_directions] for part in found)
        np.savez(file, directions=vectors, strengths=strengths, layers=layers)
    offsets = np.linspace(-extent, extent, steps)
    share = found.strengths**2 / np.sum(found.strengths**2)
    for index, vector in enumerate(vectors):
        rows = [
            list(_images(generator, seed, vector, offsets, moving))
            for seed in track(seeds, 'Direction %d' % index, len(seeds))
        ]
        blocks = [Block('%+.3g' % x, column) for x, column in zip(offsets, zip(*rows))]
        caption = 'Direction %d of the styles of layers %d to %d, %.1f%% of their change'
        caption %= index, layers[0], layers[-1], 100 * share[index]
        labels = ['seed %d' % seed for seed in seeds]
        path = os.path.join(folder, 'direction%02d.%s' % (index, format))
        save_sheet(path, blocks, 1, (), labels, caption, scale, dpi)
        if video is not None:
            times = np.sin(np.linspace(0, 2 * np.pi, _FPS * _SECONDS, endpoint=False))
            frames = _frames(generator, seeds, vector, times * extent, moving)
            path = os.path.join(folder, 'direction%02d.%s' % (index, video))
            frames = track(frames, 'Video %d' % index, len(times), ' frames')
            write_video(path, frames, _FPS, scale or automatic_scale(generator.resolution))


def _images(
    generator: Generator, seed: int, vector: np.ndarray, offsets: np.ndarray, moving: Sequence[int]
) -> Iterator[np.ndarray]:
    """The image of a seed with some styles moved along a direction by each offset."""
    z = np.repeat(generator.latents([seed]), len(offsets), axis=0)
    w = generator.dlatents(z)
    w[:, moving] += (offsets[:, np.newaxis] * vector)[:, np.newaxis]
    return generator.images(z, w, generator.noises([seed] * len(offsets)))


def _frames(generator, seeds, vector, offsets, moving) -> Iterator[np.ndarray]:
    """The images of all seeds side by side, for one offset after the other."""
    for images in zip(*[_images(generator, seed, vector, offsets, moving) for seed in seeds]):
        yield np.concatenate(images, axis=2)
