"""Upsampling, FIR filter and downsampling of images in plain TensorFlow, for any device.

The two cases that networks use are one depthwise convolution each: filtering and keeping every n-th
pixel is the convolution itself, with stride n; inserting zeros and filtering is its transpose.
"""

from typing import Callable, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import engine, layout
from dnnlib.tflib.ops import decisions
from dnnlib.tflib.ops.own_gradient import with_own_gradient

_HALF_TYPES = (tf.float16, tf.bfloat16)


class Resampling(NamedTuple):
    """What to do with an image; all but the kernel comes as a pair (vertical, horizontal)."""

    kernel: np.ndarray  # [height, width]
    up: Tuple[int, int]
    down: Tuple[int, int]
    pad: Tuple[Tuple[int, int], ...]  # (before, after), in upsampled pixels

    def output_size(self, size: Sequence[int]) -> Tuple[int, ...]:
        """Height and width of the result for an image of height and width `size`."""
        return tuple(
            (n * up + sum(pad) - taps) // down + 1
            for n, up, down, pad, taps in zip(size, self.up, self.down, self.pad, self.kernel.shape)
        )

    def adjoint(self, size: Sequence[int]) -> 'Resampling':
        """The transposed linear map, which takes gradients back to an image of `size`."""
        pads = []
        for i, out in enumerate(self.output_size(size)):
            before = self.pad[i][0]
            after = size[i] * self.up[i] - out * self.down[i] + before - self.up[i] + 1
            pads.append((self.kernel.shape[i] - 1 - before, after))
        return Resampling(self.kernel[::-1, ::-1], self.down, self.up, tuple(pads))


def upfirdn(
    x: tf.Tensor, how: Resampling, data_format: str, evaluate: Optional[Callable] = None
) -> tf.Tensor:
    """Insert zeros, pad or crop, convolve, keep every n-th pixel; differentiable at any order.

    x: [N, H, W, C], or [N, C, H, W] with data_format 'NCHW', which CPUs cannot do. Only N may be
    unknown. evaluate: what does it instead of plain TensorFlow, a function of the first three.
    """
    evaluate = evaluate or _evaluate
    size = tuple(x.shape.as_list()[i] for i in _spatial_axes(data_format))

    @with_own_gradient
    def op(x):
        y = evaluate(x, how, data_format)

        def grad(dy):
            dy.set_shape(y.shape)
            return upfirdn(dy, how.adjoint(size), data_format, evaluate)

        return y, grad

    return op(x)


def _spatial_axes(data_format):
    return (1, 2) if data_format == 'NHWC' else (2, 3)


def _evaluate(x, how, data_format):
    on_cpu = layout.for_device() == 'NHWC'
    up, down = how.up, how.down
    transposed = up[0] == up[1] and down == (1, 1)
    transposed = transposed and (up[0] > 1 or on_cpu and decisions.BEST.filters_transposed)
    # In half precision CPUs have one fast kernel, today's convolution.
    has_kernel = engine.uses_bfloat16() and not transposed
    if on_cpu and x.dtype in _HALF_TYPES and not has_kernel:
        return tf.cast(_evaluate(tf.cast(x, tf.float32), how, data_format), x.dtype)
    if transposed:
        return _convolve_transposed(x, how, data_format)
    x = _insert_zeros(x, up, data_format)
    if down[0] == down[1]:
        return _convolve(x, how.kernel, down[0], how.pad, data_format)
    y = _convolve(x, how.kernel, 1, how.pad, data_format)
    step = [slice(None)] * 4
    for axis, factor in zip(_spatial_axes(data_format), down):
        step[axis] = slice(None, None, factor)
    return y[tuple(step)]


