"""Tensors in one buffer."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib.packing import Packing

RNG = np.random.RandomState(0)
SHAPES = [[], [3], [16], [5, 7], [2, 16], [1, 1, 4, 3], [64]]


def random_values(shapes):
    return [np.asarray(RNG.randn(*shape), np.float32) for shape in shapes]


@pytest.mark.parametrize('shapes', [SHAPES, SHAPES[2:3], SHAPES[:1], [[16], [32]]])
@pytest.mark.parametrize('together', [False, True])
def test_tensors_come_back_from_their_buffer(session, shapes, together):
    packing, values = Packing(shapes, together), random_values(shapes)
    buffers = packing.pack([tf.constant(value) for value in values])
    assert len(buffers) == (1 if together else len(shapes))
    doubled = packing.unpack([2 * buffer for buffer in buffers])
    for got, value in zip(session.run(doubled), values):
        np.testing.assert_array_equal(got, 2 * value)
