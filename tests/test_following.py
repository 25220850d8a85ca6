"""A run of two workers is that of two devices; who outlives the other goes on from the state."""

import glob
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import tensorflow.compat.v1 as tf

import run_training
from dnnlib import peers, tflib
from tests import golden
from tests.test_training_loop import TINY_DCGAN, data_dir  # noqa: F401 - a fixture
from training import state

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOT_SET = ('tf_config', 'metric_arg_list', 'total_kimg')
METRIC = '[{"func_name": "metrics.metric_base.DummyMetric", "name": "dummy"}]'
FLAGS = ['--config=dcgan-fr', '--dataset=tiny', '--mirror-augment=yes']
FLAGS += ['--checkpoint-minutes=0.001', '--set', 'total_kimg=0.16']
FLAGS += ['--set', 'metric_arg_list=' + METRIC]
SETTINGS = dict(TINY_DCGAN, image_snapshot_ticks=None)
for name, value in SETTINGS.items():
    if name not in NOT_SET:
        FLAGS += ['--set', '%s=%s' % (name, 'null' if value is None else value)]


def train_alone(arguments):
    """Train in this process, with two devices, as a process of its own would."""
    seed = int(np.random.RandomState(1000).randint(1 << 31))
    config = {'device_count.CPU': 2}
    with tf.Graph().as_default() as graph, tflib.create_session(config).as_default():
        graph.seed = seed
        run_training.main(FLAGS + arguments + ['--num-gpus=2'])


class Launched:
    """Two workers, whose lines are collected and looked at."""

    def __init__(self, arguments):
        command = [sys.executable, os.path.join(ROOT, 'tools', 'launch.py'), '2', '--']
        command += [sys.executable, '-u', os.path.join(ROOT, 'run_training.py')]
        both = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.process = subprocess.Popen(command + FLAGS + arguments, cwd=ROOT, **both)
        self.timer = threading.Timer(600, self.process.kill)
        self.timer.start()
        self.out = ''

    def read(self, text=None):
        """Read until something is printed, or to the end; returns the exit status or None."""
        for line in self.process.stdout:
            self.out += line.decode()
            if text is not None and text in self.out:
                return None
        self.timer.cancel()
        return self.process.wait()


def arrays_of(result_dir):
    (newest, *_) = state.paths(glob.glob(os.path.join(result_dir, '00000-*'))[0])
    found = state.read(newest)
    return {k: v for k, v in found.arrays.items() if not k.startswith('Autosummary/')}


def test_two_workers_are_two_devices_and_one_goes_on_after_the_other_died(
    data_dir,  # noqa: F811
    tmp_path,
):
    flags = ['--data-dir=%s' % data_dir, '--result-dir=%s']
    together, whole = str(tmp_path / 'together'), str(tmp_path / 'whole')
    arguments = [flag.replace('%s', together) for flag in flags]

    # SIGTERM to one of the two: they stop after the same iteration, with a state.
    launched = Launched(arguments)
    launched.read('[1] Training with')
    os.kill(last_worker(launched.process.pid), signal.SIGTERM)
    assert launched.read() == 143, launched.out
    assert re.search(r'\[0\] Terminated after 0', launched.out), launched.out
    assert re.search(r'\[1\] Terminated', launched.out)
    (run_dir,) = glob.glob(together + '/*')
    assert os.path.exists(os.path.join(run_dir, 'log-worker1.txt'))

    # SIGKILL to one of the two: the other names it.
    launched = Launched(arguments + ['--resume=auto'])
    launched.read('Going on after')
    os.kill(last_worker(launched.process.pid), signal.SIGKILL)
    assert launched.read() == peers.STATUS, launched.out
    assert re.search(r'\[0\] Error: worker 1 \(.*\) has ended', launched.out)

    train_alone(arguments + ['--resume=%s' % run_dir])
    train_alone(['--data-dir=%s' % data_dir, '--result-dir=%s' % whole])
    assert os.path.exists(os.path.join(run_dir, 'metric-dummy.txt'))
    want, found = arrays_of(whole), arrays_of(together)
    assert sorted(want) == sorted(found)
    for name in want:
        golden.assert_close(found[name], want[name], 1e-3, name)


def last_worker(launcher):
    """Its process number."""
    path = '/proc/%d/task/%d/children' % (launcher, launcher)
    with open(path) as file:
        return int(file.read().split()[-1])
