"""Gradients that are kept by their graph."""

import gc
import weakref

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib.ops.own_gradient import with_own_gradient


@with_own_gradient
def sine(x):
    return tf.sin(x), lambda dy: dy * cosine(x)


@with_own_gradient
def cosine(x):
    return tf.cos(x), lambda dy: -dy * sine(x)


@with_own_gradient
def product(x, y):
    """Its gradients are three and five times what they should be, to see that they are used."""
    return x * y, lambda dy: (3 * dy * y, 5 * dy * x)


def test_first_to_third_derivatives_are_those_of_the_own_gradients(session):
    x = tf.constant([0.3, -1.2])
    values, weights = [sine(x)], [1.0, -2.0]
    for _ in range(3):
        values.append(tf.gradients(values[-1], x)[0])
    angles = np.array([0.3, -1.2])
    want = [np.sin(angles), np.cos(angles), -np.sin(angles), -np.cos(angles)]
    np.testing.assert_allclose(session.run(values), want, rtol=1e-6)
    dx = tf.gradients(sine(x), x, tf.constant(weights))[0]
    np.testing.assert_allclose(session.run(dx), weights * np.cos(angles), rtol=1e-6)


def test_each_argument_has_its_gradient_and_nothing_flows_around_them(session):
    x, y = tf.constant(2.0), tf.Variable(7.0)
    session.run(y.initializer)
    assert session.run(tf.gradients(product(x, y), [x, y])) == [21.0, 10.0]


def test_a_graph_with_own_gradients_is_freed():
    def make_graph():
        with tf.Graph().as_default() as graph:
            x = tf.constant(1.0)
            assert tf.gradients(product(sine(x), x), x)[0] is not None
        return weakref.ref(graph)

    graph = make_graph()
    gc.collect()
    assert graph() is None
