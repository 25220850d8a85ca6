"""Values of a periodic image between its pixels, linear in the image, with the exact adjoint."""

from typing import Tuple

import tensorflow.compat.v1 as tf

from dnnlib.tflib.ops.own_gradient import with_own_gradient


def bilinear(table: tf.Tensor, u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """Interpolate between the four nearest pixels.

    Differentiable at any order in the table, not in the places.

    Args:
        table: images [N, P + 1, P + 1, C] that repeat themselves after P pixels: the last row and
            column are the first ones.
        u, v: places to look at, in pixels along W and H, any numbers; [N, H', W'].

    Returns:
        [N, H', W', C].
    """
    side, channels = table.shape.as_list()[2:]
    number, height, width = tf.unstack(tf.shape(u))
    (column, x), (row, y) = (_split(place, side - 1) for place in (u, v))
    images = tf.reshape(tf.range(tf.cast(number, tf.int64)) * side**2, [-1, 1, 1])
    first = tf.reshape(images + row * side + column, [-1])
    steps = [0, 1, side, side + 1]
    index = tf.concat([first + step for step in steps], axis=0)
    pixels = _take(tf.reshape(table, [-1, channels]), index)
    weights = tf.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y])
    pixels = tf.reshape(pixels, [4, -1, channels]) * tf.reshape(weights, [4, -1, 1])
    result = tf.reshape(tf.reduce_sum(pixels, axis=0), [number, height, width, channels])
    result.set_shape(u.shape.as_list() + [channels])
    return result


def _split(place: tf.Tensor, period: int) -> Tuple[tf.Tensor, tf.Tensor]:
    """Pixels, int64 in [0, period), and what is left, in [0, 1]."""
    place -= period * tf.floor(place / period)
    pixel = tf.minimum(tf.floor(place), period - 1)  # rounding may give the period itself
    return tf.cast(pixel, tf.int64), place - pixel  # int32 would be the CPU's, on GPUs too


def _take(x, index):
    """Rows of x [M, C] by number, [len(index), C]."""
    size = tf.shape(x)[0]

    @with_own_gradient
    def op(x):
        return tf.gather(x, index), lambda dy: _put(dy, index, size)

    return op(x)


def _put(y, index, size):
    """Its adjoint: each row of y [len(index), C] is added to that row of [size, C]."""

    @with_own_gradient
    def op(y):
        return tf.math.unsorted_segment_sum(y, index, size), lambda dx: _take(dx, index)

    return op(y)
