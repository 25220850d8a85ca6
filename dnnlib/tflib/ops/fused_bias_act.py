"""Bias, activation function and gain in one call; names and numbers of StyleGAN2's op."""
from typing import Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops, layout
from dnnlib.util import EasyDict, UserError

_SQRT2 = np.sqrt(2)


def _activation(cuda_idx, func, def_alpha=None, def_gain=1.0, ref='y', zero_2nd_grad=False):
    return EasyDict(func=func, def_alpha=def_alpha, def_gain=def_gain, cuda_idx=cuda_idx, ref=ref,
                    zero_2nd_grad=zero_2nd_grad)


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


def fused_bias_act(x: tf.Tensor, b: Optional[tf.Tensor] = None, axis: int = 1, act: str = 'linear',
                   alpha: Optional[float] = None, gain: Optional[float] = None,
                   impl: str = 'auto') -> tf.Tensor:
    """Return gain * act(x + b), with b broadcast along `axis`; differentiable any number of times.

    x:     any shape, any floating-point type, which the result keeps.
    b:     [x.shape[axis]] or None.
    axis:  the channels of x: 1 for [N, C, H, W] and [N, C], 3 for [N, H, W, C].
    act:   a key of `activation_funcs`.
    alpha: slope of 'lrelu' below zero (default 0.2); the other functions have no parameter.
    gain:  default sqrt(2) for 'relu', 'lrelu' and 'swish', which keeps the variance, else 1.
    impl:  see `custom_ops.resolve_impl`.

    Raises UserError for an unknown `act` or an `impl` that does not exist.
    """
    if act not in activation_funcs:
        raise UserError('unknown activation function %r; use one of: %s'
                        % (act, ', '.join(activation_funcs)))
    spec = activation_funcs[act]
    custom_ops.resolve_impl(impl, 'FusedBiasAct')
    alpha = spec.def_alpha if alpha is None else alpha
    gain = float(spec.def_gain if gain is None else gain)
    with tf.name_scope('FusedBiasAct'):
        x = tf.convert_to_tensor(x)
        if b is not None:
            x = _add_bias(x, tf.convert_to_tensor(b), axis)
        if act == 'relu' and gain > 0 or act == 'lrelu' and gain > 0 and alpha >= 0:
            return _rectify(x, lambda u: spec.func(u, alpha), gain)
        y = spec.func(x, alpha)
        return y if gain == 1 else y * gain


def _add_bias(x, b, axis):
    rank = x.shape.rank
    assert 0 <= axis < rank, 'axis %d of a tensor of rank %d' % (axis, rank)
    assert b.shape.rank == 1 and b.shape.is_compatible_with(x.shape[axis:axis + 1]), \
        'bias %s for axis %d of %s' % (b.shape, axis, x.shape)
    if axis == rank - 1 > 0:
        return tf.nn.bias_add(x, b)
    if axis == 1 and rank == 4 and layout.for_device() == 'NCHW':
        return tf.nn.bias_add(x, b, data_format='NCHW')
    return x + tf.reshape(b, [-1] + [1] * (rank - 1 - axis))


def _rectify(u, func, gain):
    """gain * func(u) for a func with one slope above zero and another, not negative, below.

    The output has the sign of the input, so the gradient looks at the output, which the next layer
    keeps in memory anyway. Being piecewise linear, it has no gradient of its own with respect to u.
    """
    @tf.custom_gradient
    def rectify(u):
        y = func(u)
        y = y if gain == 1 else y * gain
        sign = tf.stop_gradient(y)

        def grad(dy):
            du = tf.gradients(func(sign), sign, dy)[0]
            return du if gain == 1 else du * gain
        return y, grad
    return rectify(u)
