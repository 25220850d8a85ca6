"""Augmentations that spoil an image: noise and a hole (the paper, appendix B.3)."""

import tensorflow.compat.v1 as tf

from dnnlib.tflib import random
from training.augmentation.parameters import Parameters


def add_noise(images: tf.Tensor, parameters: Parameters) -> tf.Tensor:
    """Add noise of the standard deviation 'noise' of each image to all values [N, H, W, C]."""
    strength = tf.cast(tf.reshape(parameters['noise'], [-1, 1, 1, 1]), images.dtype)
    return images + strength * random.normal(tf.shape(images), 'corruption', images.dtype)


def cut_out(images: tf.Tensor, parameters: Parameters) -> tf.Tensor:
    """Set a rectangle of each image [N, H, W, C] to 0.

    It has the share 'cutout' of height and width, its middle at the shares 'cutout_x' and
    'cutout_y' of them, and ends in whole pixels; what lies beyond the edges is left out.
    """
    _, height, width, _ = images.shape.as_list()
    half = parameters['cutout'] / 2

    def is_within(middle, size):
        first, end = (tf.round((middle + side) * size)[:, None] for side in (-half, half))
        pixels = tf.range(size, dtype=tf.float32)[None, :]
        return tf.logical_and(pixels >= first, pixels < end)  # [N, size]

    rows, columns = (
        is_within(parameters['cutout_y'], height),
        is_within(parameters['cutout_x'], width),
    )
    is_cut = tf.logical_and(rows[:, :, None, None], columns[:, None, :, None])
    return images * (1 - tf.cast(is_cut, images.dtype))
