"""The compiled bias and activation against NumPy.

Gradients are compared with plain TensorFlow in float64, which test_fused_bias_act compares with
finite differences.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops
from dnnlib.tflib.ops.fused_bias_act import channel_sum, fused_bias_act
from dnnlib.util import UserError
from tests import golden
from tests.test_fused_bias_act import FORMULAS, gradients

NAMES = ['x', 'b', 'style', 'scale', 'shift']


def along(value, axis):
    """[C] or [N, C] with axes of size 1 put in, for images with their channels at `axis`."""
    shape = [1, 1, 1, 1]
    shape[axis] = value.shape[-1]
    shape[0] = value.shape[0] if value.ndim == 2 else 1
    return value.reshape(shape)


def random_inputs(rng, axis, names=NAMES):
    """Arrays for some of fused_bias_act's inputs."""
    n, c, h, w = [rng.randint(2, 4), rng.choice([3, 8, 17, 40]), *rng.randint(2, 8, 2)]
    pixels = [n, 1, h, w] if axis == 1 else [n, h, w, 1]
    image = [n, c, h, w] if axis == 1 else [n, h, w, c]
    shapes = dict(x=image, b=[c], style=[n, c], scale=pixels, shift=pixels)
    return {name: rng.randn(*shapes[name]) for name in NAMES if name in names}


def gradients_of_both_orders(op, values, dtype):
    """y, its gradients, and the gradients of those in random directions.

    Of each alone, since what is known to be zero is left out, and of all together.
    """
    rng = np.random.RandomState(1)

    def constant(value):
        return tf.constant(value, dtype)

    inputs = {name: constant(value) for name, value in values.items()}
    y = op(**inputs)
    dy = constant(rng.randn(*y.shape.as_list()))
    first = gradients(y, list(inputs.values()), dy)
    directions = [constant(rng.randn(*value.shape)) for value in values.values()]
    found = [y] + first
    for start, direction in zip(first, directions):
        found += gradients(start, [dy] + list(inputs.values()), direction)
    return found + gradients(first, [dy] + list(inputs.values()), directions)


def check(session, op, values, what):
    """Compare op(impl=..., **values) of all implementations, in float32 and plain in float64."""
    kinds = [(tf.float64, 'ref'), (tf.float32, custom_ops.resolve_impl('auto', 'FusedBiasAct'))]
    want, got = session.run(
        [
            gradients_of_both_orders(
                lambda impl=impl, **inputs: op(impl=impl, **inputs), values, dtype
            )
            for dtype, impl in kinds
        ]
    )
    for i, pair in enumerate(zip(got, want)):
        golden.assert_close(*pair, 1e-5, '%s, number %d' % (what, i))
    return got


@pytest.mark.parametrize('axis', [1, 3])
@pytest.mark.parametrize('act', sorted(FORMULAS))
def test_values_and_gradients_are_right_for_all_inputs(session, compiled, act, axis):
    rng = np.random.RandomState(2)
    values = random_inputs(rng, axis)
    alpha, gain = rng.uniform(0, 1.2), [1, 1.5, -0.7][rng.randint(3)]

    def op(impl, **inputs):
        return fused_bias_act(axis=axis, act=act, alpha=alpha, gain=gain, impl=impl, **inputs)

    y = check(session, op, values, act)[0]
    z = values['x'] * along(values['style'], axis) * values['scale']
    z += values['shift'] + along(values['b'], axis)
    golden.assert_close(y, gain * FORMULAS[act](z, alpha), 1e-5)


@pytest.mark.parametrize('seed', range(6))
def test_any_subset_of_the_inputs_may_be_absent(session, compiled, seed):
    rng = np.random.RandomState(seed)
    names = ['x'] + [name for name in NAMES[1:] if rng.rand() < 0.5]
    axis, act = [1, 3][seed % 2], ['lrelu', 'linear', 'swish'][seed % 3]
    values = random_inputs(rng, axis, names)
    check(
        session,
        lambda **inputs: fused_bias_act(axis=axis, act=act, gain=2, **inputs),
        values,
        '%s %s' % (act, names),
    )


@pytest.mark.parametrize('axis', [1, 3])
def test_channel_sum_is_right_with_gradients(session, impl, axis):
    values = random_inputs(np.random.RandomState(3), axis, ['x', 'style'])
    for names in (['x', 'style'], ['x']):
        some = {name: values[name] for name in names}
        m = check(session, lambda **inputs: channel_sum(axis=axis, **inputs), some, names)[0]
        factors = along(values['style'], axis) if 'style' in names else 1
        golden.assert_close(m, np.sum(values['x'] * factors, axis, keepdims=True), 1e-5)
    half = channel_sum(tf.cast(values['x'], tf.bfloat16), axis=axis, impl=impl)
    assert half.dtype == tf.float32
    golden.assert_close(session.run(half), np.sum(values['x'], axis, keepdims=True), 3e-2)


