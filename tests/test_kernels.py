"""The native kernels alone: C++, and CUDA's source compiled for the host, against NumPy."""

import ctypes
import functools
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from bench import kernel_judge
from bench.kernel_calls import (
    ACTS,
    PARALLEL_FOR,
    TYPES,
    HostMemory,
    Inputs,
    Kernels,
    Spec,
    decode,
    encode,
    recipe_of,
)
from dnnlib import native_build

ROOT = Path(__file__).resolve().parent.parent
_BUILDS = {
    'native': ('cpu', ['-std=c++11', '-O3', '-march=native']),
    'portable': ('cpu', ['-std=c++17', '-O2']),
    'cuda': ('cuda', ['-std=c++11', '-O1', '-x', 'c++']),
}
_TYPES = [
    ('native', 'float32'),
    ('native', 'bfloat16'),
    ('portable', 'float32'),
    ('portable', 'bfloat16'),
    ('cuda', 'float32'),
    ('cuda', 'float16'),
    ('cuda', 'bfloat16'),
]


@pytest.fixture(scope='module')
def build():
    """Compiles a library of kernels when it is first asked for on this machine."""
    if not shutil.which('g++'):
        pytest.skip('no g++ here')
    processor = native_build.processor_of('g++')

    @functools.lru_cache(maxsize=None)
    def library(name):
        device, flags = _BUILDS[name]
        command = ['g++', '-c', '-Wall', '-Werror=return-type', '-fPIC'] + flags
        recipe = recipe_of('test-' + name, device, command, ['g++', '-shared'], processor)
        return ctypes.CDLL(native_build.build(recipe))

    def get(name, memory=None):
        return Kernels(library(name), _BUILDS[name][0], memory)

    return get


@pytest.fixture(scope='module')
def native(build):
    """The kernels for the CPU of this machine."""
    return build('native')


