"""Layers of StyleGAN2 (Karras et al. 2019, arXiv:1912.04958) and of what is built like it.

Activations have the layout that `dnnlib.tflib.layout` chose for the device; shapes are written
N, C, H, W all the same.
"""

from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.options import check_choice
from dnnlib.tflib import layout, random
from dnnlib.tflib.ops import conv2d
from dnnlib.tflib.ops.decisions import groups_samples
from dnnlib.tflib.ops.fused_bias_act import activation_funcs, fused_bias_act
from dnnlib.tflib.ops.own_gradient import with_own_gradient
from dnnlib.tflib.ops.upfirdn_2d import conv_downsample_2d, upsample_conv_2d
from dnnlib.util import UserError

ARCHITECTURES = ('orig', 'skip', 'resnet')
SQRT_HALF = np.sqrt(0.5)
Filter = Optional[Sequence[float]]
Noises = Optional[Sequence[tf.Tensor]]


def log2_of_resolution(resolution: int, smallest: int = 4) -> int:
    """The logarithm of a network's resolution; UserError unless that is a power of two."""
    log2 = int(np.log2(max(resolution, 1)))
    if resolution != 2**log2 or resolution < smallest:
        text = 'the resolution is %s; it must be a power of two, %d or more'
        raise UserError(text % (resolution, smallest))
    return log2


def fmaps_function(
    fmap_base: int, fmap_decay: float, fmap_min: int, fmap_max: int
) -> Callable[[int], int]:
    """Number of feature maps by stage; layers at resolution 2^res use stage res - 1."""

    def fmaps(stage: int) -> int:
        return int(np.clip(int(fmap_base / 2.0 ** (stage * fmap_decay)), fmap_min, fmap_max))

    return fmaps


def block_gain(architecture: str, nonlinearity: str) -> Optional[float]:
    """Gain of a block's last activation, with 1 / sqrt(2) where a residual branch is added."""
    if architecture != 'resnet':
        return None
    check_choice('activation function', nonlinearity, activation_funcs)
    return activation_funcs[nonlinearity].def_gain * SQRT_HALF


def resolution_scope(res: int) -> Any:
    """Variable scope of the layers at 2^res."""
    return tf.variable_scope('{0}x{0}'.format(2**res))


def get_weight(shape: Sequence[int], **weight_kwargs: Any) -> tf.Tensor:
    """Weight of a layer, [kernel, kernel, in, out] or [in, out]; see `get_unscaled_weight`."""
    w, factor = get_unscaled_weight(shape, **weight_kwargs)
    return w * factor


def get_unscaled_weight(
    shape: Sequence[int],
    gain: float = 1,
    use_wscale: bool = True,
    lrmul: float = 1,
    weight_var: str = 'weight',
) -> Tuple[tf.Variable, float]:
    """A variable, and the factor that makes it a weight with equalized learning rate.

    Scaled at run time to a standard deviation of gain / sqrt(fan_in) (He et al. 2015; Karras et al.
    2018, section 4.1); `lrmul` multiplies the learning rate without changing the initial weight.
    """
    he_std = gain / np.sqrt(np.prod(shape[:-1]))
    init_std, scale = (1, he_std) if use_wscale else (he_std, 1)
    init = random.normal_initializer(0, init_std / lrmul)
    return tf.get_variable(weight_var, shape=shape, initializer=init), scale * lrmul


def dense_layer(x: tf.Tensor, fmaps: int, **weight_kwargs: Any) -> tf.Tensor:
    """Fully connected layer without bias: [N, ...] -> [N, fmaps]."""
    if x.shape.ndims > 2:
        size = np.prod(x.shape.as_list()[1:])
        x = tf.reshape(layout.to_nchw(x), [-1, size])
    w = get_weight([x.shape.as_list()[1], fmaps], **weight_kwargs)
    return tf.matmul(x, tf.cast(w, x.dtype))


def conv2d_layer(
    x: tf.Tensor,
    fmaps: int,
    kernel: int,
    up: bool = False,
    down: bool = False,
    resample_kernel: Filter = None,
    **weight_kwargs: Any,
) -> tf.Tensor:
    """Convolution without bias: [N, C, H, W] -> [N, fmaps, H, W], resized if up or down."""
    assert kernel >= 1 and kernel % 2 == 1
    w = get_weight([kernel, kernel, layout.sizes(x)[1], fmaps], **weight_kwargs)
    return _conv2d(x, tf.cast(w, x.dtype), up, down, resample_kernel)


def _conv2d(x: tf.Tensor, w: tf.Tensor, up: bool, down: bool, k: Filter) -> tf.Tensor:
    assert not (up and down)
    if up:
        return upsample_conv_2d(x, w, k=k, data_format=layout.current())
    if down:
        return conv_downsample_2d(x, w, k=k, data_format=layout.current())
    return conv2d.conv2d(x, w, data_format=layout.current())


