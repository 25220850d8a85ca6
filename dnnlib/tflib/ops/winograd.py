"""3x3 convolutions by Winograd's F(2x2,3x3) (Lavin and Gray 2016, arXiv:1509.09308, section 4.1).

Tiles of 2x2 outputs take 4/9 of the multiplications of a plain convolution of stride 1 and, split
into even and odd pixels, 25/36 of those of stride 2, as products of matrices; float32, NHWC, on
CPUs. Of x, w and y = conv(x, w)

    planes: X = B(x), W = G w, Y = A(y);  y = A'(X W),  dx = B'(A(dy) W'),  dw = G'(X' A(dy))

where ' is the adjoint. See kernels/winograd.h for A and B.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops
from dnnlib.tflib.ops.decisions import Geometry

_CHANNELS = 16  # their number is a multiple of this: SG_WINOGRAD_CHANNELS

# Per axis: planes of the three weights of a row.
_WEIGHT_PLANES = {
    1: np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    2: np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]]),
}
_INPUT_MATRIX, _OUTPUT_MATRIX = {1: 0, 2: 2}, {1: 1, 2: 3}  # by stride: sg_winograd_matrix


def can_do(dtype: tf.DType, how: Geometry) -> bool:
    """Whether there is a way for such a convolution, and the compiled ops it needs are there."""
    is_known = dtype == tf.float32 and how.taps == 3 and how.stride in _WEIGHT_PLANES
    is_full = not any(number % _CHANNELS for number in how.channels)
    return is_known and is_full and custom_ops.has_winograd()


def conv2d(x: tf.Tensor, w: tf.Tensor, how: Geometry) -> tf.Tensor:
    """Convolve images [N, H, W, in] with w [3, 3, in, out]."""
    products = tf.matmul(_input_planes(x, how), _weight_planes(w, how))  # [planes, tiles, out]
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
    products = tf.reshape(products, [products.shape[0], -1])  # [planes, in*out]
    dw = tf.matmul(_all_planes(how), products, transpose_a=True)
    return tf.reshape(dw, [3, 3, *how.channels])


def _pad(how):
    return int(how.padding == 'SAME')


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
    planes = tf.matmul(_all_planes(how), tf.reshape(w, [9, -1]))
    return tf.reshape(planes, [-1, *how.channels])
