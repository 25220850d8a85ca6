"""Where operations and variables go: exact devices, and variables that no enclosing scope touches.

Accumulators of summaries and optimizers are made wherever a user's code happens to need them,
inside scopes, devices and branches; their names and devices must not depend on that.
"""

import contextlib
from functools import partial
from typing import Iterator, Sequence, Union

import tensorflow.compat.v1 as tf

from dnnlib.tflib import tfutil


def canonical_device(device: str) -> str:
    """One spelling of a device string: '/gpu:0' and '/device:GPU:0' are the same; '' is none."""
    return tf.DeviceSpec.from_string(device or '').to_string()


@contextlib.contextmanager
def exactly_on(device: str) -> Iterator[None]:
    """Place operations there whatever enclosing tf.device says; '' leaves it to TensorFlow."""
    with tf.device(None), tf.device(device):
        yield


def make_state_variable(
    scope: str,
    name: str,
    device: str,
    shape: Sequence[int] = (),
    dtype: tf.DType = tf.float32,
    initial_value: Union[int, float] = 0,
) -> tf.Variable:
    """Make a non-trainable variable in a name scope at the root of the graph.

    It is the same inside tf.cond, tf.while_loop, variable scopes and control dependencies. A name
    that is taken gets a number.
    """
    with tf.init_scope(), exactly_on(device), tfutil.absolute_name_scope(scope):
        initial = partial(tf.constant, initial_value, dtype, shape)
        return tf.Variable(initial, trainable=False, dtype=dtype, name=name)
