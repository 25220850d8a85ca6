"""Networks small enough to reason about."""

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.options import passes_options_to
from training.networks_stylegan2 import G_main

SMALL = dict(
    resolution=8,
    fmap_max=8,
    latent_size=8,
    dlatent_size=8,
    mapping_fmaps=8,
    mapping_layers=2,
    mapping_lrmul=1,
)


def affine(x_in, y_in, size=3, scale=1.0):
    """x * w * scale + y + b with a trainable w, b and a counter that is not trainable."""
    x_in.set_shape([None, size])
    y_in.set_shape([None, size])
    with tf.variable_scope('Layer'):
        w = tf.get_variable('weight', shape=[size], initializer=tf.initializers.ones())
        b = tf.get_variable('bias', shape=[size], initializer=tf.initializers.zeros())
        out = x_in * w * scale + y_in + b
    tf.get_variable('counter', shape=[], initializer=tf.initializers.zeros(), trainable=False)
    return tf.identity(out, name='out')


def bent(x_in, y_in, size=3, power=2.0):
    """(x + y) ^ power, without variables."""
    x_in.set_shape([None, size])
    y_in.set_shape([None, size])
    return (x_in + y_in) ** power


@passes_options_to(lambda options: [globals()[options.get('inner', 'affine')]])
def pair(x_in, inner='affine', components=EasyDict(), **kwargs):
    """A network of one component, with two outputs."""
    if 'inner' not in components:
        components.inner = tflib.Network('Inner', globals()[inner], **kwargs)
    x_in.set_shape(components.inner.input_shapes[0])
    out = components.inner.get_output_for(x_in, None, **kwargs)
    gain = tf.get_variable('gain', shape=[], initializer=tf.initializers.ones())
    return tf.identity(out * gain, name='product'), tf.identity(out, name='plain')


def generous(x_in, **kwargs):
    """A build function that takes any option, and multiplies by all of them."""
    x_in.set_shape([None, 3])
    for name in sorted(kwargs):
        x_in *= kwargs[name]
    return tf.identity(x_in)


def aware(x_in, is_template_graph=False):
    """A build function that asks what it is called for."""
    x_in.set_shape([None, 3])
    return tf.identity(x_in, name='template' if is_template_graph else 'use')


def shapeless(x_in, **_kwargs):
    """A faulty network: it never says what shape it takes."""
    return tf.identity(x_in)


def double(x):
    """A transform for Network.run."""
    return x * 2


def noisy_generator(form):
    """A StyleGAN2 generator of 8x8 whose truncation, noise and alpha all show in its images."""
    Gs = tflib.Network('Gs', G_main, noise_injection=form, **SMALL)
    Gs.set_var('dlatent_avg', np.linspace(-1, 1, 8))
    for name in Gs.vars:
        if name.endswith('strength'):
            Gs.set_var(name, 0.5)
        if name.endswith('alpha_logit'):
            Gs.set_var(name, -1.0)
    return Gs
