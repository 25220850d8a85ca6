"""StyleGAN2 networks with the noise injection of Feng, Zhao and Zha.

Karras et al. 2019, arXiv:1912.04958; Feng et al. 2020, arXiv:2006.05891.
Inputs and outputs are NCHW. Inside, activations have the layout that `dnnlib.tflib.layout` chose
for the device; shapes in comments are written N, C, H, W all the same.
"""

from functools import partial
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.options import check_choice, passes_options_to, taken_by
from dnnlib.tflib import layout, random
from dnnlib.tflib.ops.fused_bias_act import channel_sum as weighted_channel_sum
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.tflib.ops.upfirdn_2d import upsample_2d
from dnnlib.tflib.precision import conv_dtype, in_float32
from dnnlib.util import UserError
from training import anatomy, progressive
from training import layers_stylegan2 as layers
from training.discriminators_stylegan2 import D_stylegan, D_stylegan2  # noqa: F401
from training.layers_stylegan2 import (  # noqa: F401
    apply_bias_act,
    conv2d_layer,
    dense_layer,
    get_weight,
    minibatch_stddev_layer,
    modulated_conv2d_layer,
)
from training.progressive import naive_downsample_2d, naive_upsample_2d  # noqa: F401

Scalar = Union[float, tf.Tensor, None]
Maps = Tuple[Optional[tf.Tensor], Optional[tf.Tensor]]

# Noise injection. Equation numbers are those of "On Noise Injection in Generative Adversarial
# Networks". Here mu is the output of a convolution [N, C, H, W], eps the noise [N, 1, H, W], and s
# and sigma are maps [N, 1, H, W]; maps are float32 whatever the type of mu. A form of the noise
# yields two maps S and T, and mu becomes mu * S + T in one pass with bias and activation.


class Demodulated(NamedTuple):
    """mu = x * style, not multiplied out: x [N, C, H, W], style [N, C] or None."""

    x: tf.Tensor
    style: Optional[tf.Tensor] = None

    def product(self) -> tf.Tensor:
        """mu itself."""
        return fused_bias_act(self.x, axis=layout.channel_axis(), style=self.style)


def channel_sum(mu: Demodulated) -> tf.Tensor:
    """Eq. 6: m, the sum over channels of every pixel."""
    return weighted_channel_sum(mu.x, mu.style, axis=layout.channel_axis())


def centre(m: tf.Tensor) -> tf.Tensor:
    """Take a map's mean over H x W away, as Eq. 7 does first."""
    return m - tf.reduce_mean(m, axis=layout.spatial_axes(), keepdims=True)


def semantic_identifier(mu: Demodulated) -> tf.Tensor:
    """Spatial semantic identifier s, Eq. 6-7: sum over channels, centred, scaled to |s| <= 1."""
    s = centre(channel_sum(mu))
    s /= tf.reduce_max(tf.abs(s), axis=layout.spatial_axes(), keepdims=True) + 1e-8
    return tf.identity(s, name='s')


def trainable_map(name: str, s: tf.Tensor) -> tf.Tensor:
    """A trainable map of the size of maps s, with an equalized learning rate of 1 / sqrt(H)."""
    _, _, height, width = layout.sizes(s)
    raw = tf.get_variable(name, shape=[height, width], initializer=random.normal_initializer())
    raw = tf.reshape(raw * (1 / np.sqrt(height)), layout.arrange(1, 1, height, width))
    return tf.cast(raw, s.dtype)


def decompose(s: tf.Tensor) -> tf.Tensor:
    """Eq. 8: A * s + b with trainable maps A, b."""
    A, b = trainable_map('A', s), trainable_map('b', s)
    return A * s + b


def divide_by_rms(s: tf.Tensor) -> tf.Tensor:
    """Eq. 9, second part: divide by the root mean square over H x W."""
    mean_square = tf.reduce_mean(tf.square(s), axis=layout.spatial_axes(), keepdims=True)
    return s * tf.rsqrt(mean_square + 1e-8)


