"""Gathering samples from a graph, unit by unit, on the devices of all workers.

A unit is what one device computes at a time. What is random in unit i depends on (seed, name of the
samples, i) alone, so the samples are the same for any number of devices, and after any
interruption.
"""

from typing import Any, Callable, ContextManager, Dict, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.bars import Bar
from dnnlib.tflib import cluster, engine, random
from metrics import together
from metrics.sample_store import SampleStore


def collect(
    store: SampleStore,
    make_bar: Callable[[int], ContextManager[Bar]],
    num_samples: int,
    unit_size: int,
    num_gpus: int,
    name: str,
    seed: int,
    make_inputs: Callable[[int, np.random.RandomState], Dict[str, np.ndarray]],
    make_outputs: Callable[[int, Dict[str, tf.Tensor]], Dict[str, tf.Tensor]],
    convert: Optional[Callable[[int, Dict[str, np.ndarray]], Dict[str, np.ndarray]]] = None,
) -> None:
    """Add samples to a store until it holds `num_samples`; needs a default session.

    Each worker gathers its share, and stores all.

    Args:
        make_bar: (number of samples that are there) -> bar of `num_samples`; it is opened before
            the graph is built.
        unit_size: samples per unit.
        name, seed: what the random numbers depend on beside the number of the unit.
        make_inputs: (unit, its generator) -> arrays of the same shapes for every unit.
        make_outputs: (device index, placeholders of the inputs) -> tensors [unit_size, ...]; called
            once for each device, in its scope.
        convert: (unit, values of the outputs) -> arrays to store; None: the values.
    """
    num_units = -(-num_samples // unit_size)
    begin = min(together.meet('units', store.num_units))
    if begin >= num_units:
        return
    workers = cluster.current()
    first_device = workers.index * num_gpus

    def unit_inputs(unit):
        return make_inputs(unit, random.generator(name, unit, seed))

    with make_bar(begin * unit_size) as bar:
        placeholders, units, outputs = [], [], []
        example = unit_inputs(begin)
        for index in range(num_gpus):
            with tf.name_scope('GPU%d' % index), tf.device(engine.device(index)):
                inputs = {k: tf.placeholder(v.dtype, v.shape, k) for k, v in example.items()}
                units.append(tf.placeholder(tf.int64, [], 'unit'))
                with random.stream(name, units[-1], seed=seed):
                    outputs.append(make_outputs(index, inputs))
                placeholders.append(inputs)
        _warn_of_state(random.stateful_ops(outputs))
        for step in range(begin, num_units, num_gpus * workers.size):
            first = step + first_device
            feed: Dict[tf.Tensor, Any] = {}
            for index, inputs in enumerate(placeholders):
                values = unit_inputs(first + index)
                feed[units[index]] = first + index
                feed.update((inputs[key], value) for key, value in values.items())
            own = [
                convert(unit, values) if convert else values
                for unit, values in enumerate(tflib.run(outputs, feed), first)
                if unit < num_units
            ]
            found = together.gather(own)
            for unit, arrays in enumerate(found, step):
                if unit >= store.num_units:  # else it was there before an interruption
                    store.add(arrays)
            bar.update(min((step + len(found)) * unit_size, num_samples) - bar.done)


def _warn_of_state(ops):
    if ops:
        print(
            'Warning: op %s (%s) of the network draws random numbers that no seed repeats after an '
            'interruption.' % (ops[0].name, ops[0].type)
        )
