"""The arithmetic of projecting images into the latent space of a generator.

Schedules and the regularization of noise are those of Karras et al. 2019 (arXiv:1912.04958,
appendix D); the losses of Image2StyleGAN are those of Abdal et al. 2019 (arXiv:1904.03189).
Per-image values are tensors [N], so that images of one minibatch do not touch each other.
"""

from typing import Any, Dict, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from training import anatomy


def learning_rate(t: float, initial: float, rampdown_length: float, rampup_length: float) -> float:
    """Learning rate at t, the share of steps that are done: a linear ramp up, a cosine ramp down.

    Args:
        t: from 0 to 1. initial: the rate between the ramps.
        rampdown_length, rampup_length: of the ramps, as shares of all steps; 0 for none.
    """
    ramp = 1.0
    if rampdown_length > 0:
        ramp = 0.5 - 0.5 * np.cos(np.pi * min(1.0, (1.0 - t) / rampdown_length))
    if rampup_length > 0:
        ramp *= min(1.0, t / rampup_length)
    return float(initial * ramp)


def noise_level(t: float, std: float, initial_factor: float, ramp_length: float) -> float:
    """Standard deviation of the noise on the latents at t, which falls to 0 at `ramp_length`.

    Args:
        t: share of steps that are done, from 0 to 1. std: standard deviation of the latents.
        initial_factor: multiple of `std` at the start.
    """
    if ramp_length <= 0:
        return 0.0
    return float(std * initial_factor * max(0.0, 1.0 - t / ramp_length) ** 2)


def noise_regularization(noise: tf.Tensor) -> tf.Tensor:
    """How much pixels of noise maps [N, 1, H, W] resemble their neighbours: [N].

    Squared mean of the product of neighbours, along both axes, summed over the scales of a pyramid
    of 2x2 means down to 8x8. Maps of white noise give about 0, maps that carry a picture do not.
    """
    total = 0.0
    while True:
        for axis in (3, 2):
            product = noise * tf.roll(noise, 1, axis)
            total += tf.square(tf.reduce_mean(product, axis=[1, 2, 3]))
        if noise.shape.as_list()[2] <= 8:
            return total
        noise = tflib.box_downscale(noise, 2)


def normalize_noise(noise: tf.Tensor) -> tf.Tensor:
    """Shift and scale each noise map of [N, 1, H, W] to mean 0 and mean square 1."""
    noise -= tf.reduce_mean(noise, axis=[1, 2, 3], keepdims=True)
    mean_square = tf.reduce_mean(tf.square(noise), axis=[1, 2, 3], keepdims=True)
    return noise / tf.sqrt(mean_square)


def mean_squared_error(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Mean square of the difference of images or features [N, ...]: [N]."""
    return tf.reduce_mean(tf.square(a - b), axis=list(range(1, a.shape.ndims)))


def perceptual_distance(a: Sequence[tf.Tensor], b: Sequence[tf.Tensor]) -> tf.Tensor:
    """Sum over layers of the mean squared difference of features [N, C, H, W]: [N]."""
    return tf.add_n([mean_squared_error(x, y) for x, y in zip(a, b)])


def check_space(Gs: Network, space: str) -> None:
    """Raise UserError unless latents of a network can be searched for in that space."""
    has_w = anatomy.has_w(Gs)
    if space in ('w', 'wplus') and not has_w:
        text = 'the network %r has no W (no mapping network); --space is %s, it must be z'
        raise UserError(text % (Gs.name, space))
    if space == 'z' and has_w:
        text = 'the network %r has a W to search in; --space is z, it must be w or wplus'
        raise UserError(text % Gs.name)


def images_at(
    Gs: Network,
    space: str,
    points: tf.Tensor,
    noises: Sequence[tf.Tensor],
    alpha_powers: Optional[tf.Tensor] = None,
) -> tf.Tensor:
    """Images of points in a latent space, float32 [N, C, H, W], without truncation.

    Args:
        points: z [N, latent_size]; w [N, 1, dlatent_size], the same for all layers; or w+ [N,
            num_layers, dlatent_size].
        noises: noise inputs [N, 1, H, W] of all layers.
        alpha_powers: t [N, layers]: alpha^t / (alpha^t + (1 - alpha)^t) takes the place of each
            layer's alpha; None: the network as it is.
    """
    options: Dict[str, Any] = dict(randomize_noise=False)
    if anatomy.takes_noise(Gs):
        options['noise_values'] = list(noises)
    if alpha_powers is not None:
        options['alpha_powers'] = alpha_powers
    if space == 'z':
        inputs = [points] + [None] * (Gs.num_inputs - 1)
        return tf.cast(Gs.get_output_for(*inputs, **options), tf.float32)
    if space == 'w':
        points = tf.tile(points, [1, anatomy.num_layers(Gs), 1])
    return tf.cast(Gs.components.synthesis.get_output_for(points, **options), tf.float32)
