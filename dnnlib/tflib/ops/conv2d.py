"""Convolution, its transpose and their gradients, each done the way that is fastest on a device.

On GPUs these are TensorFlow's own. On CPUs in NHWC, TensorFlow's gradients are several times slower
than its convolution in some cases, and wide convolutions in float32 can do with fewer
multiplications, so that they are put together from convolutions and matrix products here, where
`decisions` says so. Three maps are closed under differentiation, each linear in its two arguments:
y = conv2d(x, w), dx = input_gradient(dy, w) and dw = weight_gradient(x, dy).
"""

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import layout
from dnnlib.tflib.ops import winograd
from dnnlib.tflib.ops.decisions import BEST, Decisions, Geometry
from dnnlib.tflib.ops.own_gradient import with_own_gradient


def conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    stride: int = 1,
    padding: str = 'SAME',
    data_format: str = 'NHWC',
    decisions: Decisions = BEST,
) -> tf.Tensor:
    """Convolve images with w [c, c, in, out], not flipped, and keep every stride-th pixel.

    padding: 'VALID', or 'SAME' with a stride of 1 and an odd c. Height and width must be known.
    Differentiable any number of times in x and w.
    """
    if not is_for(x, w, data_format):
        strides = [1, stride, stride, 1] if data_format == 'NHWC' else [1, 1, stride, stride]
        return tf.nn.conv2d(x, w, strides=strides, padding=padding, data_format=data_format)
    taps, _, *channels = w.shape.as_list()
    size = tuple(x.shape.as_list()[1:3])
    assert padding == 'VALID' or stride == 1 and taps % 2 == 1
    out = size if padding == 'SAME' else tuple((n - taps) // stride + 1 for n in size)
    how = Geometry(taps, stride, padding, tuple(channels), size, out)
    return _differentiable('conv2d', x, w, how, decisions)


def conv2d_transpose(
    x: tf.Tensor, w: tf.Tensor, stride: int, decisions: Decisions = BEST
) -> tf.Tensor:
    """The transpose of `conv2d` with padding 'VALID', NHWC on CPUs; n pixels become more.

    w: [c, c, out, in], as for the convolution of which this is the transpose. Returns images of
    (n - 1) * stride + c pixels.
    """
    taps, _, *channels = w.shape.as_list()
    size = tuple(x.shape.as_list()[1:3])
    out = tuple((n - 1) * stride + taps for n in size)
    how = Geometry(taps, stride, 'VALID', tuple(channels), out, size)
    return _differentiable('input_gradient', x, w, how, decisions)


def flipped(w: tf.Tensor) -> tf.Tensor:
    """[c, c, in, out] -> [c, c, out, in], the taps in reverse order: weights of the transpose."""
    taps, _, in_channels, out_channels = w.shape.as_list()
    # Slices: tf.reverse is slow in TensorFlow 1.14.
    rows = tf.split(tf.reshape(w, [taps**2, in_channels, out_channels]), taps**2)
    w = tf.transpose(tf.concat(rows[::-1], axis=0), [0, 2, 1])  # [c*c, out, in]
    return tf.reshape(w, [taps, taps, out_channels, in_channels])


def is_for(x: tf.Tensor, w: tf.Tensor, data_format: str) -> bool:
    """Whether this module has ways of its own: on CPUs in NHWC, without groups."""
    if data_format != 'NHWC' or layout.for_device() != 'NHWC':
        return False
    shape = w.shape.as_list()
    return x.shape.as_list()[3] == shape[2] and None not in shape


# The gradients of each map with respect to its two arguments, as (map, its arguments).
_GRADIENTS = {
    'conv2d': lambda x, w, dy: [('input_gradient', dy, w), ('weight_gradient', x, dy)],
    'input_gradient': lambda dy, w, ddx: [('conv2d', ddx, w), ('weight_gradient', ddx, dy)],
    'weight_gradient': lambda x, dy, ddw: [('input_gradient', dy, ddw), ('conv2d', x, ddw)],
}


def _differentiable(name, a, b, how, decisions):
    @with_own_gradient
    def bilinear(a, b):
        def grad(d):
            gradients = _GRADIENTS[name](a, b, d)
            return [_differentiable(*gradient, how, decisions) for gradient in gradients]

        return _evaluate(name, a, b, how, decisions), grad

    return bilinear(a, b)


def _evaluate(name, a, b, how, decisions):
    if decisions.takes_winograd(name, how) and winograd.can_do(a.dtype, how):
        return getattr(winograd, name)(a, b, how)
    ways = dict(conv2d=_conv, input_gradient=_input_gradient, weight_gradient=_weight_gradient)
    return ways[name](a, b, how, decisions)


def _conv(x, w, how, decisions):
    is_float32 = x.dtype == tf.float32
    few = decisions.product_pixels_float32 if is_float32 else decisions.product_pixels
    if how.taps > 1 and how.pixels <= few:
        return _conv_by_product(x, w, how)
    return tf.nn.conv2d(x, w, strides=[1, how.stride, how.stride, 1], padding=how.padding)


def _input_gradient(dy, w, how, decisions):
    if decisions.flips_weights and how.stride == 1 and how.padding == 'SAME':
        return tf.nn.conv2d(dy, flipped(w), strides=[1, 1, 1, 1], padding='SAME')
    if decisions.splits_phases and how.taps >= how.stride > 1:
        return _input_gradient_by_phases(dy, w, how)
    image = [how.x_size[0], how.x_size[1], how.channels[0]]
    strides = [1, how.stride, how.stride, 1]
    shape = tf.stack([tf.shape(dy)[0]] + image)
    dx = tf.nn.conv2d_backprop_input(shape, w, dy, strides=strides, padding=how.padding)
    dx.set_shape([dy.shape[0]] + image)
    return dx


def _weight_gradient(x, dy, how, decisions):
    shape = [how.taps, how.taps, *how.channels]
    few = decisions.tap_products_pixels.get(how.stride, 0)
    if x.dtype == tf.bfloat16 and how.taps > 1 and how.pixels <= few:
        return tf.reshape(_weight_gradient_by_taps(x, dy, how), shape)
    strides = [1, how.stride, how.stride, 1]
    return tf.nn.conv2d_backprop_filter(x, shape, dy, strides=strides, padding=how.padding)


def _conv_by_product(x, w, how):
    """One matrix product of the pixels' neighbourhoods with the weights."""
    x = _padded(x, how)
    spans = [how.stride * (n - 1) + 1 for n in how.y_size]
    shifted = [
        x[:, i : i + spans[0] : how.stride, j : j + spans[1] : how.stride]
        for i, j in np.ndindex(how.taps, how.taps)
    ]
    columns, out_channels = how.taps**2 * how.channels[0], how.channels[1]
    neighbourhoods = tf.reshape(tf.concat(shifted, axis=3), [-1, columns])  # [N*H*W, c*c*in]
    y = tf.matmul(neighbourhoods, tf.reshape(w, [columns, out_channels]))
    return tf.reshape(y, [-1, how.y_size[0], how.y_size[1], out_channels])


def _padded(x, how):
    """x as a convolution without padding is to see it."""
    p = how.taps // 2
    return tf.pad(x, [[0, 0], [p, p], [p, p], [0, 0]]) if how.padding == 'SAME' and p else x


def _input_gradient_by_phases(dy, w, how):
    """A convolution for the rows and columns of each remainder modulo the stride, interleaved.

    Of c taps a remainder r meets only r, r + stride, ...: no multiplication by inserted zeros.
    """
    stride, taps = how.stride, how.taps
    w = tf.transpose(w, [0, 1, 3, 2])
    extra = -(-taps // stride) - 1  # pixels by which a phase exceeds dy at most
    dy = tf.pad(dy, [[0, 0], [extra, extra], [extra, extra], [0, 0]])

    def phase(r, s):
        kernel, crop = [], []
        for remainder in (r, s):
            kernel.append(list(range(remainder, taps, stride))[::-1])
            crop.append(extra + 1 - len(kernel[-1]))
        part = tf.stack([tf.stack([w[i, j] for j in kernel[1]]) for i in kernel[0]])
        source = dy[:, crop[0] : dy.shape[1] - crop[0], crop[1] : dy.shape[2] - crop[1]]
        y = tf.nn.conv2d(source, part, strides=[1, 1, 1, 1], padding='VALID')
        return tf.pad(y, [[0, 0], [0, crop[0]], [0, crop[1]], [0, 0]])

    rows = [tf.stack([phase(r, s) for s in range(stride)], axis=3) for r in range(stride)]
    size = [stride * (n + extra) for n in how.y_size]
    dx = tf.reshape(tf.stack(rows, axis=2), [-1] + size + [how.channels[0]])
    dx = dx[:, : how.x_size[0], : how.x_size[1]]
    lack = [max(want - have, 0) for want, have in zip(how.x_size, size)]
    return tf.pad(dx, [[0, 0], [0, lack[0]], [0, lack[1]], [0, 0]]) if any(lack) else dx


def _weight_gradient_by_taps(x, dy, how):
    """A matrix product for each tap, [c*c, in, out], of slices that need no copy.

    With images as rows of pixels in one long list, zeros between them, a tap is the same rows some
    places further on.
    """
    x, stride = _padded(x, how), how.stride
    extra = -(-how.taps // stride) - 1
    height, width = [n + extra for n in how.y_size]  # of every phase, and of dy with zeros
    x = x[:, : stride * height, : stride * width]
    lack = [stride * n - have for n, have in zip((height, width), x.shape.as_list()[1:3])]
    # One image of zeros more, since the last taps look beyond the end.
    x = tf.pad(x, [[0, 1], [0, lack[0]], [0, lack[1]], [0, 0]])
    channels = x.shape.as_list()[3]
    x = tf.reshape(x, [-1, height, stride, width, stride, channels])
    phases = [
        [tf.reshape(x[:, :, r, :, s], [-1, channels]) for s in range(stride)] for r in range(stride)
    ]
    dy = tf.pad(dy, [[0, 0], [0, extra], [0, extra], [0, 0]])
    dy = tf.reshape(dy, [-1, dy.shape.as_list()[3]])
    products = []
    for i, j in np.ndindex(how.taps, how.taps):
        begin = (i // stride) * width + j // stride
        rows = phases[i % stride][j % stride][begin : begin + tf.shape(dy)[0]]
        products.append(tf.matmul(rows, dy, transpose_a=True))
    return tf.stack(products)
