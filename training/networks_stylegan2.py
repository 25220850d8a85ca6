"""StyleGAN2 networks (Karras et al. 2019, arXiv:1912.04958) with the noise injection of Feng, Zhao
and Zha.

Inputs and outputs are NCHW. Inside, activations have the layout that `dnnlib.tflib.layout` chose
for the device; shapes in comments are written N, C, H, W all the same.
"""

from typing import NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.tflib import layout
from dnnlib.tflib.ops.fused_bias_act import activation_funcs, fused_bias_act
from dnnlib.tflib.ops.fused_bias_act import channel_sum as weighted_channel_sum
from dnnlib.tflib.ops.upfirdn_2d import downsample_2d, upsample_2d
from dnnlib.tflib.precision import conv_dtype, in_float32
from dnnlib.util import UserError
from training import progressive
from training.layers_stylegan2 import (  # noqa: F401
    apply_bias_act,
    conv2d_act_layer,
    conv2d_layer,
    dense_layer,
    get_weight,
    minibatch_stddev_layer,
    modulated_conv2d,
    modulated_conv2d_layer,
)
from training.progressive import naive_downsample_2d, naive_upsample_2d  # noqa: F401

SQRT_HALF = np.sqrt(0.5)

# Noise injection. Equation numbers are those of "On Noise Injection in Generative Adversarial
# Networks". Here mu is the output of a convolution [N, C, H, W], eps the noise [N, 1, H, W], and s
# and sigma are maps [N, 1, H, W]; maps are float32 whatever the type of mu. A form of the noise
# yields two maps S and T, and mu becomes mu * S + T in one pass with bias and activation.


class Demodulated(NamedTuple):
    """mu = x * style, not multiplied out: x [N, C, H, W], style [N, C] or None."""

    x: tf.Tensor
    style: Optional[tf.Tensor] = None

    def product(self):
        """mu itself."""
        return fused_bias_act(self.x, axis=layout.channel_axis(), style=self.style)


def channel_sum(mu):
    """Eq. 6: m, the sum over channels of every pixel."""
    return weighted_channel_sum(mu.x, mu.style, axis=layout.channel_axis())


def centre(m):
    """Take a map's mean over H x W away, as Eq. 7 does first."""
    return m - tf.reduce_mean(m, axis=layout.spatial_axes(), keepdims=True)


def semantic_identifier(mu):
    """Spatial semantic identifier s, Eq. 6-7: sum over channels, centred, scaled to |s| <= 1."""
    s = centre(channel_sum(mu))
    s /= tf.reduce_max(tf.abs(s), axis=layout.spatial_axes(), keepdims=True) + 1e-8
    return tf.identity(s, name='s')


def trainable_map(name, s):
    """A trainable map [H, W] to go with maps s, with an equalized rate of 1 / sqrt(H)."""
    _, _, height, width = layout.sizes(s)
    raw = tf.get_variable(name, shape=[height, width], initializer=tf.initializers.random_normal())
    raw = tf.reshape(raw * (1 / np.sqrt(height)), layout.arrange(1, 1, height, width))
    return tf.cast(raw, s.dtype)


def decompose(s):
    """Eq. 8: A * s + b with trainable maps A, b."""
    A, b = trainable_map('A', s), trainable_map('b', s)
    return A * s + b


def divide_by_rms(s):
    """Eq. 9, second part: divide by the root mean square over H x W."""
    mean_square = tf.reduce_mean(tf.square(s), axis=layout.spatial_axes(), keepdims=True)
    return s * tf.rsqrt(mean_square + 1e-8)


def stabilize(s, alpha_power=None):
    """Eq. 9: mix with ones by a trainable alpha in [0, 1], then `divide_by_rms`.

    alpha_power: t [N] of GAN inversion, which puts alpha^t / (alpha^t + (1 - alpha)^t) in place of
    alpha (the paper's section 5); None for t = 1.
    """
    logit = tf.get_variable('alpha_logit', shape=[], initializer=tf.initializers.zeros())
    if alpha_power is not None:
        logit = logit * tf.reshape(alpha_power, [-1, 1, 1, 1])
    alpha = tf.cast(tf.sigmoid(logit), s.dtype)
    return divide_by_rms(alpha * s + (1 - alpha))


