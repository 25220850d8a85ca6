"""The network pickles that a training run leaves in its folder."""

import os

from dnnlib import cli
from dnnlib.hints import next_command
from dnnlib.tflib import engine
from dnnlib.util import UserError
from training import misc


class Snapshots:
    """The network pickles of a run."""

    def __init__(self, run_dir):
        self._run_dir = run_dir
        self.last = None

    def check_disk(self, networks, number):
        """Raise UserError if the disk does not hold two of `number` snapshots, warn if not all."""
        numbers = sum(var.shape.num_elements() for net in networks for var in net.vars.values())
        cli.check_space(self._run_dir, min(number, 2), min(number, 2) * 4 * numbers, 'snapshots')
        try:
            cli.check_space(self._run_dir, number, number * 4 * numbers, 'snapshots')
        except UserError as error:
            print('Warning: %s' % error)

    def save(self, networks, filename):
        path = os.path.join(self._run_dir, filename)
        misc.save_pkl(networks, path)
        self.last = path
        return path

    def next_commands(self):
        """Lines with commands for the networks of this run."""
        network = '--network=%s' % self.last
        few = [] if engine.gpu_devices() else ['--num-samples=1000']
        return [
            next_command('run_generator.py', 'generate-images', '--seeds=0-9', network),
            next_command('run_metrics.py', '--metrics=all-local', *few, network),
        ]

    def describe(self):
        return 'last snapshot: %s' % self.last if self.last else 'there is no snapshot yet'
