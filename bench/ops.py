#!/usr/bin/env python3
"""Times the custom ops in each implementation on this machine, forward and with their gradients.

GB/s count what has to be moved at least: forward, the input read and the result written; with
gradients also dy and y (or x, where sums over it are wanted) read and dx written. Their share is of
this machine's copy bandwidth: two buffers that exist already, copied by all cores, or on the GPU.
Ops that make new tensors also wait for the operating system to hand out memory, as `new tensor`, a
copy by TensorFlow, shows; bias_act works in place where nobody else needs its input, as here.
"""
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import tensorflow.compat.v1 as tf

from bench import measure
from dnnlib.cli import ArgumentParser, run_cli
from dnnlib.tflib import custom_ops, engine, layout
from dnnlib.tflib.ops import upfirdn_2d as resampling
from dnnlib.tflib.ops.fused_bias_act import channel_sum, fused_bias_act

_SHAPES = [(4, 64, 64, 512), (4, 32, 32, 512), (4, 128, 128, 128), (4, 64, 64, 3)]  # N, H, W, C


def _ops(axis, data_format):
    """name -> (inputs besides x, function, whether its gradient has to read x)."""
    ops = {}
    for act in ('linear', 'lrelu', 'swish'):
        ops['bias_act ' + act] = (['b'], lambda x, impl, act=act, **others: fused_bias_act(
            x, axis=axis, act=act, impl=impl, **others), act == 'swish')
    ops['bias_act lrelu, noise'] = (['b', 'style', 'shift'], lambda x, impl, **others:
                                    fused_bias_act(x, axis=axis, act='lrelu', impl=impl, **others),
                                    True)
    ops['bias_act lrelu, FR'] = (['b', 'style', 'scale', 'shift'], ops['bias_act lrelu, noise'][1],
                                 True)
    ops['channel_sum'] = (['style'], lambda x, impl, **others: channel_sum(
        x, axis=axis, impl=impl, **others), True)
    for name in ('filter_2d', 'upsample_2d', 'downsample_2d'):
        ops[name] = ([], lambda x, impl, op=getattr(resampling, name): op(
            x, k=[1, 3, 3, 1], data_format=data_format, impl=impl), False)
    return ops


def copy_bandwidth(num_bytes: int, repeats: int) -> float:
    """Bytes per second, read and written, of copying as many bytes between two buffers."""
    if engine.gpu_devices():
        with tf.Graph().as_default(), tf.Session() as session:
            x = _variable([num_bytes // 4], tf.float32)
            session.run(tf.global_variables_initializer())
            copy = tf.raw_ops.DeepCopy(x=x)
            return 2 * num_bytes / measure.best_time(lambda: session.run(copy.op), repeats)
    source, target = np.ones(num_bytes, np.uint8), np.ones(num_bytes, np.uint8)
    cores = len(os.sched_getaffinity(0))
    parts = [slice(num_bytes * i // cores, num_bytes * (i + 1) // cores) for i in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        def copy_all():
            list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))
        return 2 * num_bytes / measure.best_time(copy_all, repeats)


def _variable(shape, dtype):
    new = tf.get_variable('v%d' % len(tf.global_variables()), dtype=dtype, initializer=tf.cast(
        tf.random_normal(shape), dtype))
    return new.read_value()


def _best_times(session, fetches, repeats):
    """Seconds of the fastest runs; all take turns, so that other programs slow all down alike."""
    times = []
    for _ in range(repeats + 1):
        times.append([])
        for tensors in fetches:
            start = time.perf_counter()
            session.run([tensor.op for tensor in tensors])
            times[-1].append(time.perf_counter() - start)
    return np.min(times[1:], axis=0)


def _measure(shape, dtype, data_format, implementations, repeats):
    """Yield one record per op and implementation for images of one shape, given as N, H, W, C."""
    axis = data_format.index('C')
    n, h, w, c = shape
    x_shape = [shape['NHWC'.index(letter)] for letter in data_format]
    pixels = [1 if i == axis else size for i, size in enumerate(x_shape)]
    x_bytes = dtype.size * n * h * w * c
    copy_rate = copy_bandwidth(x_bytes, repeats)

    def record(name, impl, forward, both=None, moved=2 * x_bytes, moved_both=None):
        result = dict(shape=x_shape, dtype=dtype.name, op=name, impl=impl)
        for key, seconds, size in [('forward', forward, moved), ('both', both, moved_both)]:
            if seconds is not None:
                seconds = max(float(seconds), 1e-5)  # what is less cannot be told from noise
                result.update({key + '_ms': 1e3 * seconds, key + '_gb_per_s': size / seconds / 1e9,
                               key + '_share': size / seconds / copy_rate})
        return result

    yield record('copy', '', 2 * x_bytes / copy_rate)
    with tf.Graph().as_default(), tf.device(engine.device(0)), tf.Session() as session:
        inputs = {'x': _variable(x_shape, dtype)}
        for name, size in dict(b=[c], style=[n, c], scale=pixels, shift=pixels).items():
            inputs[name] = _variable(size, tf.float32)
        session.run(tf.global_variables_initializer())
        temporary = tf.raw_ops.DeepCopy(x=inputs['x'])  # what an op may overwrite
        yield record('new tensor', '', _best_times(session, [[temporary]], repeats)[0])
        for name, (others, op, reads_x) in _ops(axis, data_format).items():
            for impl in implementations:
                chosen = {key: inputs[key] for key in others}
                y = op(temporary, impl=impl, **chosen)
                y_bytes = y.dtype.size * int(np.prod(y.shape.as_list()))
                dy = tf.raw_ops.DeepCopy(x=_variable(y.shape.as_list(), y.dtype))
                session.run(tf.global_variables()[-1].initializer)
                grads = [g for g in tf.gradients(y, [temporary] + list(chosen.values()), dy)
                         if g is not None]
                base, forward, dy_base, both = _best_times(
                    session, [[temporary], [y], [temporary, dy], [y] + grads], repeats)
                moved = x_bytes + y_bytes
                extra = x_bytes + y_bytes * (1 if 'sum' in name or '2d' in name else 2)
                yield record(name, impl, forward - base, both - dy_base, moved,
                             moved + extra + (x_bytes if reads_x else 0))


def main(argv=None) -> int:
    """Print the table; write it as JSON too where asked."""
    parser = ArgumentParser(description='Time the custom ops, forward and with gradients.')
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
    fastest = custom_ops.resolve_impl('auto', 'FusedBiasAct')
    implementations = ['ref'] + [fastest] * (fastest != 'ref')
    records = []
    # TensorFlow 1.14 has hardly any ops of its own in bfloat16.
    for dtype in [tf.float32] + [tf.bfloat16] * (engine.ENGINE == 'tf2'):
        for shape in _SHAPES:
            print('\n%-32s %10s %7s %6s %17s %7s %6s' % (
                '%s, %s' % (shape, dtype.name), 'forward ms', 'GB/s', 'share', 'with gradients ms',
                'GB/s', 'share'))
            for r in _measure(shape, dtype, args.data_format, implementations, args.repeats):
                line = '%(op)-24s %(impl)-7s %(forward_ms)10.2f %(forward_gb_per_s)7.1f ' \
                    '%(forward_share)6.2f' % r
                if 'both_ms' in r:
                    line += ' %(both_ms)17.2f %(both_gb_per_s)7.1f %(both_share)6.2f' % r
                print(line, flush=True)
                records.append(r)
    measure.write_json(args.json, records)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
