"""Resampling against the recorded numbers, SciPy and finite differences."""

import numpy as np
import pytest
import scipy.signal
import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops, engine, layout
from dnnlib.tflib.ops import upfirdn_2d as ops
from dnnlib.tflib.ops import upfirdn_ref
from dnnlib.util import UserError
from tests import golden

FORMATS = ['NCHW', 'NHWC']


def in_format(x, source, target):
    """Move the axes of an image batch from one data format to the other."""
    return np.transpose(x, [source.index(axis) for axis in target])


def numpy_upfirdn(x, k, up, down, pad):
    """The four steps of upfirdn_2d in NumPy and SciPy; pairs are (vertical, horizontal)."""
    major, h, w, minor = x.shape
    u = np.zeros([major, h * up[0], w * up[1], minor])
    u[:, :: up[0], :: up[1]] = x
    u = np.pad(u, [(0, 0)] + [(max(a, 0), max(b, 0)) for a, b in pad] + [(0, 0)], 'constant')
    (y0, y1), (x0, x1) = [(max(-a, 0), max(-b, 0)) for a, b in pad]
    u = u[:, y0 : u.shape[1] - y1, x0 : u.shape[2] - x1]
    images = [
        [scipy.signal.convolve2d(u[n, :, :, c], k, 'valid') for c in range(minor)]
        for n in range(major)
    ]
    return np.transpose(images, [0, 2, 3, 1])[:, :: down[0], :: down[1]]


def random_case(rng):
    """x, k and keyword arguments of a call whose result has at least one pixel."""
    while True:
        k = rng.randn(*rng.randint(1, 6, 2))
        x = rng.randn(rng.randint(1, 3), *rng.randint(1, 9, 2), rng.randint(1, 4))
        factors = rng.randint(1, 4, 4) if rng.rand() < 0.5 else np.repeat(rng.randint(1, 4, 2), 2)
        if rng.rand() < 0.5:
            factors[: 2 if rng.rand() < 0.5 else 4] = 1
        up, down = factors[:2], factors[2:]
        pad = rng.randint(-3, 6, [2, 2])
        if np.all(np.array(x.shape[1:3]) * up + np.minimum(pad, 0).sum(1) >= 1) and np.all(
            np.array(x.shape[1:3]) * up + pad.sum(1) >= k.shape
        ):
            names = ['upy', 'upx', 'downy', 'downx', 'pady0', 'pady1', 'padx0', 'padx1']
            kwargs = dict(zip(names, [int(v) for v in [*up, *down, *pad.ravel()]]))
            return x, k.astype(np.float32), kwargs, (up, down, pad)


def test_upfirdn_gives_the_recorded_results_and_gradients(session, impl):
    arrays, meta = golden.load('upfirdn')
    got, want = [], []
    for case in meta['cases']:
        data = {key: arrays[case['case'] + '.' + key] for key in ['x', 'k', 'y']}
        x = tf.constant(data['x'])
        y = ops.upfirdn_2d(x, data['k'], impl=impl, **case['params'])
        got.append(y)
        want.append(data['y'])
        if case['has_grad']:
            got += tf.gradients(y, x, tf.constant(arrays[case['case'] + '.dy']))
            want.append(arrays[case['case'] + '.dx'])
    assert len(got) > 26
    for g, w in zip(session.run(got), want):
        golden.assert_close(g, w, 1e-5)


@pytest.mark.parametrize('data_format', FORMATS)
def test_wrappers_give_the_recorded_results_and_gradients_in_both_layouts(
    session, impl, data_format
):
    arrays, meta = golden.load('resample')
    tensors, want, names = [], [], []
    for case in meta['cases']:
        data = {
            key: arrays[case['case'] + '.' + key]
            for key in ['x', 'w', 'y', 'dy', 'dx', 'dw']
            if case['case'] + '.' + key in arrays.files
        }
        kwargs = dict(case['kwargs'])
        recorded = kwargs.pop('data_format', 'NCHW')
        if case.get('shape_follows_docs') is False:
            continue
        move = [recorded, data_format]
        x = tf.constant(in_format(data['x'], *move))
        inputs = [x] + [tf.constant(data[key]) for key in ['w'] if key in data]
        y = getattr(ops, case['function'])(
            *inputs, k=case['k'], data_format=data_format, impl=impl, **kwargs
        )
        tensors.append([y] + tf.gradients(y, inputs, tf.constant(in_format(data['dy'], *move))))
        want.append(
            [in_format(data[key], *move) for key in ['y', 'dx']]
            + [data[key] for key in ['dw'] if key in data]
        )
        names.append(str(case))
    assert {'3'} <= {str(case['groups']) for case in meta['cases']}
    for gs, ws, name in zip(session.run(tensors), want, names):
        assert len(gs) == len(ws)
        for g, w in zip(gs, ws):
            golden.assert_close(g, w, 1e-5, name)


