"""Autosummary: what is counted, where, and what reaches the log and TensorBoard."""

import glob
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib import tfutil
from dnnlib.tflib.autosummary import autosummary, collect, finalize_autosummaries, save_summaries


def start():
    """What a training script does once its graph is built."""
    tfutil.init_uninitialized_vars()


def test_a_tensor_is_counted_only_when_its_result_is_evaluated(session):
    x = tf.placeholder(tf.float32, [None])
    y = autosummary('Loss/G', x)
    start()
    session.run(x, {x: [100]})
    np.testing.assert_array_equal(session.run(y, {x: [1, 2]}), [1, 2])
    session.run(y, {x: [6]})
    assert collect() == {'Loss/G': 3}  # of elements, not of runs: (1 + 2 + 6) / 3


def test_every_report_starts_anew_and_leaves_out_what_has_no_values(session):
    x = tf.placeholder(tf.float32, [])
    y = autosummary('x', x)
    start()
    session.run(y, {x: 1})
    assert collect() == {'x': 1}
    assert collect() == {}
    session.run(y, {x: 5})
    assert collect() == {'x': 5}


def test_python_values_need_no_session_and_come_back_unchanged():
    with tf.Graph().as_default():
        values = [1, 2]
        assert autosummary('list', values) is values
        assert autosummary('number', np.float32(4)) == 4
        assert autosummary('number', 6, passthru='kept') == 'kept'
        assert autosummary('number', 1000, condition=False) == 1000
        assert list(collect().items()) == [('list', 1.5), ('number', 5)]
        assert collect() == {}


def test_values_of_one_name_form_one_mean(session):
    a = autosummary('loss', tf.constant([1.0, 2.0, 3.0]))
    b = autosummary('loss', tf.constant(10, tf.int32))
    start()
    session.run([a, b])
    autosummary('loss', 4)
    assert collect() == {'loss': 4}


def test_passthru_carries_the_counting(session):
    x = autosummary('x', tf.constant(7.0), passthru=tf.constant([1, 2]))
    start()
    np.testing.assert_array_equal(session.run(x), [1, 2])
    assert collect() == {'x': 7}


def test_gradients_pass_through(session):
    x = tf.constant(3.0)
    y = tf.square(autosummary('x', tf.square(x)))
    (grad,) = tf.gradients(y, [x])
    start()
    assert session.run(grad) == 4 * 27
    assert collect() == {'x': 9}


def test_a_condition_tensor_switches_the_counting(session):
    x, on = tf.placeholder(tf.float32, []), tf.placeholder(tf.bool, [])
    y = autosummary('x', x, condition=on)
    start()
    for value, is_on in [(1, True), (50, False), (2, True)]:
        assert session.run(y, {x: value, on: is_on}) == value
    assert collect() == {'x': 1.5}


def test_python_value_with_graph_condition_is_refused(session):
    with pytest.raises(AssertionError, match="'x'.*from Python"):
        autosummary('x', 1.0, condition=tf.constant(True))


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_nonfinite_values_do_not_spoil_the_mean_but_are_counted(session, bad):
    x = tf.placeholder(tf.float32, [2])
    y = autosummary('x', x)
    only_bad = autosummary('only_bad', tf.constant(np.float32(bad)))
    start()
    session.run(y, {x: [1, 3]})
    session.run(y, {x: [1, bad]})
    session.run([y, only_bad], {x: [bad, bad]})
    autosummary('python', [bad])
    autosummary('python', 5)
    assert list(collect().items()) == [
        ('x', 2),
        ('x/nonfinite', 2),
        ('only_bad/nonfinite', 1),
        ('python', 5),
        ('python/nonfinite', 1),
    ]
    assert collect() == {}


def test_sums_are_exact_beyond_float32(session):
    y = autosummary('x', tf.constant([2.0**25, 1.0]))
    start()
    session.run(y)
    assert collect() == {'x': (2.0**25 + 1) / 2}


def test_an_empty_tensor_counts_nothing(session):
    y = autosummary('x', tf.zeros([0, 3]))
    start()
    session.run(y)
    assert collect() == {}


def test_only_the_taken_branch_of_a_condition_is_counted(session):
    choice = tf.placeholder(tf.bool, [])
    x = tf.constant(2.0)
    y = tf.cond(choice, lambda: autosummary('then', x + 1), lambda: autosummary('else', x * 10))
    start()
    assert session.run(y, {choice: True}) == 3
    assert collect() == {'then': 3}
    session.run([y], {choice: False})
    assert collect() == {'else': 20}


