"""Network: building, sharing, running, copying and saving."""

import io
import os
import pickle

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import network, network_code, pickles
from dnnlib.util import UserError
from tests import toy_networks

X = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture(autouse=True)
def toys_are_local(monkeypatch):
    monkeypatch.setattr(network_code, 'LOCAL_MODULES', ['tests.toy_networks'])


@pytest.fixture
def affine(session):
    net = tflib.Network('net', toy_networks.affine)
    net.set_var('Layer/weight', [1, 2, 3])
    net.set_var('Layer/bias', [10, 20, 30])
    return net


def dump(obj):
    return io.BytesIO(pickle.dumps(obj))


def test_a_network_describes_its_inputs_outputs_and_variables(affine):
    assert affine.input_names == ['x_in', 'y_in'] and affine.num_inputs == 2
    assert affine.input_shapes == [[None, 3], [None, 3]] and affine.output_shape == [None, 3]
    assert affine.output_names == ['out']
    assert list(affine.vars) == ['Layer/weight', 'Layer/bias', 'counter']
    assert list(affine.trainables) == ['Layer/weight', 'Layer/bias']
    assert affine.get_var_local_name(affine.scope + '/Layer/bias') == 'Layer/bias'
    assert affine.get_var_local_name(affine.vars['counter']) == 'counter'


def test_networks_of_one_name_get_scopes_of_their_own(affine):
    other = tflib.Network('net', toy_networks.affine)
    assert (affine.scope, other.scope) == ('net', 'net_1')
    assert np.all(other.get_var('Layer/bias') == 0)


def test_components_live_at_the_root_and_are_listed_by_name(session):
    net = tflib.Network('outer', toy_networks.pair, size=2)
    assert list(net.vars) == ['gain', 'Inner/Layer/weight', 'Inner/Layer/bias', 'Inner/counter']
    assert net.components.inner.scope == 'Inner'
    assert net.components.inner.static_kwargs == {'size': 2}


def test_static_kwargs_hold_unless_overridden(affine):
    outputs = [
        affine.get_output_for(tf.constant(X), None),
        affine.get_output_for(tf.constant(X), tf.constant(X), scale=0.0),
    ]
    plain, zeroed = tflib.run(outputs)
    np.testing.assert_allclose(plain, X * [1, 2, 3] + [10, 20, 30])
    np.testing.assert_allclose(zeroed, X + [10, 20, 30])


def test_a_build_function_without_shapes_is_refused(session):
    with pytest.raises(ValueError, match='rank'):
        tflib.Network('bad', toy_networks.shapeless)


@pytest.mark.parametrize('minibatch_size', [None, 1, 3])
@pytest.mark.parametrize('assume_frozen', [False, True])
def test_run_gives_the_same_for_every_minibatch_size(affine, minibatch_size, assume_frozen):
    out = affine.run(X, None, minibatch_size=minibatch_size, assume_frozen=assume_frozen)
    np.testing.assert_allclose(out, X * [1, 2, 3] + [10, 20, 30])


def test_run_spreads_over_devices_and_applies_transforms(affine):
    out = affine.run(X, X, num_gpus=2, output_transform=dict(func=toy_networks.double))
    np.testing.assert_allclose(out, 2 * (X * [1, 2, 3] + X + [10, 20, 30]))


def test_run_takes_the_number_of_items_from_any_input(affine):
    np.testing.assert_allclose(affine.run(None, X), X + [10, 20, 30])


def test_run_reuses_its_graph(affine):
    affine.run(X, None)
    before = len(tf.get_default_graph().get_operations())
    affine.run(X, None)
    assert len(tf.get_default_graph().get_operations()) == before


def test_frozen_weights_stay_and_others_follow(affine):
    affine.run(X, None, assume_frozen=True)
    affine.set_var('Layer/bias', [0, 0, 0])
    np.testing.assert_allclose(affine.run(X, None, assume_frozen=True)[0], [10, 22, 36])
    np.testing.assert_allclose(affine.run(X, None)[0], [0, 2, 6])


def test_several_outputs_come_as_tuple_or_list(session):
    net = tflib.Network('outer', toy_networks.pair)
    net.set_var('gain', 3)
    product, plain = net.run(X)
    np.testing.assert_allclose(product, 3 * plain)
    assert isinstance(net.run(X, return_as_list=True), list)


def test_old_output_options_still_work(affine, capsys):
    out = affine.run(X, None, out_mul=0.5, out_add=1.0, out_dtype=np.uint8)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, np.rint((X * [1, 2, 3] + [10, 20, 30]) * 0.5 + 1))
    assert 'output_transform' in capsys.readouterr().out


def test_a_clone_has_its_own_copy_of_the_weights(affine):
    clone = affine.clone('copy', scale=2.0)
    affine.set_var('Layer/weight', [0, 0, 0])
    np.testing.assert_allclose(clone.run(X, None), 2 * X * [1, 2, 3] + [10, 20, 30])


def test_copying_takes_what_both_have(session):
    source, target = (tflib.Network(n, toy_networks.affine) for n in ['a', 'b'])
    source.set_var('Layer/bias', [1, 2, 3])
    source.set_var('counter', 7)
    target.copy_trainables_from(source)
    assert target.get_var('Layer/bias').tolist() == [1, 2, 3] and target.get_var('counter') == 0
    target.copy_vars_from(source)
    assert target.get_var('counter') == 7
    converted = target.convert('tests.toy_networks.affine', 'c', scale=5.0)
    assert converted.get_var('Layer/bias').tolist() == [1, 2, 3]


