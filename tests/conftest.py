"""Fixtures shared by all tests."""

import os
import warnings

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import download, native_build, tflib
from dnnlib.tflib import custom_ops, engine, layout, tfutil

SEED = int(os.environ.get('STYLEGAN2_TEST_SEED', 1))  # another seed shows what passes by luck


@pytest.fixture(scope='session', autouse=True)
def ops_cache():
    """The user's own cache of compiled ops, for programs too that see another home folder."""
    os.environ[native_build.CACHE_VARIABLE] = native_build.cache_dir()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # without a compiler the tests use plain TensorFlow
        custom_ops.implementation_of('FusedBiasAct')


@pytest.fixture(autouse=True)
def download_cache(monkeypatch):
    """Downloads and what metrics keep stay in the test's working directory."""
    monkeypatch.setenv(download.CACHE_VARIABLE, '.stylegan2-cache')


@pytest.fixture(autouse=True)
def seeds(monkeypatch):
    """Weights and images are the same in every run of a test, so that it passes always or never."""
    create = tf.Graph.__init__

    def create_with_seed(graph, *args, **kwargs):
        create(graph, *args, **kwargs)
        graph.seed = SEED

    monkeypatch.setattr(tf.Graph, '__init__', create_with_seed)
    np.random.seed(SEED)


@pytest.fixture(autouse=True)
def default_session():
    """No test finds the session that a program has made in another test's process."""
    num_entered = len(tfutil._entered)
    yield
    while len(tfutil._entered) > num_entered:
        default = tfutil._entered.pop()
        session = tf.get_default_session()
        default.__exit__(None, None, None)
        session.close()


@pytest.fixture
def compiled():
    """'native' or 'cuda', what the compiled ops are here; skips where there are none."""
    kind, library = custom_ops.built()
    if not library:
        pytest.skip(custom_ops.implementation_of('FusedBiasAct')[1])
    return kind


@pytest.fixture(params=['ref', 'compiled'])
def impl(request):
    """Every implementation of the custom ops that this machine has."""
    return 'ref' if request.param == 'ref' else request.getfixturevalue('compiled')


@pytest.fixture
def session():
    """A fresh graph with a default session of four logical CPU devices, gone after the test."""
    with tf.Graph().as_default():
        with tflib.create_session({'device_count.CPU': 4}).as_default() as fresh:
            yield fresh
        fresh.close()


@pytest.fixture(params=['NHWC', 'NCHW'])
def data_format(request, monkeypatch):
    """Layout that networks are built in, whatever the device."""
    if request.param == 'NCHW' and engine.ENGINE == 'tf1' and not engine.gpu_devices():
        pytest.skip('TensorFlow 1.14 has no NCHW convolution on CPUs')
    monkeypatch.setattr(layout, 'for_device', lambda: request.param)
    return request.param
