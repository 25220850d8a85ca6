#!/usr/bin/env python3
"""Times the generator's images on this machine, and says how near that is to its own peak.

GFLOP are counted from the layer shapes, see `measure.forward_flops`; the peak is that of a plain
512-channel 3x3 convolution in float32, measured in the same run.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import tensorflow.compat.v1 as tf

from bench import measure
from dnnlib import tflib
from dnnlib.cli import ArgumentParser, parse_name_list, run_cli
from dnnlib.tflib import engine
from training import configs


def measure_generation(options: dict, resolution: int, minibatch: int, repeats: int) -> dict:
    """Seconds per minibatch and GFLOP per image of a generator of some options."""
    with tf.device(engine.device(0)):
        G = tflib.Network('G', num_channels=3, resolution=resolution, label_size=0, **options)
        latents = tf.placeholder(tf.float32, [None] + G.input_shape[1:])
        images = tflib.convert_images_to_uint8(G.get_output_for(latents, None, is_validation=True))
    feed = {latents: np.random.RandomState(0).randn(minibatch, *G.input_shape[1:])}
    seconds = measure.best_time(lambda: tflib.run(images, feed), repeats)
    memory = measure.peak_memory(images.op, feed)
    return dict(seconds=seconds, gflop_per_image=measure.forward_flops(G) / 1e9,
                images_per_s=minibatch / seconds, peak_memory_bytes=memory)


def main(argv=None) -> int:
    """Print the table; write it as JSON too where asked."""
    parser = ArgumentParser(description='Time generation, and compare with the peak of plain '
                                        'convolutions on this machine.')
    add = parser.add_argument
    add('--config', default='config-e', help='configuration (default: %(default)s)')
    add('--resolution', type=int, default=64, help='of the images (default: %(default)s)')
    add('--minibatch', type=int, default=4, help='images at a time (default: %(default)s)')
    add('--noise-injection', metavar='FORM', help='form of the noise (default: by --config)')
    add('--precision', type=parse_name_list, default=['float32'], metavar='LIST',
        help='float32, mixed or both (default: float32)')
    add('--repeats', type=int, default=5, help='the best of so many runs counts')
    add('--json', metavar='FILE', help='write the numbers to this file as well')
    args = parser.parse_args(argv)
    if min(args.repeats, args.minibatch) < 1:
        parser.error('--repeats and --minibatch must be at least 1')

    tflib.init_tf({'rnd.np_random_seed': 0})
    results = []
    for precision in args.precision:
        options = configs.resolve(args.config)['G_args']
        options['precision'] = precision
        if args.noise_injection:
            options['noise_injection'] = args.noise_injection
        results.append(dict(precision=precision, **measure_generation(
            options, args.resolution, args.minibatch, args.repeats)))
    peak = measure.convolution_peak('float32')
    print('TensorFlow %s; %s, %dx%d, minibatch %d; peak of convolutions %.0f GFLOP/s' % (
        tf.__version__, args.config, args.resolution, args.resolution, args.minibatch, peak / 1e9))
    print('%-10s %10s %10s %10s %8s %10s' % (
        'precision', 'images/s', 'GFLOP', 'GFLOP/s', 'of peak', 'memory MB'))
    for r in results:
        r['share_of_peak'] = r['images_per_s'] * r['gflop_per_image'] * 1e9 / peak
        memory = r['peak_memory_bytes']
        print('%-10s %10.2f %10.1f %10.0f %7.0f%% %10s' % (
            r['precision'], r['images_per_s'], r['gflop_per_image'],
            r['images_per_s'] * r['gflop_per_image'], 100 * r['share_of_peak'],
            '' if memory is None else memory >> 20))
    measure.write_json(args.json, results, peak=peak)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
