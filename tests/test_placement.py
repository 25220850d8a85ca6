"""Variables and operations that are the same wherever a user's code happens to make them."""

import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib import placement


@pytest.mark.parametrize(
    'spellings',
    [
        ['/gpu:0', '/device:GPU:0', '/GPU:0'],
        ['/cpu:3', '/device:CPU:3'],
        ['/job:worker/task:1/gpu:0', '/job:worker/task:1/device:GPU:0'],
        ['', None],
    ],
)
def test_spellings_of_one_device_are_the_same(spellings):
    assert len({placement.canonical_device(device) for device in spellings}) == 1


def test_other_devices_are_others():
    names = ['', '/gpu:0', '/gpu:1', '/cpu:0', '/job:worker/gpu:0']
    assert len({placement.canonical_device(name) for name in names}) == len(names)


def test_enclosing_devices_do_not_count(session):
    with tf.device('/cpu:1'), tf.device('/job:localhost'):
        with placement.exactly_on('/cpu:2'):
            there = tf.constant(0)
        with placement.exactly_on(''):
            anywhere = tf.constant(0)
        around = tf.constant(0)
    assert placement.canonical_device(there.device) == placement.canonical_device('/cpu:2')
    assert anywhere.device == ''
    around_device = placement.canonical_device(around.device)
    assert around_device == placement.canonical_device('/job:localhost/cpu:1')


def test_state_is_made_at_the_root_whatever_surrounds_it(session):
    made = []

    def make():
        made.append(placement.make_state_variable('Counts', 'seen', '/cpu:1', [2], initial_value=3))
        return tf.constant(0)

    with tf.variable_scope('net'), tf.name_scope('loss'), tf.device('/cpu:0'):
        with tf.control_dependencies([tf.random_normal([])]):
            make()
        tf.cond(tf.constant(True), make, lambda: tf.constant(1))
    session.run([variable.initializer for variable in made])
    assert [variable.op.name for variable in made] == ['Counts/seen', 'Counts/seen_1']
    assert not tf.trainable_variables()
    for variable in made:
        assert session.run(variable).tolist() == [3, 3]
        assert placement.canonical_device(variable.device) == placement.canonical_device('/cpu:1')
