#!/usr/bin/env python3
"""Times the custom ops, forward and with their gradients, on this machine.

Bandwidth is that of reading the input and writing the result once (twice with gradients), as a
fraction of the bandwidth of a plain copy, y = -x, of a tensor of the input's shape. Ops with a
convolution do arithmetic besides, so theirs says little.
"""
import json
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import tensorflow.compat.v1 as tf

from dnnlib.cli import ArgumentParser, run_cli
from dnnlib.tflib import custom_ops, layout
from dnnlib.tflib.ops import upfirdn_2d as resampling
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.util import atomic_write

_SHAPES = [(16, 35, 35, 64), (4, 67, 67, 512), (8, 128, 128, 32), (8, 128, 128, 3)]  # N, H, W, C


def _ops(data_format):
    """name -> function(x, b, w): b one number per channel, w [3, 3, C, C]."""
    options = dict(k=[1, 3, 3, 1], data_format=data_format)
    axis = data_format.index('C')
    ops = {'bias_act ' + act: lambda x, b, w, act=act: fused_bias_act(x, b, axis, act)
           for act in ('linear', 'lrelu', 'swish')}
    for name in ('filter_2d', 'upsample_2d', 'downsample_2d'):
        ops[name] = lambda x, b, w, op=getattr(resampling, name): op(x, **options)
    for name in ('upsample_conv_2d', 'conv_downsample_2d'):
        op = getattr(resampling, name)
        ops[name + ' 3x3'] = lambda x, b, w, op=op: op(x, w, **options)
        ops[name + ' 1x1'] = lambda x, b, w, op=op: op(x, w[:1, :1], **options)
    return ops


def _best_time(session, fetches, repeats):
    operations = [tensor.op for tensor in fetches]
    session.run(operations)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        session.run(operations)
        times.append(time.perf_counter() - start)
    return min(times)


def _measure_shape(shape, data_format, repeats):
    """One record per op for images of one shape, given as N, H, W, C."""
    channels = shape[3]
    x_shape = [shape['NHWC'.index(axis)] for axis in data_format]
    with tf.Graph().as_default(), tf.Session() as session:
        def variable(*shape):
            new = tf.get_variable('v%d' % len(tf.global_variables()), shape,
                                  initializer=tf.random_normal_initializer())
            session.run(new.initializer)
            return new.read_value()

        inputs = [variable(*x_shape), variable(channels), variable(3, 3, channels, channels)]
        x_bytes = 4 * np.prod(shape)
        copy_rate = 2 * x_bytes / _best_time(session, [-inputs[0]], repeats)
        records = [dict(op='copy', forward_ms=2e3 * x_bytes / copy_rate, forward_bandwidth=1.0,
                        both_ms=None, both_bandwidth=None)]
        for name, op in _ops(data_format).items():
            y = op(*inputs)
            dy = variable(*y.shape.as_list())
            grads = [g for g in tf.gradients(y, inputs, dy) if g is not None]
            moved = x_bytes + 4 * np.prod(y.shape.as_list())
            forward = _best_time(session, [y], repeats)
            both = _best_time(session, [y] + grads, repeats)
            records.append(dict(
                op=name, forward_ms=1e3 * forward, forward_bandwidth=moved / forward / copy_rate,
                both_ms=1e3 * both, both_bandwidth=2 * moved / both / copy_rate))
    return [dict(shape=list(x_shape), copy_gb_per_s=copy_rate / 1e9, **r) for r in records]


def main(argv=None) -> int:
    """Print the table; write it as JSON too where asked."""
    parser = ArgumentParser(description='Time the custom ops, float32, forward and gradients.')
    parser.add_argument('--data-format', choices=['NCHW', 'NHWC'], default=layout.for_device(),
                        help='layout of the images (default here: %(default)s)')
    parser.add_argument('--repeats', type=int, default=10, help='the best of so many runs counts')
    parser.add_argument('--json', metavar='FILE', help='write the numbers to this file as well')
    args = parser.parse_args(argv)
    if args.repeats < 1:
        parser.error('--repeats is %d; it must be at least 1' % args.repeats)

    print('TensorFlow %s, %s' % (tf.__version__, args.data_format))
    for name in custom_ops.OP_NAMES:
        print('%-14s %s (%s)' % ((name,) + custom_ops.implementation_of(name)))
    records = []
    for shape in _SHAPES:
        measured = _measure_shape(shape, args.data_format, args.repeats)
        records += measured
        print('\n%(shape)s, copy %(copy_gb_per_s).1f GB/s' % measured[0])
        print('%-24s %12s %10s %16s %10s'
              % ('', 'forward ms', 'bandwidth', 'with gradients', 'bandwidth'))
        for r in measured:
            line = '%-24s %12.2f %10.2f' % (r['op'], r['forward_ms'], r['forward_bandwidth'])
            if r['both_ms'] is not None:
                line += ' %16.2f %10.2f' % (r['both_ms'], r['both_bandwidth'])
            print(line, flush=True)
    if args.json:
        with atomic_write(args.json, 'w') as file:
            json.dump(dict(tensorflow=tf.__version__, data_format=args.data_format,
                           results=records), file, indent=2)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
