"""Augmentation by amplifying octaves of frequencies (the paper, appendix B.3)."""

import numpy as np
import tensorflow.compat.v1 as tf

from training.augmentation import mirroring, wavelets
from training.augmentation.parameters import NUM_BANDS, Parameters

_SPECTRUM = np.array([10, 1, 1, 1]) / 13  # share of each band in the power of natural images


def transform(images: tf.Tensor, parameters: Parameters) -> tf.Tensor:
    """Amplify the bands of images [N, H, H, C] by the parameters of group 'f'.

    An image's filter is a matrix [H, H], edges included, for columns and for rows.
    """
    _, side, width, channels = images.shape.as_list()
    assert side == width, 'images are square'
    bands = tf.constant(band_matrices(side), images.dtype)
    matrix = tf.tensordot(tf.cast(gains(parameters), images.dtype), bands, 1)  # [N, H, H]
    for _ in range(2):
        images = tf.matmul(matrix, tf.reshape(images, [-1, side, side * channels]))
        images = tf.transpose(tf.reshape(images, [-1, side, side, channels]), [0, 2, 1, 3])
    return images


def gains(parameters: Parameters) -> tf.Tensor:
    """What each band is multiplied by, [N, bands].

    Each gain is followed by a factor for all bands that keeps the power of natural images.
    """
    total = tf.ones([1, NUM_BANDS])
    for band in range(NUM_BANDS):
        gain = parameters['gain%d' % band][:, None]
        one = np.eye(NUM_BANDS, dtype=np.float32)[band]
        power = 1 + _SPECTRUM[band].astype(np.float32) * (tf.square(gain) - 1)
        total *= (1 + one * (gain - 1)) / tf.sqrt(power)
    return total


def band_matrices(side: int) -> np.ndarray:
    """Matrices [bands, side, side] that filter `side` pixels and their mirror images."""
    matrices = np.zeros([NUM_BANDS, side, side])
    for matrix, taps in zip(matrices, wavelets.octave_bank(wavelets.SYM2, NUM_BANDS)):
        for step, weight in enumerate(taps, -(len(taps) // 2)):
            rows = np.arange(side)
            np.add.at(matrix, (rows, mirroring.places(rows + step, side)), weight)
    return matrices
