#!/usr/bin/env python3
"""Times the custom ops in each implementation on this machine, forward and with their gradients.

GB/s count what has to be moved at least: forward, the input read and the result written; with
gradients also dy and y (or x, where sums over it are wanted) read and dx written. Shares are of the
speed of a copy that moves as many bytes between two buffers that exist already, by all cores or on
the GPU; it takes turns with the op, so that both find the caches alike. `new tensor` is a copy by
TensorFlow. bias_act works in place where nobody else needs its input, as here.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import List, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import run_cli  # first, see dnnlib/startup.py

# isort: split

import numpy as np

from dnnlib import quiet

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

from bench import measure
from dnnlib.tflib import custom_ops, engine, layout
from dnnlib.tflib.ops.fused_bias_act import channel_sum, fused_bias_act
from dnnlib.tflib.ops.upfirdn_2d import downsample_2d, filter_2d, upsample_2d

_SHAPES = [(4, 64, 64, 512), (4, 32, 32, 512), (4, 128, 128, 128), (4, 64, 64, 3)]  # N, H, W, C


def _ops(axis, data_format):
    """name -> (inputs besides x, function of x, impl and those, whether its gradient reads x)."""
    bias_act = partial(fused_bias_act, axis=axis)
    lrelu = partial(bias_act, act='lrelu')
    ops = {
        'bias_act linear': (['b'], partial(bias_act, act='linear'), False),
        'bias_act lrelu': (['b'], lrelu, False),
        'bias_act swish': (['b'], partial(bias_act, act='swish'), True),
        'bias_act lrelu, noise': (['b', 'style', 'shift'], lrelu, True),
        'bias_act lrelu, FR': (['b', 'style', 'scale', 'shift'], lrelu, True),
        'channel_sum': (['style'], partial(channel_sum, axis=axis), True),
    }
    for op in (filter_2d, upsample_2d, downsample_2d):
        ops[op.__name__] = ([], partial(op, k=[1, 3, 3, 1], data_format=data_format), False)
    return ops


def _copy(session, bytes_moved):
    """A function that copies between two buffers, so that so many bytes are read or written."""
    size = int(bytes_moved) // 2
    if engine.gpu_devices():
        copy = tf.raw_ops.DeepCopy(x=_variable([size // 4], tf.float32)).op
        session.run(tf.global_variables()[-1].initializer)
        return lambda: session.run(copy)
    source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)
    cores = len(os.sched_getaffinity(0))
    parts = [slice(size * i // cores, size * (i + 1) // cores) for i in range(cores)]
    pool = ThreadPoolExecutor(cores)

    def copy_part(part):
        np.copyto(target[part], source[part])

    return lambda: list(pool.map(copy_part, parts))


def _variable(shape, dtype):
    name = 'v%d' % len(tf.global_variables())
    initializer = tf.cast(tf.random_normal(shape), dtype)
    return tf.get_variable(name, dtype=dtype, initializer=initializer).read_value()


def _measure(shape, dtype, data_format, implementations, repeats):
    """Yield one record per op and implementation for images of one shape, given as N, H, W, C."""
    axis = data_format.index('C')
    n, h, w, c = shape
    x_shape = [shape['NHWC'.index(letter)] for letter in data_format]
    pixels = [1 if i == axis else size for i, size in enumerate(x_shape)]
    x_bytes = dtype.size * n * h * w * c
    with tf.Graph().as_default(), tf.device(engine.device(0)), tf.Session() as session:

        def runs(*tensors):
            return partial(session.run, [tensor.op for tensor in tensors])

        def record(name, impl, **calls):
            """calls: key -> (bytes to be moved, function, function of what it does besides)."""
            functions = []
            for moved, *pair in calls.values():
                functions += [*pair, _copy(session, moved)]
            times = measure.best_times(functions, repeats)
            result = dict(shape=x_shape, dtype=dtype.name, op=name, impl=impl)
            for i, (key, (moved, _, _)) in enumerate(calls.items()):
                whole, base, copy = times[3 * i : 3 * i + 3]
                seconds = max(whole - base, 1e-5)  # what is less cannot be told from noise
                result[key + '_ms'] = 1e3 * seconds
                result[key + '_share'] = copy / seconds
                result[key + '_gb_per_s'] = moved / seconds / 1e9
            return result

        inputs = {'x': _variable(x_shape, dtype)}
        for name, size in dict(b=[c], style=[n, c], scale=pixels, shift=pixels).items():
            inputs[name] = _variable(size, tf.float32)
        session.run(tf.global_variables_initializer())
        temporary = tf.raw_ops.DeepCopy(x=inputs['x'])  # what an op may overwrite
        yield record('new tensor', '', forward=(2 * x_bytes, runs(temporary), runs(inputs['x'])))
        for name, (others, op, reads_x) in _ops(axis, data_format).items():
            for impl in implementations:
                chosen = {key: inputs[key] for key in others}
                y = op(temporary, impl=impl, **chosen)
                y_bytes = y.dtype.size * int(np.prod(y.shape.as_list()))
                dy = tf.raw_ops.DeepCopy(x=_variable(y.shape.as_list(), y.dtype))
                session.run(tf.global_variables()[-1].initializer)
                grads = tf.gradients(y, [temporary, *chosen.values()], dy)
                grads = [grad for grad in grads if grad is not None]
                moved = x_bytes + y_bytes
                extra = x_bytes + y_bytes * (1 if 'sum' in name or '2d' in name else 2)
                moved_by_both = moved + extra + x_bytes * reads_x
                forward = moved, runs(y), runs(temporary)
                both = moved_by_both, runs(y, *grads), runs(temporary, dy)
                yield record(name, impl, forward=forward, both=both)


def main(argv: Optional[List[str]] = None) -> int:
    """Print the table; write it as JSON too where asked."""
    parser = measure.arguments('Time the custom ops, forward and with gradients.', repeats=10)
    default, text = layout.for_device(), 'layout of the images (default here: %(default)s)'
    parser.add_argument('--data-format', choices=['NCHW', 'NHWC'], default=default, help=text)
    args = parser.parse_args(argv)

    print('TensorFlow %s, %s' % (tf.__version__, args.data_format))
    for name in custom_ops.OP_NAMES:
        print('%-14s %s (%s)' % ((name,) + custom_ops.implementation_of(name)))
    fastest = custom_ops.resolve_impl('auto', 'FusedBiasAct')
    implementations = ['ref'] + [fastest] * (fastest != 'ref')
    records = []
    half = [tf.float16] if engine.gpu_devices() else [tf.bfloat16] * engine.uses_bfloat16()
    for dtype in [tf.float32] + half:
        for shape in _SHAPES:
            titles = ['forward ms', 'GB/s', 'share', 'with gradients ms', 'GB/s', 'share']
            what = '%s, %s' % (shape, dtype.name)
            print('\n%-32s %10s %7s %6s %17s %7s %6s' % (what, *titles))
            for r in _measure(shape, dtype, args.data_format, implementations, args.repeats):
                line = '%(op)-24s %(impl)-7s' % r
                line += ' %(forward_ms)10.2f %(forward_gb_per_s)7.1f %(forward_share)6.2f' % r
                if 'both_ms' in r:
                    line += ' %(both_ms)17.2f %(both_gb_per_s)7.1f %(both_share)6.2f' % r
                print(line, flush=True)
                records.append(r)
    measure.write_json(args.json, records)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