def apply_bias_act(
    x: tf.Tensor,
    act: str = 'linear',
    alpha: Optional[float] = None,
    gain: Optional[float] = None,
    lrmul: float = 1,
    bias_var: str = 'bias',
    **factors: Any,
) -> tf.Tensor:
    """Add a trainable bias per channel, then the activation function with its gain.

    factors: style, scale and shift of `fused_bias_act`, in the same pass before the bias.
    """
    axis = layout.channel_axis(x.shape.ndims)
    size = x.shape.as_list()[axis]
    b = tf.get_variable(bias_var, shape=[size], initializer=tf.initializers.zeros()) * lrmul
    return fused_bias_act(x, b=b, axis=axis, act=act, alpha=alpha, gain=gain, **factors)


def conv2d_act_layer(
    x: tf.Tensor, fmaps: int, kernel: int, act: str, act_gain: Optional[float] = None, **kwargs: Any
) -> tf.Tensor:
    """`conv2d_layer`, then bias and activation."""
    return apply_bias_act(conv2d_layer(x, fmaps, kernel, **kwargs), act=act, gain=act_gain)


def modulated_conv2d_layer(
    x: tf.Tensor, y: tf.Tensor, fmaps: int, kernel: int, **kwargs: Any
) -> tf.Tensor:
    """`modulated_conv2d`, multiplied out: [N, fmaps, H, W], without bias."""
    x, d = modulated_conv2d(x, y, fmaps, kernel, **kwargs)
    return x if d is None else fused_bias_act(x, axis=layout.channel_axis(), style=d)


def modulated_conv2d(
    x: tf.Tensor,
    y: tf.Tensor,
    fmaps: int,
    kernel: int,
    up: bool = False,
    down: bool = False,
    demodulate: bool = True,
    resample_kernel: Filter = None,
    fused_modconv: bool = True,
    mod_weight_var: str = 'mod_weight',
    mod_bias_var: str = 'mod_bias',
    **weight_kwargs: Any,
) -> Tuple[tf.Tensor, Optional[tf.Tensor]]:
    """Convolution whose weight styles scale, and which is normalized again (section 2.2, Eq. 1-3).

    Args:
        x: activations [N, C, H, W]. y: disentangled latents [N, dlatent_size].
        fused_modconv: one grouped convolution with a weight per sample where that is faster, see
            `decisions.groups_samples`; the same result as scaling the activations instead.

    Returns: activations [N, fmaps, H, W], and the factors [N, fmaps], float32, that they are still
        to be multiplied by to be normalized; None in place of these if they are normalized.
    """
    assert kernel >= 1 and kernel % 2 == 1
    num_in = layout.sizes(x)[1]
    w, factor = get_unscaled_weight([kernel, kernel, num_in, fmaps], **weight_kwargs)
    s = dense_layer(y, num_in, weight_var=mod_weight_var)
    s = tf.cast(apply_bias_act(s, bias_var=mod_bias_var) + 1, w.dtype)  # [N, C], the styles
    if x.dtype == tf.float16:
        w = w * factor  # in float32, so that in float32 w's gradient is multiplied by it, too
        if demodulate:  # which takes this back: products stay far below float16's largest number
            s *= tf.rsqrt(tf.reduce_mean(tf.square(s), axis=1, keepdims=True) + 1e-8)
    else:
        s *= factor  # a pass over s [N, C] is shorter than one over w
    if fused_modconv and groups_samples(layout.current(), y.shape.as_list()[0]):
        return _fused_modulated_conv(x, w, s, up, down, demodulate, resample_kernel), None

    x = fused_bias_act(x, axis=layout.channel_axis(), style=s)
    x = _conv2d(x, tf.cast(w, x.dtype), up, down, resample_kernel)
    if not demodulate:
        return x, None
    # Eq. 3 without a weight per sample: the sum over the kernel does not depend on the style.
    power = tf.matmul(tf.square(s), _sum_of_squares(w))
    return x, tf.rsqrt(power + 1e-8)


@with_own_gradient
def _sum_of_squares(w: tf.Tensor) -> Tuple[tf.Tensor, Callable]:
    """[k, k, in, out] -> [in, out], in one pass over w; the norm's own gradient divides by 0."""
    return tf.square(tf.math.reduce_euclidean_norm(w, axis=[0, 1])), lambda dy: 2 * w * dy


def _fused_modulated_conv(
    x: tf.Tensor, w: tf.Tensor, s: tf.Tensor, up: bool, down: bool, demodulate: bool, k: Filter
) -> tf.Tensor:
    """A grouped convolution, one group per sample; NCHW."""
    kernel, _, num_in, fmaps = w.shape.as_list()
    ww = w[np.newaxis] * s[:, np.newaxis, np.newaxis, :, np.newaxis]  # [N, k, k, C, fmaps]
    if demodulate:
        ww *= tf.rsqrt(tf.reduce_sum(tf.square(ww), axis=[1, 2, 3], keepdims=True) + 1e-8)
    ww = tf.transpose(ww, [1, 2, 3, 0, 4])  # [k, k, C, N, fmaps]
    ww = tf.reshape(ww, [kernel, kernel, num_in, -1])  # [k, k, C, N * fmaps]
    x = tf.reshape(x, [1, -1] + x.shape.as_list()[2:])  # [1, N * C, H, W]
    x = _conv2d(x, tf.cast(ww, x.dtype), up, down, k)
    return tf.reshape(x, [-1, fmaps] + x.shape.as_list()[2:])