def convolved_identifier(mu):
    """In place of Eq. 6-8: a 3x3 convolution to one channel, plus a trainable map b."""
    s = conv2d_layer(mu.product(), 1, kernel=3)
    s = tf.identity(in_float32(s), name='s')
    return s + trainable_map('b', s)


# How the authors' released code reduces channels, by data set: FFHQ, LSUN cat, LSUN church.
FR_REDUCTIONS = {
    'neg_relu': lambda mu: _sum_over_channels(tf.nn.relu(-mu)),
    'abs': lambda mu: _sum_over_channels(tf.abs(mu)),
    'neg_max': lambda mu: tf.reduce_max(-mu, axis=layout.channel_axis(), keepdims=True),
}


def _sum_over_channels(x):
    return tf.reduce_sum(in_float32(x), axis=layout.channel_axis(), keepdims=True)


def released_identifier(mu, fr_reduce):
    """The released code's s: reduced channels, centred, divided by their maximum, (s + 1) / 2."""
    if fr_reduce not in FR_REDUCTIONS:
        raise UserError(
            'unknown fr_reduce %r; choose one of %s' % (fr_reduce, ', '.join(FR_REDUCTIONS))
        )
    s = centre(in_float32(FR_REDUCTIONS[fr_reduce](mu.product())))
    s /= tf.reduce_max(s, axis=layout.spatial_axes(), keepdims=True) + 1e-8
    return tf.identity((s + 1) / 2, name='s')


def released_stabilize(s):
    """The released code's Eq. 9: alpha is any number, and weighs the ones."""
    alpha = tf.get_variable('alpha', shape=[], initializer=tf.initializers.constant(0.5))
    alpha = tf.cast(alpha, s.dtype)
    return divide_by_rms(alpha + (1 - alpha) * s)


def scale_all(eps, sigma):
    """Eq. 10: r * sigma * mu + r * sigma * eps, r starting at 1."""
    r = tf.get_variable('strength', shape=[], initializer=tf.initializers.ones())
    S = sigma * tf.cast(r, sigma.dtype)
    return S, S * eps


def scale_noise(eps, sigma):
    """Eq. 10 with r on the noise alone: sigma * mu + r * sigma * eps, r starting at 0."""
    r = tf.get_variable('strength', shape=[], initializer=tf.initializers.zeros())
    return sigma, sigma * eps * tf.cast(r, sigma.dtype)


def inject_nothing(mu, eps):
    """No noise at all: a bald generator."""
    del mu, eps
    return None, None


def inject_additive(mu, eps):
    """Eq. 11, StyleGAN2's own noise: mu + r * eps, r starting at 0."""
    del mu
    r = tf.get_variable('noise_strength', shape=[], initializer=tf.initializers.zeros())
    return None, eps * tf.cast(r, eps.dtype)


def _fuzzy(sigma_of, output=scale_all):
    """A form of fuzzy reparameterization: how sigma comes from mu, and what becomes of it."""

    def inject(mu, eps, **options):
        with tf.variable_scope('FR'):
            # By their names FR/s and FR/sigma training/pictures/fr_maps.py finds these maps.
            sigma = tf.identity(sigma_of(mu, **options), name='sigma')
            return output(eps, sigma)

    return inject


NOISE_INJECTION_FORMS = {
    'none': inject_nothing,
    'additive': inject_additive,
    'fr': _fuzzy(lambda mu, t: stabilize(decompose(semantic_identifier(mu)), t)),
    'fr-noise': _fuzzy(lambda mu, t: stabilize(decompose(semantic_identifier(mu)), t), scale_noise),
    'fr-released': _fuzzy(
        lambda mu, fr_reduce: released_stabilize(decompose(released_identifier(mu, fr_reduce))),
        scale_noise,
    ),
    # The ablations of table 5.
    'fr-nonorm': _fuzzy(
        lambda mu, t: stabilize(decompose(tf.identity(channel_sum(mu), name='s')), t)
    ),
    'fr-nostab': _fuzzy(lambda mu: decompose(semantic_identifier(mu))),
    'fr-nodecomp': _fuzzy(lambda mu, t: stabilize(semantic_identifier(mu), t)),
    'fr-cnn': _fuzzy(lambda mu, t: stabilize(convolved_identifier(mu), t)),
}

# The forms with an alpha in (0, 1), whose power t GAN inversion can choose.
FORMS_WITH_ALPHA = ('fr', 'fr-noise', 'fr-nonorm', 'fr-nodecomp', 'fr-cnn')