def test_moving_average_follows_trainables_slowly_and_copies_the_rest(session):
    net = tflib.Network('net', toy_networks.affine)
    average = net.clone('average')
    update = average.setup_as_moving_average_of(net, beta=0.75)
    net.set_var('Layer/bias', [4, 8, 12])
    net.set_var('counter', 5)
    tflib.run(update)
    assert average.get_var('Layer/bias').tolist() == [1, 2, 3]
    assert average.get_var('counter') == 5


def test_saved_networks_come_back(session):
    net = tflib.Network('outer', toy_networks.pair, size=3)
    net.set_var('gain', 2.5)
    net.components.inner.set_var('Layer/bias', [1, 2, 3])
    state = net.__getstate__()
    assert state['version'] == 4 and state['build_func_name'] == 'pair'
    assert state['variables'] == [('gain', 2.5)] and isinstance(state['static_kwargs'], dict)
    loaded = pickles.load(dump(net))
    assert type(loaded) is network.Network
    np.testing.assert_allclose(loaded.run(X)[0], net.run(X)[0])


def test_files_are_written_in_the_one_form_that_all_engines_read(affine, tmp_path):
    path = str(tmp_path / 'net.pkl')
    pickles.save((affine, affine), path)
    data = open(path, 'rb').read()
    assert data[:2] == b'\x80\x04' and b'numpy.core' not in data and b'_core' not in data
    first, second = pickles.load(open(path, 'rb'))
    assert first is second
    np.testing.assert_allclose(first.run(X, None), affine.run(X, None))


@pytest.fixture
def altered(affine, monkeypatch):
    """A function that saves the affine network with changes of its state."""
    state = affine.__getstate__()

    def save(**changes):
        monkeypatch.setattr(network.Network, '__getstate__', lambda _: dict(state, **changes))
        data = dump(affine)
        monkeypatch.undo()
        monkeypatch.setattr(network_code, 'LOCAL_MODULES', ['tests.toy_networks'])
        return data

    return save


@pytest.mark.parametrize(
    'array',
    [
        np.array(2.5, np.float32),
        np.zeros([0, 3]),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(4, dtype='>i4'),
        np.float32(1.5),
        np.bool_(True),
    ],
)
def test_arrays_of_every_shape_and_order_come_back(array, tmp_path):
    path = str(tmp_path / 'array.pkl')
    pickles.save(array, path)
    loaded = pickles.load(open(path, 'rb'))
    assert loaded.shape == array.shape and loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)


def test_saved_code_runs_only_if_trusted(affine, altered, tmp_path):
    marker = str(tmp_path / 'ran')
    source = affine.__getstate__()['build_module_src'] + '\nopen(%r, "w").close()\n' % marker
    data = altered(build_module_src=source)
    loaded = pickles.load(data)
    assert not os.path.exists(marker)
    np.testing.assert_allclose(loaded.run(X, None), affine.run(X, None))
    data.seek(0)
    trusted = pickles.load(data, trust_network_code=True)
    assert os.path.exists(marker)
    np.testing.assert_allclose(trusted.run(X, None), affine.run(X, None))
    assert trusted.__getstate__()['build_module_src'] == source


def test_unknown_build_functions_and_unfit_variables_are_named(altered):
    with pytest.raises(UserError, match="'strange'.*--trust-network-code"):
        pickles.load(altered(build_func_name='strange'))
    with pytest.raises(UserError, match='Layer/weight is absent in the file and'):
        pickles.load(altered(variables=[('Layer/bias', X[0]), ('counter', np.float32(0))]))
    with pytest.raises(UserError, match='format version 9'):
        pickles.load(altered(version=9))


def test_old_states_without_components_load(altered):
    assert pickles.load(altered(version=2, components={})).get_var('Layer/bias').tolist() == [
        10,
        20,
        30,
    ]


class _Command:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('function', [os.system, eval, network.Network, getattr])
def test_nothing_but_networks_and_arrays_is_unpickled(session, function, tmp_path):
    marker = str(tmp_path / 'ran')
    with pytest.raises(UserError, match='not loaded'):
        pickles.load(dump((_Command(function, 'touch ' + marker), X)))
    assert not os.path.exists(marker)


@pytest.mark.parametrize(
    'data, message',
    [
        (b'<!DOCTYPE html><html>', 'web page'),
        (b'', 'whole network file'),
        (b'version https://git-lfs', 'whole network file'),
    ],
)
def test_files_that_are_no_networks_are_named_as_such(session, data, message):
    with pytest.raises(UserError, match=message):
        pickles.load(io.BytesIO(data))


def test_truncated_files_are_named_as_such(affine):
    with pytest.raises(UserError, match='whole network file'):
        pickles.load(io.BytesIO(dump(affine).getvalue()[:-20]))


def test_object_arrays_cannot_smuggle_pointers(session):
    data = pickle.dumps(_Command(np.ndarray, (1,), 'O', b'12345678'))
    with pytest.raises(UserError):
        pickles.load(io.BytesIO(data))


def test_layers_are_listed_with_parameters_and_shapes(session):
    net = tflib.Network('outer', toy_networks.pair, size=2)
    text = net.components.inner
    rows = [
        (name, out.shape.as_list(), [v.name.split('/', 1)[1] for v in variables])
        for name, out, variables in text.list_layers()
    ]
    assert rows[:3] == [
        ('x_in', [None, 2], []),
        ('y_in', [None, 2], []),
        ('Layer', [None, 2], ['Layer/weight:0', 'Layer/bias:0']),
    ]


def test_layer_table_adds_up(affine, capsys):
    affine.print_layers('title')
    lines = capsys.readouterr().out.split('\n')
    assert lines[1].split() == ['title', 'Params', 'OutputShape', 'WeightShape']
    assert 'Layer' in lines[5] and lines[5].split()[1] == '6' and '(3,)' in lines[5]
    assert lines[-3].split()[:2] == ['Total', '6']
