"""Sliced Wasserstein distance (Karras et al. 2017, "Progressive Growing of GANs", section 5).

Compares patches of 7x7 pixels on every level of a Laplacian pyramid, without any pretrained
network.
"""

from typing import Callable, Dict, List, Sequence

import numpy as np
import scipy.ndimage
import tensorflow.compat.v1 as tf

from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from metrics.base import FeatureMetric
from metrics.features import Feature

PATCH_SIZE = 7
PATCHES_PER_IMAGE = 128
MIN_RESOLUTION = 16
NUM_REPEATS = 4
NUM_DIRECTIONS = 128  # per repeat

_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_DIRECTIONS_AT_A_TIME = 16  # bounds the memory


class Patches(Feature):
    """Descriptors of an image: patches of each pyramid level, float32 [N, patches, C * 7 * 7]."""

    key = 'patches'

    def build(self, copies: List[Network], index: int, images: tf.Tensor) -> tf.Tensor:
        return images

    def convert(self, value: np.ndarray, rng: np.random.RandomState) -> Dict[str, np.ndarray]:
        levels = laplacian_pyramid(value)
        return {str(x.shape[2]): draw_patches(x, PATCHES_PER_IMAGE, rng) for x in levels}


class SWD(FeatureMetric):
    """Distance of generated and real patches, times 1000, by resolution and on average."""

    def __init__(self, num_images: int, minibatch_per_gpu: int, name: str):
        super().__init__(name, Patches(), num_images, minibatch_per_gpu)

    def check_data(self, shape: Sequence[int], num_reals: int) -> None:
        super().check_data(shape, num_reals)
        if shape[1] < MIN_RESOLUTION:
            text = '%s takes images of at least %dx%d pixels, not %dx%d'
            raise UserError(text % (self.name, MIN_RESOLUTION, MIN_RESOLUTION, *shape[1:]))

    def _from_features(self, reals, fakes):
        distances = []
        resolutions = sorted((int(name) for name in fakes.names()), reverse=True)
        number = min(reals.num_samples, fakes.num_samples)
        with self._bar(len(resolutions) * NUM_REPEATS * NUM_DIRECTIONS, ' projections') as bar:
            for resolution in resolutions:
                real, fake = (_descriptors(x, str(resolution), number) for x in (reals, fakes))
                rng = self.make_rng('directions%d' % resolution)
                distances.append(1e3 * sliced_distance(real, fake, rng, update=bar.update))
                self._report_result(distances[-1], suffix='_%d' % resolution)
        self._report_result(float(np.mean(distances)), suffix='_avg')

    def _figures_cost(self) -> float:
        return self.num_images

    def get_protocol(self) -> dict:
        return dict(
            super().get_protocol(),
            num_compared=min(self._num_fakes, self._num_reals),
            patches_per_image=PATCHES_PER_IMAGE,
            directions=NUM_REPEATS * NUM_DIRECTIONS,
            resize='none',
        )


def _descriptors(samples, name, number):
    patches = samples.read(name)[:number]
    return normalize_patches(patches.reshape(-1, patches.shape[-1]))


def laplacian_pyramid(images: np.ndarray) -> List[np.ndarray]:
    """Detail of images at each resolution, from the full one down to 16x16.

    A level is what the next coarser one lacks; the last level is the image itself, shrunk.

    Args:
        images: uint8 [N, C, H, W], from MIN_RESOLUTION up.

    Returns: float32 arrays [N, C, H, W], [N, C, H / 2, W / 2], ...
    """
    level, levels = images.astype(np.float32), []
    while level.shape[2] > MIN_RESOLUTION:
        coarser = _blur(level)[:, :, ::2, ::2]
        spread = np.zeros_like(level)
        spread[:, :, ::2, ::2] = 4 * coarser
        levels.append(level - _blur(spread))
        level = coarser
    return levels + [level]


def _blur(images):
    """Burt and Adelson's binomial filter, images continued by reflection."""
    for axis in (2, 3):
        images = scipy.ndimage.convolve1d(images, _KERNEL, axis=axis, mode='mirror')
    return images


def draw_patches(images: np.ndarray, number: int, rng: np.random.RandomState) -> np.ndarray:
    """Patches at random places of each image [N, C, H, W]: [N, number, C * 7 * 7]."""
    num_images, channels, height, width = images.shape
    offsets = np.arange(PATCH_SIZE)
    y = rng.randint(height - PATCH_SIZE + 1, size=[num_images, number])[:, :, None, None, None]
    x = rng.randint(width - PATCH_SIZE + 1, size=[num_images, number])[:, :, None, None, None]
    n = np.arange(num_images)[:, None, None, None, None]
    c = np.arange(channels)[None, None, :, None, None]
    patches = images[n, c, y + offsets[:, None], x + offsets]  # [N, number, C, 7, 7]
    return patches.reshape(num_images, number, -1)


def normalize_patches(patches: np.ndarray) -> np.ndarray:
    """Give each channel of all patches [M, C * 7 * 7] mean 0 and standard deviation 1.

    Works in place, since patches are large; returns them.
    """
    by_channel = patches.reshape(len(patches), -1, PATCH_SIZE**2)
    for channel in range(by_channel.shape[1]):
        part = by_channel[:, channel]
        part -= part.mean(dtype=np.float64).astype(np.float32)
        variance = np.einsum('mp,mp->', part, part, dtype=np.float64) / part.size
        part *= np.float32(1 / np.sqrt(max(variance, 1e-12)))
    return patches


def sliced_distance(
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.RandomState,
    num_directions: int = NUM_REPEATS * NUM_DIRECTIONS,
    update: Callable[[int], None] = lambda number: None,
) -> float:
    """Mean over random directions of the Wasserstein-1 distance of projections of points [M, D].

    Args:
        update: told the number of directions that were done.
    """
    assert a.shape == b.shape
    directions = rng.randn(a.shape[1], num_directions)
    directions = (directions / np.linalg.norm(directions, axis=0)).astype(np.float32)
    total = 0.0
    for begin in range(0, num_directions, _DIRECTIONS_AT_A_TIME):
        part = directions[:, begin : begin + _DIRECTIONS_AT_A_TIME]
        difference = np.sort((a @ part).T, axis=1) - np.sort((b @ part).T, axis=1)
        total += np.abs(difference).mean(axis=1, dtype=np.float64).sum()
        update(part.shape[1])
    return total / num_directions
