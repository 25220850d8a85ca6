"""StyleGAN 1 networks (Karras et al. 2018, arXiv:1812.04948), config a of StyleGAN2's paper.

They grow progressively, see `training.progressive`. Inputs and outputs are NCHW; inside,
activations have the layout of `dnnlib.tflib.layout`, and shapes in comments are written N, C, H, W
all the same. What StyleGAN2 has not changed comes from `training.networks_stylegan2`.
"""

from functools import partial

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.tflib import layout
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.tflib.ops.upfirdn_2d import conv_downsample_2d, filter_2d, upsample_conv_2d
from training import networks_stylegan2 as stylegan2
from training import progressive
from training.networks_stylegan2 import (
    G_main,
    fmaps_function,
    log2_of_resolution,
    map_latents,
    minibatch_stddev_layer,
    noise_for,
    noise_inputs,
    pixel_norm,
    resolution_scope,
)
from training.progressive import naive_downsample_2d as downscale2d
from training.progressive import naive_upsample_2d as upscale2d

SQRT_2 = np.sqrt(2)

# Layers of StyleGAN2 with the defaults of its predecessor: leaky ReLU's gain is in the weights.
get_weight = partial(stylegan2.get_weight, gain=SQRT_2, use_wscale=False)
dense = partial(stylegan2.dense_layer, gain=SQRT_2, use_wscale=False)
conv2d = partial(stylegan2.conv2d_layer, gain=SQRT_2, use_wscale=False)


def apply_bias(x, lrmul=1):
    """Add a trainable bias per channel."""
    return stylegan2.apply_bias_act(x, lrmul=lrmul)


def leaky_relu(x, alpha=0.2):
    """max(x, alpha * x), without the gain that StyleGAN2 gives it."""
    with tf.variable_scope('LeakyReLU'):
        return fused_bias_act(
            x, axis=layout.channel_axis(x.shape.ndims), act='lrelu', alpha=alpha, gain=1
        )


NONLINEARITIES = {'relu': tf.nn.relu, 'lrelu': leaky_relu}


def blur2d(x, f=(1, 2, 1), normalize=True):
    """Filter activations with f [n, n], or the outer product of f [n] with itself; zeros outside.

    Computed in float32. A filter of even length reaches one pixel farther right and down.
    """
    f = np.asarray(f, np.float32)
    f = np.outer(f, f) if f.ndim == 1 else f
    gain = 1 if normalize else float(f.sum())
    if f.size == 1:
        return x if gain == 1 else x * gain
    if len(f) % 2 == 0:  # which filter_2d would shift the other way
        f = np.pad(f, [[1, 0], [1, 0]], 'constant')
    with tf.variable_scope('Blur2D'):
        y = filter_2d(tf.cast(x, tf.float32), f[::-1, ::-1], gain, data_format=layout.current())
        return tf.cast(y, x.dtype)


def upscale2d_conv2d(x, fmaps, kernel, fused_scale='auto', **weight_kwargs):
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


def conv2d_downscale2d(x, fmaps, kernel, fused_scale='auto', **weight_kwargs):
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


def instance_norm(x, epsilon=1e-8):
    """Normalize every channel of every sample to mean 0 and mean square 1, in float32."""
    with tf.variable_scope('InstanceNorm'):
        y = tf.cast(x, tf.float32)
        y -= tf.reduce_mean(y, axis=layout.spatial_axes(), keepdims=True)
        power = tf.reduce_mean(tf.square(y), axis=layout.spatial_axes(), keepdims=True)
        return tf.cast(y * tf.rsqrt(power + epsilon), x.dtype)


def style_mod(x, dlatent, **dense_kwargs):
    """Scale and shift every channel by affine functions of w [N, dlatent_size] (AdaIN, Eq. 1)."""
    with tf.variable_scope('StyleMod'):
        num_channels = layout.sizes(x)[1]
        style = apply_bias(dense(dlatent, num_channels * 2, gain=1, **dense_kwargs))
        scale, shift = [
            tf.reshape(s, layout.arrange(-1, num_channels, 1, 1))
            for s in tf.split(style, 2, axis=1)
        ]
        return x * (scale + 1) + shift


