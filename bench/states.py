#!/usr/bin/env python3
"""What a run's state costs: bytes, the time that training waits for it, and that a thread writes.

The state is that of the networks and optimizers of a configuration;
nothing is trained. Copying is what training waits for.
"""

import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import number, run_cli  # first, see dnnlib/startup.py

# isort: split

from dnnlib import EasyDict, flags, quiet
from dnnlib.flags import flag

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import engine
from training import configs, state
from training.checkpoints import Checkpoints, Growing

_FLAGS = flags.group(
    'what to measure',
    flag('--config', list(configs.CONFIGS), 'configuration', 'config-f'),
    flag('--resolution', number(int, 4, 1 << 12), 'side of the images', 1024),
    flag('--dir', 'DIR', 'folder on the disk to write to (default: of temporary files)'),
)


class _Iterations:
    """Stands in for `training.iterations.Iterations`."""

    count, nimg = 1, 0

    def state(self):
        return dict(nimg=0, count=1, tick=0, block_nimg=0, lod=0.0)


def _make_variables(config, resolution):
    """Those of training: networks, and moments of their optimizers."""
    options = configs.resolve(config)
    shape = dict(num_channels=3, resolution=resolution, label_size=0)
    with tf.device(engine.device(0)):
        G = tflib.Network('G', **shape, **options['G_args'])
        D = tflib.Network('D', **shape, **options['D_args'])
        G.clone('Gs')
        for net in (G, D):
            optimizer = tflib.Optimizer(net.name, **options[net.name + '_opt_args'])
            loss = tf.add_n([tf.reduce_sum(var) for var in net.trainables.values()])
            optimizer.register_gradients(loss, net.trainables)
            optimizer.apply_updates()
    tflib.init_uninitialized_vars()


def main(argv=None) -> None:
    """Measure and print."""
    args = flags.parse('bench/states.py', __doc__.split('\n')[0], _FLAGS, argv)
    tflib.init_tf()
    _make_variables(args.config, args.resolution)
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        parts = EasyDict(iterations=_Iterations())
        growing, about = Growing(folder, []), dict(options='', data='')
        checkpoints = Checkpoints(folder, 10, parts, about, 1, growing, lambda size: None)
        rows = []
        for _ in range(3):
            _Iterations.count += 1
            start = time.time()
            checkpoints.take(parts.iterations)
            copied = time.time()
            checkpoints.wait()
            written = time.time()
            state.newest(folder)
            rows.append((copied - start, written - copied, time.time() - written))
        # The first one is written before training goes on.
        copying, writing, reading = [min(times) for times in zip(*rows[1:])]
        size = os.path.getsize(state.paths(folder)[0])
    text = '%s at %dx%d: %.2f GB; copied in %.2f s, written in %.2f s, read in %.2f s'
    print(
        text
        % (args.config, args.resolution, args.resolution, size / 1e9, copying, writing, reading)
    )


if __name__ == '__main__':
    sys.exit(run_cli(main))
