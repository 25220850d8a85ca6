"""What every evaluation goes through."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.util import UserError


def test_too_little_memory_is_one_line_that_says_what_to_lower(session):
    size = tf.placeholder_with_default(np.int64(1 << 56), [])  # more than there are addresses
    with pytest.raises(UserError, match='^out of memory .OOM when allocating') as caught:
        tflib.run(tf.reduce_sum(tf.random_normal([4, size])))
    line = str(caught.value)
    assert 'shape[4,%d]' % (1 << 56) in line and '--minibatch-gpu' in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    'error, is_memory',
    [
        (tf.errors.InternalError(None, None, 'Dst tensor is not initialized.'), True),
        (tf.errors.InternalError(None, None, 'something else'), False),
        (tf.errors.ResourceExhaustedError(None, None, 'no space left on the disk'), False),
    ],
)
def test_other_errors_stay_what_they_are(session, monkeypatch, error, is_memory):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(session, 'run', fail)
    with pytest.raises(UserError if is_memory else type(error)) as caught:
        tflib.run(tf.ones([]))
    assert ('--minibatch-size' in str(caught.value)) == is_memory
