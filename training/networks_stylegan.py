"""StyleGAN 1 networks (Karras et al. 2018, arXiv:1812.04948), config a of StyleGAN2's paper.

They grow progressively, see `training.progressive`. Inputs and outputs are NCHW; inside,
activations have the layout of `dnnlib.tflib.layout`, and shapes in comments are written N, C, H, W
all the same. Noise other than additive is that of `training.networks_stylegan2`.
"""

from functools import partial
from typing import Any, Callable, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.options import check_choice, passes_options_to
from dnnlib.tflib import layout
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.tflib.ops.upfirdn_2d import conv_downsample_2d, filter_2d, upsample_conv_2d
from training import layers_stylegan2 as layers
from training import networks_stylegan2 as stylegan2
from training import progressive
from training.networks_stylegan2 import SET_BY_G_MAIN, G_main, NoiseInjection, Scalar
from training.progressive import naive_downsample_2d as downscale2d
from training.progressive import naive_upsample_2d as upscale2d

SQRT_2 = np.sqrt(2)
Scale = Union[bool, str]

# Layers of StyleGAN2 with StyleGAN 1's defaults: the gain of leaky ReLU is in the weights.
get_weight = partial(layers.get_weight, gain=SQRT_2, use_wscale=False)
dense = partial(layers.dense_layer, gain=SQRT_2, use_wscale=False)
conv2d = partial(layers.conv2d_layer, gain=SQRT_2, use_wscale=False)


def apply_bias(x: tf.Tensor, lrmul: float = 1) -> tf.Tensor:
    """Add a trainable bias per channel."""
    return layers.apply_bias_act(x, lrmul=lrmul)


def leaky_relu(x: tf.Tensor, alpha: float = 0.2) -> tf.Tensor:
    """max(x, alpha * x), without the gain that StyleGAN2 gives it."""
    with tf.variable_scope('LeakyReLU'):
        axis = layout.channel_axis(x.shape.ndims)
        return fused_bias_act(x, axis=axis, act='lrelu', alpha=alpha, gain=1)


NONLINEARITIES = {'relu': tf.nn.relu, 'lrelu': leaky_relu}


def _activation(nonlinearity: str) -> Callable[[tf.Tensor], tf.Tensor]:
    check_choice('activation function', nonlinearity, NONLINEARITIES)
    return NONLINEARITIES[nonlinearity]


def blur2d(x: tf.Tensor, f: Sequence = (1, 2, 1), normalize: bool = True) -> tf.Tensor:
    """Filter activations with f [n, n], or the outer product of f [n] with itself; zeros outside.

    Computed in float32. A filter of even length reaches one pixel farther right and down.
    """
    k = np.asarray(f, np.float32)
    k = np.outer(k, k) if k.ndim == 1 else k
    gain = 1 if normalize else float(k.sum())
    if k.size == 1:
        return x if gain == 1 else x * gain
    if len(k) % 2 == 0:  # which filter_2d would shift the other way
        k = np.pad(k, [[1, 0], [1, 0]], 'constant')
    with tf.variable_scope('Blur2D'):
        y = filter_2d(tf.cast(x, tf.float32), k[::-1, ::-1], gain, data_format=layout.current())
        return tf.cast(y, x.dtype)


def upscale2d_conv2d(
    x: tf.Tensor, fmaps: int, kernel: int, fused_scale: Scale = 'auto', **weight_kwargs: Any
) -> tf.Tensor:
    """Nearest neighbour to twice the size, then a convolution without bias.

    fused_scale: in one step, with a flipped kernel as published networks have it; 'auto': from
    128x128 up.
    """
    _, num_in, height, width = layout.sizes(x)
    if fused_scale == 'auto':
        fused_scale = min(height, width) * 2 >= 128
    if not fused_scale:
        return conv2d(upscale2d(x), fmaps, kernel, **weight_kwargs)
    w = get_weight([kernel, kernel, num_in, fmaps], **weight_kwargs)
    w = tf.cast(w[::-1, ::-1], x.dtype)
    return upsample_conv_2d(x, w, data_format=layout.current())


def conv2d_downscale2d(
    x: tf.Tensor, fmaps: int, kernel: int, fused_scale: Scale = 'auto', **weight_kwargs: Any
) -> tf.Tensor:
    """A convolution without bias, then the average over blocks of 2x2 pixels.

    fused_scale: in one step; 'auto': from 128x128 up.
    """
    _, num_in, height, width = layout.sizes(x)
    if fused_scale == 'auto':
        fused_scale = min(height, width) >= 128
    if not fused_scale:
        return downscale2d(conv2d(x, fmaps, kernel, **weight_kwargs))
    w = get_weight([kernel, kernel, num_in, fmaps], **weight_kwargs)
    return conv_downsample_2d(x, tf.cast(w, x.dtype), data_format=layout.current())