def stabilize(s: tf.Tensor, alpha_powers: Optional[tf.Tensor] = None) -> tf.Tensor:
    """Eq. 9: mix with ones by a trainable alpha in [0, 1], then `divide_by_rms`.

    alpha_powers: t [N] of GAN inversion, which puts alpha^t / (alpha^t + (1 - alpha)^t) in place of
    alpha (the paper's section 5); None for t = 1.
    """
    logit = tf.get_variable('alpha_logit', shape=[], initializer=tf.initializers.zeros())
    if alpha_powers is not None:
        logit = logit * tf.reshape(alpha_powers, [-1, 1, 1, 1])
    alpha = tf.cast(tf.sigmoid(logit), s.dtype)
    return divide_by_rms(alpha * s + (1 - alpha))


def convolved_identifier(mu: Demodulated) -> tf.Tensor:
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


def _sum_over_channels(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(in_float32(x), axis=layout.channel_axis(), keepdims=True)


def released_identifier(mu: Demodulated, fr_reduce: str) -> tf.Tensor:
    """The released code's s: reduced channels, centred, divided by their maximum, (s + 1) / 2."""
    check_choice('fr_reduce', fr_reduce, FR_REDUCTIONS)
    s = centre(in_float32(FR_REDUCTIONS[fr_reduce](mu.product())))
    s /= tf.reduce_max(s, axis=layout.spatial_axes(), keepdims=True) + 1e-8
    return tf.identity((s + 1) / 2, name='s')


def released_sigma(mu: Demodulated, fr_reduce: str) -> tf.Tensor:
    """The released code's Eq. 6-9: alpha is any number, and weighs the ones."""
    s = decompose(released_identifier(mu, fr_reduce))
    alpha = tf.get_variable('alpha', shape=[], initializer=tf.initializers.constant(0.5))
    alpha = tf.cast(alpha, s.dtype)
    return divide_by_rms(alpha + (1 - alpha) * s)


def scale_all(sigma: tf.Tensor, eps: tf.Tensor, strength: tf.Tensor) -> Maps:
    """Eq. 10: r * sigma * mu + r * sigma * eps, where r is the strength."""
    S = sigma * strength
    return S, S * eps


def scale_noise(sigma: tf.Tensor, eps: tf.Tensor, strength: tf.Tensor) -> Maps:
    """Eq. 10 with r on the noise alone: sigma * mu + r * sigma * eps."""
    return sigma, sigma * eps * strength


def add(sigma: None, eps: tf.Tensor, strength: tf.Tensor) -> Maps:
    """Eq. 11: mu + r * eps."""
    del sigma
    return None, eps * strength


class NoiseForm(NamedTuple):
    """A form of noise injection.

    output: `scale_all` or the like; None: there is no noise.
    strength: what the trainable strength r starts as.
    sigma: (mu, ...) -> sigma [N, 1, H, W], with variables in the scope FR; its other parameters, by
        their names, are the options of `NoiseInjection` that the form takes. None: there is none.
    """

    output: Optional[Callable[..., Maps]] = None
    strength: float = 0.0
    sigma: Optional[Callable[..., tf.Tensor]] = None

    @property
    def takes(self) -> Set[str]:
        """Names of the options that the form takes."""
        return set(taken_by(self.sigma, NoiseInjection()._asdict())) if self.sigma else set()


def decomposed_identifier(mu: Demodulated) -> tf.Tensor:
    """Eq. 6-8."""
    return decompose(semantic_identifier(mu))


def stabilized(identifier: Callable[[Demodulated], tf.Tensor]) -> Callable[..., tf.Tensor]:
    """The sigma of a form: Eq. 9 of an identifier."""
    return lambda mu, alpha_powers: stabilize(identifier(mu), alpha_powers)


NOISE_INJECTION_FORMS = {
    'none': NoiseForm(),  # a bald generator
    'additive': NoiseForm(add, 0.0),  # StyleGAN2's own noise
    'fr': NoiseForm(scale_all, 1.0, stabilized(decomposed_identifier)),
    'fr-noise': NoiseForm(scale_noise, 0.0, stabilized(decomposed_identifier)),
    'fr-released': NoiseForm(scale_noise, 0.0, released_sigma),
    # The ablations of table 5.
    'fr-nonorm': NoiseForm(
        scale_all, 1.0, stabilized(lambda mu: decompose(tf.identity(channel_sum(mu), name='s')))
    ),
    'fr-nostab': NoiseForm(scale_all, 1.0, decomposed_identifier),
    'fr-nodecomp': NoiseForm(scale_all, 1.0, stabilized(semantic_identifier)),
    'fr-cnn': NoiseForm(scale_all, 1.0, stabilized(convolved_identifier)),
}


class NoiseInjection(NamedTuple):
    """How noise goes into the layers of a network; after `of_layer`, into one of them.

    form: a key of NOISE_INJECTION_FORMS. fr_reduce: a key of FR_REDUCTIONS.
    noise_values: fixed noise of each layer, [N or 1, 1, H, W]; None: drawn from N(0, 1) for each
        sample and evaluation.
    alpha_powers: t [N, layers] of GAN inversion, see `stabilize`; of one layer [N].
    """

    form: str = 'additive'
    fr_reduce: str = 'neg_relu'
    noise_values: Any = None
    alpha_powers: Optional[tf.Tensor] = None

    def of_layer(self, index: int) -> 'NoiseInjection':
        """That of one layer."""
        noise_values, alpha_powers = self.noise_values, self.alpha_powers
        return self._replace(
            noise_values=None if noise_values is None else noise_values[index],
            alpha_powers=None if alpha_powers is None else alpha_powers[:, index],
        )


def noise_form(noise: NoiseInjection) -> NoiseForm:
    """The form of a noise injection; UserError if there is none, or no alpha for alpha_powers."""
    check_choice('noise injection', noise.form, NOISE_INJECTION_FORMS)
    form = NOISE_INJECTION_FORMS[noise.form]
    if noise.alpha_powers is not None and 'alpha_powers' not in form.takes:
        others = [name for name, f in NOISE_INJECTION_FORMS.items() if 'alpha_powers' in f.takes]
        what = 'noise injection %r has no alpha in (0, 1) to reparameterize' % noise.form
        raise UserError('%s; it is there in %s' % (what, ', '.join(others)))
    return form


def noise_injection_maps(mu: Demodulated, noise: NoiseInjection) -> Maps:
    """Maps S and T [N or 1, 1, H, W] by which noise goes into activations: mu * S + T.

    Returns: S, None for ones, and T, None for zeros.
    """
    form = noise_form(noise)
    if form.output is None:
        return None, None
    eps = noise_for(mu.x, noise.noise_values)
    if form.sigma is None:
        return form.output(None, eps, _strength('noise_strength', form, eps))
    with tf.variable_scope('FR'):
        # By their names FR/s and FR/sigma `training.anatomy` finds these maps.
        sigma = form.sigma(mu, **taken_by(form.sigma, noise._asdict()))
        sigma = tf.identity(sigma, name='sigma')
        return form.output(sigma, eps, _strength('strength', form, eps))


def _strength(name: str, form: NoiseForm, eps: tf.Tensor) -> tf.Tensor:
    initializer = tf.initializers.constant(form.strength)
    return tf.cast(tf.get_variable(name, shape=[], initializer=initializer), eps.dtype)


def noise_injection_layer(x: tf.Tensor, noise: NoiseInjection) -> tf.Tensor:
    """Put noise into activations [N, C, H, W]."""
    S, T = noise_injection_maps(Demodulated(x), noise)
    return fused_bias_act(x, axis=layout.channel_axis(), scale=S, shift=T)


def noise_for(x: tf.Tensor, noise_values: Optional[tf.Tensor] = None) -> tf.Tensor:
    """Noise [N, 1, H, W] for activations: drawn from N(0, 1), or fixed [N or 1, 1, H, W].

    Of the type of x, but float32 where that is of half precision.
    """
    dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
    if noise_values is not None:
        return layout.from_nchw(tf.cast(noise_values, dtype))
    _, _, height, width = layout.sizes(x)
    return layout.from_nchw(random.normal([tf.shape(x)[0], 1, height, width], 'noise', dtype))


def _sub_networks(options: Mapping[str, Any]) -> List[Callable]:
    """Build functions of mapping and synthesis for these options of `G_main`."""
    names = dict(mapping_func='G_mapping', synthesis_func='G_synthesis_stylegan2')
    return [_build_function(what, options.get(what, name)) for what, name in names.items()]


def _build_function(what: str, func: Union[str, Callable]) -> Callable:
    if not isinstance(func, str):
        return func
    prefix = 'G_' + what[: -len('_func')]
    check_choice(what, func, [name for name in globals() if name.startswith(prefix)])
    return globals()[func]


# Options of sub-networks that G_main itself sets.
SET_BY_G_MAIN = ('dlatent_broadcast', 'force_clean_graph')


@passes_options_to(_sub_networks, fills=SET_BY_G_MAIN)
def G_main(
    latents_in: tf.Tensor,
    labels_in: tf.Tensor,
    truncation_psi: Scalar = 0.5,
    truncation_cutoff: Scalar = None,
    truncation_psi_val: Scalar = None,
    truncation_cutoff_val: Scalar = None,
    dlatent_avg_beta: float = 0.995,
    style_mixing_prob: float = 0.9,
    is_training: bool = False,
    is_validation: bool = False,
    return_dlatents: bool = False,
    is_template_graph: bool = False,
    components: EasyDict = EasyDict(),
    mapping_func: Union[str, Callable] = 'G_mapping',
    synthesis_func: Union[str, Callable] = 'G_synthesis_stylegan2',
    **kwargs: Any,
) -> Union[tf.Tensor, Tuple[tf.Tensor, tf.Tensor]]:
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
        kwargs: options of the sub-networks; each gets those that it takes.

    Returns: images [N, num_channels, resolution, resolution], nominally in [-1, 1].
    """
    assert not (is_training and is_validation)
    if is_validation:
        truncation_psi, truncation_cutoff = truncation_psi_val, truncation_cutoff_val
    if is_training or (not tflib.is_tf_expression(truncation_psi) and truncation_psi == 1):
        truncation_psi = None

    functions = dict(mapping_func=mapping_func, synthesis_func=synthesis_func)
    mapping, synthesis = _sub_networks(functions)
    if 'synthesis' not in components:
        options = taken_by(synthesis, kwargs)
        components['synthesis'] = tflib.Network('G_synthesis', func_name=synthesis, **options)
    num_layers, dlatent_size = components.synthesis.input_shape[1:]
    if 'mapping' not in components:
        options = dict(taken_by(mapping, kwargs), dlatent_broadcast=num_layers)
        components['mapping'] = tflib.Network('G_mapping', func_name=mapping, **options)

    zeros = partial(tf.get_variable, initializer=tf.initializers.zeros(), trainable=False)
    lod, dlatent_avg = zeros('lod', shape=[]), zeros('dlatent_avg', shape=[dlatent_size])

    def map_to_w(latents: tf.Tensor) -> tf.Tensor:
        options = taken_by(mapping, dict(kwargs, is_training=is_training))
        w = components.mapping.get_output_for(latents, labels_in, **options)
        return tf.cast(w, tf.float32)  # [N, num_layers, dlatent_size]

    dlatents = map_to_w(latents_in)
    if is_training and dlatent_avg_beta != 1:
        dlatents = _track_mean(dlatents, dlatent_avg, dlatent_avg_beta)
    if is_training and style_mixing_prob > 0:
        with tf.name_scope('StyleMix'):
            second = map_to_w(random.normal(tf.shape(latents_in), 'latents'))
            dlatents = _mix_styles(dlatents, second, style_mixing_prob, num_layers, lod)
    if truncation_psi is not None:
        with tf.name_scope('Truncation'):
            cutoff = num_layers if truncation_cutoff is None else truncation_cutoff
            dlatents = _truncate(dlatents, dlatent_avg, truncation_psi, cutoff, num_layers)

    with tf.control_dependencies(_pass_on(lod, components.synthesis)):
        options = dict(kwargs, is_training=is_training, force_clean_graph=is_template_graph)
        images = components.synthesis.get_output_for(dlatents, **taken_by(synthesis, options))
    images = tf.identity(images, name='images_out')
    return (images, dlatents) if return_dlatents else images


def _track_mean(dlatents: tf.Tensor, dlatent_avg: tf.Variable, beta: float) -> tf.Tensor:
    """Let the running mean of w follow this minibatch whenever the result is used."""
    with tf.name_scope('DlatentAvg'):
        batch_avg = tf.reduce_mean(dlatents[:, 0], axis=0)
        update = tf.assign(dlatent_avg, tflib.lerp(batch_avg, dlatent_avg, beta))
        with tf.control_dependencies([update]):
            return tf.identity(dlatents)


def _mix_styles(
    first: tf.Tensor, second: tf.Tensor, probability: float, num_layers: int, lod: tf.Tensor
) -> tf.Tensor:
    """Take the upper layers, from a random one, from the second w; or none of them."""
    used_layers = num_layers - tf.cast(lod, tf.int32) * 2
    coin = random.uniform([], 'coin')
    crossover = random.uniform([], 'crossover', 1, used_layers, tf.int32)
    cutoff = tf.where(coin < probability, crossover, used_layers)
    is_first = tf.range(num_layers)[np.newaxis, :, np.newaxis] < cutoff  # [1, num_layers, 1]
    return tf.where(tf.broadcast_to(is_first, tf.shape(first)), first, second)


def _truncate(
    dlatents: tf.Tensor, dlatent_avg: tf.Tensor, psi: Scalar, cutoff: Scalar, num_layers: int
) -> tf.Tensor:
    """Scale the distance of w from its mean by psi, in the layers below the cutoff."""
    is_truncated = np.arange(num_layers)[np.newaxis, :, np.newaxis] < cutoff  # [1, num_layers, 1]
    ones = tf.ones(is_truncated.shape)
    return tflib.lerp(dlatent_avg, dlatents, tf.where(is_truncated, psi * ones, ones))


def _pass_on(lod: tf.Tensor, synthesis: tflib.Network) -> List[tf.Operation]:
    """Ops that give a progressive synthesis network the generator's level of detail."""
    with tf.name_scope('_PassOn'):
        own = anatomy.lod(synthesis)
        return [] if own is None else [tf.assign(own, lod)]


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
    normalize_latents: bool = True,
    normalize_separately: bool = False,
    dtype: str = 'float32',
) -> tf.Tensor:
    """Mapping network: z [N, latent_size], labels [N, label_size] -> w [N, dlatent_size].

    With dlatent_broadcast = L the result is repeated to [N, L, dlatent_size].
    normalize_separately: z and the embedded labels each by itself instead of together, as in
    stylegan2-ada-pytorch.
    """
    x = layers.mapping_input(latents_in, labels_in, latent_size, label_size, dtype)
    if normalize_latents and normalize_separately and label_size:
        halves = tf.split(x, 2, axis=1)
        x = tf.concat([layers.normalize_latents(half) for half in halves], axis=1)
    elif normalize_latents:
        x = layers.normalize_latents(x)
    for index in range(mapping_layers):
        with tf.variable_scope('Dense%d' % index):
            fmaps = mapping_fmaps if index < mapping_layers - 1 else dlatent_size
            x = dense_layer(x, fmaps, lrmul=mapping_lrmul)
            x = apply_bias_act(x, act=mapping_nonlinearity, lrmul=mapping_lrmul)
    return layers.broadcast_dlatents(x, dlatent_broadcast)


