"""Convolutions agree with NumPy in value and in gradients of first and second order."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import custom_ops, engine, layout
from dnnlib.tflib.ops import conv2d
from dnnlib.tflib.ops.decisions import ANY, BEST, Decisions

RNG = np.random.RandomState(0)

# Whatever the sizes are from which on it is worth it.
ALWAYS_OURS = Decisions(
    product_pixels_float32=ANY,
    product_pixels=ANY,
    flips_weights=True,
    splits_phases=True,
    tap_products_pixels={1: ANY, 2: ANY, 3: ANY},
)
ALWAYS_WINOGRAD = Decisions(
    winograd_pixels={1: 0, 2: 0},
    winograd_channels={name: {1: 0, 2: 0} for name in BEST.winograd_channels},
)


def conv_in_numpy(x, w, stride):
    """Convolution of NHWC images without padding, float64."""
    taps = w.shape[0]
    out = [(n - taps) // stride + 1 for n in x.shape[1:3]]
    y = np.zeros([x.shape[0]] + out + [w.shape[3]])
    for i, j in np.ndindex(*out):
        patch = x[:, i * stride : i * stride + taps, j * stride : j * stride + taps]
        y[:, i, j] = np.tensordot(patch, w, axes=3)
    return y


def adjoints_in_numpy(x, w, dy, stride):
    """Gradients of sum(conv(x, w) * dy): of a map linear in x and in w, entry by entry."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    taps = w.shape[0]
    for i, j in np.ndindex(*dy.shape[1:3]):
        rows, columns = [slice(k * stride, k * stride + taps) for k in (i, j)]
        dx[:, rows, columns] += np.tensordot(dy[:, i, j], w, axes=[1, 3])
        dw += np.tensordot(x[:, rows, columns], dy[:, i, j], axes=[0, 0])
    return dx, dw


CASES = [
    (5, 6, 3, 1, 'SAME'),
    (4, 4, 3, 1, 'SAME'),
    (9, 12, 5, 1, 'SAME'),
    (7, 7, 1, 1, 'SAME'),
    (9, 9, 3, 2, 'VALID'),
    (10, 12, 3, 2, 'VALID'),
    (9, 10, 4, 2, 'VALID'),
    (8, 9, 3, 1, 'VALID'),
    (11, 10, 2, 3, 'VALID'),
    (6, 5, 1, 2, 'VALID'),
    (18, 19, 3, 2, 'VALID'),
]

# By Winograd's algorithm; sizes that are no multiple of its tiles too.
WIDE_CASES = [
    (6, 8, 3, 1, 'SAME'),
    (5, 7, 3, 1, 'SAME'),
    (7, 6, 3, 1, 'VALID'),
    (9, 13, 3, 2, 'VALID'),
    (11, 9, 3, 2, 'VALID'),
    (10, 12, 3, 2, 'VALID'),
]


GPUS = engine.gpu_devices()[:1]


@pytest.fixture
def on_cpu(session):
    """The CPU, and the layout that it likes."""
    with tf.device('/cpu:0'):
        yield


@pytest.fixture(params=['/cpu:0'] + GPUS)
def device(request, session):
    """Each kind of device that there is."""
    with tf.device(request.param):
        yield request.param


@pytest.mark.parametrize('is_half', [False, True])
@pytest.mark.parametrize('case', CASES, ids=str)
def test_values_and_gradients_of_both_orders(device, case, is_half):
    half = 'float16' if device in GPUS else 'bfloat16'
    check_values_and_gradients(case, half if is_half else 'float32', channels=(3, 4))


@pytest.mark.parametrize('case', WIDE_CASES, ids=str)
def test_wide_convolutions_and_gradients_of_both_orders(on_cpu, case):
    check_values_and_gradients(case, 'float32', (16, 32), ALWAYS_WINOGRAD)
    used = {op.type for op in tf.get_default_graph().get_operations()}
    assert ('WinogradAdjoint' in used) == custom_ops.has_winograd()


@pytest.mark.parametrize('case', CASES, ids=str)
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_every_way_to_a_convolution_gives_the_same(on_cpu, dtype, case):
    """Those that the decisions of this engine leave out are taken by another, or on other CPUs."""
    check_values_and_gradients(case, dtype, (3, 4), ALWAYS_OURS)


