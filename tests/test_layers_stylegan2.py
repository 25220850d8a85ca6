"""Modulated convolutions against Eq. 1-3 of StyleGAN2 in NumPy, in every way they are done."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bench.kernel_judge import upfirdn
from dnnlib import tflib
from dnnlib.tflib import layout
from dnnlib.tflib.ops import decisions
from tests.test_conv2d import adjoints_in_numpy, conv_in_numpy
from training.layers_stylegan2 import modulated_conv2d_layer

SHAPES = dict(x=[2, 5, 4, 6], y=[2, 3], weight=[3, 3, 6, 4], mod_weight=[3, 6])


def in_numpy(arrays, g, up, demodulate):
    """Sum of the layer's output times g; images NHWC, float64."""
    x, y, w, mod_w = [arrays[name] for name in SHAPES]
    s = y @ mod_w / np.sqrt(3) + 1
    w = w / np.sqrt(9 * 6)
    x = x * s[:, np.newaxis, np.newaxis]
    if up:
        size = [2] + [2 * n + 1 for n in SHAPES['x'][1:3]] + [4]
        z = adjoints_in_numpy(np.zeros(size), w[::-1, ::-1].transpose(0, 1, 3, 2), x, 2)[0]
        k = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
        z = upfirdn(z, k, [1, 1], [1, 1], [(1, 1), (1, 1)])
    else:
        z = conv_in_numpy(np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], 'constant'), w, 1)
    if demodulate:
        d = 1 / np.sqrt((s**2) @ np.sum(w**2, axis=(0, 1)) + 1e-8)
        z = z * d[:, np.newaxis, np.newaxis]
    return np.sum(z * g)


def moved(arrays, step, directions):
    return {name: value + step * directions[name] for name, value in arrays.items()}


def outputs_in_tensorflow(arrays, g, u, v, up, demodulate, dtype):
    """The same, its slope along u, and the slope of that along v."""
    with layout.use(layout.for_device()), tf.variable_scope('layer'):
        x, g = [
            layout.from_nchw(tf.constant(a.transpose(0, 3, 1, 2), dtype)) for a in (arrays['x'], g)
        ]
        y = tf.constant(arrays['y'], tf.float32)
        options = dict(fmaps=4, kernel=3, up=up, demodulate=demodulate)
        z = modulated_conv2d_layer(x, y, resample_kernel=[1, 3, 3, 1], **options)
        assert z.dtype == dtype
        value = tf.reduce_sum(tf.cast(z * g, tf.float32))
        variables = {var.op.name.split('/')[-1]: var for var in tf.trainable_variables()}
        inputs = dict(x=x, y=y, **{n: variables[n] for n in ('weight', 'mod_weight')})

        def slope(of, along):
            gradients = tf.gradients(of, [inputs[name] for name in SHAPES])
            images = dict(along, x=layout.from_nchw(tf.constant(along['x'].transpose(0, 3, 1, 2))))
            return tf.add_n(
                [
                    tf.reduce_sum(tf.cast(grad, tf.float64) * images[name])
                    for grad, name in zip(gradients, SHAPES)
                ]
            )

        first = slope(value, u)
        second = slope(first, v)
    tflib.run([var.initializer for var in variables.values()])
    tflib.set_vars({variables[name]: arrays[name] for name in ('weight', 'mod_weight')})
    return tflib.run([value, first, second])


def check(up, demodulate, dtype=tf.float32, tolerance=1e-4):
    rng = np.random.RandomState(0)
    arrays, u, v = [{n: rng.randn(*shape) for n, shape in SHAPES.items()} for _ in range(3)]
    g = rng.randn(2, *([10, 8] if up else [5, 4]), 4)
    got = outputs_in_tensorflow(arrays, g, u, v, up, demodulate, dtype)

    def f(a, b):
        return in_numpy(moved(moved(arrays, a, u), b, v), g, up, demodulate)

    e = 1e-3
    want = [
        f(0, 0),
        (f(e, 0) - f(-e, 0)) / (2 * e),
        (f(e, e) - f(e, -e) - f(-e, e) + f(-e, -e)) / (4 * e**2),
    ]
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize('demodulate', [True, False])
@pytest.mark.parametrize('up', [False, True])
@pytest.mark.parametrize(
    'data_format, grouped',
    [('NHWC', False), ('NCHW', False), ('NCHW', True)],
    indirect=['data_format'],
)
def test_values_and_slopes_of_both_orders(
    session, data_format, monkeypatch, grouped, up, demodulate
):
    monkeypatch.setattr(decisions, '_GROUPED_SAMPLES', 2 if grouped else 0)
    check(up, demodulate)
    used = [op for op in tf.get_default_graph().get_operations() if op.type == 'Conv2D']
    assert up or any(op.inputs[1].shape[3] == 8 for op in used) == grouped


@pytest.mark.parametrize('data_format', ['NHWC'], indirect=True)
def test_float16_gives_nearly_the_same(session, data_format):
    check(False, True, tf.float16, tolerance=2e-2)


def test_float16_does_not_overflow_with_large_styles(session):
    """Of some ten thousands, products of activations and styles would be infinite."""
    x, y = tf.fill([1, 4, 4, 6], tf.constant(8, tf.float16)), tf.ones([1, 3]) * 1e4
    with layout.use('NHWC'):
        z = modulated_conv2d_layer(x, y, fmaps=4, kernel=3)
    tflib.init_uninitialized_vars()
    assert np.all(np.isfinite(tflib.run(z)))


def test_groups_are_for_single_samples_on_gpus():
    assert decisions.groups_samples('NCHW', 1)
    assert not any(decisions.groups_samples('NCHW', number) for number in (None, 2, 32))
    assert not decisions.groups_samples('NHWC', 1)