class _Blocks(NamedTuple):
    """The blocks of a synthesis network, which share its options.

    A layer is a modulated convolution with noise, bias and activation. Its index chooses the style
    w[:, index] and the noise: one map at 4x4, two at each higher resolution.
    """

    w: tf.Tensor  # [N, num_layers, dlatent_size]
    nf: Callable[[int], int]
    num_channels: int
    architecture: str
    nonlinearity: str
    resample_kernel: Sequence[float]
    fused_modconv: bool
    precision: str
    noise: NoiseInjection

    def layer(
        self, x: tf.Tensor, index: int, fmaps: int, up: bool = False, gain: Optional[float] = None
    ) -> tf.Tensor:
        """Activations [N, fmaps, H, W] of one layer, twice the size of x if up."""
        filters: Any = dict(resample_kernel=self.resample_kernel, fused_modconv=self.fused_modconv)
        x, d = layers.modulated_conv2d(x, self.w[:, index], fmaps, kernel=3, up=up, **filters)
        S, T = noise_injection_maps(Demodulated(x, d), self.noise.of_layer(index))
        return apply_bias_act(x, act=self.nonlinearity, gain=gain, style=d, scale=S, shift=T)

    def first(self, minibatch_size: tf.Tensor) -> tf.Tensor:
        """Activations [N, nf(1), 4, 4] of the first layer."""
        init = random.normal_initializer()
        with tf.variable_scope('Const'):
            x = layers.learned_constant(self.nf(1), minibatch_size, self.w.dtype, init)
        with tf.variable_scope('Conv'):
            return self.layer(x, 0, self.nf(1))

    def grow(self, x: tf.Tensor, res: int) -> tf.Tensor:
        """Activations at 2^(res-1) -> at 2^res."""
        fmaps = self.nf(res - 1)
        x = tf.cast(x, conv_dtype(self.precision, self.w.dtype))
        with tf.variable_scope('Conv0_up'):
            y = self.layer(x, 2 * res - 5, fmaps, up=True)
        with tf.variable_scope('Conv1'):
            gain = layers.block_gain(self.architecture, self.nonlinearity)
            y = self.layer(y, 2 * res - 4, fmaps, gain=gain)
        if self.architecture == 'resnet':
            with tf.variable_scope('Skip'):
                k = self.resample_kernel
                y += conv2d_layer(x, fmaps, 1, up=True, gain=layers.SQRT_HALF, resample_kernel=k)
        return y

    def to_rgb(self, x: tf.Tensor, res: int) -> tf.Tensor:
        """Colours [N, num_channels, H, W] of activations at 2^res, of w's type.

        Styled but not demodulated, by the style that the next resolution's first layer has, too.
        """
        w = self.w[:, 2 * res - 3]
        options = dict(kernel=1, demodulate=False, fused_modconv=self.fused_modconv)
        x = modulated_conv2d_layer(x, w, self.num_channels, **options)
        return apply_bias_act(tf.cast(x, w.dtype))