@pytest.mark.parametrize('decisions, is_used', [(BEST, True), (Decisions(), False)])
def test_decisions_choose_the_way(on_cpu, compiled, decisions, is_used):
    x, w = tf.ones([1, 32, 32, 128]), tf.ones([3, 3, 128, 128])
    conv2d.conv2d(x, w, decisions=decisions)
    used = {op.type for op in tf.get_default_graph().get_operations()}
    assert ('Winograd' in used) == is_used


def test_wide_convolutions_of_no_images_have_zero_gradients(device):
    x = tf.placeholder_with_default(tf.zeros([0, 6, 6, 16]), [None, 6, 6, 16])
    w = tf.ones([3, 3, 16, 16])
    if layout.for_device() == 'NCHW':
        x = tf.transpose(x, [0, 3, 1, 2])
    y = conv2d.conv2d(x, w, data_format=layout.for_device(), decisions=ALWAYS_WINOGRAD)
    dx, dw = tflib.run(tf.gradients(y, [x, w]))
    assert dx.shape[0] == 0
    np.testing.assert_array_equal(dw, np.zeros([3, 3, 16, 16]))


def check_values_and_gradients(case, dtype, channels, decisions=BEST):
    """Compare a convolution and all gradients with NumPy's."""
    height, width, taps, stride, padding = case
    tolerance = {'float32': 1e-5, 'float16': 2e-3, 'bfloat16': 0.02}[dtype]

    def values(*shape):  # with few bits, so that bfloat16 holds them exactly
        return RNG.randint(-8, 9, shape) / 8

    x, w = values(2, height, width, channels[0]), values(taps, taps, *channels)
    ddx, ddw = values(*x.shape), values(*w.shape)
    p = taps // 2 if padding == 'SAME' else 0

    def pad(a):
        return np.pad(a, [(0, 0), (p, p), (p, p), (0, 0)], 'constant')

    def crop(a):
        return a[:, p : a.shape[1] - p, p : a.shape[2] - p]

    want_y = conv_in_numpy(pad(x), w, stride)
    dy = values(*want_y.shape)
    want_dx, want_dw = adjoints_in_numpy(pad(x), w, dy, stride)
    # sum(dx * ddx) + sum(dw * ddw), the gradients of which are those of second order.
    want_d_dy = conv_in_numpy(pad(ddx), w, stride) + conv_in_numpy(pad(x), ddw, stride)
    want_d_x = adjoints_in_numpy(pad(x), ddw, dy, stride)[0]
    want_d_w = adjoints_in_numpy(pad(ddx), w, dy, stride)[1]

    # Minibatches have no static size in networks.
    xt, wt, dyt = [
        tf.placeholder_with_default(tf.constant(a, dtype), [None] + list(a.shape[1:]))
        if a is not w
        else tf.constant(a, dtype)
        for a in (x, w, dy)
    ]
    data_format = layout.for_device()
    there = xt if data_format == 'NHWC' else tf.transpose(xt, [0, 3, 1, 2])
    y = conv2d.conv2d(there, wt, stride, padding, data_format, decisions)
    y = y if data_format == 'NHWC' else tf.transpose(y, [0, 2, 3, 1])
    dx, dw = tf.gradients(y, [xt, wt], dyt)
    second = tf.gradients(
        [dx, dw], [dyt, xt, wt], [tf.constant(ddx, dtype), tf.constant(ddw, dtype)]
    )
    got = tflib.run([tf.cast(t, tf.float32) for t in [y, dx, dw] + second])
    want = [want_y, crop(want_dx), want_dw, want_d_dy, crop(want_d_x), want_d_w]
    for a, b, name in zip(got, want, ['y', 'dx', 'dw', 'd_dy', 'd_x', 'd_w']):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(), err_msg=name)


@pytest.mark.parametrize('taps,stride', [(3, 2), (4, 2), (2, 3), (3, 1)])
def test_transpose_is_the_transpose(on_cpu, taps, stride):
    x, w = RNG.randn(2, 4, 5, 3), RNG.randn(taps, taps, 4, 3)
    shape = [2, 3 * stride + taps, 4 * stride + taps, 4]
    want = adjoints_in_numpy(np.zeros(shape), w, x, stride)[0]
    y = conv2d.conv2d_transpose(tf.constant(x, tf.float32), tf.constant(w, tf.float32), stride)
    assert y.shape.as_list() == shape
    np.testing.assert_allclose(tflib.run(y), want, rtol=0, atol=1e-5 * np.abs(want).max())
