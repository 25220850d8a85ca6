"""The compiled ops around `fused_bias_act`, with gradients of any order; C interface: bias_act.h.

With z = x * style * scale + shift + b, the op FusedBiasAct is gain * act(z), or with its attribute
grad = 1 gain * act'(ref) * z, and FusedBiasActGrad all gradients of either. For piecewise linear
activations the two are closed under differentiation: act' is constant, all else is multilinear. The
second derivatives of the other activations are left to plain TensorFlow.
"""

from typing import List, Optional, Sequence

import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops
from dnnlib.tflib.ops import bias_act_ref
from dnnlib.tflib.ops.bias_act_ref import activation_funcs

_NAMES = {spec.cuda_idx: name for name, spec in activation_funcs.items()}


def can_do(x: tf.Tensor, axis: int, act: str, alpha: Optional[float]) -> bool:
    """Whether the compiled ops know the type of x, and give the right gradient."""
    if x.dtype not in custom_ops.kernel_dtypes() or axis == 0:
        return False
    return act != 'lrelu' or (alpha or 0) >= 0  # else the sign of y does not say where z was


def bias_act(
    x: tf.Tensor, extras: Sequence, axis: int, act: str, alpha: Optional[float], gain: float
) -> tf.Tensor:
    """gain * act(x * style * scale + shift + b) for extras b, style, scale, shift, or None each."""
    b, style, *maps = extras
    scale, shift = [_one_map_per_sample(value, x) for value in maps]
    extras = [v if v is None else tf.cast(v, tf.float32) for v in (b, style, scale, shift)]
    attrs = dict(axis=axis, act=activation_funcs[act].cuda_idx, alpha=alpha or 0, gain=gain)
    return _forward(attrs, x, extras)


def channel_sum(x: tf.Tensor, style: Optional[tf.Tensor], axis: int) -> tf.Tensor:
    """Sum of x * style over the channels, as `fused_bias_act` documents it."""
    style = None if style is None else tf.cast(style, tf.float32)
    m = custom_ops.library().channel_sum(x, _or_absent(style, tf.float32), axis=axis)
    m.set_shape(_pixels(x.shape, axis))
    return m


def _one_map_per_sample(value, x):
    """A map [N or 1, ...] repeated to [N, ...]."""
    if value is None or value.shape[0].is_compatible_with(x.shape[0]) and x.shape.as_list()[0]:
        return value
    repeats = tf.shape(x)[0] // tf.maximum(tf.shape(value)[0], 1)
    return tf.tile(value, tf.stack([repeats] + [1] * (x.shape.rank - 1)))


def _forward(attrs, x, extras, ref=None, grad=0):
    """FusedBiasAct; `extras` are b, style, scale and shift, each may be None."""
    extras = [_or_absent(value, tf.float32) for value in extras]
    ref = _or_absent(ref, x.dtype)
    y = custom_ops.library().fused_bias_act(x, *extras, ref, grad=grad, **attrs)
    y.set_shape(x.shape)
    return y


def _backward(attrs, dy, x, extras, ref, wanted):
    """FusedBiasActGrad: dx, db, dstyle, dscale, dshift as `wanted` says, else None."""
    image = x if dy is None else dy
    extras = [_or_absent(value, tf.float32) for value in extras]
    dy, x, ref = [_or_absent(value, image.dtype) for value in (dy, x, ref)]
    grads = custom_ops.library().fused_bias_act_grad(dy, x, *extras, ref, wanted=wanted, **attrs)
    shape, axis = image.shape, attrs['axis']
    pixels, channels = _pixels(shape, axis), shape[axis : axis + 1]
    shapes = [shape, channels, shape[:1].concatenate(channels), pixels, pixels]
    for value, value_shape, is_wanted in zip(grads, shapes, wanted):
        value.set_shape(value_shape if is_wanted else [0])
    return [value if is_wanted else None for value, is_wanted in zip(grads, wanted)]


def _pixels(shape, axis):
    return shape[:axis].concatenate(1).concatenate(shape[axis + 1 :])


def _or_absent(value, dtype):
    return tf.zeros([], dtype) if value is None else value


def _present(inputs):
    """Inputs of an op with None for those that are absent."""
    return [value if value.shape.rank != 0 else None for value in inputs]


