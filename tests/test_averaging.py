"""Averages of many variables, with few kernels."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib import tfutil
from dnnlib.tflib.averaging import average_updates
from dnnlib.tflib.ops import decisions

RNG = np.random.RandomState(0)
SHAPES = [[], [3], [16], [5, 7], [2, 16], [1, 1, 4, 3], [64]]


def random_values(shapes):
    return [np.asarray(RNG.randn(*shape), np.float32) for shape in shapes]


@pytest.mark.parametrize('together', [False, True])
@pytest.mark.parametrize('decay', [0, 0.75, 'tensor'])
def test_averages_are_those_of_numpy(session, monkeypatch, together, decay):
    monkeypatch.setattr(decisions, 'packs_variables', lambda device: together)
    monkeypatch.setattr('dnnlib.tflib.averaging._SMALL', 32)  # so that there are larger ones
    averages, sources = [[tf.Variable(v) for v in random_values(SHAPES)] for _ in 'ab']
    factor = 0.998 if decay == 'tensor' else decay
    update = average_updates(averages, sources, tf.constant(0.998) if decay == 'tensor' else decay)
    tfutil.init_uninitialized_vars()
    for _ in range(3):
        before, source = session.run([averages, sources])
        session.run(update)
        for got, old, new in zip(session.run(averages), before, source):
            want = factor * old.astype(np.float64) + (1 - factor) * new
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)
            assert factor != 0 or np.array_equal(got, new)


def test_averages_in_one_buffer_take_few_kernels(session, monkeypatch):
    counts = []
    for together in [False, True]:
        monkeypatch.setattr(decisions, 'packs_variables', lambda device: together)  # noqa: B023
        averages, sources = [[tf.Variable(v) for v in random_values(SHAPES)] for _ in 'ab']
        before = len(tf.get_default_graph().get_operations())
        average_updates(averages, sources, 0.5)
        added = tf.get_default_graph().get_operations()[before:]
        counts.append(sum(op.type == 'Sub' for op in added))
    assert counts[0] >= len(SHAPES) and counts[1] == 1
