"""Runs with a fault say so once, in plain words, and healthy ones say nothing."""

import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.util import EasyDict
from tests.test_resume import loop  # noqa: F401 - a fixture
from tests.test_training_loop import data_dir  # noqa: F401 - a fixture
from training import train_graph
from training.augmentation.adaptation import settings
from training.symptoms import PATIENCE, Symptoms
from training.validation import Validation

HEALTHY = {
    'Overfitting/r_t': 0.6,
    'Overfitting/r_v': 0.2,
    'Progress/fakes_stddev': 0.3,
    'Loss/D': 1.1,
    'Loss/scores/fake': -0.5,
    'Loss/pl_lengths': 0.3,
    'FR/4x4/Conv/strength': 0.9,
    'FR/8x8/Conv1/strength': 0.1,
}


def told(symptoms, number, **changes):
    """What is said in so many ticks with these figures."""
    figures = dict(HEALTHY, **{name.replace('__', '/'): x for name, x in changes.items()})
    return [line for _ in range(number) for line in symptoms.lines(figures)]


@pytest.mark.parametrize(
    'name, changes',
    [
        ('overfitting:', dict(Overfitting__r_t=0.95)),
        ('overfitting seen by validation:', dict(Overfitting__r_v=0.6)),
        ('collapse:', dict(Progress__fakes_stddev=0.07)),
        ('path lengths blow up:', dict(Loss__pl_lengths=4)),
        ('noise: a layer has none', dict(FR__8x8__Conv1__strength=-0.001)),
        ('noise: it drowns', dict(FR__8x8__Conv1__strength=5)),
        ('vanishing gradients:', dict(Loss__D=0.001)),
    ],
)
def test_a_trouble_that_stays_is_told_once(name, changes):
    symptoms = Symptoms(settings(), reals_stddev=0.5)
    assert told(symptoms, 10) == told(symptoms, PATIENCE - 1, **changes) == told(symptoms, 1) == []
    (line,) = told(symptoms, 2 * PATIENCE, **changes)
    assert line.startswith('Note: ' + name) and '\n' not in line
    again = Symptoms(settings())
    again.restore(symptoms.state())
    assert told(again, 10, **changes) == []


def test_what_was_never_otherwise_is_no_collapse():
    assert told(Symptoms(settings(), reals_stddev=0.5), 9, Progress__fakes_stddev=0.02) == []


def test_with_adaptive_augmentation_r_t_counts_at_the_limit_of_p():
    symptoms = Symptoms(settings('ada', target=0.5))
    assert told(symptoms, 5, Overfitting__r_t=0.7, Overfitting__p=0.9) == []
    (line,) = told(symptoms, 5, Overfitting__r_t=0.7, Overfitting__p=1.0)
    assert 'r_t is 0.70, above 0.5, with p at its limit' in line


def scale(pattern, factor):
    """Multiply the weights of this graph whose names match."""
    found = [var for var in tf.trainable_variables() if re.match(pattern, var.op.name)]
    tflib.set_vars({var: value * factor for var, value in zip(found, tflib.run(found))})
    assert found


# By number of the iteration, two for a tick: what goes wrong.
FAULTS = {
    12: lambda: scale(r'G_synthesis/8x8/Conv1/FR/strength', 1e-4),
    20: lambda: scale(r'G_synthesis/\w+/ToRGB/weight', 100),  # D learns fast from here on
    160: lambda: scale(r'G_synthesis/\w+/ToRGB/weight', 1e-9),
}
EXPECTED = {
    12: ['noise'],
    20: ['overfitting', 'path lengths blow up', 'vanishing gradients'],
    160: ['collapse'],
}


def test_a_run_with_faults_tells_them_and_none_before(loop, monkeypatch, capsys):  # noqa: F811
    original = train_graph.TrainGraph.steps

    def steps(self, sched, counter):
        if counter in FAULTS:
            print('Fault: %d' % counter)
            FAULTS[counter]()
        rates = dict(D_lrate=0.02) if 20 <= counter < 160 else {}
        return original(self, EasyDict(sched, **rates), counter)

    monkeypatch.setattr(train_graph.TrainGraph, 'steps', steps)
    loop(
        'faulty',
        config='config-e-fr',
        total_kimg=1.4,
        minibatch_repeats=1,
        checkpoint_minutes=1e6,
        sched_args__tick_kimg_base=0.016,
        sched_args__G_lrate_base=1e-6,
        sched_args__D_lrate_base=1e-4,
        G_smoothing_kimg=0,
        grid_args__size='screen',
        image_snapshot_ticks=None,
        network_snapshot_ticks=None,
    )
    told, last = {number: [] for number in FAULTS}, None
    for what, name in re.findall(r'^(Fault|Note): (\w[\w ]*)', capsys.readouterr().out, re.M):
        if what == 'Fault':
            last = int(name)
        else:
            told[last].append(name)
    assert {number: sorted(names) for number, names in told.items()} == EXPECTED


def test_held_out_images_of_another_kind_are_told(loop, monkeypatch, capsys):  # noqa: F811
    original = Validation.__init__

    def with_blank_images(self, D, augmentation, images, *args):
        blank = np.full(images.shape, 128, 'uint8')  # as fakes are at the start
        monkeypatch.setattr(images, 'get_image', lambda index: blank)
        original(self, D, augmentation, images, *args)

    monkeypatch.setattr(Validation, '__init__', with_blank_images)
    loop(
        'foreign',
        dataset_args__validation=6,
        total_kimg=0.24,
        minibatch_repeats=1,
        checkpoint_minutes=1e6,
        sched_args__tick_kimg_base=0.016,
        sched_args__G_lrate_base=1e-6,
        sched_args__D_lrate_base=0.02,
        image_snapshot_ticks=None,
        network_snapshot_ticks=None,
    )
    lines = re.findall('^Note: overfitting seen by validation', capsys.readouterr().out, re.M)
    assert len(lines) == 1