def threads(count):
    """A PARALLEL_FOR that cuts the work into uneven parts, for `count` threads."""

    @PARALLEL_FOR
    def parallel_for(_pool, total, _cost, function, arg):
        cuts = [total * i * i // (count * count) for i in range(count + 1)]
        workers = [
            threading.Thread(target=function, args=(arg, begin, end))
            for begin, end in zip(cuts, cuts[1:])
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return parallel_for


@pytest.mark.parametrize('name,dtype', _TYPES)
def test_bias_act_agrees_with_numpy_at_any_order(build, name, dtype):
    kernels, rng = build(name), np.random.RandomState(1)
    seen = [
        kernel_judge.check_bias_act(kernels, rng, dtype)['act']
        for _ in range(8 if name == 'cuda' else 50)
    ]
    assert name == 'cuda' or dtype != 'float32' or len(set(seen)) == len(ACTS)


@pytest.mark.parametrize('name,dtype', _TYPES)
def test_upfirdn_agrees_with_numpy_and_its_gradient_is_its_adjoint(build, name, dtype):
    kernels, rng = build(name), np.random.RandomState(2)
    for _ in range(40 if name == 'cuda' else 100):
        kernel_judge.check_upfirdn(kernels, rng, dtype)


@pytest.mark.parametrize('minor', [1, 3, 24])
def test_upfirdn_of_stylegan2_on_large_images(build, minor):
    rng = np.random.RandomState(3)
    k = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
    for name in ['native', 'cuda'] if minor == 1 else ['native']:
        kernels = build(name)
        x = rng.randn(1, 80, 200 if minor == 1 else 400, minor).astype(np.float32)
        for up, down, pad in [(1, 1, (2, 1)), (2, 1, (2, 1)), (2, 1, (1, 2)), (1, 2, (1, 1))]:
            how = ([up] * 2, [down] * 2, [pad] * 2)
            want = kernel_judge.upfirdn(x, k, *how)
            got = kernels.upfirdn(x, k, *(how + (list(want.shape[1:3]),)))
            kernel_judge.assert_near(got, want, what='%s up %d down %d' % (name, up, down))


@pytest.mark.parametrize('size', [7, 8, 9, 16, 17, 32, 33])
def test_cuda_filters_images_about_as_large_as_its_tiles(build, size):
    rng, kernels = np.random.RandomState(9), build('cuda')
    k = rng.randn(4, 4).astype(np.float32)
    for up, down, pad in [(1, 1, (2, 1)), (2, 1, (2, 1)), (2, 1, (1, 2)), (1, 2, (1, 1))]:
        for height in [size, 2 * size + 1]:
            x = rng.randn(2, height * down // up, size * down // up, 1).astype(np.float32)
            how = ([up] * 2, [down] * 2, [pad] * 2)
            want = kernel_judge.upfirdn(x, k, *how)
            got = kernels.upfirdn(x, k, *(how + (list(want.shape[1:3]),)))
            kernel_judge.assert_near(got, want, what='up %d down %d' % (up, down))


@pytest.mark.parametrize('matrix', range(4))
@pytest.mark.parametrize('name', ['native', 'portable'])
def test_winograd_agrees_with_numpy_and_its_adjoint_is_one(build, name, matrix):
    rng = np.random.RandomState(4)
    for count in list(range(1, 5)) * 5:
        kernels = build(name)
        kernels.parallel_for = threads(count)
        kernel_judge.check_winograd(kernels, rng, matrix)


class AlignedMemory(HostMemory):
    """Like that of TensorFlow: arrays begin with a cache line."""

    def put(self, array):
        copy = np.empty(array.nbytes + 64, np.uint8)
        start = -copy.ctypes.data % 64
        copy = copy[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        np.copyto(copy, array)
        return copy


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_upfirdn_of_stylegan2_makes_results_larger_than_caches(build, dtype):
    kernels, rng = build('native', AlignedMemory()), np.random.RandomState(8)
    k = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16
    kernels.parallel_for = threads(2)
    x = encode(rng.randn(1, 24, 30, 96), dtype)
    for up, down in [(2, 1), (1, 1), (1, 2)]:
        how = ([up] * 2, [down] * 2, [(2, 1)] * 2)
        want = kernel_judge.upfirdn(decode(x), k, *how)
        copies = 2**24 // (want.size * x.itemsize) + 1
        got = kernels.upfirdn(np.tile(x, [copies, 1, 1, 1]), k, *(how + (list(want.shape[1:3]),)))
        kernel_judge.assert_near(got[:1], want, dtype)
        np.testing.assert_array_equal(got, np.broadcast_to(got[:1], got.shape))


@pytest.mark.parametrize(
    'name,dtype', [('native', 'float32'), ('native', 'bfloat16'), ('portable', 'bfloat16')]
)
@pytest.mark.parametrize('minor', [1, 40])
def test_upfirdn_of_stylegan2_spreads_nan_no_further_than_the_filter(build, name, dtype, minor):
    kernels, k = build(name), np.ones([4, 4], np.float32)
    x = np.zeros([2, 9, 20, minor])
    x[1, 4, 15, minor // 2] = np.nan
    x = np.uint16(0x7FFF) * np.isnan(x) if dtype == 'bfloat16' else x.astype(np.float32)
    for up, down in [(1, 1), (2, 1), (1, 2)]:
        how = ([up] * 2, [down] * 2, [(2, 1)] * 2)
        want = kernel_judge.upfirdn(decode(x), k, *how)
        got = kernels.upfirdn(x, k, *(how + (list(want.shape[1:3]),)))
        np.testing.assert_array_equal(decode(got), want)


def test_derivatives_of_the_judge_are_those_of_its_functions():
    z, step = np.random.RandomState(4).randn(1000) * 3, 1e-5
    z = z[np.abs(z) > 2 * step]
    for act in ACTS:
        _, d1, d2 = kernel_judge.activation(act, z, 0.2)
        low, high = [kernel_judge.activation(act, z + s, 0.2) for s in [-step, step]]
        np.testing.assert_allclose((high[0] - low[0]) / (2 * step), d1, atol=1e-8)
        np.testing.assert_allclose((high[1] - low[1]) / (2 * step), d2, atol=1e-8)


@pytest.mark.parametrize('name', list(_BUILDS))
def test_extreme_numbers_give_limits(build, name):
    x = np.array([-np.inf, -1e30, -200, -80, -1e-6, 0, 1e-6, 80, 200, 1e30, np.inf, np.nan])
    with np.errstate(all='ignore'):
        want = {act: kernel_judge.activation(act, x, 0.2)[0] for act in ACTS}
    want['swish'][0] = 0
    for act in ACTS:
        spec = dict(
            outer=1,
            channels=1,
            inner=len(x),
            samples=1,
            dtype=0,
            alpha=0.2,
            gain=1.0,
            act=1 + ACTS.index(act),
        )
        got = build(name).bias_act(spec, dict(x=x.reshape(1, 1, -1).astype(np.float32))).ravel()
        np.testing.assert_allclose(got, want[act].astype(np.float32), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('inner', [1, 3000])
def test_bits_do_not_depend_on_the_number_of_threads(native, dtype, inner):
    rng, names = np.random.RandomState(5), ['dx', 'dbias', 'dstyle', 'dscale', 'dshift']
    outer = 6000 if inner == 1 else 4
    spec = dict(
        outer=outer,
        channels=40,
        inner=inner,
        samples=2,
        dtype=TYPES[dtype][0],
        act=3,
        alpha=0.2,
        gain=1.0,
    )
    x, dy = [encode(rng.randn(outer, 40, inner), dtype) for _ in range(2)]
    image = x.ravel()[: 40 * 6000].reshape(2, 50, 60, 40)
    style = rng.randn(2, 40).astype(np.float32)
    k = rng.randn(4, 4).astype(np.float32)
    separable, plane = np.outer(k[0], k[1]), image.reshape(20, 100, 120, 1)
    results = []
    for count in [0, 1, 2, 3]:
        native.parallel_for = threads(count) if count else None
        inputs = dict(x=x, style=style)
        results.append(
            [
                native.bias_act(spec, inputs),
                native.channel_sum(spec, x, style),
                native.upfirdn(image, k, (2, 1), (1, 2), [(1, 2), (3, 0)], [100, 30]),
            ]
        )
        results[-1] += [
            native.upfirdn(
                a, separable, (1, 1), (2, 2), [(1, 1), (1, 1)], [a.shape[1] // 2, a.shape[2] // 2]
            )
            for a in [image, plane]
        ]
        results[-1] += [native.backward(spec, inputs, dy, x, names)[name] for name in names]
    native.parallel_for = None
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('name', ['native', 'cuda'])
def test_any_alignment_will_do(build, name):
    """CUDA reads 16 bytes at once, where it can."""
    rng = np.random.RandomState(6)
    x = rng.randn(1 + 2 * 8 * 16).astype(np.float32)[1:].reshape(2, 8, 16)
    spec = dict(outer=2, channels=8, inner=16, samples=2, dtype=0, act=3, alpha=0.2, gain=1.0)
    kernel_judge.assert_near(build(name).bias_act(spec, dict(x=x)), np.where(x > 0, x, 0.2 * x))


@pytest.mark.parametrize('name', ['native', 'cuda'])
def test_empty_batches_have_empty_results_and_zero_sums(build, name):
    spec = dict(outer=0, channels=4, inner=9, samples=2, dtype=0, act=1, alpha=0.0, gain=1.0)
    x = np.zeros([0, 4, 9], np.float32)
    grads = build(name).backward(spec, dict(x=x), x, None, ['dx', 'dbias', 'dstyle'])
    np.testing.assert_array_equal(grads['dbias'], np.zeros(4))
    np.testing.assert_array_equal(grads['dstyle'], np.zeros([2, 4]))
    k = np.ones([2, 2], np.float32)
    y = build(name).upfirdn(
        np.zeros([0, 5, 5, 1], np.float32), k, (1, 1), (1, 1), [(0, 0), (0, 0)], [4, 4]
    )
    assert y.shape == (0, 4, 4, 1)


@pytest.mark.parametrize('name', ['native', 'cuda'])
def test_nonsense_is_refused(build, name):
    kernels = build(name)
    good = dict(outer=2, channels=3, inner=1, samples=1, dtype=0, act=3, alpha=0.2, gain=1.0)
    x = np.zeros([2, 3, 1], np.float32)
    for wrong, code in [
        (dict(act=0), -1),
        (dict(act=10), -1),
        (dict(samples=3), -1),
        (dict(dtype=3), -2),
    ]:
        with pytest.raises(AssertionError, match='returns %d' % code):
            kernels.bias_act(dict(good, **wrong), dict(x=x))
    with pytest.raises(AssertionError, match='returns -1'):
        kernels.bias_act(good, dict(x=x), grad=1)  # without a reference
    if name != 'cuda':
        good = dict(
            images=1, height=4, width=4, channels=16, tile_rows=2, tile_columns=2, pad=0, matrix=0
        )
        image = np.zeros([1, 4, 4, 16], np.float32)
        for wrong in [
            dict(matrix=4),
            dict(matrix=-1),
            dict(channels=15),
            dict(tile_rows=0),
            dict(pad=-1),
        ]:
            with pytest.raises(AssertionError, match='returns -1'):
                kernels.winograd(dict(good, **wrong), image, 16)
    image = np.zeros([1, 2, 2, 1], np.float32)
    for size in [3, 33]:  # larger than the image; larger than any filter
        with pytest.raises(AssertionError, match='returns -1'):
            kernels.upfirdn(
                image, np.ones([size, size], np.float32), (1, 1), (1, 1), [(0, 0), (0, 0)], [1, 1]
            )


def test_results_may_replace_their_inputs(native):
    rng = np.random.RandomState(7)
    x = rng.randn(50, 16, 1).astype(np.float32)
    bias = rng.randn(16).astype(np.float32)
    spec = dict(outer=50, channels=16, inner=1, samples=1, dtype=0, act=4, alpha=0.0, gain=1.0)
    want = native.bias_act(spec, dict(x=x, bias=bias))
    where = ctypes.c_void_p(x.ctypes.data)
    inputs = Inputs(x=x.ctypes.data, bias=bias.ctypes.data)
    native.run('bias_act', ctypes.byref(Spec(**spec)), ctypes.byref(inputs), 0, None, where)
    np.testing.assert_array_equal(x, want)


def test_cuda_sources_compile_for_all_supported_gpus():
    nvcc = shutil.which('nvcc')
    if not nvcc:
        pytest.skip('no nvcc here')
    known = native_build.output_of([nvcc, '--list-gpu-arch']).split()
    found = [n for n in [70, 75, 80, 86, 90] if 'compute_%d' % n in known]
    assert found, known
    # One pass over the source for the oldest GPU, code of its own for each.
    codes = ['compute_%d' % found[0]] + ['sm_%d' % n for n in found]
    target = '-gencode=arch=compute_%d,code=[%s]' % (found[0], ','.join(codes))
    command = [nvcc, '-c', '-std=c++14', '-Xcompiler', '-fPIC', '-Xptxas', '-O0', target]
    version = native_build.output_of([nvcc, '--version'])
    native_build.build(recipe_of('test-nvcc', 'cuda', command, [nvcc, '-shared', target], version))


def test_no_cuda_kernel_adds_up_in_whatever_order_threads_come():
    paths = list((ROOT / 'dnnlib/tflib/kernels/cuda').glob('*.cu*'))
    texts = [re.sub(r'//.*', '', path.read_text(encoding='utf-8')) for path in paths]
    assert len(texts) >= 4 and '__global__' in ''.join(texts)
    assert not re.findall(r'\w*[Aa]tomic\w*|\bred\.\w+|__threadfence\w*', ''.join(texts))
