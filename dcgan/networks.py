"""DCGAN (Radford et al. 2015, arXiv:1511.06434) with the noise injection of Feng, Zhao and Zha.

Inputs and outputs are NCHW. Inside, activations have the layout that `dnnlib.tflib.layout` chose
for the device; shapes in comments are written N, C, H, W all the same. Both networks are
unconditional: they take labels, as all networks here do, and do not look at them.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import layout, random
from dnnlib.util import UserError
from training import layers_stylegan2 as layers
from training.networks_stylegan2 import NoiseInjection, noise_injection_layer

# Of every stage's weights; Radford et al. 2015, section 4.
INIT_STDDEV = 0.02
# Batch normalization; moving averages keep this share of their value at each training step.
MOMENTUM = 0.9
EPSILON = 1e-5


class Shape(NamedTuple):
    """Kernel size, stages from the smallest on, and a stage's number of feature maps.

    A stage is named by the logarithm of its size.
    """

    kernel: int
    stages: List[int]
    fmaps: Callable[[int], int]


def network_shape(
    resolution: int, fmap_base: Optional[int] = None, fmap_max: Optional[int] = None
) -> Shape:
    """What networks for images of a resolution, a power of two from 8, look like.

    There are F feature maps at half the image's resolution, twice as many at each smaller size, at
    most 8F. F is 64 and the smallest size 4x4, with 4x4 kernels; at 32x32, CIFAR-10's size, 32 and
    2x2, with 5x5 kernels.

    Args:
        fmap_base, fmap_max: other widths: fmap_base / 2^(stage-1) feature maps, at most fmap_max.
    """
    log2 = layers.log2_of_resolution(resolution, smallest=8)
    kernel, smallest, width = (5, 1, 32) if resolution == 32 else (4, 2, 64)
    nf = layers.fmaps_function(fmap_base or width * resolution // 4, 1.0, 1, fmap_max or 8 * width)
    return Shape(kernel, list(range(smallest, log2)), lambda stage: nf(stage - 1))


def get_weight(shape: Sequence[int]) -> tf.Variable:
    """A trainable weight, drawn from N(0, 0.02^2)."""
    init = random.normal_initializer(0, INIT_STDDEV)
    return tf.get_variable('weight', shape=shape, initializer=init)


def dense(x: tf.Tensor, fmaps: int) -> tf.Tensor:
    """Fully connected layer without bias: [N, C] -> [N, fmaps]."""
    return tf.matmul(x, get_weight([x.shape.as_list()[1], fmaps]))


def conv_down(x: tf.Tensor, fmaps: int, kernel: int) -> tf.Tensor:
    """Convolution of stride 2 without bias: [N, C, H, W] -> [N, fmaps, H/2, W/2]."""
    w = get_weight([kernel, kernel, layout.sizes(x)[1], fmaps])
    strides = layout.arrange(1, 1, 2, 2)
    return tf.nn.conv2d(x, w, strides, 'SAME', data_format=layout.current())


def conv_up(x: tf.Tensor, fmaps: int, kernel: int) -> tf.Tensor:
    """Transposed convolution of stride 2 without bias: [N, C, H, W] -> [N, fmaps, 2H, 2W]."""
    _, channels, height, width = layout.sizes(x)
    w = get_weight([kernel, kernel, fmaps, channels])  # the order that the transposed op takes
    size = layout.arrange(tf.shape(x)[0], fmaps, height * 2, width * 2)
    strides = layout.arrange(1, 1, 2, 2)
    y = tf.nn.conv2d_transpose(x, w, size, strides, 'SAME', data_format=layout.current())
    y.set_shape(layout.arrange(None, fmaps, height * 2, width * 2))
    return y


def batch_norm(x: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Batch normalization of channels (Ioffe and Szegedy 2015), [N, C, H, W].

    In training with the mean and variance of this minibatch, which moving averages follow whenever
    the result is used; otherwise with these averages, so that an image does not depend on what else
    is in its minibatch.
    """
    channels = layout.sizes(x)[1]

    def variable(name: str, initializer: Any, **kwargs: Any) -> tf.Variable:
        return tf.get_variable(name, shape=[channels], initializer=initializer, **kwargs)

    def over_pixels(values: tf.Tensor) -> tf.Tensor:  # [C] -> [1, C, 1, 1]
        return tf.reshape(values, layout.arrange(1, channels, 1, 1))

    with tf.variable_scope('BatchNorm'):
        gamma = variable('gamma', random.normal_initializer(1, INIT_STDDEV))
        beta = variable('beta', tf.initializers.zeros())
        mean = variable('moving_mean', tf.initializers.zeros(), trainable=False)
        variance = variable('moving_variance', tf.initializers.ones(), trainable=False)
        if is_training:
            averages = mean, variance
            mean, variance = tf.nn.moments(x, [0] + layout.spatial_axes())
            # Steps, not values, are assigned: two evaluations in one run both count.
            updates = [
                average.assign_sub((average.read_value() - moment) * (1 - MOMENTUM))
                for average, moment in zip(averages, (mean, variance))
            ]
            with tf.control_dependencies(updates):
                x = tf.identity(x)
        scale = gamma * tf.rsqrt(variance + EPSILON)
        return (x - over_pixels(mean)) * over_pixels(scale) + over_pixels(beta)