def test_third_order_gradients_agree_with_plain_tensorflow(session, compiled):
    values = random_inputs(np.random.RandomState(4), 3)
    found = []
    for dtype, impl in [(tf.float64, 'ref'), (tf.float32, compiled)]:
        inputs = {name: tf.constant(value, dtype) for name, value in values.items()}
        penalty = tf.reduce_sum(tf.square(fused_bias_act(axis=3, act='lrelu', impl=impl, **inputs)))
        for _ in range(3):
            grads = gradients(penalty, list(inputs.values()), None)
            penalty = sum(tf.reduce_mean(tf.square(grad)) for grad in grads)
        found.append(grads)
    for name, want, got in zip(NAMES, *session.run(found)):
        golden.assert_close(got, want, 1e-4, name)


@pytest.mark.parametrize('axis', [1, 3])
def test_half_precision_keeps_its_type_and_sums_in_float32(session, compiled, axis):
    values = random_inputs(np.random.RandomState(5), axis)
    for dtype in custom_ops.kernel_dtypes():
        x = tf.cast(values['x'], dtype)
        others = {name: tf.constant(values[name], tf.float32) for name in NAMES[1:]}
        results = []
        for impl in (compiled, 'ref'):
            exact = {name: tf.cast(value, tf.float64) for name, value in others.items()}
            inputs = dict(exact, x=tf.cast(x, tf.float64)) if impl == 'ref' else dict(others, x=x)
            y = fused_bias_act(axis=axis, act='lrelu', impl=impl, **inputs)
            dy = tf.cast(tf.cast(tf.cos(tf.cast(y, tf.float64)), dtype), y.dtype)
            results.append([y] + tf.gradients(y, [inputs[name] for name in NAMES], dy))
        assert [t.dtype for t in results[0]] == [dtype] * 2 + [tf.float32] * 4
        got, want = session.run([[tf.cast(t, tf.float64) for t in row] for row in results])
        for g, w in zip(got, want):
            golden.assert_close(g, w, 1e-5 if dtype == tf.float32 else 2e-2)


def test_maps_may_be_shared_by_samples_of_unknown_number(session, impl):
    rng = np.random.RandomState(6)
    x_v, maps = rng.randn(3, 4, 5, 2), rng.randn(1, 4, 5, 1)
    x = tf.placeholder(tf.float32, [None, 4, 5, 2])
    for shape in ([1, 4, 5, 1], [None, 4, 5, 1]):
        scale = tf.placeholder(tf.float32, shape)
        y = fused_bias_act(x, axis=3, scale=scale, shift=scale, impl=impl)
        assert y.shape.as_list() == [None, 4, 5, 2]
        got = session.run([y] + tf.gradients(y, [x, scale]), {x: x_v, scale: maps})
        want = [
            (x_v + 1) * maps,
            np.tile(maps, [3, 1, 1, 2]),
            np.sum(x_v + 1, (0, 3), keepdims=True),
        ]
        for g, w in zip(got, want):
            golden.assert_close(g, w, 1e-5)


def test_the_inputs_are_left_as_they_were(session, compiled):
    x = tf.get_variable('x', initializer=np.ones([1, 2, 2, 3], np.float32))
    session.run(x.initializer)
    y = fused_bias_act(x, tf.ones([3]), axis=3, act='lrelu', impl=compiled)
    (dx,) = tf.gradients(y, x)
    for _ in range(2):
        assert session.run([y, dx])[0] == pytest.approx(2 * np.sqrt(2))
    assert np.all(session.run(x) == 1)


def test_what_only_plain_tensorflow_can_do_is_left_to_it(session, compiled):
    x = tf.ones([2, 3])
    for kwargs in [dict(act='lrelu', alpha=-0.5), dict(axis=0)]:
        with pytest.raises(UserError, match='cannot do float32'):
            fused_bias_act(x, impl=compiled, **kwargs)
        assert fused_bias_act(x, **kwargs).shape == x.shape
    with pytest.raises(UserError, match='cannot do float64'):
        fused_bias_act(tf.ones([2, 3], tf.float64), impl=compiled)


def test_wrong_shapes_are_programming_errors():
    x = tf.ones([2, 3, 4, 5])
    for kwargs in [
        dict(b=tf.ones([4])),
        dict(style=tf.ones([3, 2])),
        dict(scale=tf.ones([2, 4, 5, 1])),
        dict(shift=tf.ones([1, 3, 4, 5])),
    ]:
        with pytest.raises(AssertionError):
            fused_bias_act(x, **kwargs)
