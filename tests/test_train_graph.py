"""Training steps in the official order give the official weights."""

import collections
import itertools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.tflib import engine, random
from dnnlib.tflib.ops import decisions
from tests import golden
from training import train_graph

ARRAYS, META = golden.load('train_steps')
MODULES = {
    'G_main': 'networks_stylegan2',
    'D_stylegan2': 'networks_stylegan2',
    'D_stylegan': 'networks_stylegan2',
    'G_style': 'networks_stylegan',
    'D_basic': 'networks_stylegan',
}


class RecordedRandomness:
    """Hands out recorded values, in order, to the random ops of a graph that is being built."""

    def __init__(self, variant):
        self.round = tf.placeholder_with_default(0, [])
        self.left = list(variant['randoms'])

    def next(self, kind, _shape, dtype):
        record = self.left.pop(0)
        assert record['kind'] == kind
        return tf.gather(tf.constant(ARRAYS[record['key']], dtype), self.round)


class RecordedData:
    """Stands in for a data set; its minibatches come back in each iteration."""

    shape = [3, 16, 16]
    label_size = 0

    def __init__(self, variant):
        arrays = [ARRAYS['%s.%s' % (variant['variant'], name)] for name in ('reals', 'labels')]
        self._minibatches = itertools.cycle(zip(*arrays))

    def get_minibatch_tf(self):
        return tf.py_func(lambda: next(self._minibatches), [], [tf.float32, tf.float32])

    def get_random_labels_tf(self, minibatch_size):
        return tf.zeros([minibatch_size, 0])

    def reading_errors(self):
        return tf.name_scope('nothing')


def build_networks(variant):
    """G, D and Gs of a recorded variant, as they were before training."""
    nets = {}
    for name in 'GD':
        description = variant[name]
        module = 'training.%s.' % MODULES[description['func']]
        nets[name] = golden.make_network(
            ARRAYS,
            '%s.%s.before' % (variant['variant'], name),
            module + description['func'],
            description,
        )
    Gs = nets['G'].clone('Gs')
    names = list(Gs.trainables) + ['dlatent_avg']
    values = tflib.run([Gs.find_var(name) for name in names])
    tflib.set_vars(
        {Gs.find_var(name): np.float32(0.9) * value for name, value in zip(names, values)}
    )
    return nets['G'], nets['D'], Gs


def build_graph(variant, G, D, Gs, **kwargs):
    optimizer_args = variant['base_optimizer_args']
    return train_graph.TrainGraph(
        G,
        D,
        Gs,
        RecordedData(variant),
        G_loss_args=dict(func_name='training.loss.' + variant['G_loss']),
        D_loss_args=dict(
            func_name='training.loss.' + variant['D_loss'], **variant['D_loss_kwargs']
        ),
        G_opt_args=optimizer_args,
        D_opt_args=optimizer_args,
        lazy_regularization=variant['lazy_regularization'],
        G_reg_interval=variant['G_reg_interval'],
        D_reg_interval=variant['D_reg_interval'],
        G_smoothing_kimg=variant['G_smoothing_kimg'],
        process_reals_args=dict(mirror_augment=False, drange_data=[-1, 1], drange_net=[-1, 1]),
        **kwargs,
    )


def schedule(variant):
    return EasyDict(
        lod=variant['lod'],
        G_lrate=variant['lrate'],
        D_lrate=variant['lrate'],
        minibatch_size=variant['minibatch_size'],
        minibatch_gpu=variant['minibatch_per_round'],
    )


def check_variables(net, names, flat, absolute, what):
    """Adam divides by the gradient's size, so up to 0.1 % of the entries may react to rounding."""
    begin, exceeding, total = 0, 0, 0
    for value in tflib.run([net.find_var(name) for name in names]):
        value = value.ravel()
        want = flat[begin : begin + value.size]
        begin += value.size
        exceeding += np.sum(np.abs(value - want) > absolute + 2e-6 * np.max(np.abs(want)))
        total += value.size
    assert begin == flat.size
    assert exceeding <= 0.001 * total, '%s: %d of %d entries differ' % (what, exceeding, total)


@pytest.mark.parametrize('variant', META['variants'], ids=lambda v: v['variant'])
def test_five_iterations_give_the_official_weights(session, variant, monkeypatch):
    key = variant['variant']
    # One variant as it is on GPUs, whatever is here.
    packs = variant is META['variants'][0] or bool(engine.gpu_devices())
    monkeypatch.setattr(decisions, 'packs_variables', lambda device: packs)
    with tf.device(engine.device(0)):
        G, D, Gs = build_networks(variant)
    randomness = RecordedRandomness(variant)
    # What was recorded is what the networks saw.
    monkeypatch.setattr(train_graph, 'process_reals', lambda x, labels, lod, **_: (x, labels))
    with random.use(randomness.next):
        graph = build_graph(variant, G, D, Gs)
    assert not randomness.left
    for iteration in range(5):
        rounds = collections.Counter()
        for step in graph.steps(schedule(variant), iteration):
            index = min(rounds[step.name], variant['rounds'] - 1)
            tflib.run(step.op, {**step.feed, randomness.round: index})
            rounds[step.name] += 1
        if iteration not in (0, 4):
            continue
        suffix, absolute = ('after1', 2e-5) if iteration == 0 else ('after5', 1e-4)
        for name, net in [('G', G), ('D', D), ('Gs', Gs)]:
            names = variant['trainables'][name[0]]
            check_variables(
                net,
                names,
                ARRAYS['%s.%s.%s' % (key, name, suffix)],
                absolute,
                '%s %s' % (name, suffix),
            )
        for name, net in [('G', G), ('Gs', Gs)]:
            golden.assert_close(
                net.get_var('dlatent_avg'),
                ARRAYS['%s.%s.dlatent_avg.%s' % (key, name, suffix)],
                1e-4,
            )
        if key + '.pl_mean.' + suffix in ARRAYS:
            pl_mean = [v for v in tf.global_variables() if v.name.endswith('pl_mean:0')]
            golden.assert_close(
                tflib.run(pl_mean[0]), ARRAYS['%s.pl_mean.%s' % (key, suffix)], 1e-4
            )
    for name, net in [('G', G), ('D', D)]:
        adam = next(iter(graph._optimizers['Train' + name]._optimizers.values()))
        slots = [adam.get_slot(net.find_var(n), 'v') for n in variant['trainables'][name]]
        moments = np.concatenate([moment.ravel() for moment in tflib.run(slots)])
        golden.assert_close(moments, ARRAYS['%s.%s.adam_v.after5' % (key, name)], 1e-3)
        powers = tflib.run(list(adam._get_beta_accumulators()))
        golden.assert_close(powers, ARRAYS['%s.%s.adam_beta_powers.after5' % (key, name)], 1e-5)
    assert graph.skipped_steps() == 0
    assert set(graph.steps_skipped_in_row().values()) == {0}
