"""Resampling of images with FIR filters, alone or around a convolution; names of StyleGAN2's ops.

All but `upfirdn_2d` itself take images as data_format says, 'NCHW' or 'NHWC', on any device (CPUs
are faster in NHWC). N may be unknown. Filters `k` are [n, n], or [n] for the outer product with
itself, and are normalized to sum 1. Results keep the type of x and are differentiable any number of
times in x and w.
"""

from typing import Any, Callable

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import layout
from dnnlib.tflib.ops import conv2d, upfirdn_native, upfirdn_ref
from dnnlib.util import UserError


def upfirdn_2d(
    x: tf.Tensor,
    k: Any,
    upx: int = 1,
    upy: int = 1,
    downx: int = 1,
    downy: int = 1,
    padx0: int = 0,
    padx1: int = 0,
    pady0: int = 0,
    pady1: int = 0,
    impl: str = 'auto',
) -> tf.Tensor:
    """Upsample with zeros, pad, convolve and downsample a batch of images.

    1. Put upx - 1 (upy - 1) zeros after every pixel, the last one included.
    2. Add padx0 (pady0) zeros before and padx1 (pady1) after, counted in the upsampled image;
       negative numbers crop.
    3. Convolve with k, that is with k flipped; only where it lies within the image.
    4. Keep every downx-th (downy-th) pixel, starting with the first.

    x: [major, H, W, minor]; k: [kH, kW], NumPy, used as it is. Returns [major, outH, outW, minor]
    with out = (in * up + pad0 + pad1 - kernel) // down + 1. Raises UserError where that is below 1.
    """
    k = np.asarray(k, np.float32)
    assert k.ndim == 2 and k.size > 0
    assert all(isinstance(v, int) and v >= 1 for v in (upx, upy, downx, downy))
    assert all(isinstance(v, int) for v in (padx0, padx1, pady0, pady1))
    how = upfirdn_ref.Resampling(k, (upy, upx), (downy, downx), ((pady0, pady1), (padx0, padx1)))
    return _upfirdn(tf.convert_to_tensor(x), how, 'NHWC', impl)