def noise_injection_maps(
    mu, form='additive', noise_var=None, fr_reduce='neg_relu', alpha_power=None
):
    """Maps S and T [N or 1, 1, H, W] by which noise goes into activations: mu * S + T.

    Args:
        mu: `Demodulated`. form: a key of NOISE_INJECTION_FORMS.
        noise_var: fixed noise [N or 1, 1, H, W]; None: drawn from N(0, 1) for each sample and
            evaluation.
        fr_reduce: a key of FR_REDUCTIONS, for the form 'fr-released' alone.
        alpha_power: t [N] or None, see `stabilize`; for FORMS_WITH_ALPHA alone.

    Returns: S, None for ones, and T, None for zeros.
    """
    if form not in NOISE_INJECTION_FORMS:
        raise UserError(
            'unknown noise injection %r; choose one of %s'
            % (form, ', '.join(NOISE_INJECTION_FORMS))
        )
    if alpha_power is not None and form not in FORMS_WITH_ALPHA:
        raise UserError(
            'noise injection %r has no alpha in (0, 1) to reparameterize; it is there '
            'in %s' % (form, ', '.join(FORMS_WITH_ALPHA))
        )
    if form == 'none':
        return inject_nothing(mu, None)
    options = {'t': alpha_power} if form in FORMS_WITH_ALPHA else {}
    if form == 'fr-released':
        options['fr_reduce'] = fr_reduce
    return NOISE_INJECTION_FORMS[form](mu, noise_for(mu.x, noise_var), **options)


def noise_injection_layer(
    x, form='additive', noise_var=None, fr_reduce='neg_relu', alpha_power=None
):
    """Put noise into activations [N, C, H, W]; the options are those of `noise_injection_maps`."""
    S, T = noise_injection_maps(Demodulated(x), form, noise_var, fr_reduce, alpha_power)
    return fused_bias_act(x, axis=layout.channel_axis(), scale=S, shift=T)


def noise_for(x, noise_var=None):
    """Noise [N, 1, H, W] for activations: drawn from N(0, 1), or fixed [N or 1, 1, H, W].

    Of the type of x, but float32 where that is of half precision.
    """
    dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
    if noise_var is not None:
        return layout.from_nchw(tf.cast(noise_var, dtype))
    _, _, height, width = layout.sizes(x)
    return layout.from_nchw(tf.random_normal([tf.shape(x)[0], 1, height, width], dtype=dtype))


