"""Geometric augmentations, as one step for each image (the paper, appendix B.2).

The image is doubled in resolution, looked up at transformed places, and halved again; beyond its
edges it is its own mirror image, however often that takes. The two filters undo each other, so that
an image which is not transformed stays as it is, and mirrors, quarter turns and whole pixels give
the pixels themselves.
"""

from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib.ops.upfirdn_2d import upfirdn_2d
from training.augmentation import mirroring, wavelets
from training.augmentation.looking_up import bilinear
from training.augmentation.parameters import Parameters

_TAPS = wavelets.SYM6
# The doubled image's pixel m is a mean of pixels n of the image with weights TAPS[2 n - m + SHIFT]:
# it lies at (m + centre - SHIFT) / 2.
_SHIFT = round(wavelets.centre(_TAPS))
_PLACE = (wavelets.centre(_TAPS) - _SHIFT) / 2


def transform(images: tf.Tensor, parameters: Parameters) -> tf.Tensor:
    """Transform images [N, H, H, C] by the parameters of groups 'b' and 'g', as far as given."""
    _, side, width, _ = images.shape.as_list()
    assert side == width, 'images are square'
    matrix = tf.cast(places_in_image(parameters, side), images.dtype)
    # From pixels of the doubled result to those of the doubled image.
    to_pixels = np.array([[0.5, 0, _PLACE], [0, 0.5, _PLACE], [0, 0, 1]])
    before, after = (tf.constant(m, images.dtype) for m in (np.linalg.inv(to_pixels), to_pixels))
    matrix = _product(before, matrix, after)
    start = _SHIFT - (len(_TAPS) - 1)  # the first one that halving needs
    numbers = tf.range(start, start + 2 * side + len(_TAPS) - 2)
    numbers = tf.cast(numbers, images.dtype)
    u, v = (
        matrix[:, i, 0, None, None] * numbers[None, None, :]
        + (matrix[:, i, 1, None, None] * numbers[None, :, None] + matrix[:, i, 2, None, None])
        for i in range(2)
    )
    return _halved(bilinear(_doubled(images), u, v))


def places_in_image(parameters: Parameters, side: int) -> tf.Tensor:
    """Where in its mirrored image each pixel of a result is looked up, [N, 3, 3].

    The matrices take (x, y, 1), the number of a column and a row, to such numbers. Of what is
    applied first to last: mirror, quarter turns, whole pixels; scale, rotate, stretch, rotate,
    move (the paper's figure 17).
    """
    get = dict(_NEUTRAL, **parameters).__getitem__
    size = tf.shape(next(iter(parameters.values())))
    middle = (side - 1) / 2
    scale, stretch = get('scale'), get('stretch')
    back = [  # of each the inverse, the last one first
        _affine(size, 1, 0, -middle - side * get('move_x'), 0, 1, -middle - side * get('move_y')),
        _rotation(size, -get('post_angle')),
        _affine(size, 1 / stretch, 0, 0, 0, stretch, 0),
        _rotation(size, -get('pre_angle')),
        _affine(size, 1 / scale, 0, middle, 0, 1 / scale, middle),
        _affine(size, 1, 0, -_whole(get('shift_x'), side), 0, 1, -_whole(get('shift_y'), side)),
        _turned_and_mirrored(size, get('quarter_turns'), get('flip'), side),
    ]
    return _product(*back[::-1])


_NEUTRAL = dict(flip=0.0, quarter_turns=0.0, shift_x=0.0, shift_y=0.0, scale=1.0, stretch=1.0)
_NEUTRAL.update(pre_angle=0.0, post_angle=0.0, move_x=0.0, move_y=0.0)


def _whole(share, side):
    return tf.round(tf.convert_to_tensor(share) * side)


def _turned_and_mirrored(size, turns, flip, side):
    """Inverse of a mirror along x and of quarter turns, which are those of `numpy.rot90`.

    To turn an axis round is to move it by side - 1, see `mirroring`; so there are no minus signs.
    """
    turns = tf.convert_to_tensor(turns)
    is_odd = turns - 2 * tf.floor(turns / 2)
    is_second_half = tf.floor(turns / 2)
    x_turned = tf.abs(is_odd - is_second_half)  # by 1 and 2 quarters
    x = (x_turned + flip) * (side - 1)
    y = is_second_half * (side - 1)
    return _affine(size, 1 - is_odd, is_odd, x, is_odd, 1 - is_odd, y)


def _rotation(size, angle):
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _affine(size, cos, -sin, 0, sin, cos, 0)


def _affine(size, *rows: Any) -> tf.Tensor:
    """Matrices [N, 3, 3] of two rows, each number a scalar or [N]."""
    numbers = [tf.broadcast_to(tf.cast(x, tf.float32), size) for x in [*rows, 0, 0, 1]]
    return tf.reshape(tf.stack(numbers, axis=1), [-1, 3, 3])


def _product(first, *others):
    """Matrix product; [N, 3, 3] and constants [3, 3] mix."""
    for other in others:
        first = tf.einsum('%s,%s->nij' % (_axes(first, 'ik'), _axes(other, 'kj')), first, other)
    return first


def _axes(matrix, letters):
    return letters if len(matrix.shape) == 2 else 'n' + letters


def _doubled(x: tf.Tensor) -> tf.Tensor:
    """One period of the mirrored image, and a pixel more, in twice the resolution."""
    period, taps = mirroring.period(x.shape.as_list()[1]), len(_TAPS)
    before, after = -(-_SHIFT // 2), (2 * period + taps - 1 - _SHIFT) // 2 - period // 2
    x = mirroring.extend(x, before, after)
    k = (_TAPS[::-1] * 2**0.5).astype(np.float32)
    crop = _SHIFT - 2 * before
    size = (x.shape.as_list()[1] * 2 + crop) - taps + 1
    rest = 2 * period + 1 - size
    x = upfirdn_2d(x, k[:, None], upy=2, pady0=crop, pady1=rest)
    return upfirdn_2d(x, k[None, :], upx=2, padx0=crop, padx1=rest)


def _halved(x: tf.Tensor) -> tf.Tensor:
    k = (_TAPS / 2**0.5).astype(np.float32)
    return upfirdn_2d(upfirdn_2d(x, k[:, None], downy=2), k[None, :], downx=2)