def instance_norm(x: tf.Tensor, epsilon: float = 1e-8) -> tf.Tensor:
    """Normalize every channel of every sample to mean 0 and mean square 1, in float32."""
    with tf.variable_scope('InstanceNorm'):
        y = tf.cast(x, tf.float32)
        y -= tf.reduce_mean(y, axis=layout.spatial_axes(), keepdims=True)
        power = tf.reduce_mean(tf.square(y), axis=layout.spatial_axes(), keepdims=True)
        return tf.cast(y * tf.rsqrt(power + epsilon), x.dtype)


def style_mod(x: tf.Tensor, dlatent: tf.Tensor, **dense_kwargs: Any) -> tf.Tensor:
    """Scale and shift every channel by affine functions of w [N, dlatent_size] (AdaIN, Eq. 1)."""
    with tf.variable_scope('StyleMod'):
        num_channels = layout.sizes(x)[1]
        style = apply_bias(dense(dlatent, num_channels * 2, gain=1, **dense_kwargs))
        shape = layout.arrange(-1, num_channels, 1, 1)
        scale, shift = [tf.reshape(part, shape) for part in tf.split(style, 2, axis=1)]
        return x * (scale + 1) + shift


def apply_noise(x: tf.Tensor, noise: NoiseInjection) -> tf.Tensor:
    """Put noise into activations; additive noise has a strength per channel here, first 0."""
    form = stylegan2.noise_form(noise)
    if noise.form != 'additive':
        return stylegan2.noise_injection_layer(x, noise)
    with tf.variable_scope('Noise'):
        eps = stylegan2.noise_for(x, noise.noise_values)
        num_channels = layout.sizes(x)[1]
        initializer = tf.initializers.constant(form.strength)
        strength = tf.get_variable('weight', [num_channels], initializer=initializer)
        strength = tf.reshape(tf.cast(strength, x.dtype), layout.arrange(1, num_channels, 1, 1))
        return x + eps * strength


@passes_options_to(lambda options: [G_mapping, G_synthesis], fills=SET_BY_G_MAIN)
def G_style(
    latents_in: tf.Tensor,
    labels_in: tf.Tensor,
    truncation_psi: Scalar = 0.7,
    truncation_cutoff: Scalar = 8,
    truncation_psi_val: Scalar = None,
    truncation_cutoff_val: Scalar = None,
    dlatent_avg_beta: float = 0.995,
    style_mixing_prob: float = 0.9,
    is_training: bool = False,
    is_validation: bool = False,
    return_dlatents: bool = False,
    is_template_graph: bool = False,
    components: EasyDict = EasyDict(),
    **kwargs: Any,
) -> Union[tf.Tensor, Tuple[tf.Tensor, tf.Tensor]]:
    """Generator: mapping, style mixing, truncation trick and synthesis.

    As StyleGAN2's `G_main`, but for truncation, which there is only with both a psi and a cutoff.
    """
    return G_main(
        latents_in,
        labels_in,
        truncation_psi=_psi_if_used(truncation_psi, truncation_cutoff),
        truncation_cutoff=truncation_cutoff,
        truncation_psi_val=_psi_if_used(truncation_psi_val, truncation_cutoff_val),
        truncation_cutoff_val=truncation_cutoff_val,
        dlatent_avg_beta=dlatent_avg_beta,
        style_mixing_prob=style_mixing_prob,
        is_training=is_training,
        is_validation=is_validation,
        return_dlatents=return_dlatents,
        is_template_graph=is_template_graph,
        components=components,
        mapping_func=G_mapping,
        synthesis_func=G_synthesis,
        **kwargs,
    )


def _psi_if_used(psi: Scalar, cutoff: Scalar) -> Scalar:
    if cutoff is None or not tflib.is_tf_expression(cutoff) and cutoff <= 0:
        return None
    return psi


