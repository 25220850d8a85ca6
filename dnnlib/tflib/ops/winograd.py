"""3x3 convolutions by Winograd's minimal filtering (Lavin and Gray 2015, arXiv:1509.09308).

With tiles of 2x2 outputs, 4/9 of the multiplications of a convolution of stride 1 and 25/36 of
those of stride 2, in batched matrix products; float32, NHWC, on CPUs. Of x, w and y = conv(x, w)

    planes: X = B(x), W = G w, Y = A(y);  y = A'(X W),  dx = B'(A(dy) W'),  dw = G'(X' A(dy))

where ' is the adjoint. See kernels/winograd.h for A and B.
"""

from typing import NamedTuple, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops

_CHANNEL_MULTIPLE = 16  # as in kernels/winograd.h

# Per axis: planes of the three weights of a row.
_WEIGHT_PLANES = {
    1: np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    2: np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]]),
}
_INPUT_MATRIX, _OUTPUT_MATRIX = {1: 0, 2: 2}, {1: 1, 2: 3}  # by stride: sg_winograd_matrix

# padding: 'SAME' with a stride of 1, or 'VALID'; sizes are (height, width).
Geometry = NamedTuple(
    'Geometry',
    [
        ('taps', int),
        ('stride', int),
        ('padding', str),
        ('x_size', Tuple[int, int]),
        ('y_size', Tuple[int, int]),
    ],
)


def can_do(dtype: tf.DType, how: Geometry, in_channels: int, out_channels: int) -> bool:
    """Whether there is a way for such a convolution, and the compiled ops it needs are there."""
    return (
        dtype == tf.float32
        and how.taps == 3
        and how.stride in _WEIGHT_PLANES
        and in_channels % _CHANNEL_MULTIPLE == 0
        and out_channels % _CHANNEL_MULTIPLE == 0
        and custom_ops.has_native()
    )


def conv2d(x: tf.Tensor, w: tf.Tensor, how: Geometry) -> tf.Tensor:
    """Convolve images [N, H, W, in] with w [3, 3, in, out]."""
    products = tf.matmul(_input_planes(x, how), _weight_planes(w, how))
    return _adjoint(products, _OUTPUT_MATRIX, 0, [x.shape[0]] + list(how.y_size), how)


def input_gradient(dy: tf.Tensor, w: tf.Tensor, how: Geometry) -> tf.Tensor:
    """Gradient of sum(conv2d(x, w) * dy) with respect to x."""
    products = tf.matmul(_output_planes(dy, how), _weight_planes(w, how), transpose_b=True)
    return _adjoint(products, _INPUT_MATRIX, _pad(how), [dy.shape[0]] + list(how.x_size), how)


def weight_gradient(x: tf.Tensor, dy: tf.Tensor, how: Geometry) -> tf.Tensor:
    """Gradient of sum(conv2d(x, w) * dy) with respect to w."""
    with tf.control_dependencies([dy]):  # or TensorFlow would keep those of `conv2d` until now
        x_planes = _input_planes(x, how)
    products = tf.matmul(x_planes, _output_planes(dy, how), transpose_a=True)
    planes, in_channels, out_channels = products.shape.as_list()
    dw = tf.matmul(_all_planes(how), tf.reshape(products, [planes, -1]), transpose_a=True)
    return tf.reshape(dw, [3, 3, in_channels, out_channels])


def _pad(how):
    return 1 if how.padding == 'SAME' else 0


def _tiles(how):
    return [-(-n // 2) for n in how.y_size]


def _input_planes(x, how):
    return _planes(x, _INPUT_MATRIX, _pad(how), how)


def _output_planes(y, how):
    return _planes(y, _OUTPUT_MATRIX, 0, how)


def _planes(x, matrix, pad, how):
    planes = custom_ops.library().winograd(x, matrix=matrix[how.stride], pad=pad, tiles=_tiles(how))
    planes.set_shape([len(_WEIGHT_PLANES[how.stride]) ** 2, None, x.shape.as_list()[3]])
    return planes


def _adjoint(planes, matrix, pad, shape, how):
    x = custom_ops.library().winograd_adjoint(
        planes, matrix=matrix[how.stride], pad=pad, tiles=_tiles(how), size=shape[1:]
    )
    x.set_shape(shape + [planes.shape[2]])
    return x


def _all_planes(how):
    """[planes, 9]: of both axes."""
    one = _WEIGHT_PLANES[how.stride]
    return tf.constant(np.kron(one, one), tf.float32)


def _weight_planes(w, how):
    in_channels, out_channels = w.shape.as_list()[2:]
    planes = tf.matmul(_all_planes(how), tf.reshape(w, [9, -1]))
    return tf.reshape(planes, [-1, in_channels, out_channels])