def apply_noise(x, noise_var=None):
    """Add noise, drawn or `noise_var` [N or 1, 1, H, W], times a strength per channel, first 0."""
    with tf.variable_scope('Noise'):
        noise = noise_for(x, noise_var)
        num_channels = layout.sizes(x)[1]
        strength = tf.get_variable(
            'weight', shape=[num_channels], initializer=tf.initializers.zeros()
        )
        strength = tf.reshape(tf.cast(strength, x.dtype), layout.arrange(1, num_channels, 1, 1))
        return x + noise * strength


def G_style(
    latents_in,
    labels_in,
    truncation_psi=0.7,
    truncation_cutoff=8,
    truncation_psi_val=None,
    truncation_cutoff_val=None,
    components=EasyDict(),
    **kwargs,
):
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
        components=components,
        mapping_func=G_mapping,
        synthesis_func=G_synthesis,
        **kwargs,
    )


def _psi_if_used(psi, cutoff):
    if cutoff is None or not tflib.is_tf_expression(cutoff) and cutoff <= 0:
        return None
    return psi


def G_mapping(
    latents_in,
    labels_in,
    latent_size=512,
    label_size=0,
    dlatent_size=512,
    dlatent_broadcast=None,
    mapping_layers=8,
    mapping_fmaps=512,
    mapping_lrmul=0.01,
    mapping_nonlinearity='lrelu',
    use_wscale=True,
    normalize_latents=True,
    dtype='float32',
    **_kwargs,
):
    """Mapping network: z [N, latent_size], labels -> w; see StyleGAN2's `G_mapping`."""
    activation = NONLINEARITIES[mapping_nonlinearity]

    def layer(x, fmaps):
        x = dense(x, fmaps, use_wscale=use_wscale, lrmul=mapping_lrmul)
        return activation(apply_bias(x, lrmul=mapping_lrmul))

    return map_latents(
        latents_in,
        labels_in,
        latent_size,
        label_size,
        dlatent_size,
        dlatent_broadcast,
        mapping_layers,
        mapping_fmaps,
        normalize_latents,
        dtype,
        layer,
    )