def _attrs(op):
    return {name: op.get_attr(name) for name in ('axis', 'act', 'alpha', 'gain')}


@tf.RegisterGradient('FusedBiasAct')
def _fused_bias_act_gradient(op, dy):
    attrs = _attrs(op)
    act = activation_funcs[_NAMES[attrs['act']]]
    x, b, style, scale, shift, ref = _present(op.inputs)
    wanted = [True] + [value is not None for value in (b, style, scale, shift)]
    if op.get_attr('grad') == 0 and attrs['act'] != activation_funcs['linear'].cuda_idx:
        ref = op.outputs[0] if act.ref == 'y' else None
    if act.zero_2nd_grad:  # keep no more in memory than the sums need
        b = shift = None
        x = None if style is None and scale is None else x
    return _backward(attrs, dy, x, [b, style, scale, shift], ref, wanted) + [None]


@tf.RegisterGradient('ChannelSum')
def _channel_sum_gradient(op, dm):
    x, style = _present(op.inputs)
    attrs = dict(axis=op.get_attr('axis'), act=activation_funcs['linear'].cuda_idx, alpha=0, gain=1)
    wanted = [True, False, style is not None, False, False]
    dx, _, dstyle, _, _ = _backward(attrs, None, x, [None, style, dm, None], None, wanted)
    return dx, dstyle


@tf.RegisterGradient('FusedBiasActGrad')
def _fused_bias_act_grad_gradient(op, *cotangents):
    # Gradients that are known to be zero cost a pass over the images each.
    pairs = zip(cotangents, op.get_attr('wanted'))
    present = [v if wanted and v.op.type != 'ZerosLike' else None for v, wanted in pairs]
    is_linear = activation_funcs[_NAMES[op.get_attr('act')]].zero_2nd_grad
    return (_multilinear_gradient if is_linear else _smooth_gradient)(op, present)


def _multilinear_gradient(op, cotangents):
    """With u = dy * gain * act'(ref): gradients of dx = u * style * scale and of the sums."""
    attrs = _attrs(op)
    dy, x, _, style, scale, _, ref = _present(op.inputs)
    v_x, v_b, v_style, v_scale, v_shift = cotangents
    sums: List[list] = [[], [], [], []]
    to_dy, to_x, to_style, to_scale = sums

    def forward(v, extras):
        if dy is not None:
            to_dy.append(_forward(attrs, v, extras, ref, grad=1))

    def backward(v, style, scale, into):
        wanted = [into[0] is not None, False, into[1] is not None, into[2] is not None, False]
        if any(wanted):
            grads = _backward(attrs, dy, v, [None, style, scale, None], ref, wanted)
            for terms, value in zip(into, (grads[0], grads[2], grads[3])):
                if value is not None:
                    terms.append(value)

    if any(v is not None for v in (v_x, v_b, v_shift)):
        image = v_x
        if image is None and dy is not None:
            image = tf.zeros_like(dy)
        forward(image, [v_b, style, scale, v_shift])
    into_style = None if style is None else to_style
    into_scale = None if scale is None else to_scale
    if v_x is not None:
        backward(v_x, style, scale, (None, into_style, into_scale))
    if v_style is not None:
        forward(x, [None, v_style, scale, None])
        backward(x, v_style, scale, (to_x, None, into_scale))
    if v_scale is not None:
        forward(x, [None, style, v_scale, None])
        backward(x, style, v_scale, (to_x, into_style, None))
    ddy, dx, dstyle, dscale = [tf.add_n(terms) if terms else None for terms in sums]
    return ddy, dx, None, dstyle, dscale, None, None


def _smooth_gradient(op, cotangents):
    """The same through plain TensorFlow's gradient of its own gradient."""
    attrs = _attrs(op)
    inputs = [None if value is None else tf.identity(value) for value in _present(op.inputs[:6])]
    dy, x, *extras = inputs
    attrs['act'] = _NAMES[attrs['act']]
    y = bias_act_ref.bias_act(x, extras, **attrs)
    pairs = [(value, v) for value, v in zip(inputs[1:], cotangents) if v is not None]
    grads = tf.gradients(y, [value for value, _ in pairs], dy)
    present = [value for value in inputs if value is not None]
    second = iter(tf.gradients(grads, present, [v for _, v in pairs]))
    return [None if value is None else next(second) for value in inputs] + [None]
