"""Fixtures shared by all tests."""
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import engine, layout


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