def _convolve(x, kernel, stride, pad, data_format):
    """Pad or crop, convolve and keep every stride-th pixel in both directions."""
    x = _pad_or_crop(x, [[min(p, 0) for p in pair] for pair in pad], data_format)
    pad = [[max(p, 0) for p in pair] for pair in pad]
    same = []  # what padding='SAME' would do
    for i, axis in enumerate(_spatial_axes(data_format)):
        size, taps = x.shape.as_list()[axis], kernel.shape[i]
        total = max((-(-size // stride) - 1) * stride + taps - size, 0)
        same.append([total // 2, total - total // 2])
    padding: Union[str, list] = 'VALID'
    if np.any(pad) and pad == same:
        padding = 'SAME'
    elif np.any(pad) and engine.has_explicit_padding():
        padding = per_axis([[0, 0], pad[0], pad[1], [0, 0]], data_format)
    else:
        x = _pad_or_crop(x, pad, data_format)
    filters = _depthwise_filter(kernel[::-1, ::-1], x, data_format)
    strides = per_axis([1, stride, stride, 1], data_format)
    return tf.nn.depthwise_conv2d(x, filters, strides, padding, data_format=data_format)


def _convolve_transposed(x, how, data_format):
    """Insert zeros, pad or crop and convolve: what a strided convolution's gradient computes."""
    stride = how.up[0]
    size = [x.shape.as_list()[i] for i in _spatial_axes(data_format)]
    full = [(n - 1) * stride + taps for n, taps in zip(size, how.kernel.shape)]
    out = how.output_size(size)
    crop = [taps - 1 - pad[0] for taps, pad in zip(how.kernel.shape, how.pad)]
    same = all(
        -(-o // stride) == n and max(f - o, 0) // 2 == c
        for o, n, f, c in zip(out, size, full, crop)
    )
    made = out if same else full
    batch = x.shape.as_list()[0] or tf.shape(x)[0]
    channels = x.shape.as_list()[data_format.index('C')]
    shape = per_axis([batch, *made, channels], data_format)
    filters = _depthwise_filter(how.kernel, x, data_format)
    strides = per_axis([1, stride, stride, 1], data_format)
    transpose = tf.nn.depthwise_conv2d_backprop_input
    padding = 'SAME' if same else 'VALID'
    y = transpose(shape, filters, x, strides, padding, data_format=data_format)
    y.set_shape(per_axis([x.shape.as_list()[0], made[0], made[1], channels], data_format))
    if same:
        return y
    return _pad_or_crop(y, [[-c, o + c - f] for o, c, f in zip(out, crop, full)], data_format)


def per_axis(nhwc: list, data_format: str) -> list:
    """Four things given in the order N, H, W, C, in the order of the data format."""
    return [nhwc['NHWC'.index(axis)] for axis in data_format]


def _depthwise_filter(kernel, x, data_format):
    channels = x.shape.as_list()[data_format.index('C')]
    return tf.constant(np.tile(kernel[:, :, np.newaxis, np.newaxis], [1, 1, channels, 1]), x.dtype)


def _pad_or_crop(x, pad, data_format):
    """Add zeros (positive) or take pixels away (negative) before and after both spatial axes."""
    pads = per_axis([[0, 0], pad[0], pad[1], [0, 0]], data_format)
    if np.min(pads) < 0:
        x = x[tuple(slice(max(-before, 0), min(after, 0) or None) for before, after in pads)]
    if np.max(pads) > 0:
        x = tf.pad(x, np.maximum(pads, 0))
    return x


def _insert_zeros(x, up, data_format):
    """Put up - 1 zeros after every pixel."""
    if up == (1, 1):
        return x
    n, h, w, c = [x.shape.as_list()[data_format.index(axis)] for axis in 'NHWC']
    n = -1 if n is None else n
    rows, columns = [0, up[0] - 1], [0, up[1] - 1]  # zeros after the pixels, on axes of size 1
    before = [[0, 0]] * (2 if data_format == 'NHWC' else 3)
    pads = before + [rows, [0, 0], columns] + [[0, 0]] * (3 - len(before))
    split = [n, h, 1, w, 1, c] if data_format == 'NHWC' else [n, c, h, 1, w, 1]
    result = per_axis([n, h * up[0], w * up[1], c], data_format)
    return tf.reshape(tf.pad(tf.reshape(x, split), pads), result)
