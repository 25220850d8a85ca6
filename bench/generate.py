#!/usr/bin/env python3
"""Times the generator's images on this machine, and says how near that is to its own peak.

GFLOP are counted from the layer shapes, see `measure.forward_flops`; the peak is that of a plain
512-channel 3x3 convolution in float32, which takes turns with the generators.
"""

import os
import sys
import time
from functools import partial

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import run_cli  # first, see dnnlib/startup.py

# isort: split

import numpy as np

from dnnlib import quiet

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

from bench import measure
from dnnlib import tflib
from dnnlib.tflib import engine
from training import configs


class _Generation:
    """A generator with some options, the best time of a minibatch and the memory it takes."""

    def __init__(self, options, resolution, minibatch):
        with tf.device(engine.device(0)):
            G = tflib.Network('G', num_channels=3, resolution=resolution, label_size=0, **options)
            latents = tf.placeholder(tf.float32, [None] + G.input_shape[1:])
            images = G.get_output_for(latents, None, is_validation=True)
            images = tflib.convert_images_to_uint8(images)
        feed = {latents: np.random.RandomState(0).randn(minibatch, *G.input_shape[1:])}
        self._run = partial(tflib.run, images, feed)
        self._run()
        self.trace = measure.trace(images.op, feed)
        self.flops_per_image = measure.forward_flops(G)
        self.seconds = float('inf')

    def sample(self):
        """Measure once more; the best counts."""
        start = time.perf_counter()
        self._run()
        self.seconds = min(self.seconds, time.perf_counter() - start)


def main(argv=None) -> int:
    """Print the table; write it as JSON too where asked."""
    text = 'Time generation, and compare with the peak of plain convolutions on this machine.'
    parser = measure.network_arguments(text, repeats=5)
    add = parser.add_argument
    add('--noise-injection', metavar='FORM', help='form of the noise (default: by --config)')
    args = parser.parse_args(argv)

    tflib.init_tf({'rnd.np_random_seed': 0})
    generations = []
    for precision in args.precision:
        options = configs.resolve(args.config)['G_args']
        options['precision'] = precision
        if args.noise_injection:
            options['noise_injection'] = args.noise_injection
        generations.append(_Generation(options, args.resolution, args.minibatch))
    peak = measure.ConvolutionPeak('float32')
    for _ in range(args.repeats):
        for each in [peak] + generations:
            each.sample()
    size = args.resolution, args.resolution, args.minibatch
    print('TensorFlow %s; %s' % (tf.__version__, args.config) + ', %dx%d, minibatch %d' % size)
    print('peak of convolutions %.0f GFLOP/s' % (peak.flops_per_s / 1e9))
    kernels = 'kernels' if engine.gpu_devices() else 'ops'
    titles = 'precision', 'images/s', 'GFLOP', 'GFLOP/s', 'of peak', 'busy s', kernels, 'memory MB'
    print('%-10s %10s %10s %10s %8s %8s %8s %10s' % titles)
    results = []
    for precision, each in zip(args.precision, generations):
        rate = args.minibatch / each.seconds
        gflop = each.flops_per_image / 1e9
        share = rate * each.flops_per_image / peak.flops_per_s
        r = dict(precision=precision, images_per_s=rate, seconds=each.seconds)
        r.update(gflop_per_image=gflop, share_of_peak=share)
        r.update(peak_memory_bytes=each.trace.memory)
        r.update(kernels=each.trace.kernels, busy=each.trace.busy)
        results.append(r)
        row = precision, rate, gflop, rate * gflop, 100 * share, each.trace.busy
        row += each.trace.kernels, measure.megabytes(each.trace.memory)
        print('%-10s %10.2f %10.1f %10.0f %7.0f%% %8.4f %8d %10s' % row)
    measure.write_json(args.json, results, peak=peak.flops_per_s)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
