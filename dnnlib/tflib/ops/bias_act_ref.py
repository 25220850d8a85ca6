"""Bias, activation and gain in plain TensorFlow, for any device; and the activations that exist."""

from typing import Callable, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import layout
from dnnlib.tflib.ops.own_gradient import with_own_gradient
from dnnlib.util import EasyDict

_SQRT2 = np.sqrt(2)


def _activation(cuda_idx, func, def_alpha=None, def_gain=1.0, ref='y', zero_2nd_grad=False):
    return EasyDict(locals())


def _leaky_relu(u, alpha):
    if alpha > 1:  # there TensorFlow 1.14's kernel, max(u, alpha * u), is wrong
        return tf.minimum(u, u * alpha)
    return tf.nn.leaky_relu(u, alpha)


# func(u, alpha): the function itself. def_alpha, def_gain: used where the caller names none.
# cuda_idx: its number in a kernel. ref: 'y' or 'x', what a kernel computes the derivative from.
# zero_2nd_grad: piecewise linear, so that the second derivative is zero wherever it exists.
activation_funcs = {
    'linear': _activation(1, lambda u, alpha: u, zero_2nd_grad=True),
    'relu': _activation(2, lambda u, alpha: tf.nn.relu(u), def_gain=_SQRT2, zero_2nd_grad=True),
    'lrelu': _activation(3, _leaky_relu, 0.2, _SQRT2, zero_2nd_grad=True),
    'tanh': _activation(4, lambda u, alpha: tf.nn.tanh(u)),
    'sigmoid': _activation(5, lambda u, alpha: tf.nn.sigmoid(u)),
    'elu': _activation(6, lambda u, alpha: tf.nn.elu(u)),
    'selu': _activation(7, lambda u, alpha: tf.nn.selu(u)),
    'softplus': _activation(8, lambda u, alpha: tf.nn.softplus(u)),
    'swish': _activation(9, lambda u, alpha: u * tf.nn.sigmoid(u), def_gain=_SQRT2, ref='x'),
}


def bias_act(
    x: tf.Tensor, extras: Sequence, axis: int, act: str, alpha: Optional[float], gain: float
) -> tf.Tensor:
    """gain * act(x * style * scale + shift + b) for extras b, style, scale, shift, or None each."""
    b, style, scale, shift = extras
    if style is not None:
        x *= tf.cast(spread(style, x.shape.rank, axis), x.dtype)
    if scale is not None:
        x *= tf.cast(scale, x.dtype)
    if shift is not None:
        x += tf.cast(shift, x.dtype)
    if b is not None:
        x = _add_bias(x, tf.cast(b, x.dtype), axis)
    func = activation_funcs[act].func
    if act == 'relu' and gain > 0 or act == 'lrelu' and gain > 0 and (alpha or 0) >= 0:
        return _rectify(x, lambda u: func(u, alpha), gain)
    y = func(x, alpha)
    return y if gain == 1 else y * gain


def channel_sum(x: tf.Tensor, style: Optional[tf.Tensor], axis: int) -> tf.Tensor:
    """Sum of x * style over the channels, as `fused_bias_act` documents it."""
    if x.dtype != tf.float64:
        x = tf.cast(x, tf.float32)
    if style is not None:
        x *= tf.cast(spread(style, x.shape.rank, axis), x.dtype)
    return tf.reduce_sum(x, axis=axis, keepdims=True)


def spread(style: tf.Tensor, rank: int, axis: int) -> tf.Tensor:
    """[N, C] with axes of size 1 inserted, to be multiplied with a tensor of some rank."""
    shape = [1] * rank
    shape[0] = style.shape.as_list()[0] or tf.shape(style)[0]
    shape[axis] = style.shape.as_list()[1]
    return tf.reshape(style, shape)


def _add_bias(x: tf.Tensor, b: tf.Tensor, axis: int) -> tf.Tensor:
    rank = x.shape.rank
    if axis == rank - 1 > 0:
        return tf.nn.bias_add(x, b)
    if axis == 1 and rank == 4 and layout.for_device() == 'NCHW':
        return tf.nn.bias_add(x, b, data_format='NCHW')
    return x + tf.reshape(b, [-1] + [1] * (rank - 1 - axis))


def _rectify(u: tf.Tensor, func: Callable, gain: float) -> tf.Tensor:
    """gain * func(u) for a func with one slope above zero and another, not negative, below.

    The output has the sign of the input, so the gradient looks at the output, which the next layer
    keeps in memory anyway. Being piecewise linear, it has no gradient of its own with respect to u.
    """

    @with_own_gradient
    def rectify(u):
        y = func(u)
        y = y if gain == 1 else y * gain
        sign = tf.stop_gradient(y)

        def grad(dy):
            du = tf.gradients(func(sign), sign, dy)[0]
            return du if gain == 1 else du * gain

        return y, grad

    return rectify(u)