def G_dcgan(
    latents_in: tf.Tensor,
    labels_in: tf.Tensor,
    latent_size: int = 100,
    label_size: int = 0,
    num_channels: int = 3,
    resolution: int = 64,
    fmap_base: Optional[int] = None,
    fmap_max: Optional[int] = None,
    noise_injection: str = 'none',
    fr_reduce: str = 'neg_relu',
    randomize_noise: bool = True,
    noise_values: layers.Noises = None,
    alpha_powers: Optional[tf.Tensor] = None,
    is_training: bool = False,
    return_dlatents: bool = False,
) -> tf.Tensor:
    """Generator: z [N, latent_size] -> images [N, num_channels, resolution, resolution] in [-1, 1].

    Args:
        fmap_base, fmap_max: widths, see `network_shape`.
        noise_injection, fr_reduce, randomize_noise, noise_values, alpha_powers: as in StyleGAN2's
            `G_synthesis_stylegan2`; the noise sits after each activation but the last.
        is_training: normalize with the statistics of the minibatch, see `batch_norm`.

    Raises:
        UserError: return_dlatents is set; a DCGAN has no intermediate latents.
    """
    if return_dlatents:
        text = 'a DCGAN has no intermediate latents w, which path length regularization needs'
        raise UserError(text + '; choose a loss without it, such as training.loss.G_logistic_ns')
    kernel, stages, nf = network_shape(resolution, fmap_base, fmap_max)
    latents_in.set_shape([None, latent_size])
    labels_in.set_shape([None, label_size])
    values = layers.noise_inputs(stages, 'float32', randomize_noise, noise_values)
    noise = NoiseInjection(noise_injection, fr_reduce, values, alpha_powers)

    x = None
    for index, stage in enumerate(stages):
        with layers.resolution_scope(stage):
            if x is None:
                x = dense(latents_in, nf(stage) * 4**stage)
                x = layout.from_nchw(tf.reshape(x, [-1, nf(stage), 2**stage, 2**stage]))
            else:
                x = conv_up(x, nf(stage), kernel)
            x = tf.nn.relu(batch_norm(x, is_training))
            x = noise_injection_layer(x, noise.of_layer(index))
    with tf.variable_scope('ToRGB'):
        images = tf.tanh(conv_up(x, num_channels, kernel))
    return tf.identity(layout.to_nchw(images), name='images_out')


def D_dcgan(
    images_in: tf.Tensor,
    labels_in: tf.Tensor,
    label_size: int = 0,
    num_channels: int = 3,
    resolution: int = 64,
    fmap_base: Optional[int] = None,
    fmap_max: Optional[int] = None,
    is_training: bool = False,
) -> tf.Tensor:
    """Discriminator: images [N, num_channels, resolution, resolution] -> scores [N, 1].

    Args:
        fmap_base, fmap_max: widths, see `network_shape`.
        is_training: normalize with the statistics of the minibatch, see `batch_norm`.
    """
    kernel, stages, nf = network_shape(resolution, fmap_base, fmap_max)
    images_in.set_shape([None, num_channels, resolution, resolution])
    labels_in.set_shape([None, label_size])

    x = layout.from_nchw(images_in)
    for stage in reversed(stages):
        with layers.resolution_scope(stage):
            x = conv_down(x, nf(stage), kernel)
            if stage != stages[-1]:
                x = batch_norm(x, is_training)
            x = tf.nn.leaky_relu(x, 0.2)
    with tf.variable_scope('Output'):
        size = np.prod(x.shape.as_list()[1:])
        x = dense(tf.reshape(layout.to_nchw(x), [-1, size]), 1)
        x += tf.get_variable('bias', shape=[1], initializer=tf.initializers.zeros())
    return tf.identity(x, name='scores_out')