def G_main(
    latents_in,
    labels_in,
    truncation_psi=0.5,
    truncation_cutoff=None,
    truncation_psi_val=None,
    truncation_cutoff_val=None,
    dlatent_avg_beta=0.995,
    style_mixing_prob=0.9,
    is_training=False,
    is_validation=False,
    return_dlatents=False,
    is_template_graph=False,
    components=EasyDict(),
    mapping_func='G_mapping',
    synthesis_func='G_synthesis_stylegan2',
    **kwargs,
):
    """Generator: mapping, style mixing, truncation trick and synthesis.

    Args:
        latents_in: z [N, latent_size]. labels_in: [N, label_size].
        truncation_psi: strength of the truncation towards the mean w, 1 for none;
            truncation_cutoff: number of layers it applies to, None for all. The `_val` values
            take their place if is_validation.
        dlatent_avg_beta: decay of the running mean of w; style_mixing_prob: share of minibatches
            with two styles. Both only if is_training.
        mapping_func, synthesis_func: build functions of the sub-networks, or names in this module.
        return_dlatents: also return w [N, num_layers, dlatent_size].
        kwargs: passed to both sub-networks.

    Returns: images [N, num_channels, resolution, resolution], nominally in [-1, 1].
    """
    assert not (is_training and is_validation)
    if is_validation:
        truncation_psi, truncation_cutoff = truncation_psi_val, truncation_cutoff_val
    if is_training or (not tflib.is_tf_expression(truncation_psi) and truncation_psi == 1):
        truncation_psi = None

    if 'synthesis' not in components:
        components.synthesis = tflib.Network(
            'G_synthesis', func_name=_build_function(synthesis_func), **kwargs
        )
    num_layers, dlatent_size = components.synthesis.input_shape[1:]
    if 'mapping' not in components:
        components.mapping = tflib.Network(
            'G_mapping',
            func_name=_build_function(mapping_func),
            dlatent_broadcast=num_layers,
            **kwargs,
        )

    zeros = tf.initializers.zeros()
    lod = tf.get_variable('lod', shape=[], initializer=zeros, trainable=False)
    dlatent_avg = tf.get_variable(
        'dlatent_avg', shape=[dlatent_size], initializer=zeros, trainable=False
    )

    def map_to_w(latents):
        w = components.mapping.get_output_for(latents, labels_in, is_training=is_training, **kwargs)
        return tf.cast(w, tf.float32)

    dlatents = map_to_w(latents_in)
    if is_training and dlatent_avg_beta != 1:
        dlatents = _track_mean(dlatents, dlatent_avg, dlatent_avg_beta)
    if is_training and style_mixing_prob > 0:
        with tf.name_scope('StyleMix'):
            second = map_to_w(tf.random_normal(tf.shape(latents_in)))
            dlatents = _mix_styles(dlatents, second, style_mixing_prob, num_layers, lod)
    if truncation_psi is not None:
        with tf.name_scope('Truncation'):
            cutoff = num_layers if truncation_cutoff is None else truncation_cutoff
            is_truncated = np.arange(num_layers)[np.newaxis, :, np.newaxis] < cutoff
            psi = tf.where(
                is_truncated,
                truncation_psi * tf.ones(is_truncated.shape),
                tf.ones(is_truncated.shape),
            )
            dlatents = tflib.lerp(dlatent_avg, dlatents, psi)

    with tf.control_dependencies(_pass_on(lod, components.synthesis)):
        images = components.synthesis.get_output_for(
            dlatents, is_training=is_training, force_clean_graph=is_template_graph, **kwargs
        )
    images = tf.identity(images, name='images_out')
    return (images, dlatents) if return_dlatents else images


def _build_function(func):
    return globals()[func] if isinstance(func, str) else func


def _track_mean(dlatents, dlatent_avg, beta):
    """Let the running mean of w follow this minibatch whenever the result is used."""
    with tf.name_scope('DlatentAvg'):
        batch_avg = tf.reduce_mean(dlatents[:, 0], axis=0)
        update = tf.assign(dlatent_avg, tflib.lerp(batch_avg, dlatent_avg, beta))
        with tf.control_dependencies([update]):
            return tf.identity(dlatents)


def _mix_styles(first, second, probability, num_layers, lod):
    """Take the upper layers, from a random one, from the second w; or none of them."""
    used_layers = num_layers - tf.cast(lod, tf.int32) * 2
    coin = tf.random_uniform([], 0.0, 1.0)
    crossover = tf.random_uniform([], 1, used_layers, dtype=tf.int32)
    cutoff = tf.where(coin < probability, crossover, used_layers)
    is_first = tf.range(num_layers)[np.newaxis, :, np.newaxis] < cutoff
    return tf.where(tf.broadcast_to(is_first, tf.shape(first)), first, second)


def _pass_on(lod, synthesis):
    """Ops that give a progressive synthesis network the generator's level of detail."""
    with tf.name_scope('_PassOn'):
        return [tf.assign(synthesis.find_var('lod'), lod)] if 'lod' in synthesis.vars else []


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
    normalize_latents=True,
    dtype='float32',
    **_kwargs,
):
    """Mapping network: z [N, latent_size], labels [N, label_size] -> w [N, dlatent_size].

    With dlatent_broadcast = L the result is repeated to [N, L, dlatent_size].
    """

    def layer(x, fmaps):
        x = dense_layer(x, fmaps, lrmul=mapping_lrmul)
        return apply_bias_act(x, act=mapping_nonlinearity, lrmul=mapping_lrmul)

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


