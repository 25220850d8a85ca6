"""Convolution, its transpose and their gradients, each done the way that is fastest on a device.

On GPUs these are TensorFlow's own. On CPUs in NHWC, TensorFlow's gradients are several times slower
than its convolution in some cases, and wide convolutions in float32 can do with fewer
multiplications (measured: see docs/performance.md), so that they are put together from convolutions
and matrix products here. Three maps are closed under differentiation: y = conv(x, w), which is
linear in both, and its gradients with respect to x and w.
"""

import tensorflow.compat.v1 as tf

from dnnlib.tflib import engine, layout
from dnnlib.tflib.ops import winograd
from dnnlib.tflib.ops.winograd import Geometry


def conv2d(
    x: tf.Tensor, w: tf.Tensor, stride: int = 1, padding: str = 'SAME', data_format: str = 'NHWC'
) -> tf.Tensor:
    """Convolve images with w [c, c, in, out], not flipped, and keep every stride-th pixel.

    padding: 'VALID', or 'SAME' with a stride of 1 and an odd c. Height and width must be known.
    Differentiable any number of times in x and w.
    """
    if not is_for(x, w, data_format):
        strides = [1, stride, stride, 1] if data_format == 'NHWC' else [1, 1, stride, stride]
        return tf.nn.conv2d(x, w, strides=strides, padding=padding, data_format=data_format)
    taps, size = w.shape.as_list()[0], tuple(x.shape.as_list()[1:3])
    assert padding == 'VALID' or stride == 1 and taps % 2 == 1
    out = size if padding == 'SAME' else tuple((n - taps) // stride + 1 for n in size)
    return _conv(x, w, Geometry(taps, stride, padding, size, out))


def conv2d_transpose(x: tf.Tensor, w: tf.Tensor, stride: int) -> tf.Tensor:
    """The transpose of `conv2d` with padding 'VALID', NHWC on CPUs: n pixels become
    (n - 1) * stride + c.

    w: [c, c, out, in], as for the convolution of which this is the transpose.
    """
    taps, size = w.shape.as_list()[0], tuple(x.shape.as_list()[1:3])
    out = tuple((n - 1) * stride + taps for n in size)
    return _input_gradient(x, w, Geometry(taps, stride, 'VALID', out, size))


def flipped(w: tf.Tensor) -> tf.Tensor:
    """[c, c, in, out] -> [c, c, out, in], the taps in reverse order: weights of the transpose."""
    taps, _, in_channels, out_channels = w.shape.as_list()
    # Slices: tf.reverse is slow in TensorFlow 1.14.
    rows = tf.split(tf.reshape(w, [taps**2, in_channels, out_channels]), taps**2)
    w = tf.transpose(tf.concat(rows[::-1], axis=0), [0, 2, 1])
    return tf.reshape(w, [taps, taps, out_channels, in_channels])


def is_for(x: tf.Tensor, w: tf.Tensor, data_format: str) -> bool:
    """Whether this module has ways of its own: on CPUs in NHWC, without groups."""
    return (
        data_format == 'NHWC'
        and layout.for_device() == 'NHWC'
        and x.shape.as_list()[3] == w.shape.as_list()[2]
        and None not in w.shape.as_list()
    )


def _conv(x, w, how):
    @tf.custom_gradient
    def conv(x, w):
        def grad(dy):
            return _input_gradient(dy, w, how), _weight_gradient(x, dy, how)

        return _evaluate_conv(x, w, how), grad

    return conv(x, w)


def _input_gradient(dy, w, how):
    @tf.custom_gradient
    def input_gradient(dy, w):
        def grad(ddx):
            return _conv(ddx, w, how), _weight_gradient(ddx, dy, how)

        return _evaluate_input_gradient(dy, w, how), grad

    return input_gradient(dy, w)


def _weight_gradient(x, dy, how):
    @tf.custom_gradient
    def weight_gradient(x, dy):
        def grad(ddw):
            return _input_gradient(dy, ddw, how), _conv(x, ddw, how)

        return _evaluate_weight_gradient(x, dy, how), grad

    return weight_gradient(x, dy)


def _evaluate_conv(x, w, how):
    pixels = how.y_size[0] * how.y_size[1]
    # Few pixels: to rearrange the weights, as a convolution does, costs more than to use them.
    if engine.ENGINE == 'tf2' and how.taps > 1 and pixels <= (16 if x.dtype == tf.float32 else 64):
        return _conv_by_matmul(x, w, how)
    if _is_for_winograd(x, w.shape.as_list()[2:], how, least_for_stride_2=512):
        return winograd.conv2d(x, w, how)
    return tf.nn.conv2d(x, w, strides=[1, how.stride, how.stride, 1], padding=how.padding)


def _evaluate_input_gradient(dy, w, how):
    if _is_for_winograd(dy, w.shape.as_list()[2:], how, least_for_stride_2=256):
        return winograd.input_gradient(dy, w, how)
    if engine.ENGINE == 'tf1' and how.stride == 1 and how.padding == 'SAME':
        return tf.nn.conv2d(dy, flipped(w), strides=[1, 1, 1, 1], padding='SAME')
    if engine.ENGINE == 'tf1' and how.taps >= how.stride > 1:
        return _input_gradient_by_phases(dy, w, how)
    in_channels = w.shape.as_list()[2]
    shape = tf.stack([tf.shape(dy)[0], how.x_size[0], how.x_size[1], in_channels])
    dx = tf.nn.conv2d_backprop_input(
        shape, w, dy, strides=[1, how.stride, how.stride, 1], padding=how.padding
    )
    dx.set_shape([dy.shape[0], how.x_size[0], how.x_size[1], in_channels])
    return dx


def _evaluate_weight_gradient(x, dy, how):
    shape = [how.taps, how.taps, x.shape.as_list()[3], dy.shape.as_list()[3]]
    pixels = how.y_size[0] * how.y_size[1]
    if _is_for_winograd(x, shape[2:], how, least_for_stride_2=128):
        return winograd.weight_gradient(x, dy, how)
    if x.dtype == tf.bfloat16 and how.taps > 1 and (how.stride > 1 or pixels <= 256):
        return tf.reshape(_weight_gradient_by_taps(x, dy, how), shape)
    return tf.nn.conv2d_backprop_filter(
        x, shape, dy, strides=[1, how.stride, how.stride, 1], padding=how.padding
    )


def _is_for_winograd(x, channels, how, least_for_stride_2):
    """Whether that is faster for [in, out] channels; its planes are too much traffic for few, and
    too much memory for large images.
    """
    pixels = how.y_size[0] * how.y_size[1]
    least = 64 if engine.ENGINE == 'tf2' else {1: 256, 2: 1024}.get(how.stride)
    return (
        how.stride <= 2
        and pixels >= least
        and pixels * max(channels) <= 1 << 21
        and min(channels) >= (128 if how.stride == 1 else least_for_stride_2)
        and winograd.can_do(x.dtype, how, *channels)
    )


def _conv_by_matmul(x, w, how):
    """One matrix product of the pixels' neighbourhoods, [N*H*W, c*c*in], with the weights."""
    x = _padded(x, how)
    spans = [(how.stride * (n - 1) + 1) for n in how.y_size]
    shifted = [
        x[:, i : i + spans[0] : how.stride, j : j + spans[1] : how.stride]
        for i in range(how.taps)
        for j in range(how.taps)
    ]
    out_channels = w.shape.as_list()[3]
    columns = how.taps**2 * w.shape.as_list()[2]
    y = tf.matmul(
        tf.reshape(tf.concat(shifted, axis=3), [-1, columns]),
        tf.reshape(w, [columns, out_channels]),
    )
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
    dx = tf.reshape(tf.stack(rows, axis=2), [-1] + size + [w.shape.as_list()[3]])
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
    for i in range(how.taps):
        for j in range(how.taps):
            begin = (i // stride) * width + j // stride
            rows = phases[i % stride][j % stride][begin : begin + tf.shape(dy)[0]]
            products.append(tf.matmul(rows, dy, transpose_a=True))
    return tf.stack(products)
