"""The engine's answers are true, and nobody goes round them."""

import argparse
import os
import re

import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import engine, tfutil
from dnnlib.util import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Who may look at which engine it is: the answers, what was measured, and what is said to users.
ASKERS = {'dnnlib/tflib/engine.py', 'dnnlib/tflib/ops/decisions.py', 'doctor.py'}
ASKERS.add('dnnlib/startup.py')  # it chooses one before there is any


def works(function):
    try:
        tflib.run(function())
        return True
    except (tf.errors.OpError, TypeError, ValueError):
        return False


@pytest.mark.skipif(bool(engine.gpu_devices()), reason='it is asked for CPUs')
def test_explicit_padding_is_there_where_the_engine_says_so(session):
    x, w = tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 1])
    padding = [[0, 0], [2, 1], [1, 1], [0, 0]]
    assert engine.has_explicit_padding() == works(
        lambda: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], padding)
    )


def test_source_for_tensorflow_1_runs_where_the_engine_says_so():
    try:
        exec('import tensorflow as tf\nimport tensorflow.contrib\ntf.get_variable', {})
        runs = True
    except (ImportError, AttributeError):
        runs = False
    assert engine.runs_source_for_tf1() == runs


def test_ops_on_gpus_are_deterministic_in_the_session_that_asks_for_it(monkeypatch):
    monkeypatch.setattr(tf, 'get_default_session', lambda: None)  # other tests have one
    monkeypatch.setattr(tfutil, 'create_session', lambda *args, **kwargs: None)
    with pytest.raises(UserError, match='math.deterministic = 1; it is true or false'):
        tflib.init_tf({'math.deterministic': 1})
    card = 'device: 0, name: A card, compute capability: 7.5'
    with tf.Graph().as_default():
        monkeypatch.setattr(engine, '_gpus', [])
        tflib.init_tf({'math.deterministic': True})  # as CPUs are
        monkeypatch.setattr(engine, '_gpus', [card])
        if engine.ENGINE == 'tf1':
            with pytest.raises(UserError, match='--deterministic takes TensorFlow 2 on GPUs: 1.14'):
                tflib.init_tf({'math.deterministic': True})
            return
        from tensorflow.python.framework import config

        for is_wanted in (True, False):
            tflib.init_tf({'math.deterministic': is_wanted})
            assert config.is_op_determinism_enabled() == is_wanted


def test_only_the_engine_module_knows_which_engine_it_is():
    found = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith('.') and name != 'tests']
        for name in names:
            if name.endswith('.py'):
                path = os.path.join(folder, name)
                with open(path, encoding='utf-8') as file:
                    if re.search(r'\bENGINE\b', file.read()):
                        found.add(os.path.relpath(path, ROOT))
    assert found - ASKERS == set()


@pytest.mark.parametrize(
    'devices, want',
    [
        (['/device:GPU:0', '/device:GPU:1'], True),
        (['/device:GPU:0', '/device:GPU:0'], False),  # NCCL: invalid usage
        (['/device:CPU:0', '/device:CPU:1'], False),  # whatever GPUs there are
        (['/device:GPU:0', '/device:CPU:0'], False),
    ],
)
def test_nccl_sums_over_different_gpus_alone(devices, want):
    assert engine.are_gpus([argparse.Namespace(device=device) for device in devices]) == want