def G_synthesis_stylegan_revised(
    dlatents_in: tf.Tensor,
    dlatent_size: int = 512,
    num_channels: int = 3,
    resolution: int = 1024,
    fmap_base: int = 16 << 10,
    fmap_decay: float = 1.0,
    fmap_min: int = 1,
    fmap_max: int = 512,
    randomize_noise: bool = True,
    nonlinearity: str = 'lrelu',
    dtype: str = 'float32',
    resample_kernel: Sequence[float] = (1, 3, 3, 1),
    fused_modconv: bool = True,
    structure: str = 'auto',
    is_template_graph: bool = False,
    force_clean_graph: bool = False,
    noise_injection: str = 'additive',
    fr_reduce: str = 'neg_relu',
    noise_values: layers.Noises = None,
    alpha_powers: Optional[tf.Tensor] = None,
    precision: str = 'float32',
) -> tf.Tensor:
    """Growing synthesis network of configs b to d: w [N, num_layers, dlatent_size] -> images.

    Args:
        structure: how the graph follows the level of detail, see `training.progressive`.
        force_clean_graph: no branches and no randomness.
        The others are those of `G_synthesis_stylegan2`.

    Returns: [N, num_channels, resolution, resolution] at every level of detail.
    """
    resolution_log2 = layers.log2_of_resolution(resolution)
    is_clean = is_template_graph or force_clean_graph
    structure = progressive.resolve_structure(structure, is_clean)
    dlatents_in.set_shape([None, resolution_log2 * 2 - 2, dlatent_size])
    w = tf.cast(dlatents_in, dtype)
    lod = progressive.lod_variable()
    sizes = _noise_sizes(resolution_log2)
    values = layers.noise_inputs(sizes, dtype, randomize_noise and not is_clean, noise_values)
    noise = NoiseInjection(noise_injection, fr_reduce, values, alpha_powers)
    nf = layers.fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    conv = 'orig', nonlinearity, resample_kernel, fused_modconv, precision
    blocks = _Blocks(w, nf, num_channels, *conv, noise)

    def grow(x: tf.Tensor, res: int) -> tf.Tensor:
        with layers.resolution_scope(res):
            return blocks.grow(x, res)

    def to_rgb(x: tf.Tensor, res: int) -> tf.Tensor:
        with tf.variable_scope('ToRGB_lod%d' % (resolution_log2 - res)):
            return blocks.to_rgb(x, res)

    with layers.resolution_scope(2):
        features = blocks.first(tf.shape(dlatents_in)[0])
    images = progressive.grow_images(structure, lod, resolution_log2, features, grow, to_rgb)
    images = layout.to_nchw(images)
    assert images.dtype == tf.as_dtype(dtype)
    return tf.identity(images, name='images_out')


