"""Compiled ops that are wrong are found and not used, and all is looked at only once."""

import os
import warnings

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import native_build, tflib
from dnnlib.tflib import custom_ops, engine, op_check
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.tflib.ops.upfirdn_2d import filter_2d
from dnnlib.util import UserError
from training import step_check


class Library:
    """The compiled ops, of which one computes something else."""

    def __init__(self, name, change):
        self._library, self._name, self._change = custom_ops.library(), name, change

    def __getattr__(self, name):
        op = getattr(self._library, name)
        return op if name != self._name else lambda *args, **kwargs: self._change(op, args, kwargs)


def slightly_more(op, args, kwargs):
    result = op(*args, **kwargs)
    return result * tf.cast(1.1, result.dtype)


def broken(op, args, kwargs):
    with tf.control_dependencies([tf.Assert(False, ['out of order'])]):
        return tf.identity(op(*args, **kwargs))


def wrong_sums(op, args, kwargs):
    """FusedBiasActGrad with another gradient of the bias."""
    dx, db, *others = op(*args, **kwargs)
    return [dx, db + 0.5, *others]


def only_second_order(op, args, kwargs):
    """FusedBiasAct that is wrong only where it is a gradient's gradient."""
    return slightly_more(op, args, kwargs) if kwargs['grad'] else op(*args, **kwargs)


@pytest.fixture
def fresh(compiled, monkeypatch, tmp_path):
    """A machine on which the ops were built but not compared yet; a function that breaks one."""
    monkeypatch.setattr(custom_ops, '_wrong', {})
    monkeypatch.setenv(custom_ops.REQUIRE_VARIABLE, '0')
    monkeypatch.setenv(native_build.CACHE_VARIABLE, str(tmp_path))

    def break_op(name, change):
        monkeypatch.setattr(custom_ops, '_library', Library(name, change))

    return break_op


def test_all_ops_of_this_machine_are_right(compiled):
    found = op_check.compare(compiled)
    assert op_check.problems(found) == {}
    ops = {'FusedBiasAct', 'UpFirDn2D'} | ({'Winograd'} if compiled == 'native' else set())
    assert {each.op for each in found} == ops
    for op in ops - {'Winograd'}:
        for dtype in op_check.TOLERANCES:
            orders = [each.order for each in found if (each.op, each.dtype) == (op, dtype)]
            assert sorted(orders) == sorted(op_check.ORDERS) or dtype == 'float16', (op, dtype)
    assert all(each.difference > 0 for each in found), 'nothing was compared'


def test_a_wrong_op_is_found_and_plain_tensorflow_takes_its_place(session, fresh):
    fresh('up_fir_dn2d', slightly_more)
    x = np.random.RandomState(0).randn(1, 4, 4, 2).astype(np.float32)
    with pytest.warns(RuntimeWarning, match='place of the compiled UpFirDn2D, slower: its') as got:
        y = filter_2d(x, [1, 2, 1], data_format='NHWC')
        fused_bias_act(x, act='lrelu', axis=3)
        filter_2d(x, [1, 2, 1], data_format='NHWC')
    assert len([each for each in got if each.category is RuntimeWarning]) == 1
    want = filter_2d(x, [1, 2, 1], data_format='NHWC', impl='ref')
    np.testing.assert_array_equal(*tflib.run([y, want]))
    name, reason = custom_ops.implementation_of('UpFirDn2D')
    assert name == 'ref' and 'UpFirDn2D is wrong here: its' in reason
    assert custom_ops.implementation_of('FusedBiasAct')[0] != 'ref'
    with pytest.raises(UserError, match="cannot be used: UpFirDn2D is wrong here.*use impl='auto'"):
        filter_2d(x, [1, 2, 1], impl='cuda' if engine.gpu_devices() else 'native')


@pytest.mark.parametrize(
    'name, change, orders',
    [
        ('fused_bias_act_grad', wrong_sums, {'gradients'}),
        ('fused_bias_act', only_second_order, {'second order'}),
        ('channel_sum', slightly_more, set(op_check.ORDERS)),
    ],
)
def test_what_is_wrong_in_gradients_alone_is_found_too(fresh, compiled, name, change, orders):
    fresh(name, change)
    custom_ops._wrong[compiled] = {}
    found = op_check.compare(compiled)
    assert {each.order for each in found if not each.is_fine()} == orders
    assert set(op_check.problems(found)) == {'FusedBiasAct'}


def test_required_ops_that_are_wrong_are_an_error(fresh, monkeypatch):
    fresh('up_fir_dn2d', slightly_more)
    monkeypatch.setenv(custom_ops.REQUIRE_VARIABLE, '1')
    for _ in range(2):
        with pytest.raises(UserError, match='required, but UpFirDn2D is wrong here: its'):
            custom_ops.require_native_ops()


def test_an_op_that_raises_counts_as_wrong(fresh, compiled):
    fresh('up_fir_dn2d', broken)
    with pytest.warns(RuntimeWarning, match='UpFirDn2D, slower: its .* differ by inf'):
        assert custom_ops.implementation_of('UpFirDn2D')[0] == 'ref'


def test_findings_are_kept_for_one_library_on_one_device(fresh, monkeypatch, tmp_path, capfd):
    calls = []
    finding = op_check.Finding('UpFirDn2D', 'float32', 'values', 0.5, 'a case')
    monkeypatch.setattr(op_check, 'compare', lambda kind: calls.append(kind) or [finding])
    for library in ['one', 'one', 'another']:
        assert op_check.of_library('cuda', library) == [finding]
    assert calls == ['cuda', 'cuda'] and len(os.listdir(str(tmp_path))) == 2
    monkeypatch.setattr(engine, '_gpus', ['a newer card'])
    op_check.of_library('cuda', 'one')
    assert len(calls) == 3
    assert capfd.readouterr().err.count('Comparing the compiled ops on this GPU') == 3
    for name in os.listdir(str(tmp_path)):
        (tmp_path / name).write_text('{')
    assert op_check.of_library('cuda', 'one') == [finding] and len(calls) == 4
    finding = finding._replace(difference=np.inf)
    for _ in range(2):  # which may be another program's fault
        assert op_check.of_library('cuda', 'a third') == [finding]
    assert len(calls) == 6


def test_a_step_of_small_networks_is_right(session):
    found = step_check.compare(engine.device(0))
    assert [each.order for each in found] == list(op_check.ORDERS)
    assert all(0 < each.difference and each.is_fine() for each in found), found


def test_networks_that_are_wrong_do_without_compiled_ops(session, fresh, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter('error', RuntimeWarning)
        step_check.ensure()
    finding = op_check.Finding('step', 'float32', 'gradients', 0.5, 'G')
    monkeypatch.setattr(step_check, 'findings', lambda device: [finding])
    with pytest.warns(RuntimeWarning, match='FusedBiasAct, UpFirDn2D, Winograd, slower: its grad'):
        step_check.ensure()
    assert custom_ops.implementation_of('FusedBiasAct')[0] == 'ref'
    assert not custom_ops.has_winograd()
    monkeypatch.setenv(custom_ops.REQUIRE_VARIABLE, '1')
    with pytest.raises(UserError, match='required, but FusedBiasAct is wrong here: its gradients'):
        step_check.ensure()