def map_latents(
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
):
    """A mapping network of layers `layer(x [N, C], fmaps) -> [N, fmaps]`; see `G_mapping`."""
    latents_in.set_shape([None, latent_size])
    labels_in.set_shape([None, label_size])
    x = tf.cast(latents_in, dtype)
    if label_size:
        with tf.variable_scope('LabelConcat'):
            w = tf.get_variable(
                'weight',
                shape=[label_size, latent_size],
                initializer=tf.initializers.random_normal(),
            )
            embedded = tf.matmul(tf.cast(labels_in, dtype), tf.cast(w, dtype))
            x = tf.concat([x, embedded], axis=1)
    if normalize_latents:
        with tf.variable_scope('Normalize'):
            x = pixel_norm(x)
    for index in range(mapping_layers):
        with tf.variable_scope('Dense%d' % index):
            fmaps = mapping_fmaps if index < mapping_layers - 1 else dlatent_size
            x = layer(x, fmaps)
    if dlatent_broadcast is not None:
        with tf.variable_scope('Broadcast'):
            x = tf.tile(x[:, np.newaxis], [1, dlatent_broadcast, 1])
    return tf.identity(x, name='dlatents_out')


def pixel_norm(x, epsilon=1e-8):
    """Scale the channels of every pixel, [N, C, H, W] or [N, C], to a mean square of 1."""
    axis = layout.channel_axis(x.shape.ndims)
    return x * tf.rsqrt(tf.reduce_mean(tf.square(x), axis=axis, keepdims=True) + epsilon)


def fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max):
    """Number of feature maps by stage; layers at resolution 2^res use stage res - 1."""
    return lambda stage: int(
        np.clip(int(fmap_base / (2.0 ** (stage * fmap_decay))), fmap_min, fmap_max)
    )


def log2_of_resolution(resolution):
    """The logarithm of a network's resolution, which must be a power of two."""
    log2 = int(np.log2(resolution))
    assert resolution == 2**log2 and resolution >= 4, 'resolution must be a power of two from 4'
    return log2


def resolution_scope(res):
    """Variable scope of the layers at 2^res."""
    return tf.variable_scope('{0}x{0}'.format(2**res))


def noise_inputs(sizes_log2, dtype, randomize_noise, noise_values=None):
    """Noise of each layer as `noise_injection_layer` takes it, for layers of size 2^size.

    That is noise_values if given, a list of [N or 1, 1, H, W]; else, unless randomize_noise, the
    fixed maps [1, 1, H, W] of the variables noise0, noise1, ..., which are made in any case.
    """
    variables = [
        tf.get_variable(
            'noise%d' % index,
            shape=[1, 1, 2**size, 2**size],
            trainable=False,
            initializer=tf.initializers.random_normal(),
        )
        for index, size in enumerate(sizes_log2)
    ]
    if noise_values is not None:
        assert len(noise_values) == len(variables)
        return [tf.cast(x, dtype) for x in noise_values]
    return [None if randomize_noise else tf.cast(x, dtype) for x in variables]


def learned_constant(fmaps, minibatch_size, dtype, initializer):
    """The constant [N, fmaps, 4, 4] that every image starts from."""
    const = tf.get_variable('const', shape=[1, fmaps, 4, 4], initializer=initializer)
    return layout.from_nchw(tf.tile(tf.cast(const, dtype), [minibatch_size, 1, 1, 1]))


def _first_features(dlatents_in, fmaps, dtype, layer):
    """Activations [N, fmaps, 4, 4] of the first styled layer."""
    with tf.variable_scope('Const'):
        x = learned_constant(
            fmaps, tf.shape(dlatents_in)[0], dtype, tf.initializers.random_normal()
        )
    with tf.variable_scope('Conv'):
        return layer(x, 0, fmaps)