def test_upsample_conv_follows_its_documentation_for_every_factor(session):
    arrays, meta = golden.load('resample')
    cases = [case for case in meta['cases'] if case.get('shape_follows_docs') is False]
    assert {case['kwargs']['factor'] for case in cases} >= {1, 4}
    for case in cases:
        x, w, y = [arrays[case['case'] + '.' + key] for key in 'xwy']
        data_format, factor = case['kwargs'].get('data_format', 'NCHW'), case['kwargs']['factor']
        got = session.run(
            ops.upsample_conv_2d(tf.constant(x), tf.constant(w), k=case['k'], **case['kwargs'])
        )
        h, w_ = [data_format.index(axis) for axis in 'HW']
        assert (got.shape[h], got.shape[w_]) == (x.shape[h] * factor, x.shape[w_] * factor)
        common = tuple(slice(0, min(a, b)) for a, b in zip(got.shape, y.shape))
        golden.assert_close(got[common], y[common], 1e-5, str(case))


@pytest.mark.parametrize('factor', [1, 2, 3, 4])
@pytest.mark.parametrize('kernel', [[1, 3, 3, 1], [1, 2, 1], [1, 4, 6, 4, 1]])
@pytest.mark.parametrize('conv', [1, 3, 5])
def test_convolutions_agree_with_filter_and_convolution_in_turn(session, factor, kernel, conv):
    rng = np.random.RandomState(1)
    x, w = rng.randn(2, 24, 20, 3), rng.randn(conv, conv, 3, 2)
    k = np.outer(kernel, kernel) / np.sum(kernel) ** 2
    p = len(kernel) - factor

    def resample(v, gain, up, down, extra):
        pad = [((p + 1) // 2 + extra, p // 2)] * 2
        return numpy_upfirdn(v, k * gain, [up] * 2, [down] * 2, pad)

    def convolve(v):
        maps = [
            [
                sum(
                    scipy.signal.correlate2d(image[..., i], w[:, :, i, o], 'same') for i in range(3)
                )
                for o in range(2)
            ]
            for image in v
        ]
        return np.transpose(maps, [0, 2, 3, 1])

    got = session.run(
        [
            op(tf.constant(x), tf.constant(w), kernel, factor, data_format='NHWC')
            for op in (ops.upsample_conv_2d, ops.conv_downsample_2d)
        ]
    )
    want = [
        convolve(resample(x, factor**2, factor, 1, factor - 1)),
        resample(convolve(x), 1, 1, factor, 0),
    ]
    # Zeros are padded once only, so the borders differ.
    border = 0 if conv == 1 else (len(kernel) + conv) // 2
    for g, v, m in zip(got, want, [border, -(-border // factor)]):
        assert g.shape == v.shape
        inside = np.s_[:, m : v.shape[1] - m, m : v.shape[2] - m]
        assert v[inside].size
        golden.assert_close(g[inside], v[inside], 1e-6)


def test_upfirdn_agrees_with_scipy_on_random_shapes(session, impl):
    rng = np.random.RandomState(2)
    cases = [random_case(rng) for _ in range(40)]
    got = session.run(
        [ops.upfirdn_2d(tf.constant(x, tf.float32), k, impl=impl, **kw) for x, k, kw, _ in cases]
    )
    for g, (x, k, kw, how) in zip(got, cases):
        golden.assert_close(g, numpy_upfirdn(x, k, *how), 1e-5, str(kw))


def test_compiled_filter_agrees_with_scipy_in_all_formats_types_and_sizes(session, compiled):
    rng = np.random.RandomState(7)
    got, want = [], []
    for size in [(1, 1), (2, 2), (4, 4), (7, 7), (9, 3), (12, 12), (32, 32)]:
        for k in [rng.randn(*size), np.outer(rng.randn(size[0]), rng.randn(size[1]))]:
            up, down = [(1, 1), (2, 1), (1, 2), (3, 2)][rng.randint(4)]
            pad = [(int(size[i]) // 2 + up, int(size[i]) // 2) for i in range(2)]
            x = rng.randn(2, 9, 11, rng.choice([1, 3, 16, 33]))
            how = upfirdn_ref.Resampling(k.astype(np.float32), (up, up), (down, down), pad)
            for dtype in custom_ops.kernel_dtypes():
                for data_format in FORMATS:
                    x_t = tf.constant(in_format(x, 'NHWC', data_format), tf.float32)
                    y = ops._upfirdn(tf.cast(x_t, dtype), how, data_format, compiled)
                    assert y.dtype == dtype
                    got.append(tf.cast(y, tf.float32))
                    rounded = tf.cast(tf.cast(x, dtype), tf.float64)
                    want.append((rounded, how, data_format, 1e-5 if dtype == tf.float32 else 1e-2))
    values = session.run([got, [w[0] for w in want]])
    for g, x, (_, how, data_format, tolerance) in zip(*values, want):
        y = numpy_upfirdn(x, how.kernel, how.up, how.down, how.pad)
        golden.assert_close(
            in_format(g, data_format, 'NHWC'), y, tolerance, '%s %s' % (data_format, how)
        )


def test_gradient_is_the_adjoint_and_its_gradient_the_op_itself(session, impl):
    rng = np.random.RandomState(3)
    dtype, tolerance = (tf.float64, 1e-9) if impl == 'ref' else (tf.float32, 1e-5)
    for x, k, kw, _ in [random_case(rng) for _ in range(15)]:
        x_t = tf.constant(x, dtype)
        y = ops.upfirdn_2d(x_t, k, impl=impl, **kw)
        v = tf.constant(rng.randn(*y.shape.as_list()), dtype)
        (dx,) = tf.gradients(y, x_t, v)
        (again,) = tf.gradients(dx, v, x_t)  # the gradient is linear in v
        y_v, v_v, dx_v, again_v = session.run([y, v, dx, again])
        size = np.linalg.norm(y_v) * np.linalg.norm(v_v)
        assert abs(np.vdot(y_v, v_v) - np.vdot(x, dx_v)) <= tolerance * max(size, 1)
        golden.assert_close(again_v, y_v, tolerance)


@pytest.mark.parametrize('data_format', FORMATS)
@pytest.mark.parametrize('name', ['upsample_conv_2d', 'conv_downsample_2d'])
def test_second_order_gradients_agree_with_finite_differences(session, name, data_format):
    rng = np.random.RandomState(4)
    inputs = [tf.placeholder(tf.float64, shape) for shape in ([1, 4, 4, 4], [3, 3, 4, 2])]
    values = [rng.randn(*t.shape.as_list()) for t in inputs]
    directions = [rng.randn(*v.shape) for v in values]
    y = getattr(ops, name)(*inputs, k=[1, 3, 3, 1], data_format=data_format)
    dx, dw = tf.gradients(tf.reduce_sum(tf.nn.softplus(y)), inputs)
    penalty = tf.reduce_sum(dx**2) + tf.reduce_sum(dw**3)
    slope = sum(tf.reduce_sum(g * d) for g, d in zip(tf.gradients(penalty, inputs), directions))

    def at(step, what):
        moved = [v + step * d for v, d in zip(values, directions)]
        return session.run(what, dict(zip(inputs, moved)))

    eps = 1e-5
    numeric = (at(eps, penalty) - at(-eps, penalty)) / (2 * eps)
    assert np.isclose(at(0, slope), numeric, rtol=1e-6)


@pytest.mark.parametrize('data_format', FORMATS)
def test_batch_size_may_be_unknown_and_static_shapes_stay_known(session, data_format):
    sizes = {'N': None, 'C': 3, 'H': 8, 'W': 6}
    x = tf.placeholder(tf.float32, [sizes[axis] for axis in data_format])
    w = tf.ones([3, 3, 3, 5])
    kwargs = dict(k=[1, 3, 3, 1], data_format=data_format)
    results = {
        (3, 8, 6): ops.filter_2d(x, **kwargs),
        (3, 16, 12): ops.upsample_2d(x, **kwargs),
        (3, 4, 3): ops.downsample_2d(x, **kwargs),
        (5, 16, 12): ops.upsample_conv_2d(x, w, **kwargs),
        (5, 4, 3): ops.conv_downsample_2d(x, w, **kwargs),
    }
    feed = {x: np.ones([2] + x.shape.as_list()[1:])}
    for (c, h, w_), y in results.items():
        want = {'N': None, 'C': c, 'H': h, 'W': w_}
        assert y.shape.as_list() == [want[axis] for axis in data_format]
        (dx,) = tf.gradients(y, x)
        assert session.run(y, feed).shape[0] == 2
        assert session.run(dx, feed).shape == feed[x].shape


def test_groups_may_be_of_unknown_number_on_gpus(session, monkeypatch):
    monkeypatch.setattr(layout, 'for_device', lambda: 'NCHW')
    samples = tf.placeholder(tf.float32, [None, 3, 8, 6])
    for size in (1, 3):
        x = tf.reshape(samples, [1, -1, 8, 6])
        w = tf.reshape(tf.placeholder(tf.float32, [size, size, 3, None, 5]), [size, size, 3, -1])
        for op, want in [(ops.upsample_conv_2d, [16, 12]), (ops.conv_downsample_2d, [4, 3])]:
            y = op(x, w, k=[1, 3, 3, 1])
            assert y.shape.as_list()[2:] == want
            dx, dw = tf.gradients(y, [x, w])
            assert dx.shape.as_list() == [1, None, 8, 6]
            assert dw.shape.as_list()[:3] == [size, size, 3]
            assert tf.gradients(tf.square(dx), w)[0] is not None


@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16, tf.float32, tf.float64])
def test_every_floating_point_type_is_kept(session, dtype):
    tolerance = {tf.float16: 2e-3, tf.bfloat16: 2e-2}.get(dtype, 1e-5)
    values = np.random.RandomState(5).randn(1, 6, 6, 4)
    w_values = np.random.RandomState(6).randn(3, 3, 4, 4)

    def results(dtype):
        x, w = tf.cast(values, dtype), tf.cast(w_values, dtype)
        kwargs = dict(k=[1, 3, 3, 1], data_format='NHWC')
        ys = [op(x, **kwargs) for op in (ops.filter_2d, ops.upsample_2d, ops.downsample_2d)]
        ys += [op(x, w, **kwargs) for op in (ops.upsample_conv_2d, ops.conv_downsample_2d)]
        return ys + [tf.gradients(y, x)[0] for y in ys]

    got = results(dtype)
    assert all(y.dtype == dtype for y in got)
    got = session.run([tf.cast(y, tf.float64) for y in got])
    for g, w in zip(got, session.run(results(tf.float64))):
        golden.assert_close(g, w, tolerance)


def test_the_callers_kernel_is_not_modified(session):
    k = np.ones([4, 4], np.float32)
    ops.upsample_2d(tf.ones([1, 1, 4, 4]), k)
    assert np.all(k == 1)


def test_wrong_kernels_and_too_small_images_are_explained(session):
    x = tf.ones([1, 1, 4, 4])
    with pytest.raises(UserError, match=r'shape \[2, 3\]; allowed'):
        ops.filter_2d(x, np.ones([2, 3]))
    with pytest.raises(UserError, match='cannot be normalized'):
        ops.filter_2d(x, [1, -1])
    with pytest.raises(UserError, match='too small'):
        ops.upfirdn_2d(tf.ones([1, 2, 2, 1]), np.ones([3, 3]))
    if not engine.gpu_devices():
        with pytest.raises(UserError, match="impl='cuda' of UpFirDn2D.*this is a CPU"):
            ops.filter_2d(x, [1, 1], impl='cuda')


def test_a_compiled_filter_says_what_it_cannot_do(session, compiled):
    with pytest.raises(UserError, match='cannot do float64'):
        ops.filter_2d(tf.ones([1, 1, 4, 4], tf.float64), [1, 1], impl=compiled)
    with pytest.raises(UserError, match='kernel of 33 x 33'):
        ops.filter_2d(tf.ones([1, 1, 4, 4]), np.ones(33), impl=compiled)
    assert ops.filter_2d(tf.ones([1, 1, 4, 4]), np.ones(33)).shape == [1, 1, 4, 4]
