"""Losses, their gradients and the state they leave behind are those of the official code."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import random
from tests import golden
from training import loss as losses

ARRAYS, META = golden.load('losses')
PAIRS = {pair['pair']: pair for pair in META['networks']}
MODULES = {'D_basic': 'training.networks_stylegan.', 'G_style': 'training.networks_stylegan.'}


class Recorder:
    """Hands out recorded values in place of random ones, and checks the order of the calls."""

    def __init__(self, randoms):
        self.left = list(randoms)

    def get_random_labels_tf(self, minibatch_size):
        if not self.left[0]['kind'] == 'labels':  # not recorded for networks without labels
            return tf.zeros([minibatch_size, 0])
        return self.next('labels', [minibatch_size, self.left[0]['shape'][1]], tf.float32)

    def next(self, kind, shape, dtype):
        recorded = self.left.pop(0)
        assert kind == recorded['kind'], recorded
        wanted = tf.constant(recorded['shape'], tf.int32)
        is_asked = tf.assert_equal(
            tf.convert_to_tensor(shape, tf.int32), wanted, message=recorded['meaning']
        )
        with tf.control_dependencies([is_asked]):
            return tf.constant(ARRAYS[recorded['key']], dtype)


def make_network(pair, letter):
    description = PAIRS[pair][letter]
    func = description['func']
    func_name = MODULES.get(func, 'training.networks_stylegan2.') + func
    return golden.make_network(ARRAYS, '%s.%s' % (pair, letter), func_name, description)


@pytest.mark.parametrize('case', META['cases'], ids=lambda c: '%s-%s' % (c['case'], c['function']))
def test_losses_give_the_official_values_and_gradients(session, case):
    pair = case['pair']
    nets = {letter: make_network(pair, letter) for letter in 'GD'}
    recorder = Recorder(case['randoms'])
    kwargs = dict(
        case['kwargs'],
        opt=None,
        training_set=recorder,
        minibatch_size=case['minibatch_size'],
        **nets,
    )
    if case['gradients_of'] == 'D':
        for name in ['reals', 'labels']:
            kwargs[name] = tf.constant(ARRAYS['%s.%s' % (pair, name)])
    with random.use(recorder.next):
        terms = getattr(losses, case['function'])(**kwargs)
    assert not recorder.left
    assert (terms[1] is None) == (case['reg'] is None)

    trainables = nets[case['gradients_of']].trainables
    assert list(trainables) == case['trainables']
    for term, name in zip(terms, ['loss', 'reg']):
        if term is not None:
            grads = tf.gradients(tf.reduce_mean(term), list(trainables.values()))
            grads = [
                tf.zeros_like(var) if grad is None else grad
                for grad, var in zip(grads, trainables.values())
            ]
            check_term(case, name, term, grads, nets['G'])


def check_term(case, name, term, grads, G):
    """Evaluate a term and its gradients once, from the recorded variables, and compare."""
    prefix = '%s.%s' % (case['case'], name)
    before = ARRAYS[case['pair'] + '.G.dlatent_avg']
    G.set_var('dlatent_avg', before)
    tflib.init_uninitialized_vars()
    value, grads = tflib.run([term, grads])
    golden.assert_close(value, ARRAYS[prefix], 2e-5, prefix)

    norms = [np.linalg.norm(grad) for grad in grads]
    np.testing.assert_allclose(norms, ARRAYS[prefix + '_grad_norms'], 1e-4, 1e-6)
    if case[name + '_grads_stored']:
        flat = np.concatenate([np.ravel(grad) for grad in grads])
        golden.assert_close(flat, ARRAYS[prefix + '_grad'], 5e-5, prefix + ' gradient')

    is_changed = case[name + '_dlatent_avg_changed']
    want = ARRAYS[prefix + '_dlatent_avg_after'] if is_changed else before
    golden.assert_close(G.get_var('dlatent_avg'), want, 2e-5, 'dlatent_avg')
    pl_mean = [var for var in tf.global_variables() if var.op.name.endswith('pl_mean')]
    if name == 'reg' and pl_mean:
        golden.assert_close(tflib.run(pl_mean[0]), ARRAYS[case['case'] + '.pl_mean_after'], 2e-5)