def G_mapping(
    latents_in: tf.Tensor,
    labels_in: tf.Tensor,
    latent_size: int = 512,
    label_size: int = 0,
    dlatent_size: int = 512,
    dlatent_broadcast: Optional[int] = None,
    mapping_layers: int = 8,
    mapping_fmaps: int = 512,
    mapping_lrmul: float = 0.01,
    mapping_nonlinearity: str = 'lrelu',
    use_wscale: bool = True,
    normalize_latents: bool = True,
    dtype: str = 'float32',
) -> tf.Tensor:
    """Mapping network: z [N, latent_size], labels -> w; see StyleGAN2's `G_mapping`."""
    activation = _activation(mapping_nonlinearity)
    x = layers.mapping_input(latents_in, labels_in, latent_size, label_size, dtype)
    if normalize_latents:
        x = layers.normalize_latents(x)
    for index in range(mapping_layers):
        with tf.variable_scope('Dense%d' % index):
            fmaps = mapping_fmaps if index < mapping_layers - 1 else dlatent_size
            x = dense(x, fmaps, use_wscale=use_wscale, lrmul=mapping_lrmul)
            x = activation(apply_bias(x, lrmul=mapping_lrmul))
    return layers.broadcast_dlatents(x, dlatent_broadcast)


def G_synthesis(
    dlatents_in: tf.Tensor,
    dlatent_size: int = 512,
    num_channels: int = 3,
    resolution: int = 1024,
    fmap_base: int = 8192,
    fmap_decay: float = 1.0,
    fmap_max: int = 512,
    use_styles: bool = True,
    const_input_layer: bool = True,
    use_noise: bool = True,
    randomize_noise: bool = True,
    nonlinearity: str = 'lrelu',
    use_wscale: bool = True,
    use_pixel_norm: bool = False,
    use_instance_norm: bool = True,
    dtype: str = 'float32',
    fused_scale: Scale = 'auto',
    blur_filter: layers.Filter = (1, 2, 1),
    structure: str = 'auto',
    is_template_graph: bool = False,
    force_clean_graph: bool = False,
    noise_injection: str = 'additive',
    fr_reduce: str = 'neg_relu',
    noise_values: layers.Noises = None,
    alpha_powers: Optional[tf.Tensor] = None,
) -> tf.Tensor:
    """Synthesis network: w [N, num_layers, dlatent_size] -> images.

    Args:
        use_styles: False: a traditional generator, for w [N, 1, dlatent_size].
        const_input_layer: start from a learned constant; False: from a dense layer of w.
        randomize_noise: fresh noise at each evaluation; False: the variables noise0, noise1, ...
        noise_values, noise_injection, fr_reduce, alpha_powers: as in StyleGAN2's, but that
            alpha_powers are t [N, num_layers].
        fused_scale: see `upscale2d_conv2d`. blur_filter: after it, 1-D, None for none.
        structure: see `training.progressive`. force_clean_graph: no branches and no randomness.

    Returns: [N, num_channels, resolution, resolution].
    """
    resolution_log2 = layers.log2_of_resolution(resolution)
    nf = layers.fmaps_function(fmap_base, fmap_decay, 0, fmap_max)
    num_layers = resolution_log2 * 2 - 2
    is_clean = is_template_graph or force_clean_graph
    structure = progressive.resolve_structure(structure, is_clean)
    dlatents_in.set_shape([None, num_layers if use_styles else 1, dlatent_size])
    w = tf.cast(dlatents_in, dtype)
    lod = progressive.lod_variable()
    noise_sizes = [index // 2 + 2 for index in range(num_layers)] if use_noise else []
    values = layers.noise_inputs(noise_sizes, dtype, randomize_noise and not is_clean, noise_values)
    noise = NoiseInjection(noise_injection, fr_reduce, values, alpha_powers)
    activation = _activation(nonlinearity)

    def finish_layer(x: tf.Tensor, index: int) -> tf.Tensor:
        """What follows each convolution."""
        if use_noise:
            x = apply_noise(x, noise.of_layer(index))
        x = activation(apply_bias(x))
        x = layers.pixel_norm(x) if use_pixel_norm else x
        x = instance_norm(x) if use_instance_norm else x
        return style_mod(x, w[:, index], use_wscale=use_wscale) if use_styles else x

    def block(x: tf.Tensor, res: int) -> tf.Tensor:
        with layers.resolution_scope(res):
            with tf.variable_scope('Conv0_up'):
                x = upscale2d_conv2d(x, nf(res - 1), 3, fused_scale, use_wscale=use_wscale)
                x = finish_layer(x if blur_filter is None else blur2d(x, blur_filter), 2 * res - 4)
            with tf.variable_scope('Conv1'):
                x = conv2d(x, nf(res - 1), kernel=3, use_wscale=use_wscale)
                return finish_layer(x, 2 * res - 3)

    def to_rgb(x: tf.Tensor, res: int) -> tf.Tensor:
        with tf.variable_scope('ToRGB_lod%d' % (resolution_log2 - res)):
            x = conv2d(x, num_channels, kernel=1, gain=1, use_wscale=use_wscale)
            return apply_bias(x)

    with layers.resolution_scope(2):
        with tf.variable_scope('Const' if const_input_layer else 'Dense'):
            if const_input_layer:
                ones = tf.initializers.ones()
                x = layers.learned_constant(nf(1), tf.shape(w)[0], dtype, ones)
            else:
                x = dense(w[:, 0], nf(1) * 16, gain=SQRT_2 / 4, use_wscale=use_wscale)
                x = layout.from_nchw(tf.reshape(x, [-1, nf(1), 4, 4]))
            x = finish_layer(x, 0)
        with tf.variable_scope('Conv'):
            x = finish_layer(conv2d(x, nf(1), kernel=3, use_wscale=use_wscale), 1)
    images = progressive.grow_images(structure, lod, resolution_log2, x, block, to_rgb)
    images = layout.to_nchw(images)
    assert images.dtype == tf.as_dtype(dtype)
    return tf.identity(images, name='images_out')


def D_basic(
    images_in: tf.Tensor,
    labels_in: tf.Tensor,
    num_channels: int = 1,
    resolution: int = 32,
    label_size: int = 0,
    fmap_base: int = 8192,
    fmap_decay: float = 1.0,
    fmap_max: int = 512,
    nonlinearity: str = 'lrelu',
    use_wscale: bool = True,
    mbstd_group_size: int = 4,
    mbstd_num_features: int = 1,
    dtype: str = 'float32',
    fused_scale: Scale = 'auto',
    blur_filter: layers.Filter = (1, 2, 1),
    structure: str = 'auto',
    is_template_graph: bool = False,
) -> tf.Tensor:
    """Discriminator: images [N, num_channels, resolution, resolution] -> scores [N, 1].

    Args:
        labels_in: [N, label_size]; with labels the score is that of the label's class.
        mbstd_group_size: group of the minibatch standard deviation, 0 or 1 for none.
        fused_scale: see `conv2d_downscale2d`. blur_filter: before it, 1-D, None for none.
        structure: see `training.progressive`.
    """
    resolution_log2 = layers.log2_of_resolution(resolution)
    nf = layers.fmaps_function(fmap_base, fmap_decay, 0, fmap_max)
    structure = progressive.resolve_structure(structure, is_template_graph)
    images_in.set_shape([None, num_channels, resolution, resolution])
    labels_in.set_shape([None, label_size])
    lod = progressive.lod_variable()
    activation = _activation(nonlinearity)

    def layer(func: Callable, x: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
        return activation(apply_bias(func(x, *args, use_wscale=use_wscale, **kwargs)))

    def from_rgb(images: tf.Tensor, res: int) -> tf.Tensor:
        with tf.variable_scope('FromRGB_lod%d' % (resolution_log2 - res)):
            return layer(conv2d, images, nf(res - 1), kernel=1)

    def block(x: tf.Tensor, res: int) -> tf.Tensor:
        with layers.resolution_scope(res):
            with tf.variable_scope('Conv0'):
                x = layer(conv2d, x, nf(res - 1), kernel=3)
            with tf.variable_scope('Conv1_down'):
                x = x if blur_filter is None else blur2d(x, blur_filter)
                return layer(conv2d_downscale2d, x, nf(res - 2), kernel=3, fused_scale=fused_scale)

    images = layout.from_nchw(tf.cast(images_in, dtype))
    x = progressive.shrink_images(structure, lod, resolution_log2, images, block, from_rgb)
    with layers.resolution_scope(2):
        with tf.variable_scope('MinibatchStddev'):
            x = layers.minibatch_stddev_layer(x, mbstd_group_size, mbstd_num_features)
        with tf.variable_scope('Conv'):
            x = layer(conv2d, x, nf(1), kernel=3)
        with tf.variable_scope('Dense0'):
            x = layer(dense, x, nf(0))
        with tf.variable_scope('Dense1'):
            x = apply_bias(dense(x, max(label_size, 1), gain=1, use_wscale=use_wscale))
    if label_size:
        with tf.variable_scope('LabelSwitch'):
            x = tf.reduce_sum(x * tf.cast(labels_in, dtype), axis=1, keepdims=True)
    assert x.dtype == tf.as_dtype(dtype)
    return tf.identity(x, name='scores_out')
