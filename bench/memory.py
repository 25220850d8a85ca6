#!/usr/bin/env python3
"""Memory of a training process that evaluates two metrics at each snapshot.

Trains a tiny network on random images, a tick of one minibatch after the other, each with a
snapshot, its sliced Wasserstein distance and condition number. Prints the process's memory before
each snapshot, and by how much a snapshot adds to it, over the second half of the run.
"""

import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import dnnlib  # first, see dnnlib/startup.py

# isort: split

import numpy as np

from dnnlib import quiet

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

from bench import measure
from dnnlib import download, tflib
from dnnlib.cli import ArgumentParser, run_cli
from metrics.metric_defaults import make_group
from training import configs
from training.data.tfrecord_exporter import TFRecordExporter

_RESOLUTION = 16
_NUM_REALS = 64
_TINY = {
    'G_args.fmap_base': 64,
    'G_args.fmap_max': 8,
    'D_args.fmap_base': 64,
    'D_args.fmap_max': 8,
    'G_args.latent_size': 8,
    'G_args.dlatent_size': 8,
    'G_args.mapping_fmaps': 8,
    'G_args.mapping_layers': 2,
    'sched_args.minibatch_size_base': 4,
    'sched_args.minibatch_gpu_base': 4,
    'sched_args.tick_kimg_base': 0.016,
    'sched_args.tick_kimg_dict': {},
    'grid_args.size': 'one',
    'image_snapshot_ticks': None,
    'network_snapshot_ticks': 1,
}


def main(argv=None):
    """Train, and print what stats.jsonl tells of the memory."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--snapshots', type=measure.positive_int, default=20, help='their number, from 4'
    )
    parser.add_argument('--json', metavar='FILE', help='write the numbers to this file as well')
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[download.CACHE_VARIABLE] = os.path.join(folder, 'cache')
        megabytes = [1024 * x for x in _memory_of_ticks(folder, args.snapshots)]
    for number, value in enumerate(megabytes):
        print('snapshot %-3d %7.1f MB' % (number, value))
    half = megabytes[len(megabytes) // 2 :]
    per_snapshot = np.polyfit(range(len(half)), half, 1)[0]
    print('%.2f MB more for each snapshot' % per_snapshot)
    measure.write_json(args.json, [dict(megabytes=megabytes, per_snapshot=per_snapshot)])


def _memory_of_ticks(folder, num_snapshots):
    """GB of the process at the end of each tick, which is before the tick's own snapshot."""
    images = np.random.RandomState(0).randint(256, size=[_NUM_REALS, 3] + 2 * [_RESOLUTION])
    with TFRecordExporter(os.path.join(folder, 'reals'), _NUM_REALS) as exporter:
        for image in images.astype(np.uint8):
            exporter.add_image(image)
    options = configs.resolve('config-e-fr', _TINY, {'total_kimg': 0.016 * num_snapshots})
    options.update(
        data_dir=folder,
        dataset_args=dict(tfrecord_dir='reals', seed=0),
        metric_arg_list=make_group(['swd16k', 'cond'], num_samples=16).metric_kwarg_list,
    )
    submit_config = dnnlib.SubmitConfig()
    submit_config.num_gpus = 1
    submit_config.run_dir_root = folder
    submit_config.run_desc = 'memory'
    with tf.Graph().as_default(), tflib.create_session().as_default():
        run_dir = dnnlib.submit_run(
            submit_config, 'training.training_loop.training_loop', **options
        ).run_dir
    with open(os.path.join(run_dir, 'stats.jsonl')) as file:
        return [json.loads(line)['Resources/process_mem_gb'] for line in file]


if __name__ == '__main__':
    sys.exit(run_cli(main))
