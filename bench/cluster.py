#!/usr/bin/env python3
"""What workers cost: `python tools/launch.py 2 -- python bench/cluster.py --threads=1`.

The chief prints how long sums of a generator's gradients take, one by one, in buffers of several
sizes, and in one. Then how long training takes for each iteration, with sums in buffers, one by
one, and without any, so that each worker trains by itself: the difference is what sums cost, and
waiting for each other. A process that is alone has the last line alone. With --demo networks are
as narrow as the demo's. --threads are those of an operation; several of these run side by side.
"""

import contextlib
import os
import sys
from functools import partial
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, tflib, workers  # first, see dnnlib/startup.py

# isort: split

import numpy as np
import tensorflow.compat.v1 as tf

from bench import measure, train_step
from dnnlib.tflib import cluster, reduction
from training import configs

_SIZES = [1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22]  # numbers


def main(argv=None) -> None:
    """Measure and print."""
    parser = measure.network_arguments(__doc__, 5)
    parser.add_argument('--threads', type=measure.positive_int, default=2, help='of each worker')
    parser.add_argument('--demo', action='store_true', help='narrow networks')
    args = parser.parse_args(argv)
    others = workers.find()
    threads = {'intra_op_parallelism_threads': args.threads}
    if others is not None:
        cluster.join(others, dict(flags=vars(args)), threads, '')
    tflib.init_tf(threads)
    if others is not None:
        _measure_sums(args)
    _measure_training(args)
    cluster.current().leave()


def _measure_sums(args):
    shapes = _shapes(args)
    counts = [int(np.prod(shape)) for shape in shapes]
    sizes = _SIZES + [sum(counts)]
    functions = [_step(shapes, 0)] + [_step(shapes, size) for size in sizes]
    times = measure.best_times(functions, args.repeats)
    if cluster.current().is_chief:
        megabytes = sum(counts) * 4 / 1e6
        text = '%d variables, %.1f MB, %d workers'
        print(text % (len(shapes), megabytes, cluster.current().size))
        names = ['one by one'] + ['%d KiB' % (size >> 8) for size in _SIZES] + ['one buffer']
        for name, seconds in zip(names, times):
            print('%-12s %7.1f ms %7.1f MB/s' % (name, seconds * 1000, megabytes / seconds))


def _measure_training(args):
    """Seconds of an iteration, for each way to sum."""
    ways = ['in buffers', 'one by one', 'no sums'] if cluster.current().size > 1 else ['no sums']
    functions = []
    for way in ways:
        with _summing(way):
            size = args.resolution, args.minibatch
            training = train_step.Training(args.config, *size, None, of_demo=args.demo)
            steps = training.steps()
        for step in steps.values():  # begin together
            functions += [partial(cluster.current().agree, begins=True), partial(tflib.run, *step)]
    times = measure.best_times(functions, args.repeats)[1::2].reshape(len(ways), -1)
    if cluster.current().is_chief:
        text = '%d images on each of %d workers, %d threads, %dx%d'
        facts = args.minibatch, cluster.current().size, args.threads, *[args.resolution] * 2
        print(text % facts)
        for way, seconds in zip(ways, times):
            print('%-12s %7.1f ms' % (way, 1000 * train_step.mix(dict(zip(steps, seconds)))))


@contextlib.contextmanager
def _summing(way):
    """While open, graphs are built that sum over workers in another way."""
    workers_sum = cluster.current().all_sum
    with contextlib.ExitStack() as opened:
        if way == 'one by one':
            one_by_one = partial(map, lambda tensor: workers_sum([tensor])[0])
            opened.enter_context(mock.patch.object(reduction, 'sum_in_buffers', one_by_one))
        elif way == 'no sums':
            opened.enter_context(mock.patch.object(cluster.current(), 'all_sum', list))
        yield


def _shapes(args):
    """Shapes of the generator's weights."""
    options = configs.resolve(args.config, {})['G_args']
    with tf.Graph().as_default(), tf.Session():
        size = dict(num_channels=3, resolution=args.resolution, label_size=0)
        variables = tflib.Network('G', **size, **options).trainables.values()
        return [var.shape.as_list() for var in variables]


def _step(shapes, size):
    """A function that sums tensors of these shapes in buffers of a size, 0: one by one."""
    with tf.device('/cpu:0'):
        variables = [tf.Variable(tf.zeros(shape), use_resource=True) for shape in shapes]
        tensors = [var.read_value() for var in variables]
        if size:
            sums = reduction.sum_in_buffers(tensors, size)
        else:
            sums = [cluster.current().all_sum([tensor])[0] for tensor in tensors]
        step = tf.group(*sums)
    tflib.init_uninitialized_vars(variables)
    return lambda: tflib.run(step)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
