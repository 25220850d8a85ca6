"""State of summaries and optimizers lies where it should, wherever it is made."""

import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import placement


def test_spellings_of_one_device_are_one():
    for spelling in ('/cpu:1', '/CPU:1', '/device:CPU:1'):
        assert placement.canonical_device(spelling) == '/device:CPU:1'
    assert placement.canonical_device('') == placement.canonical_device(None) == ''


def test_operations_go_where_they_are_put_whatever_is_around_them(session):
    with tf.device('/cpu:2'):
        with placement.exactly_on('/cpu:1'):
            assert tf.constant(1).device == '/device:CPU:1'
        with placement.exactly_on(''):
            assert tf.constant(1).device == ''


def test_state_made_inside_branches_and_scopes_is_like_state_made_outside(session):
    made = []

    def make():
        made.append(placement.make_state_variable('State', 'sum', '/cpu:1', [2], initial_value=3))
        return tf.constant(0)

    make()
    with tf.name_scope('Scope'), tf.variable_scope('Other'), tf.device('/cpu:2'):
        make()
        tf.cond(tf.constant(True), make, lambda: tf.constant(1))
    assert [v.op.name for v in made] == ['State/sum', 'State/sum_1', 'State/sum_2']
    assert {placement.canonical_device(v.device) for v in made} == {'/device:CPU:1'}
    assert not set(made) & set(tf.trainable_variables())
    tflib.run([v.initializer for v in made])
    assert [tflib.run(v).tolist() for v in made] == [[3, 3]] * 3
