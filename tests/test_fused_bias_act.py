"""Bias, activation and gain against the recorded numbers, NumPy and finite differences."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops, engine
from dnnlib.tflib.ops.fused_bias_act import activation_funcs, fused_bias_act
from dnnlib.util import UserError
from tests import golden

S, A = 1.0507009873554805, 1.6732632423543772
FORMULAS = {
    'linear': lambda u, alpha: u,
    'relu': lambda u, alpha: np.maximum(u, 0),
    'lrelu': lambda u, alpha: np.where(u > 0, u, alpha * u),
    'tanh': lambda u, alpha: np.tanh(u),
    'sigmoid': lambda u, alpha: 1 / (1 + np.exp(-u)),
    'elu': lambda u, alpha: np.where(u > 0, u, np.exp(u) - 1),
    'selu': lambda u, alpha: S * np.where(u > 0, u, A * (np.exp(u) - 1)),
    'softplus': lambda u, alpha: np.log(1 + np.exp(u)),
    'swish': lambda u, alpha: u / (1 + np.exp(-u)),
}


def gradients(y, xs, dy):
    """tf.gradients with zeros where there is no connection."""
    return tf.gradients(y, xs, dy, unconnected_gradients=tf.UnconnectedGradients.ZERO)


@pytest.mark.parametrize('channels_last', [False, True])
def test_values_and_both_orders_of_gradients_are_the_recorded_ones(session, impl, channels_last):
    arrays, meta = golden.load('bias_act')
    tensors, cases = [], []

    def load(case, key):
        value = arrays[case['case'] + '.' + key]
        return np.moveaxis(value, 1, -1) if channels_last and value.ndim == 4 else value

    for case in meta['cases']:
        axis = case['rank'] - 1 if channels_last else case['axis']
        keys = ['x', 'dy', 'b'] if case['has_bias'] else ['x', 'dy']
        inputs = {key: tf.constant(load(case, key)) for key in keys}
        y = fused_bias_act(
            inputs['x'],
            b=inputs.get('b'),
            axis=axis,
            act=case['act'],
            alpha=case['alpha'],
            gain=case['gain'],
            impl=impl,
        )
        got = {'y': y}
        first = [key for key in ['x', 'b'] if key in inputs]
        for key, grad in zip(first, gradients(y, [inputs[i] for i in first], inputs['dy'])):
            got['d' + key] = grad
        for key, grad in [('v', got['dx']), ('u', got.get('db'))]:
            if case['case'] + '.' + key in arrays.files:
                second = gradients(grad, list(inputs.values()), tf.constant(load(case, key)))
                got.update(zip(['%s_d_%s' % (key, i) for i in inputs], second))
        tensors.append(got)
        cases.append(case)
    assert any('u_d_x' in got for got in tensors)
    for got, case in zip(session.run(tensors), cases):
        for key, value in got.items():
            tolerance = 2e-5 if '_d_' in key else 1e-5
            golden.assert_close(value, load(case, key), tolerance, '%s of %s' % (key, case))


@pytest.mark.parametrize('act', sorted(FORMULAS))
def test_activation_agrees_with_its_formula_for_any_shape_alpha_and_gain(session, act):
    rng = np.random.RandomState(1)
    for alpha in [0, 0.3, 1.5, -0.5]:
        for gain in [1, 0.7, -2, 0]:
            rank = rng.randint(1, 6)
            axis = rng.randint(rank)
            x = rng.randn(*rng.randint(1, 5, rank))
            b = rng.randn(x.shape[axis])
            u = x + b.reshape([-1 if i == axis else 1 for i in range(rank)])
            x_t = tf.constant(x)
            y = fused_bias_act(x_t, tf.constant(b), axis, act, alpha, gain)
            y_v, dx = session.run([y] + tf.gradients(y, x_t))
            golden.assert_close(y_v, gain * FORMULAS[act](u, alpha), 1e-6)
            slope = (FORMULAS[act](u + 1e-6, alpha) - FORMULAS[act](u - 1e-6, alpha)) / 2e-6
            golden.assert_close(dx, gain * slope, 1e-6)


@pytest.mark.parametrize('act', sorted(FORMULAS))
def test_third_order_gradients_agree_with_finite_differences(session, act):
    rng = np.random.RandomState(2)
    x_v, d = rng.randn(2, 3, 4, 5), rng.randn(2, 3, 4, 5)
    b, style, scale, shift = [
        tf.constant(rng.randn(*shape)) for shape in ([3], [2, 3], [2, 1, 4, 5], [1, 1, 4, 5])
    ]
    x = tf.placeholder(tf.float64, x_v.shape)
    y = fused_bias_act(x, b, act=act, style=style, scale=scale, shift=shift)
    y = tf.reduce_sum(tf.square(y))
    (dx,) = tf.gradients(y, x)
    penalty = tf.reduce_sum(dx * dx * dx)
    penalty += tf.reduce_sum(tf.square(tf.gradients(penalty, x)[0]))
    slope = tf.reduce_sum(tf.gradients(penalty, x)[0] * d)
    up, down = [session.run(penalty, {x: x_v + step * d}) for step in (1e-6, -1e-6)]
    assert np.isclose(session.run(slope, {x: x_v}), (up - down) / 2e-6, rtol=1e-5)


@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16, tf.float32, tf.float64])
@pytest.mark.parametrize('axis', [1, 3])
def test_every_floating_point_type_is_kept(session, dtype, axis):
    rng = np.random.RandomState(3)
    x_v, b_v = rng.randn(2, 4, 5, 4), rng.randn(4)
    for act in FORMULAS:
        x, b = tf.cast(x_v, dtype), tf.cast(b_v, dtype)
        y = fused_bias_act(x, b, axis, act)
        grads = tf.gradients(y, [x, b])
        assert [t.dtype for t in [y] + grads] == [dtype] * 3
        spec = activation_funcs[act]
        u = x_v + b_v.reshape([-1, 1, 1] if axis == 1 else [-1])
        want = spec.def_gain * FORMULAS[act](u, spec.def_alpha)
        got = session.run([tf.cast(t, tf.float64) for t in [y] + grads])[0]
        golden.assert_close(got, want, {tf.float16: 3e-3, tf.bfloat16: 3e-2}.get(dtype, 1e-5), act)


def test_batch_size_may_be_unknown(session):
    x = tf.placeholder(tf.float32, [None, 3])
    y = fused_bias_act(x, tf.ones([3]), act='lrelu')
    assert y.shape.as_list() == [None, 3]
    assert session.run(y, {x: [[0, -2, 1]]}) == pytest.approx(np.sqrt(2) * np.array([[1, -0.2, 2]]))


def test_linear_without_bias_adds_no_computation(session):
    x = tf.ones([2, 3])
    assert fused_bias_act(x) is x


def test_table_of_activations_is_the_documented_one():
    fields = {'func', 'def_alpha', 'def_gain', 'cuda_idx', 'ref', 'zero_2nd_grad'}
    assert all(set(spec) == fields for spec in activation_funcs.values())
    assert [(name, spec.cuda_idx) for name, spec in activation_funcs.items()] == [
        ('linear', 1),
        ('relu', 2),
        ('lrelu', 3),
        ('tanh', 4),
        ('sigmoid', 5),
        ('elu', 6),
        ('selu', 7),
        ('softplus', 8),
        ('swish', 9),
    ]
    assert {n for n, spec in activation_funcs.items() if spec.def_gain != 1} == {
        'relu',
        'lrelu',
        'swish',
    }
    assert {n for n, spec in activation_funcs.items() if spec.zero_2nd_grad} == {
        'linear',
        'relu',
        'lrelu',
    }
    assert [n for n, spec in activation_funcs.items() if spec.ref == 'x'] == ['swish']


def test_unknown_names_are_explained():
    x = tf.ones([2, 3])
    with pytest.raises(UserError, match="'mish'.*one of linear, relu"):
        fused_bias_act(x, act='mish')
    with pytest.raises(UserError, match="impl of .*'fast'.*one of auto, ref, cuda, native"):
        fused_bias_act(x, impl='fast')
    if not engine.gpu_devices():
        with pytest.raises(UserError, match="impl='cuda' of FusedBiasAct.*this is a CPU"):
            fused_bias_act(x, impl='cuda')


@pytest.mark.parametrize('op_name', custom_ops.OP_NAMES)
def test_auto_takes_the_implementation_that_is_reported(op_name):
    name, reason = custom_ops.implementation_of(op_name)
    assert custom_ops.resolve_impl('auto', op_name) == name
    assert custom_ops.resolve_impl('ref', op_name) == 'ref'
    assert op_name in reason