def G_synthesis(
    dlatents_in,
    dlatent_size=512,
    num_channels=3,
    resolution=1024,
    fmap_base=8192,
    fmap_decay=1.0,
    fmap_max=512,
    use_styles=True,
    const_input_layer=True,
    use_noise=True,
    randomize_noise=True,
    nonlinearity='lrelu',
    use_wscale=True,
    use_pixel_norm=False,
    use_instance_norm=True,
    dtype='float32',
    fused_scale='auto',
    blur_filter=(1, 2, 1),
    structure='auto',
    is_template_graph=False,
    force_clean_graph=False,
    noise_values=None,
    **_kwargs,
):
    """Synthesis network: w [N, num_layers, dlatent_size] -> images.

    Args:
        use_styles: False: a traditional generator, for w [N, 1, dlatent_size].
        const_input_layer: start from a learned constant; False: from a dense layer of w.
        randomize_noise: fresh noise at each evaluation; False: the variables noise0, noise1, ...
        noise_values: the noise of each layer, [N or 1, 1, H, W], in place of these.
        fused_scale: see `upscale2d_conv2d`. blur_filter: after it, 1-D, None for none.
        structure: see `training.progressive`. force_clean_graph: no branches and no randomness.

    Returns: [N, num_channels, resolution, resolution].
    """
    resolution_log2 = log2_of_resolution(resolution)
    nf = fmaps_function(fmap_base, fmap_decay, 0, fmap_max)
    num_layers = resolution_log2 * 2 - 2
    is_clean = is_template_graph or force_clean_graph
    structure = progressive.resolve_structure(structure, is_clean)
    dlatents_in.set_shape([None, num_layers if use_styles else 1, dlatent_size])
    w = tf.cast(dlatents_in, dtype)
    lod = progressive.lod_variable()
    noise_sizes = [index // 2 + 2 for index in range(num_layers)] if use_noise else []
    noise = noise_inputs(noise_sizes, dtype, randomize_noise and not is_clean, noise_values)
    activation = NONLINEARITIES[nonlinearity]
    normalizations = [
        func
        for func, is_used in [(pixel_norm, use_pixel_norm), (instance_norm, use_instance_norm)]
        if is_used
    ]

    def finish_layer(x, index):
        """What follows each convolution."""
        if use_noise:
            x = apply_noise(x, noise[index])
        x = activation(apply_bias(x))
        for normalize in normalizations:
            x = normalize(x)
        return style_mod(x, w[:, index], use_wscale=use_wscale) if use_styles else x

    def block(x, res):
        with resolution_scope(res):
            with tf.variable_scope('Conv0_up'):
                x = upscale2d_conv2d(
                    x, nf(res - 1), kernel=3, fused_scale=fused_scale, use_wscale=use_wscale
                )
                x = finish_layer(x if blur_filter is None else blur2d(x, blur_filter), 2 * res - 4)
            with tf.variable_scope('Conv1'):
                x = conv2d(x, nf(res - 1), kernel=3, use_wscale=use_wscale)
                return finish_layer(x, 2 * res - 3)

    def to_rgb(x, res):
        with tf.variable_scope('ToRGB_lod%d' % (resolution_log2 - res)):
            x = conv2d(x, num_channels, kernel=1, gain=1, use_wscale=use_wscale)
            return apply_bias(x)

    with resolution_scope(2):
        with tf.variable_scope('Const' if const_input_layer else 'Dense'):
            if const_input_layer:
                x = stylegan2.learned_constant(
                    nf(1), tf.shape(dlatents_in)[0], dtype, tf.initializers.ones()
                )
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
    images_in,
    labels_in,
    num_channels=1,
    resolution=32,
    label_size=0,
    fmap_base=8192,
    fmap_decay=1.0,
    fmap_max=512,
    nonlinearity='lrelu',
    use_wscale=True,
    mbstd_group_size=4,
    mbstd_num_features=1,
    dtype='float32',
    fused_scale='auto',
    blur_filter=(1, 2, 1),
    structure='auto',
    is_template_graph=False,
    **_kwargs,
):
    """Discriminator: images [N, num_channels, resolution, resolution] -> scores [N, 1].

    Args:
        labels_in: [N, label_size]; with labels the score is that of the label's class.
        mbstd_group_size: group of the minibatch standard deviation, 0 or 1 for none.
        fused_scale: see `conv2d_downscale2d`. blur_filter: before it, 1-D, None for none.
        structure: see `training.progressive`.
    """
    resolution_log2 = log2_of_resolution(resolution)
    nf = fmaps_function(fmap_base, fmap_decay, 0, fmap_max)
    structure = progressive.resolve_structure(structure, is_template_graph)
    images_in.set_shape([None, num_channels, resolution, resolution])
    labels_in.set_shape([None, label_size])
    lod = progressive.lod_variable()
    activation = NONLINEARITIES[nonlinearity]

    def layer(func, x, *args, **kwargs):
        return activation(apply_bias(func(x, *args, use_wscale=use_wscale, **kwargs)))

    def from_rgb(images, res):
        with tf.variable_scope('FromRGB_lod%d' % (resolution_log2 - res)):
            return layer(conv2d, images, nf(res - 1), kernel=1)

    def block(x, res):
        with resolution_scope(res):
            with tf.variable_scope('Conv0'):
                x = layer(conv2d, x, nf(res - 1), kernel=3)
            with tf.variable_scope('Conv1_down'):
                x = x if blur_filter is None else blur2d(x, blur_filter)
                return layer(conv2d_downscale2d, x, nf(res - 2), kernel=3, fused_scale=fused_scale)

    images = layout.from_nchw(tf.cast(images_in, dtype))
    x = progressive.shrink_images(structure, lod, resolution_log2, images, block, from_rgb)
    with resolution_scope(2):
        with tf.variable_scope('MinibatchStddev'):
            x = minibatch_stddev_layer(x, mbstd_group_size, mbstd_num_features)
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