def _styled_layer(
    w,
    resolution_log2,
    dtype,
    randomize_noise,
    nonlinearity,
    resample_kernel,
    fused_modconv,
    noise_injection,
    fr_reduce,
    noise_values,
    alpha_powers,
):
    """Make the function layer(x, index, fmaps, up, gain).

    It is a modulated convolution with noise, bias and activation. `index` chooses the style
    w[:, index] and the fixed noise: one map at 4x4, two at each higher resolution.
    """
    noise = noise_inputs(
        [(i + 5) // 2 for i in range(2 * resolution_log2 - 3)], dtype, randomize_noise, noise_values
    )

    def layer(x, index, fmaps, up=False, gain=None):
        x, d = modulated_conv2d(
            x,
            w[:, index],
            fmaps,
            kernel=3,
            up=up,
            resample_kernel=resample_kernel,
            fused_modconv=fused_modconv,
        )
        alpha_power = None if alpha_powers is None else alpha_powers[:, index]
        S, T = noise_injection_maps(
            Demodulated(x, d), noise_injection, noise[index], fr_reduce, alpha_power
        )
        return apply_bias_act(x, act=nonlinearity, gain=gain, style=d, scale=S, shift=T)

    return layer


def _to_rgb(x, w, num_channels, fused_modconv):
    """Colours [N, num_channels, H, W] of activations, styled but not normalized; of w's type."""
    x = modulated_conv2d_layer(
        x, w, num_channels, kernel=1, demodulate=False, fused_modconv=fused_modconv
    )
    return apply_bias_act(tf.cast(x, w.dtype))


def G_synthesis_stylegan_revised(
    dlatents_in,
    dlatent_size=512,
    num_channels=3,
    resolution=1024,
    fmap_base=16 << 10,
    fmap_decay=1.0,
    fmap_min=1,
    fmap_max=512,
    randomize_noise=True,
    nonlinearity='lrelu',
    dtype='float32',
    resample_kernel=(1, 3, 3, 1),
    fused_modconv=True,
    structure='auto',
    is_template_graph=False,
    force_clean_graph=False,
    noise_injection='additive',
    fr_reduce='neg_relu',
    noise_values=None,
    alpha_powers=None,
    precision='float32',
    **_kwargs,
):
    """Growing synthesis network of configs b to d: w [N, num_layers, dlatent_size] -> images.

    Args:
        structure: how the graph follows the level of detail, see `training.progressive`.
        force_clean_graph: no branches and no randomness.
        The others are those of `G_synthesis_stylegan2`.

    Returns: [N, num_channels, resolution, resolution] at every level of detail.
    """
    resolution_log2 = log2_of_resolution(resolution)
    nf = fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    num_layers = resolution_log2 * 2 - 2
    is_clean = is_template_graph or force_clean_graph
    structure = progressive.resolve_structure(structure, is_clean)
    dlatents_in.set_shape([None, num_layers, dlatent_size])
    w = tf.cast(dlatents_in, dtype)
    lod = progressive.lod_variable()
    layer = _styled_layer(
        w,
        resolution_log2,
        dtype,
        randomize_noise and not is_clean,
        nonlinearity,
        resample_kernel,
        fused_modconv,
        noise_injection,
        fr_reduce,
        noise_values,
        alpha_powers,
    )

    def block(x, res):
        x = tf.cast(x, conv_dtype(precision, dtype))
        with resolution_scope(res):
            with tf.variable_scope('Conv0_up'):
                x = layer(x, 2 * res - 5, nf(res - 1), up=True)
            with tf.variable_scope('Conv1'):
                return layer(x, 2 * res - 4, nf(res - 1))

    def to_rgb(x, res):
        with tf.variable_scope('ToRGB_lod%d' % (resolution_log2 - res)):
            return _to_rgb(x, w[:, 2 * res - 3], num_channels, fused_modconv)

    with resolution_scope(2):
        features = _first_features(dlatents_in, nf(1), dtype, layer)
    images = progressive.grow_images(structure, lod, resolution_log2, features, block, to_rgb)
    images = layout.to_nchw(images)
    assert images.dtype == tf.as_dtype(dtype)
    return tf.identity(images, name='images_out')


def G_synthesis_stylegan2(
    dlatents_in,
    dlatent_size=512,
    num_channels=3,
    resolution=1024,
    fmap_base=16 << 10,
    fmap_decay=1.0,
    fmap_min=1,
    fmap_max=512,
    randomize_noise=True,
    architecture='skip',
    nonlinearity='lrelu',
    dtype='float32',
    resample_kernel=(1, 3, 3, 1),
    fused_modconv=True,
    noise_injection='additive',
    fr_reduce='neg_relu',
    noise_values=None,
    alpha_powers=None,
    precision='float32',
    **_kwargs,
):
    """Synthesis network of configs e and f: w [N, num_layers, dlatent_size] -> images.

    Section 4.1.

    Args:
        architecture: 'orig', 'skip' or 'resnet' (Fig. 7 of the StyleGAN2 paper).
        randomize_noise: fresh noise at each evaluation; False: the fixed variables noise0, noise1,
            ...
        noise_values: the noise of each layer, [N or 1, 1, H, W], in place of these.
        noise_injection, fr_reduce: form of the noise, see `noise_injection_layer`.
        alpha_powers: t [N, num_layers - 1] of GAN inversion, see `stabilize`.
        fmap_base, fmap_decay, fmap_min, fmap_max: feature maps at 2^res, base / 2^((res-1) *
            decay), clipped.
        precision: 'float32', or 'mixed' for convolutions from 8x8 up in half precision, see
            `dnnlib.tflib.precision`; colours are summed in float32.

    Returns: [N, num_channels, resolution, resolution].
    """
    resolution_log2 = log2_of_resolution(resolution)
    assert architecture in ['orig', 'skip', 'resnet']
    nf = fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    num_layers = resolution_log2 * 2 - 2
    dlatents_in.set_shape([None, num_layers, dlatent_size])
    w = tf.cast(dlatents_in, dtype)
    layer = _styled_layer(
        w,
        resolution_log2,
        dtype,
        randomize_noise,
        nonlinearity,
        resample_kernel,
        fused_modconv,
        noise_injection,
        fr_reduce,
        noise_values,
        alpha_powers,
    )
    block_gain = _block_gain(architecture, nonlinearity)

    def block(x, res):
        """Twice the size; the last style of a resolution also styles the next one's first layer."""
        fmaps = nf(res - 1)
        x = tf.cast(x, conv_dtype(precision, dtype))
        with tf.variable_scope('Conv0_up'):
            y = layer(x, 2 * res - 5, fmaps, up=True)
        with tf.variable_scope('Conv1'):
            y = layer(y, 2 * res - 4, fmaps, gain=block_gain)
        if architecture == 'resnet':
            with tf.variable_scope('Skip'):
                y += conv2d_layer(
                    x, fmaps, kernel=1, up=True, gain=SQRT_HALF, resample_kernel=resample_kernel
                )
        return y

    features = images = None
    for res in range(2, resolution_log2 + 1):
        with resolution_scope(res):
            if res == 2:
                features = _first_features(dlatents_in, nf(1), dtype, layer)
            else:
                features = block(features, res)
            if images is not None:
                with tf.variable_scope('Upsample'):
                    images = upsample_2d(images, k=resample_kernel, data_format=layout.current())
            if architecture == 'skip' or res == resolution_log2:
                with tf.variable_scope('ToRGB'):
                    rgb = _to_rgb(features, w[:, 2 * res - 3], num_channels, fused_modconv)
                    images = rgb if images is None else images + rgb
    images = layout.to_nchw(images)
    assert images.dtype == tf.as_dtype(dtype)
    return tf.identity(images, name='images_out')


def _block_gain(architecture, nonlinearity):
    """Gain of a block's last activation, with 1 / sqrt(2) where a residual branch is added."""
    if architecture != 'resnet':
        return None
    return activation_funcs[nonlinearity].def_gain * SQRT_HALF


def D_stylegan(
    images_in,
    labels_in,
    num_channels=3,
    resolution=1024,
    label_size=0,
    fmap_base=16 << 10,
    fmap_decay=1.0,
    fmap_min=1,
    fmap_max=512,
    nonlinearity='lrelu',
    mbstd_group_size=4,
    mbstd_num_features=1,
    dtype='float32',
    resample_kernel=(1, 3, 3, 1),
    structure='auto',
    is_template_graph=False,
    precision='float32',
    **_kwargs,
):
    """Discriminator of configs b to d, progressively growing: images of full size -> scores [N, 1].

    Args:
        structure: how the graph follows the level of detail, see `training.progressive`.
        The others are those of `D_stylegan2`.
    """
    resolution_log2 = log2_of_resolution(resolution)
    nf = fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    structure = progressive.resolve_structure(structure, is_template_graph)
    images_in.set_shape([None, num_channels, resolution, resolution])
    labels_in.set_shape([None, label_size])
    lod = progressive.lod_variable()

    def from_rgb(images, res):
        with tf.variable_scope('FromRGB_lod%d' % (resolution_log2 - res)):
            return conv2d_act_layer(images, nf(res - 1), kernel=1, act=nonlinearity)

    def block(x, res):
        with resolution_scope(res):
            return _shrinking_layers(x, res, nf, nonlinearity, resample_kernel)

    images = layout.from_nchw(tf.cast(images_in, conv_dtype(precision, dtype)))
    features = progressive.shrink_images(structure, lod, resolution_log2, images, block, from_rgb)
    with resolution_scope(2):
        features = _final_features(
            tf.cast(features, dtype), nf, nonlinearity, mbstd_group_size, mbstd_num_features
        )
    scores = _class_scores(features, tf.cast(labels_in, dtype), label_size)
    assert scores.dtype == tf.as_dtype(dtype)
    return tf.identity(scores, name='scores_out')


def D_stylegan2(
    images_in,
    labels_in,
    num_channels=3,
    resolution=1024,
    label_size=0,
    fmap_base=16 << 10,
    fmap_decay=1.0,
    fmap_min=1,
    fmap_max=512,
    architecture='resnet',
    nonlinearity='lrelu',
    mbstd_group_size=4,
    mbstd_num_features=1,
    dtype='float32',
    resample_kernel=(1, 3, 3, 1),
    precision='float32',
    **_kwargs,
):
    """Discriminator of configs e and f: images [N, C, resolution, resolution] -> scores [N, 1].

    Args:
        labels_in: [N, label_size]; with labels the score is that of the label's class.
        architecture: 'orig', 'skip' or 'resnet'. mbstd_group_size: group of the minibatch standard
            deviation, 0 or 1 for none.
        precision: as in `G_synthesis_stylegan2`.
    """
    resolution_log2 = log2_of_resolution(resolution)
    assert architecture in ['orig', 'skip', 'resnet']
    nf = fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    images_in.set_shape([None, num_channels, resolution, resolution])
    labels_in.set_shape([None, label_size])

    block_gain = _block_gain(architecture, nonlinearity)

    def block(x, res):
        """Half the size."""
        y = _shrinking_layers(x, res, nf, nonlinearity, resample_kernel, block_gain)
        if architecture == 'resnet':
            with tf.variable_scope('Skip'):
                y += conv2d_layer(
                    x,
                    nf(res - 2),
                    kernel=1,
                    down=True,
                    gain=SQRT_HALF,
                    resample_kernel=resample_kernel,
                )
        return y

    images = layout.from_nchw(tf.cast(images_in, conv_dtype(precision, dtype)))
    features = None
    for res in reversed(range(2, resolution_log2 + 1)):
        with resolution_scope(res):
            if features is None or architecture == 'skip':
                with tf.variable_scope('FromRGB'):
                    rgb = conv2d_act_layer(images, nf(res - 1), kernel=1, act=nonlinearity)
                    features = rgb if features is None else features + rgb
            if res == 2:
                features = _final_features(
                    tf.cast(features, dtype), nf, nonlinearity, mbstd_group_size, mbstd_num_features
                )
                break
            features = block(features, res)
            if architecture == 'skip':
                with tf.variable_scope('Downsample'):
                    images = downsample_2d(images, k=resample_kernel, data_format=layout.current())
    scores = _class_scores(features, tf.cast(labels_in, dtype), label_size)
    assert scores.dtype == tf.as_dtype(dtype)
    return tf.identity(scores, name='scores_out')


def _shrinking_layers(x, res, nf, nonlinearity, resample_kernel, gain=None):
    """The discriminator's two convolutions at 2^res, the second one to half the size."""
    with tf.variable_scope('Conv0'):
        x = conv2d_act_layer(x, nf(res - 1), kernel=3, act=nonlinearity)
    with tf.variable_scope('Conv1_down'):
        return conv2d_act_layer(
            x,
            nf(res - 2),
            kernel=3,
            act=nonlinearity,
            act_gain=gain,
            down=True,
            resample_kernel=resample_kernel,
        )


def _final_features(x, nf, nonlinearity, mbstd_group_size, mbstd_num_features):
    """The discriminator's layers at 4x4 before the score: [N, C, 4, 4] -> [N, nf(0)]."""
    with tf.variable_scope('MinibatchStddev'):
        x = minibatch_stddev_layer(x, mbstd_group_size, mbstd_num_features)
    with tf.variable_scope('Conv'):
        x = conv2d_act_layer(x, nf(1), kernel=3, act=nonlinearity)
    with tf.variable_scope('Dense0'):
        return apply_bias_act(dense_layer(x, nf(0)), act=nonlinearity)


def _class_scores(x, labels, label_size):
    """Scores [N, 1]; with labels that of the label's class."""
    with tf.variable_scope('Output'):
        x = apply_bias_act(dense_layer(x, max(label_size, 1)))
        return tf.reduce_sum(x * labels, axis=1, keepdims=True) if label_size else x
