#!/usr/bin/env python3
"""How long workers take to sum gradients: `python tools/launch.py 2 -- python bench/cluster.py`.

Gradients are those of a configuration's generator. They are summed one by one, in buffers of
several sizes, and in one; the chief prints the times. With --threads=1 each worker computes with
one thread.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, tflib, workers  # first, see dnnlib/startup.py

# isort: split

import numpy as np
import tensorflow.compat.v1 as tf

from bench import measure
from dnnlib.tflib import cluster, reduction
from dnnlib.util import UserError
from training import configs

_SIZES = [1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22]  # numbers


def main(argv=None) -> None:
    """Measure and print."""
    parser = measure.network_arguments(__doc__, 5)
    parser.add_argument('--threads', type=measure.positive_int, default=2, help='of each worker')
    args = parser.parse_args(argv)
    others = workers.find()
    if others is None:
        raise UserError('there is one worker; start several by tools/launch.py 2 -- ...')
    threads = {'intra_op_parallelism_threads': args.threads}
    cluster.join(others, dict(flags=vars(args)), threads)
    tflib.init_tf(threads)
    shapes = _shapes(args)
    counts = [int(np.prod(shape)) for shape in shapes]
    sizes = _SIZES + [sum(counts)]
    functions = [_step(shapes, 0)] + [_step(shapes, size) for size in sizes]
    times = measure.best_times(functions, args.repeats)
    cluster.current().leave()
    if cluster.current().is_chief:
        megabytes = sum(counts) * 4 / 1e6
        text = '%d variables, %.1f MB, %d workers'
        print(text % (len(shapes), megabytes, cluster.current().size))
        names = ['one by one'] + ['%d KiB' % (size >> 8) for size in _SIZES] + ['one buffer']
        for name, seconds in zip(names, times):
            print('%-12s %7.1f ms %7.1f MB/s' % (name, seconds * 1000, megabytes / seconds))


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
