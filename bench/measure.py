"""What the benchmarks share: times, memory, arithmetic of networks, this machine's own peak."""

import ctypes
import json
import re
import time
from argparse import ArgumentTypeError
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.cli import ArgumentParser, parse_name_list
from dnnlib.tflib import engine, layout
from dnnlib.util import atomic_write

_PEAK_SHAPES = [(4, 64, 64, 512), (4, 32, 32, 512)]  # N, H, W, C


def arguments(
    description: str, repeats: int, repeats_help: str = 'the best of so many runs counts'
) -> ArgumentParser:
    """A parser of the flags that all benchmarks have."""
    parser = ArgumentParser(description=description)
    add = parser.add_argument
    add('--repeats', type=positive_int, default=repeats, help=repeats_help)
    add('--json', metavar='FILE', help='write the numbers to this file as well')
    return parser


def network_arguments(description: str, repeats: int) -> ArgumentParser:
    """A parser of the flags that the benchmarks of networks share."""
    parser = arguments(description, repeats)
    add = parser.add_argument
    add('--config', default='config-e', help='configuration (default: %(default)s)')
    add('--resolution', type=_resolution, default=64, help='of the images (default: %(default)s)')
    add('--minibatch', type=positive_int, default=4, help='images at a time (default: %(default)s)')
    text = 'float32, mixed or both (default: float32)'
    add('--precision', type=parse_name_list, default=['float32'], metavar='LIST', help=text)
    return parser


def positive_int(text: str) -> int:
    """The number that a flag gives, for argparse."""
    if not re.match(r'0*[1-9]\d*$', text):
        raise ArgumentTypeError('%r is not a whole number from 1' % text)
    return int(text)


def _resolution(text):
    number = positive_int(text)
    if number < 4 or number & (number - 1):
        raise ArgumentTypeError('%d is not a power of two from 4' % number)
    return number


def best_times(functions: List[Callable], repeats: int) -> np.ndarray:
    """Seconds of the fastest calls, after one that does not count, of functions that take turns."""
    times: List[List[float]] = []
    for _ in range(repeats + 1):
        times.append([])
        for function in functions:
            start = time.perf_counter()
            function()
            times[-1].append(time.perf_counter() - start)
    return np.min(times[1:], axis=0)


class ConvolutionPeak:
    """The fastest of plain 3x3 convolutions from 512 to 512 channels, of two image sizes.

    Sampled in turns with what it is compared with: the speed of a machine shared with others, above
    all of its matrix units, changes from second to second.
    """

    def __init__(self, dtype: str):
        self.flops_per_s = 0.0
        self._runs = []
        for n, height, width, channels in _PEAK_SHAPES:
            with tf.Graph().as_default(), tf.device(engine.device(0)), layout.use(
                layout.for_device()
            ):
                shape = layout.arrange(n, channels, height, width)
                x, w = [
                    tf.Variable(tf.cast(tf.random_normal(size), dtype), use_resource=True)
                    for size in (shape, [3, 3, channels, channels])
                ]
                y = tf.nn.conv2d(x, w, [1, 1, 1, 1], 'SAME', data_format=layout.current())
                session = tf.Session()
                session.run([x.initializer, w.initializer])
            flops = 2 * 9 * n * height * width * channels**2
            self._runs.append((flops, partial(session.run, y.op)))

    def sample(self) -> None:
        """Measure once more."""
        for flops, run in self._runs:
            self.flops_per_s = max(self.flops_per_s, flops / best_times([run], 1)[0])


def forward_flops(net: tflib.Network) -> int:
    """Floating-point operations of one image's way through a StyleGAN2 network.

    A multiplication and an addition per weight and pixel of every convolution and dense layer, and
    nothing else: neither filters, noise and activations nor what an implementation adds. The scope
    of a layer tells its resolution; convolutions that change it are counted at the smaller one.
    """
    total = 0
    for name, var in net.trainables.items():
        shape = var.shape.as_list()
        if name.split('/')[-1] not in ('weight', 'mod_weight') or len(shape) < 2:
            continue
        pixels = 1
        if len(shape) == 4:
            (side,) = re.findall(r'(\d+)x\1/', name)[:1]
            pixels = int(side) ** 2
            if re.search(r'_up/|_down/|Skip/', name):
                pixels //= 4
        total += 2 * pixels * int(np.prod(shape))
    return total


class Trace(NamedTuple):
    """What TensorFlow's trace tells of one run."""

    kernels: int  # that ran on the GPUs or, without them, ops on the CPU
    busy: float  # seconds in which at least one of them ran
    memory: Optional[int]  # bytes held at most beyond those held before; None: cannot be told


def trace(fetches: Any, feed_dict: dict) -> Trace:
    """Run once, with a full trace.

    Memory is counted by TensorFlow's allocator or, where it does not count (TensorFlow 1.14 on
    CPUs), by Linux in one more run as this process's resident memory.
    """
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    tflib.run(fetches, feed_dict, run_metadata=metadata, options=options)
    devices = metadata.step_stats.dev_stats
    names = [device.device for device in devices]
    # `/stream:all` repeats what a GPU's other streams have, `/host:CPU` what a CPU has.
    streams = [name for name in names if name.endswith('/stream:all')]
    streams = streams or [name for name in names if '/stream:' in name]
    streams = streams or [name for name in names if not name.startswith('/host:')]
    nodes = [node for device in devices if device.device in streams for node in device.node_stats]
    in_use = [m.allocator_bytes_in_use for d in devices for n in d.node_stats for m in n.memory]
    in_use = [number for number in in_use if number]
    memory = max(in_use) - min(in_use) if in_use else _resident_memory(fetches, feed_dict)
    starts = [node.all_start_micros + node.op_start_rel_micros for node in nodes]
    ends = [node.all_start_micros + node.op_end_rel_micros for node in nodes]
    return Trace(len(nodes), 1e-6 * covered(zip(starts, ends)), memory)


def covered(intervals: Iterable[Tuple[float, float]]) -> float:
    """Length of the union of intervals (begin, end)."""
    total, reached = 0.0, -np.inf
    for begin, end in sorted(intervals):
        total += max(end - max(begin, reached), 0)
        reached = max(reached, end)
    return total


def _resident_memory(fetches, feed_dict):
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what earlier runs have freed, but the process has kept
        before = _status('VmRSS')
        with open('/proc/self/clear_refs', 'w') as file:
            file.write('5')  # forget the highest resident size so far
        tflib.run(fetches, feed_dict)
        return _status('VmHWM') - before
    except (OSError, AttributeError, TypeError):  # not Linux, not glibc
        return None


def megabytes(number: Optional[int]) -> str:
    """What a table says of a number of bytes; nothing where it could not be told."""
    return '' if number is None else str(number >> 20)


def _status(field):
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(field + ':'))


def write_json(path: Optional[str], records: List[Dict], **facts) -> None:
    """Write records, with facts that go for all of them, to a file if one is named."""
    if path:
        with atomic_write(path, 'w') as file:
            json.dump(dict(tensorflow=tf.__version__, results=records, **facts), file, indent=2)