def filter_2d(
    x: tf.Tensor, k: Any, gain: float = 1, data_format: str = 'NCHW', impl: str = 'auto'
) -> tf.Tensor:
    """Filter images with k and multiply by gain; the size stays, zeros are assumed outside."""
    k = _setup_kernel(k, gain)
    p = k.shape[0] - 1
    return _resample(x, k, 1, 1, (p + 1) // 2, p // 2, data_format, impl)


def upsample_2d(
    x: tf.Tensor,
    k: Any = None,
    factor: int = 2,
    gain: float = 1,
    data_format: str = 'NCHW',
    impl: str = 'auto',
) -> tf.Tensor:
    """Enlarge images `factor` times with the filter k (default: a box, i.e. nearest neighbour)."""
    k = _setup_kernel(k, gain * factor**2, factor)
    p = k.shape[0] - factor
    return _resample(x, k, factor, 1, (p + 1) // 2 + factor - 1, p // 2, data_format, impl)


def downsample_2d(
    x: tf.Tensor,
    k: Any = None,
    factor: int = 2,
    gain: float = 1,
    data_format: str = 'NCHW',
    impl: str = 'auto',
) -> tf.Tensor:
    """Shrink images `factor` times with the filter k (default: a box, that is the average)."""
    k = _setup_kernel(k, gain, factor)
    p = k.shape[0] - factor
    return _resample(x, k, 1, factor, (p + 1) // 2, p // 2, data_format, impl)


def upsample_conv_2d(
    x: tf.Tensor,
    w: tf.Tensor,
    k: Any = None,
    factor: int = 2,
    gain: float = 1,
    data_format: str = 'NCHW',
    impl: str = 'auto',
) -> tf.Tensor:
    """`upsample_2d` and then a convolution with w, in one step that pads only once.

    w: [c, c, inC, outC], not flipped. With fewer input channels than x the convolution is grouped:
    the channels of x are groups of inC, those of the result groups of outC / number of groups.
    On GPUs in NCHW the number of groups may be unknown.
    Returns images of `factor` times the size (for every factor; StyleGAN2's own code: for 2 only).
    """
    w, c = _check_weights(w)
    k = _setup_kernel(k, gain * factor**2, factor)
    p = k.shape[0] - factor - (c - 1)
    pad0, pad1 = (p + 1) // 2 + factor - 1, p // 2 + factor - 1
    if c == 1:  # the convolution commutes with the filter: do it on the small image
        x = _conv_2d(x, w, 1, data_format)
        return _resample(x, k, factor, 1, pad0, pad1 - factor + 1, data_format, impl)
    x = _grouped(_transposed_conv, x, w, factor, data_format)
    return _resample(x, k, 1, 1, pad0, pad1, data_format, impl)


def conv_downsample_2d(
    x: tf.Tensor,
    w: tf.Tensor,
    k: Any = None,
    factor: int = 2,
    gain: float = 1,
    data_format: str = 'NCHW',
    impl: str = 'auto',
) -> tf.Tensor:
    """A convolution with w and then `downsample_2d`, in one step that pads only once.

    w: [c, c, inC, outC], not flipped; grouped as in `upsample_conv_2d`.
    """
    w, c = _check_weights(w)
    k = _setup_kernel(k, gain, factor)
    p = k.shape[0] - factor + (c - 1)
    pad0, pad1 = (p + 1) // 2, p // 2
    if c == 1:  # filter only the pixels that the convolution will look at
        x = _resample(x, k, 1, factor, pad0, pad1, data_format, impl)
        return _conv_2d(x, w, 1, data_format)
    x = _resample(x, k, 1, 1, pad0, pad1, data_format, impl)
    return _conv_2d(x, w, factor, data_format)


def _setup_kernel(k, gain, factor=1):
    """A new [n, n] float32 array of sum `gain`; without k a box of the size of a factor."""
    assert isinstance(factor, int) and factor >= 1
    k = np.array([1] * factor if k is None else k, np.float32)
    if k.ndim == 1:
        k = np.outer(k, k)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or k.size == 0:
        shape = list(k.shape)
        raise UserError('a resampling kernel has shape %s; allowed are [n] and [n, n]' % shape)
    if not np.isfinite(k).all() or np.sum(k) == 0:
        raise UserError('a resampling kernel sums to %s; it cannot be normalized' % np.sum(k))
    return k / np.sum(k) * np.float32(gain)


def _check_weights(w):
    """The weights as a tensor, and the size of the convolution."""
    w = tf.convert_to_tensor(w)
    c, width = w.shape.as_list()[:2]
    assert c == width >= 1
    return w, c


def _on_device(function: Callable, x, data_format):
    """Call function(x, data_format) in a layout that the device can do: on CPUs NHWC."""
    assert data_format in ('NCHW', 'NHWC')
    x = tf.convert_to_tensor(x)
    if data_format == 'NHWC' or layout.for_device() == 'NCHW':
        return function(x, data_format)
    with tf.name_scope('ViaNHWC'):
        y = function(tf.transpose(x, [0, 2, 3, 1]), 'NHWC')
        return tf.transpose(y, [0, 3, 1, 2])


def _resample(x, k, up, down, pad0, pad1, data_format, impl):
    how = upfirdn_ref.Resampling(k, (up, up), (down, down), ((pad0, pad1),) * 2)
    x = tf.convert_to_tensor(x)
    if upfirdn_native.is_chosen(x, how, impl):  # it needs no detours
        return _upfirdn(x, how, data_format, impl)
    if data_format == 'NCHW' and x.shape.as_list()[1] is None:  # unknown number of groups
        shape = tf.shape(x)
        single = tf.reshape(x, [-1, 1] + x.shape.as_list()[2:])
        y = _on_device(lambda x, fmt: _upfirdn(x, how, fmt, impl), single, data_format)
        return tf.reshape(y, [shape[0], shape[1]] + y.shape.as_list()[2:])
    return _on_device(lambda x, fmt: _upfirdn(x, how, fmt, impl), x, data_format)


def _upfirdn(x, how, data_format, impl):
    size = [x.shape.as_list()[data_format.index(axis)] for axis in 'HW']
    assert None not in size, 'height and width must be known: %s' % x.shape
    out = how.output_size(size)
    if min(out) < 1:
        sizes = tuple('%d x %d' % tuple(pair) for pair in (size, how.kernel.shape, out))
        text = 'an image of %s pixels is too small for a kernel of %s: the result would have %s'
        raise UserError(text % sizes)
    with tf.name_scope('UpFirDn2D'):
        evaluate = upfirdn_native.evaluate if upfirdn_native.is_chosen(x, how, impl) else None
        return upfirdn_ref.upfirdn(x, how, data_format, evaluate)


def _grouped(conv, x, w, stride, data_format):
    """conv(x, w, groups, stride, data_format), one group at a time on CPUs, which have none."""

    def on_device(x, data_format):
        channel_axis = data_format.index('C')
        channels, in_channels = x.shape.as_list()[channel_axis], w.shape.as_list()[2]
        is_known = channels is not None
        groups = (channels if is_known else tf.shape(x)[channel_axis]) // in_channels
        if not is_known or groups == 1 or layout.for_device() == 'NCHW':
            return conv(x, w, groups, stride, data_format)
        parts = zip(tf.split(x, groups, axis=channel_axis), tf.split(w, groups, axis=3))
        return tf.concat([conv(xg, wg, 1, stride, data_format) for xg, wg in parts], channel_axis)

    return _on_device(on_device, x, data_format)


def _conv_2d(x, w, stride, data_format):
    def conv(x, w, _groups, stride, data_format):
        return conv2d.conv2d(x, w, stride, 'VALID', data_format)

    return _grouped(conv, x, w, stride, data_format)


def _transposed_conv(x, w, groups, stride, data_format):
    """Insert zeros, pad and convolve: n pixels become (n - 1) * stride + c."""
    if conv2d.is_for(x, w, data_format):
        return conv2d.conv2d_transpose(x, conv2d.flipped(w), stride)
    n, h, w_, _ = [x.shape.as_list()[data_format.index(axis)] for axis in 'NHWC']
    c, _, in_channels, known_out_channels = w.shape.as_list()
    out_channels = known_out_channels or tf.shape(w)[3]
    out_h, out_w = [(size - 1) * stride + c for size in (h, w_)]
    # Taps in reverse order, in and out exchanged. Slices: tf.reverse is slow in TensorFlow 1.14.
    taps = tf.split(tf.reshape(w, [c * c, in_channels, groups, out_channels // groups]), c * c)
    w = tf.transpose(tf.concat(taps[::-1], axis=0), [0, 3, 2, 1])
    w = tf.reshape(w, [c, c, out_channels // groups, groups * in_channels])
    shape = upfirdn_ref.per_axis([n or tf.shape(x)[0], out_h, out_w, out_channels], data_format)
    strides = upfirdn_ref.per_axis([1, stride, stride, 1], data_format)
    y = tf.nn.conv2d_transpose(x, w, tf.stack(shape), strides, 'VALID', data_format)
    y.set_shape(upfirdn_ref.per_axis([n, out_h, out_w, known_out_channels], data_format))
    return y