def minibatch_stddev_layer(
    x: tf.Tensor, group_size: int = 4, num_new_features: int = 1
) -> tf.Tensor:
    """Append the standard deviation within groups of samples as extra channels.

    Karras et al. 2018, section 3. Sample i belongs to group i % (N / group_size). N must be a
    multiple of min(group_size, N). With a group_size of 0 or 1 nothing is appended.
    """
    if group_size <= 1:
        return x
    _, num_channels, height, width = layout.sizes(x)
    per_feature = num_channels // num_new_features
    group_size = tf.minimum(group_size, tf.shape(x)[0])
    y = tf.cast(x, tf.float32)
    if layout.current() == 'NCHW':
        shape, over = [group_size, -1, num_new_features, per_feature, height, width], [2, 3, 4]
    else:
        shape, over = [group_size, -1, height, width, num_new_features, per_feature], [1, 2, 4]
    y = tf.reshape(y, shape)
    y -= tf.reduce_mean(y, axis=0, keepdims=True)
    y = tf.sqrt(tf.reduce_mean(tf.square(y), axis=0) + 1e-8)  # one value per group and pixel
    y = tf.reduce_mean(y, axis=over)  # [N / group_size, num_new_features]
    y = tf.reshape(tf.cast(y, x.dtype), layout.arrange(-1, num_new_features, 1, 1))
    y = tf.tile(y, layout.arrange(group_size, 1, height, width))  # [N, num_new_features, H, W]
    return tf.concat([x, y], axis=layout.channel_axis())


def pixel_norm(x: tf.Tensor, epsilon: float = 1e-8) -> tf.Tensor:
    """Scale the channels of every pixel, [N, C, H, W] or [N, C], to a mean square of 1."""
    axis = layout.channel_axis(x.shape.ndims)
    return x * tf.rsqrt(tf.reduce_mean(tf.square(x), axis=axis, keepdims=True) + epsilon)


def learned_constant(
    fmaps: int, minibatch_size: tf.Tensor, dtype: str, initializer: Any
) -> tf.Tensor:
    """The constant [N, fmaps, 4, 4] that every image starts from."""
    const = tf.get_variable('const', shape=[1, fmaps, 4, 4], initializer=initializer)
    return layout.from_nchw(tf.tile(tf.cast(const, dtype), [minibatch_size, 1, 1, 1]))


def noise_inputs(
    sizes_log2: Iterable[int], dtype: str, randomize_noise: bool, noise_values: Noises = None
) -> List[Optional[tf.Tensor]]:
    """Noise of each layer, [N or 1, 1, H, W], for layers of size 2^size; None: to be drawn.

    That is noise_values if given; else, unless randomize_noise, the fixed maps [1, 1, H, W] of the
    variables noise0, noise1, ..., which are made in any case.
    """
    normal = dict(initializer=random.normal_initializer(), trainable=False)
    variables = [
        tf.get_variable('noise%d' % index, shape=[1, 1, 2**size, 2**size], **normal)
        for index, size in enumerate(sizes_log2)
    ]
    if noise_values is not None:
        assert len(noise_values) == len(variables)
        return [tf.cast(x, dtype) for x in noise_values]
    return [None if randomize_noise else tf.cast(x, dtype) for x in variables]


def mapping_input(
    latents_in: tf.Tensor, labels_in: tf.Tensor, latent_size: int, label_size: int, dtype: str
) -> tf.Tensor:
    """What a mapping network starts from: z [N, latent_size], and beside it embedded labels."""
    latents_in.set_shape([None, latent_size])
    labels_in.set_shape([None, label_size])
    x = tf.cast(latents_in, dtype)
    if not label_size:
        return x
    with tf.variable_scope('LabelConcat'):
        normal = random.normal_initializer()
        w = tf.get_variable('weight', shape=[label_size, latent_size], initializer=normal)
        embedded = tf.matmul(tf.cast(labels_in, dtype), tf.cast(w, dtype))
        return tf.concat([x, embedded], axis=1)  # [N, 2 * latent_size]


def normalize_latents(x: tf.Tensor) -> tf.Tensor:
    """`pixel_norm` of what a mapping network starts from."""
    with tf.variable_scope('Normalize'):
        return pixel_norm(x)


def broadcast_dlatents(x: tf.Tensor, num_layers: Optional[int]) -> tf.Tensor:
    """The end of a mapping network: w [N, D], or with num_layers [N, num_layers, D]."""
    if num_layers is not None:
        with tf.variable_scope('Broadcast'):
            x = tf.tile(x[:, np.newaxis], [1, num_layers, 1])
    return tf.identity(x, name='dlatents_out')