def _noise_sizes(resolution_log2: int) -> List[int]:
    """Logarithms of the sizes of the layers' noise: one map at 4x4, two at each higher one."""
    return [(index + 5) // 2 for index in range(2 * resolution_log2 - 3)]


def G_synthesis_stylegan2(
    dlatents_in: tf.Tensor,
    dlatent_size: int = 512,
    num_channels: int = 3,
    resolution: int = 1024,
    fmap_base: int = 16 << 10,
    fmap_decay: float = 1.0,
    fmap_min: int = 1,
    fmap_max: int = 512,
    randomize_noise: bool = True,
    architecture: str = 'skip',
    nonlinearity: str = 'lrelu',
    dtype: str = 'float32',
    resample_kernel: Sequence[float] = (1, 3, 3, 1),
    fused_modconv: bool = True,
    noise_injection: str = 'additive',
    fr_reduce: str = 'neg_relu',
    noise_values: layers.Noises = None,
    alpha_powers: Optional[tf.Tensor] = None,
    precision: str = 'float32',
) -> tf.Tensor:
    """Synthesis network of configs e and f: w [N, num_layers, dlatent_size] -> images.

    Section 4.1 of the StyleGAN2 paper.

    Args:
        architecture: 'orig', 'skip' or 'resnet' (Fig. 7).
        randomize_noise: fresh noise at each evaluation; False: the fixed variables noise0, noise1,
            ...
        noise_values: the noise of each layer, [N or 1, 1, H, W], in place of these.
        noise_injection, fr_reduce: form of the noise, see `NoiseInjection`.
        alpha_powers: t [N, num_layers - 1] of GAN inversion, see `stabilize`.
        fmap_base, fmap_decay, fmap_min, fmap_max: feature maps at 2^res, base / 2^((res-1) *
            decay), clipped.
        precision: 'float32', or 'mixed' for convolutions from 8x8 up in half precision, see
            `dnnlib.tflib.precision`; colours are summed in float32.

    Returns: [N, num_channels, resolution, resolution].
    """
    resolution_log2 = layers.log2_of_resolution(resolution)
    check_choice('architecture', architecture, layers.ARCHITECTURES)
    dlatents_in.set_shape([None, resolution_log2 * 2 - 2, dlatent_size])
    w = tf.cast(dlatents_in, dtype)
    sizes = _noise_sizes(resolution_log2)
    values = layers.noise_inputs(sizes, dtype, randomize_noise, noise_values)
    noise = NoiseInjection(noise_injection, fr_reduce, values, alpha_powers)
    nf = layers.fmaps_function(fmap_base, fmap_decay, fmap_min, fmap_max)
    conv = architecture, nonlinearity, resample_kernel, fused_modconv, precision
    blocks = _Blocks(w, nf, num_channels, *conv, noise)

    features = images = None
    for res in range(2, resolution_log2 + 1):
        with layers.resolution_scope(res):
            is_first = res == 2
            features = blocks.first(tf.shape(w)[0]) if is_first else blocks.grow(features, res)
            if images is not None:
                with tf.variable_scope('Upsample'):
                    images = upsample_2d(images, k=resample_kernel, data_format=layout.current())
            if architecture == 'skip' or res == resolution_log2:
                with tf.variable_scope('ToRGB'):
                    rgb = blocks.to_rgb(features, res)
                    images = rgb if images is None else images + rgb
    images = layout.to_nchw(images)
    assert images.dtype == tf.as_dtype(dtype)
    return tf.identity(images, name='images_out')
