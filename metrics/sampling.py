"""Gathering samples from a graph, unit by unit, on several devices.

A unit is what one device computes at a time. What is random in unit i depends on (seed, name of the
samples, i) alone, so the samples are the same for any number of devices, and after any
interruption.
"""

import contextlib
import itertools
import zlib
from typing import Callable, ContextManager, Dict, Iterator, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.bars import Bar
from dnnlib.tflib import engine
from metrics.sample_store import SampleStore

_NOISE_KEY = 'noise_key'
_STATEFUL_OPS = (
    'RandomStandardNormal RandomUniform RandomUniformInt TruncatedNormal Multinomial RandomShuffle '
    'ParameterizedTruncatedNormal RandomGammaGrad'
).split()


def make_rng(seed: int, name: str, index: int) -> np.random.RandomState:
    """The generator of (seed, name, index), which draws the same whenever it is made."""
    return np.random.RandomState([seed, zlib.crc32(name.encode('utf-8')), index])


def collect(
    store: SampleStore,
    make_bar: Callable[[int], ContextManager[Bar]],
    num_samples: int,
    unit_size: int,
    num_gpus: int,
    rng: Callable[[int], np.random.RandomState],
    make_inputs: Callable[[int, np.random.RandomState], Dict[str, np.ndarray]],
    make_outputs: Callable[[int, Dict[str, tf.Tensor]], Dict[str, tf.Tensor]],
    convert: Optional[Callable[[int, Dict[str, np.ndarray]], Dict[str, np.ndarray]]] = None,
) -> None:
    """Add samples to a store until it holds `num_samples`; needs a default session.

    Args:
        make_bar: (number of samples that are there) -> bar of `num_samples`; it is opened before
            the graph is built.
        unit_size: samples per unit.
        rng: gives the generator of a unit.
        make_inputs: (unit, its generator) -> arrays of the same shapes for every unit.
        make_outputs: (device index, placeholders of the inputs) -> tensors [unit_size, ...]; called
            once for each device, in its scope.
        convert: (unit, values of the outputs) -> arrays to store; None: the values.
    """
    num_units = -(-num_samples // unit_size)
    if store.num_units >= num_units:
        return

    def unit_inputs(unit):
        generator = rng(unit)
        inputs = make_inputs(unit, generator)
        inputs[_NOISE_KEY] = generator.randint(1 << 31, size=2).astype(np.int32)
        return inputs

    with make_bar(store.num_units * unit_size) as bar:
        placeholders, outputs = [], []
        example = unit_inputs(store.num_units)
        for index in range(num_gpus):
            with tf.name_scope('GPU%d' % index), tf.device(engine.device(index)):
                inputs = {k: tf.placeholder(v.dtype, v.shape, k) for k, v in example.items()}
                with keyed_randomness(inputs[_NOISE_KEY]):
                    outputs.append(make_outputs(index, inputs))
                placeholders.append(inputs)
        for first in range(store.num_units, num_units, num_gpus):
            feed: Dict[tf.Tensor, np.ndarray] = {}
            for index, inputs in enumerate(placeholders):
                values = unit_inputs(first + index)
                feed.update((inputs[name], value) for name, value in values.items())
            for index, values in enumerate(tflib.run(outputs, feed)):
                unit = first + index
                if unit < num_units:
                    store.add(convert(unit, values) if convert else values)
            bar.update(min(store.num_units * unit_size, num_samples) - bar.done)


@contextlib.contextmanager
def keyed_randomness(key: tf.Tensor) -> Iterator[None]:
    """While open, tf.random_normal and tf.random_uniform are functions of `key`, int32 [2].

    TensorFlow's usual random ops depend on how often they ran before, which an interrupted
    evaluation could not repeat. Networks call them by name, so the names are changed for as long as
    they are built.
    """
    numbers = itertools.count()

    def next_key():
        return key + np.array([0, next(numbers)], np.int32)

    def normal(shape, mean=0.0, stddev=1.0, dtype=tf.float32, seed=None, name=None):
        value = tf.random.stateless_normal(shape, next_key(), mean, stddev, name=name)
        return tf.cast(value, dtype)

    def uniform(shape, minval=0, maxval=None, dtype=tf.float32, seed=None, name=None):
        if tf.as_dtype(dtype).is_integer:
            return tf.random.stateless_uniform(shape, next_key(), minval, maxval, dtype, name=name)
        maxval = 1 if maxval is None else maxval
        value = tf.random.stateless_uniform(shape, next_key(), name=name)
        return tf.cast(minval + value * (maxval - minval), dtype)

    graph = tf.get_default_graph()
    before = len(graph.get_operations())
    functions = dict(random_normal=normal, random_uniform=uniform, normal=normal, uniform=uniform)
    with contextlib.ExitStack() as replaced:
        for module in _random_modules():
            for name in sorted(functions.keys() & vars(module).keys()):
                replaced.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, functions[name])
        yield
    left = {op.type for op in graph.get_operations()[before:]}.intersection(_STATEFUL_OPS)
    if left:
        print(
            'Warning: the network draws random numbers by %s, which no seed repeats after an '
            'interruption.' % ', '.join(sorted(left))
        )


def _random_modules():
    """Modules through which networks reach the random ops."""
    modules = [tf, tf.random]
    if engine.runs_source_for_tf1():
        import tensorflow  # what sources saved in pickles import

        modules += [tensorflow, tensorflow.random]
    return modules