def test_every_turn_of_a_loop_is_counted(session):
    y = tf.while_loop(lambda i: i < 5, lambda i: autosummary('i', i) + 1, [0])
    start()
    session.run(y)
    assert collect() == {'i': 2}


def test_variables_have_the_same_names_whatever_scopes_and_devices_are_active(session):
    with tf.name_scope('a'), tf.variable_scope('b'), tf.device('/cpu:1'):
        x = tf.constant(1.0)
    with tf.variable_scope('c', reuse=tf.AUTO_REUSE), tf.device('/cpu:2'), tf.control_dependencies(
        [tf.no_op()]
    ):
        autosummary('Loss/scores fake', x)
        autosummary('Loss/scores fake', x)
    assert [(v.op.name, v.device, v.trainable) for v in tf.global_variables()] == [
        ('Autosummary/Loss_scores_fake/total', '/device:CPU:1', False),
        ('Autosummary/Loss_scores_fake/total_1', '/device:CPU:1', False),
    ]


def test_values_of_several_devices_are_counted(session):
    losses = []
    for i in range(3):
        with tf.device('/cpu:%d' % i):
            losses.append(autosummary('loss', tf.constant(float(i))))
    start()
    session.run(losses)
    assert collect() == {'loss': 1}


def test_two_graphs_do_not_mix():
    sessions = [tf.Session(graph=tf.Graph()) for _ in range(2)]
    for i, each in enumerate(sessions):
        with each.graph.as_default(), each.as_default():
            y = autosummary('x', tf.constant(float(i)))
            autosummary('number', i + 10)
            start()
            each.run(y)
    for i, each in enumerate(sessions):
        with each, each.graph.as_default():
            assert collect() == {'x': i, 'number': i + 10}


def test_figures_of_the_first_tick_survive_the_first_report(session):
    y = autosummary('x', tf.constant(3.0))
    start()
    session.run(y)
    finalize_autosummaries()
    assert collect() == {'x': 3}


def test_finalizing_alone_makes_the_graph_ready(session):
    y = autosummary('x', tf.constant(3.0))
    finalize_autosummaries()
    session.run(y)
    assert collect() == {'x': 3}


def test_a_tensor_after_the_first_report_is_an_error_that_says_so(session):
    collect()
    with pytest.raises(RuntimeError, match="'late'.*Build the whole graph first"):
        autosummary('late', tf.constant(1.0))
    autosummary('number', 1)
    assert collect() == {'number': 1}


def test_reports_do_not_grow_the_graph(session):
    y = autosummary('x', tf.constant(3.0))
    start()
    collect()
    size = len(session.graph.get_operations())
    for _ in range(3):
        session.run(y)
        collect()
    assert len(session.graph.get_operations()) == size


def test_unreported_values_survive_saving_and_restoring(session, tmpdir):
    y = autosummary('x', tf.constant(3.0))
    start()
    session.run(y)
    saver = tf.train.Saver()
    path = saver.save(session, str(tmpdir.join('model')))
    collect()
    saver.restore(session, path)
    assert collect() == {'x': 3}


def read_events(folder):
    """[(step, tag, value or histogram count)] of all event files of a folder."""
    found = []
    for path in sorted(glob.glob(os.path.join(str(folder), 'events*'))):
        for event in tf.train.summary_iterator(path):
            for value in event.summary.value:
                found.append(
                    (
                        event.step,
                        value.tag,
                        value.histo.num if value.HasField('histo') else value.simple_value,
                    )
                )
    return found


def test_tensorboard_gets_the_returned_figures_and_the_histograms(session, tmpdir):
    y = autosummary('Loss/G', tf.constant([1.0, 4.0]))
    tf.summary.histogram('weights', tf.zeros([5]))
    start()
    writer = tf.summary.FileWriter(str(tmpdir))
    for step in [10, 20]:
        session.run(y)
        autosummary('Progress/kimg', step)
        figures = save_summaries(writer, step)
        assert figures == {'Loss/G': 2.5, 'Progress/kimg': step}
    writer.close()
    assert read_events(tmpdir) == [
        (10, 'Loss/G', 2.5),
        (10, 'Progress/kimg', 10),
        (10, 'weights', 5),
        (20, 'Loss/G', 2.5),
        (20, 'Progress/kimg', 20),
        (20, 'weights', 5),
    ]


def test_tensorboard_without_histograms(session, tmpdir):
    writer = tf.summary.FileWriter(str(tmpdir))
    autosummary('x', 1)
    save_summaries(writer)
    writer.close()
    assert read_events(tmpdir) == [(0, 'x', 1)]
