"""Layers of StyleGAN2 (Karras et al. 2019, arXiv:1912.04958) and of what is built like it.

Activations have the layout that `dnnlib.tflib.layout` chose for the device; shapes are written
N, C, H, W all the same.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import layout
from dnnlib.tflib.ops import conv2d
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.tflib.ops.upfirdn_2d import conv_downsample_2d, upsample_conv_2d


def get_weight(shape, gain=1, use_wscale=True, lrmul=1, weight_var='weight'):
    """Weight of a layer, [kernel, kernel, in, out] or [in, out], with equalized learning rate.

    Scaled at run time to a standard deviation of gain / sqrt(fan_in) (He et al. 2015; Karras et al.
    2018, section 4.1); `lrmul` multiplies the learning rate without changing the initial weight.
    """
    w, factor = _get_unscaled_weight(shape, gain, use_wscale, lrmul, weight_var)
    return w * factor


def _get_unscaled_weight(shape, gain, use_wscale, lrmul, weight_var):
    """The variable of `get_weight`, and the factor."""
    he_std = gain / np.sqrt(np.prod(shape[:-1]))
    init_std, scale = (1, he_std) if use_wscale else (he_std, 1)
    init = tf.initializers.random_normal(0, init_std / lrmul)
    return tf.get_variable(weight_var, shape=shape, initializer=init), scale * lrmul


def dense_layer(x, fmaps, gain=1, use_wscale=True, lrmul=1, weight_var='weight'):
    """Fully connected layer without bias: [N, ...] -> [N, fmaps]."""
    if x.shape.ndims > 2:
        size = np.prod(x.shape.as_list()[1:])
        x = tf.reshape(layout.to_nchw(x), [-1, size])
    w = get_weight([x.shape.as_list()[1], fmaps], gain, use_wscale, lrmul, weight_var)
    return tf.matmul(x, tf.cast(w, x.dtype))


def conv2d_layer(
    x,
    fmaps,
    kernel,
    up=False,
    down=False,
    resample_kernel=None,
    gain=1,
    use_wscale=True,
    lrmul=1,
    weight_var='weight',
):
    """Convolution without bias: [N, C, H, W] -> [N, fmaps, H, W], resized if up or down."""
    assert kernel >= 1 and kernel % 2 == 1
    shape = [kernel, kernel, layout.sizes(x)[1], fmaps]
    w = get_weight(shape, gain, use_wscale, lrmul, weight_var)
    return _conv2d(x, tf.cast(w, x.dtype), up, down, resample_kernel)


def _conv2d(x, w, up, down, resample_kernel):
    assert not (up and down)
    if up:
        return upsample_conv_2d(x, w, k=resample_kernel, data_format=layout.current())
    if down:
        return conv_downsample_2d(x, w, k=resample_kernel, data_format=layout.current())
    return conv2d.conv2d(x, w, data_format=layout.current())


def apply_bias_act(x, act='linear', alpha=None, gain=None, lrmul=1, bias_var='bias', **factors):
    """Add a trainable bias per channel, then the activation function with its gain.

    factors: style, scale and shift of `fused_bias_act`, in the same pass before the bias.
    """
    axis = layout.channel_axis(x.shape.ndims)
    size = x.shape.as_list()[axis]
    b = tf.get_variable(bias_var, shape=[size], initializer=tf.initializers.zeros()) * lrmul
    return fused_bias_act(x, b=b, axis=axis, act=act, alpha=alpha, gain=gain, **factors)


def conv2d_act_layer(x, fmaps, kernel, act, act_gain=None, **conv_kwargs):
    """`conv2d_layer`, then bias and activation."""
    return apply_bias_act(conv2d_layer(x, fmaps, kernel, **conv_kwargs), act=act, gain=act_gain)


def modulated_conv2d_layer(x, y, fmaps, kernel, **kwargs):
    """`modulated_conv2d`, multiplied out: [N, fmaps, H, W], without bias."""
    x, d = modulated_conv2d(x, y, fmaps, kernel, **kwargs)
    return x if d is None else fused_bias_act(x, axis=layout.channel_axis(), style=d)


def modulated_conv2d(
    x,
    y,
    fmaps,
    kernel,
    up=False,
    down=False,
    demodulate=True,
    resample_kernel=None,
    gain=1,
    use_wscale=True,
    lrmul=1,
    fused_modconv=True,
    weight_var='weight',
    mod_weight_var='mod_weight',
    mod_bias_var='mod_bias',
):
    """Convolution whose weight styles scale, and which is normalized again (section 2.2, Eq. 1-3).

    Args:
        x: activations [N, C, H, W]. y: disentangled latents [N, dlatent_size].
        fused_modconv: on NCHW layouts, one grouped convolution with a weight per sample; the same
            result as scaling the activations instead, which is what other layouts do (faster on
            CPUs).

    Returns: activations [N, fmaps, H, W] and the factors [N, fmaps] that normalize them, float32,
        for whoever makes the next pass over them; None where that has been done.
    """
    assert kernel >= 1 and kernel % 2 == 1
    num_in = layout.sizes(x)[1]
    w, factor = _get_unscaled_weight(
        [kernel, kernel, num_in, fmaps], gain, use_wscale, lrmul, weight_var
    )
    s = dense_layer(y, num_in, weight_var=mod_weight_var)
    s = tf.cast(apply_bias_act(s, bias_var=mod_bias_var) + 1, w.dtype)  # [N, C]
    if x.dtype == tf.float16:
        w *= factor  # or its gradient in float16 would lack it
    else:
        s *= factor  # styles are smaller than w
    if fused_modconv and layout.current() == 'NCHW':
        return _fused_modulated_conv(x, w, s, up, down, demodulate, resample_kernel), None

    x = fused_bias_act(x, axis=layout.channel_axis(), style=s)
    x = _conv2d(x, tf.cast(w, x.dtype), up, down, resample_kernel)
    if not demodulate:
        return x, None
    # Eq. 3 without a weight per sample: the sum over the kernel does not depend on the style.
    power = tf.matmul(tf.square(s), _sum_of_squares(w))
    return x, tf.rsqrt(power + 1e-8)


@tf.custom_gradient
def _sum_of_squares(w):
    """[k, k, in, out] -> [in, out], in one pass over w; its own gradient would divide by 0."""
    return tf.square(tf.math.reduce_euclidean_norm(w, axis=[0, 1])), lambda dy: 2 * w * dy


def _fused_modulated_conv(x, w, s, up, down, demodulate, resample_kernel):
    """A grouped convolution, one group per sample; NCHW."""
    kernel, _, num_in, fmaps = w.shape.as_list()
    ww = w[np.newaxis] * s[:, np.newaxis, np.newaxis, :, np.newaxis]  # [N, k, k, C, fmaps]
    if demodulate:
        ww *= tf.rsqrt(tf.reduce_sum(tf.square(ww), axis=[1, 2, 3], keepdims=True) + 1e-8)
    ww = tf.reshape(tf.transpose(ww, [1, 2, 3, 0, 4]), [kernel, kernel, num_in, -1])
    x = tf.reshape(x, [1, -1] + x.shape.as_list()[2:])
    x = _conv2d(x, tf.cast(ww, x.dtype), up, down, resample_kernel)
    return tf.reshape(x, [-1, fmaps] + x.shape.as_list()[2:])


def minibatch_stddev_layer(x, group_size=4, num_new_features=1):
    """Append the standard deviation within groups of samples as extra channels.

    Karras et al. 2018, section 3. Sample i belongs to group i % (N / group_size). N must be a
    multiple of min(group_size, N). Groups of 0 or 1 say nothing: nothing is appended.
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
    y = tf.tile(y, layout.arrange(group_size, 1, height, width))
    return tf.concat([x, y], axis=layout.channel_axis())
