"""StyleGAN2's discriminators (Karras et al. 2019, arXiv:1912.04958).

`training.networks_stylegan2` has them, too: by that name configurations and saved networks know
them. Images are NCHW; inside, activations have the layout of `dnnlib.tflib.layout`.
"""

from typing import Callable, Optional, Sequence

import tensorflow.compat.v1 as tf

from dnnlib.options import check_choice
from dnnlib.tflib import layout
from dnnlib.tflib.ops.upfirdn_2d import downsample_2d
from dnnlib.tflib.precision import conv_dtype
from training import layers_stylegan2 as layers
from training import progressive

Fmaps = Callable[[int], int]


def D_stylegan(
    images_in: tf.Tensor,
    labels_in: tf.Tensor,
    num_channels: int = 3,
    resolution: int = 1024,
    label_size: int = 0,
    fmap_base: int = 16 << 10,
    fmap_decay: float = 1.0,
    fmap_min: int = 1,
    fmap_max: int = 512,
    nonlinearity: str = 'lrelu',
    mbstd_group_size: int = 4,
    mbstd_num_features: int = 1,
    dtype: str = 'float32',
    resample_kernel: Sequence[float] = (1, 3, 3, 1),
    structure: str = 'auto',
    is_template_graph: bool = False,
    precision: str = 'float32',
) -> tf.Tensor:
    """Discriminator of configs b to d, progressively growing: images of full size -> scores [N, 1].

    Args:
        structure: how the graph follows the level of detail, see `training.progressive`.
        The others are those of `D_stylegan2`.
    """
    resolution_log2 = layers.log2_of_resolution(resolution)
    nf = layers.fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    structure = progressive.resolve_structure(structure, is_template_graph)
    images_in.set_shape([None, num_channels, resolution, resolution])
    labels_in.set_shape([None, label_size])
    lod = progressive.lod_variable()

    def from_rgb(images: tf.Tensor, res: int) -> tf.Tensor:
        with tf.variable_scope('FromRGB_lod%d' % (resolution_log2 - res)):
            return layers.conv2d_act_layer(images, nf(res - 1), kernel=1, act=nonlinearity)

    def block(x: tf.Tensor, res: int) -> tf.Tensor:
        with layers.resolution_scope(res):
            return _shrinking_layers(x, res, nf, nonlinearity, resample_kernel)

    images = layout.from_nchw(tf.cast(images_in, conv_dtype(precision, dtype)))
    features = progressive.shrink_images(structure, lod, resolution_log2, images, block, from_rgb)
    mbstd = mbstd_group_size, mbstd_num_features
    with layers.resolution_scope(2):
        features = _final_features(tf.cast(features, dtype), nf, nonlinearity, *mbstd)
    scores = _class_scores(features, tf.cast(labels_in, dtype), label_size)
    assert scores.dtype == tf.as_dtype(dtype)
    return tf.identity(scores, name='scores_out')


def D_stylegan2(
    images_in: tf.Tensor,
    labels_in: tf.Tensor,
    num_channels: int = 3,
    resolution: int = 1024,
    label_size: int = 0,
    fmap_base: int = 16 << 10,
    fmap_decay: float = 1.0,
    fmap_min: int = 1,
    fmap_max: int = 512,
    architecture: str = 'resnet',
    nonlinearity: str = 'lrelu',
    mbstd_group_size: int = 4,
    mbstd_num_features: int = 1,
    dtype: str = 'float32',
    resample_kernel: Sequence[float] = (1, 3, 3, 1),
    precision: str = 'float32',
) -> tf.Tensor:
    """Discriminator of configs e and f: images [N, C, resolution, resolution] -> scores [N, 1].

    Args:
        labels_in: [N, label_size]; with labels the score is that of the label's class.
        architecture: 'orig', 'skip' or 'resnet'. mbstd_group_size: group of the minibatch standard
            deviation, 0 or 1 for none.
        precision: 'float32', or 'mixed' for convolutions from 8x8 up in half precision, see
            `dnnlib.tflib.precision`.
    """
    resolution_log2 = layers.log2_of_resolution(resolution)
    check_choice('architecture', architecture, layers.ARCHITECTURES)
    nf = layers.fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    images_in.set_shape([None, num_channels, resolution, resolution])
    labels_in.set_shape([None, label_size])

    def block(x: tf.Tensor, res: int) -> tf.Tensor:
        """Half the size."""
        gain = layers.block_gain(architecture, nonlinearity)
        y = _shrinking_layers(x, res, nf, nonlinearity, resample_kernel, gain)
        if architecture == 'resnet':
            with tf.variable_scope('Skip'):
                k, gain = resample_kernel, layers.SQRT_HALF
                y += layers.conv2d_layer(x, nf(res - 2), 1, down=True, resample_kernel=k, gain=gain)
        return y

    images = layout.from_nchw(tf.cast(images_in, conv_dtype(precision, dtype)))
    features = None
    for res in reversed(range(2, resolution_log2 + 1)):
        with layers.resolution_scope(res):
            if features is None or architecture == 'skip':
                with tf.variable_scope('FromRGB'):
                    rgb = layers.conv2d_act_layer(images, nf(res - 1), kernel=1, act=nonlinearity)
                    features = rgb if features is None else features + rgb
            if res == 2:
                mbstd = mbstd_group_size, mbstd_num_features
                features = _final_features(tf.cast(features, dtype), nf, nonlinearity, *mbstd)
                break
            features = block(features, res)
            if architecture == 'skip':
                with tf.variable_scope('Downsample'):
                    images = downsample_2d(images, k=resample_kernel, data_format=layout.current())
    scores = _class_scores(features, tf.cast(labels_in, dtype), label_size)
    assert scores.dtype == tf.as_dtype(dtype)
    return tf.identity(scores, name='scores_out')


def _shrinking_layers(
    x: tf.Tensor, res: int, nf: Fmaps, act: str, k: Sequence[float], gain: Optional[float] = None
) -> tf.Tensor:
    """The discriminator's two convolutions at 2^res, the second one to half the size."""
    with tf.variable_scope('Conv0'):
        x = layers.conv2d_act_layer(x, nf(res - 1), 3, act)
    with tf.variable_scope('Conv1_down'):
        return layers.conv2d_act_layer(x, nf(res - 2), 3, act, gain, down=True, resample_kernel=k)


def _final_features(
    x: tf.Tensor, nf: Fmaps, act: str, mbstd_group_size: int, mbstd_num_features: int
) -> tf.Tensor:
    """The discriminator's layers at 4x4 before the score: [N, C, 4, 4] -> [N, nf(0)]."""
    with tf.variable_scope('MinibatchStddev'):
        x = layers.minibatch_stddev_layer(x, mbstd_group_size, mbstd_num_features)
    with tf.variable_scope('Conv'):
        x = layers.conv2d_act_layer(x, nf(1), 3, act)
    with tf.variable_scope('Dense0'):
        return layers.apply_bias_act(layers.dense_layer(x, nf(0)), act=act)


def _class_scores(x: tf.Tensor, labels: tf.Tensor, label_size: int) -> tf.Tensor:
    """Scores [N, 1]; with labels that of the label's class."""
    with tf.variable_scope('Output'):
        x = layers.apply_bias_act(layers.dense_layer(x, max(label_size, 1)))
        return tf.reduce_sum(x * labels, axis=1, keepdims=True) if label_size else x
