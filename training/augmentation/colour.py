"""Augmentations of colour, as one affine map of each image's values (the paper, appendix B.2)."""

import numpy as np
import tensorflow.compat.v1 as tf

from training.augmentation.parameters import Parameters

_GREY = np.full([3, 3], 1 / 3)  # projection onto the axis of grey, v v^T
_TURN = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5  # cross product with v


def is_defined(channels: int) -> bool:
    """Whether images of so many channels have colours: 1 is luma, 3 are red, green and blue."""
    return channels in (1, 3)


def transform(images: tf.Tensor, parameters: Parameters) -> tf.Tensor:
    """Change the colours of images [N, H, W, 1 or 3] by the parameters of group 'c'.

    Brightness, contrast, a mirror of luma, a rotation of hue and saturation follow each other. All
    but the first keep the axis of grey and the plane of hues apart: grey is multiplied by contrast
    (and -1), hues are turned and multiplied by contrast and saturation. Images of one channel are
    grey.
    """
    channels = images.shape.as_list()[3]
    get = {name: tf.cast(parameters[name], images.dtype) for name in parameters}
    grey = get['contrast'] * (1 - 2 * get['luma_flip'])
    offset = grey * get['brightness']
    if channels == 1:
        return images * _spread(grey) + _spread(offset)
    hues = get['contrast'] * get['saturation']
    matrix = _spread(grey, 3) * _GREY
    matrix += _spread(hues * tf.cos(get['hue']), 3) * (np.eye(3) - _GREY)
    matrix += _spread(hues * tf.sin(get['hue']), 3) * _TURN
    _, height, width, _ = images.shape.as_list()
    pixels = tf.reshape(images, [-1, height * width, 3])
    pixels = tf.matmul(pixels, matrix, transpose_b=True) + _spread(offset, 3)
    return tf.reshape(pixels, [-1, height, width, 3])


def _spread(x, rank=4):
    return tf.reshape(x, [-1] + [1] * (rank - 1))
