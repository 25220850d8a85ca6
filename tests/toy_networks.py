"""Build functions small enough to reason about, for the tests of Network."""

import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib


def affine(
    x_in, y_in, size=3, scale=1.0, is_template_graph=False, components=EasyDict(), **_kwargs
):
    """x * w * scale + y + b with a trainable w, b and a counter that is not trainable."""
    x_in.set_shape([None, size])
    y_in.set_shape([None, size])
    with tf.variable_scope('Layer'):
        w = tf.get_variable('weight', shape=[size], initializer=tf.initializers.ones())
        b = tf.get_variable('bias', shape=[size], initializer=tf.initializers.zeros())
        out = x_in * w * scale + y_in + b
    tf.get_variable('counter', shape=[], initializer=tf.initializers.zeros(), trainable=False)
    return tf.identity(out, name='out')


def pair(x_in, is_template_graph=False, components=EasyDict(), **kwargs):
    """A network of one component, with two outputs."""
    if 'inner' not in components:
        components.inner = tflib.Network('Inner', affine, **kwargs)
    x_in.set_shape(components.inner.input_shapes[0])
    out = components.inner.get_output_for(x_in, None, **kwargs)
    gain = tf.get_variable('gain', shape=[], initializer=tf.initializers.ones())
    return tf.identity(out * gain, name='product'), tf.identity(out, name='plain')


def shapeless(x_in, **_kwargs):
    """A faulty network: it never says what shape it takes."""
    return tf.identity(x_in)


def double(x):
    """A transform for Network.run."""
    return x * 2
