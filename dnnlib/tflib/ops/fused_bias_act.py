"""Bias, activation function and gain in one call; names and numbers of StyleGAN2's op.

More than there: factors per sample and channel (demodulation) and maps per pixel (noise injection)
in the same pass over the activations.
"""

from typing import Optional

import tensorflow.compat.v1 as tf

from dnnlib.options import check_choice
from dnnlib.tflib import custom_ops
from dnnlib.tflib.ops import bias_act_native, bias_act_ref
from dnnlib.tflib.ops.bias_act_ref import activation_funcs
from dnnlib.util import UserError


def fused_bias_act(
    x: tf.Tensor,
    b: Optional[tf.Tensor] = None,
    axis: int = 1,
    act: str = 'linear',
    alpha: Optional[float] = None,
    gain: Optional[float] = None,
    impl: str = 'auto',
    style: Optional[tf.Tensor] = None,
    scale: Optional[tf.Tensor] = None,
    shift: Optional[tf.Tensor] = None,
) -> tf.Tensor:
    """Return gain * act(x * style * scale + shift + b); differentiable any number of times.

    x:     any shape, any floating-point type, which the result keeps.
    b:     [x.shape[axis]] or None; like all that follow in the type of x or float32.
    axis:  the channels of x: 1 for [N, C, H, W] and [N, C], 3 for [N, H, W, C].
    act:   a key of `activation_funcs`.
    alpha: slope of 'lrelu' below zero (default 0.2); the other functions have no parameter.
    gain:  default sqrt(2) for 'relu', 'lrelu' and 'swish', which keeps the variance, else 1.
    impl:  see `custom_ops.resolve_impl`.
    style: [N, C] or None, a factor per sample and channel.
    scale, shift: a factor and a summand per pixel, of the shape of x but 1 in place of C and,
        where all samples share it, of N: [N or 1, 1, H, W] or [N or 1, H, W, 1]; or None.

    Raises UserError for an unknown `act` or an `impl` that does not exist.
    """
    check_choice('activation function', act, activation_funcs)
    spec = activation_funcs[act]
    alpha = spec.def_alpha if alpha is None else alpha
    gain = float(spec.def_gain if gain is None else gain)
    with tf.name_scope('FusedBiasAct'):
        x = tf.convert_to_tensor(x)
        extras = [v if v is None else tf.convert_to_tensor(v) for v in (b, style, scale, shift)]
        _check_shapes(x, axis, *extras)
        module = _module(impl, x, axis, act, alpha)
        if act == 'linear' and gain == 1 and all(v is None for v in extras):
            return x
        return module.bias_act(x, extras, axis, act, alpha, gain)


def channel_sum(
    x: tf.Tensor, style: Optional[tf.Tensor] = None, axis: int = 1, impl: str = 'auto'
) -> tf.Tensor:
    """Return the sum of x * style over the channels; differentiable any number of times.

    What FR's statistics start from (Feng et al. 2020, Eq. 6), with the demodulation inside.
    x, axis, impl, style: as in `fused_bias_act`. Returns [N, 1, H, W] or [N, H, W, 1], float32 or,
    where x is, float64.
    """
    with tf.name_scope('ChannelSum'):
        x = tf.convert_to_tensor(x)
        style = None if style is None else tf.convert_to_tensor(style)
        _check_shapes(x, axis, style=style)
        return _module(impl, x, axis, 'linear', None).channel_sum(x, style, axis)


def _module(impl, x, axis, act, alpha):
    """bias_act_native or bias_act_ref."""
    chosen = custom_ops.resolve_impl(impl, 'FusedBiasAct')
    if chosen == 'ref':
        return bias_act_ref
    if bias_act_native.can_do(x, axis, act, alpha):
        return bias_act_native
    if impl != 'auto':
        what = "%s, axis=%d, act='%s', alpha=%s" % (x.dtype.name, axis, act, alpha)
        text = "impl='%s' of FusedBiasAct cannot do %s; use impl='auto' or 'ref'"
        raise UserError(text % (impl, what))
    return bias_act_ref


def _check_shapes(x, axis, b=None, style=None, scale=None, shift=None):
    rank = x.shape.rank
    assert 0 <= axis < rank, 'axis %d of a tensor of rank %d' % (axis, rank)
    n, c = x.shape[:1], x.shape[axis : axis + 1]
    pixels = [1 if i == axis else size for i, size in enumerate(x.shape.as_list())]
    maps = [pixels, [1] + pixels[1:]]
    for name, value, shapes in [
        ('bias', b, [c]),
        ('style', style, [n.concatenate(c)]),
        ('scale', scale, maps),
        ('shift', shift, maps),
    ]:
        if value is not None:
            fits = any(value.shape.is_compatible_with(shape) for shape in shapes)
            what = '%s %s for axis %d of %s' % (name, value.shape, axis, x.shape)
            assert fits and (axis > 0 or name == 'bias'), what
