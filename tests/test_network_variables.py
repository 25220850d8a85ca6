"""What scripts do to all variables of a network at once, and how TensorBoard shows them."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from tests import toy_networks


@pytest.fixture
def nets(session):
    """Two networks with a component; the second has 5 in all variables."""
    first, second = (tflib.Network(name, toy_networks.pair) for name in ('First', 'Second'))
    for name in second.vars:
        second.set_var(name, np.full(second.vars[name].shape.as_list(), 5.0))
    return first, second


def names_of_fives(net):
    return [name for name in net.vars if np.all(net.get_var(name) == 5)]


@pytest.mark.parametrize(
    'method, left',
    [
        ('reset_own_vars', ['Inner/Layer/weight', 'Inner/Layer/bias', 'Inner/counter']),
        ('reset_trainables', ['Inner/counter']),
        ('reset_vars', []),
    ],
)
def test_a_reset_touches_the_variables_that_its_name_says(nets, method, left):
    _, net = nets
    getattr(net, method)()
    assert names_of_fives(net) == left


@pytest.mark.parametrize(
    'method, copied',
    [
        ('copy_own_vars_from', ['gain']),
        ('copy_trainables_from', ['gain', 'Inner/Layer/weight', 'Inner/Layer/bias']),
        (
            'copy_vars_from',
            ['gain', 'Inner/Layer/weight', 'Inner/Layer/bias', 'Inner/counter'],
        ),
    ],
)
def test_a_copy_takes_the_variables_that_its_name_says(nets, method, copied):
    net, source = nets
    getattr(net, method)(source)
    assert names_of_fives(net) == copied


def test_the_ops_of_a_network_are_those_of_its_template(nets):
    net, _ = nets
    before = net.list_ops()
    assert {'First/x_in', 'First/product', 'First/gain'} <= {op.name for op in before}
    assert all(op.name.startswith('First/') for op in before)
    net.run(np.ones([2, 3]))
    net.get_output_for(tf.ones([2, 3]))
    assert net.list_ops() == before


def test_weights_are_shown_by_kind_and_layer(nets, session):
    net, _ = nets
    net.setup_weight_histograms('Net')
    summary = tf.Summary.FromString(session.run(tf.summary.merge_all()))
    assert [value.tag for value in summary.value] == [
        'Net_toplevel/gain',
        'Net_weight/Inner_Layer',
        'Net_bias/Inner_Layer',
    ]
