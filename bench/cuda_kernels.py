#!/usr/bin/env python3
"""Builds the CUDA kernels for the GPU of this machine, checks them against NumPy and times them.

Needs nvcc, an NVIDIA GPU and NumPy; no TensorFlow. Bandwidth is that of reading every input and
writing every result once, as a fraction of that of a copy within the GPU that moves as many bytes.
Where PyTorch is installed, the last column is its time for the same, with its own operators
(leaky_relu; depthwise conv2d and conv_transpose2d), divided by the kernel's.
"""

import ctypes
import json
import os
import shutil
import sys
from typing import Callable, List, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import ArgumentParser, run_cli  # first, see dnnlib/startup.py

# isort: split

import numpy as np

from bench import kernel_judge
from bench.kernel_calls import TYPES, Grads, Inputs, Kernels, Spec, Upfirdn, recipe_of
from dnnlib import native_build
from dnnlib.util import UserError, atomic_write

# N, C, H = W
_SHAPES = [(4, 512, 8), (32, 512, 32), (32, 512, 64), (32, 256, 128), (16, 128, 256), (4, 32, 1024)]
_FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
_RESAMPLINGS = [
    ('upfirdn_2d 4x4', 1, 1, (2, 1)),
    ('upfirdn_2d 4x4 up 2', 2, 1, (2, 1)),
    ('upfirdn_2d 4x4 down 2', 1, 2, (1, 1)),
]
_TO_DEVICE, _TO_HOST, _DEVICE_TO_DEVICE = 1, 2, 3  # cudaMemcpyKind
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # device attributes of the driver


def _find_nvcc():
    places = [os.path.join(os.environ.get(name, ''), 'bin') for name in ['CUDA_HOME', 'CUDA_PATH']]
    places = [os.environ.get('PATH', ''), *places, '/usr/local/cuda/bin']
    nvcc = shutil.which('nvcc', path=os.pathsep.join(places))
    if not nvcc:
        raise UserError('there is no nvcc; install the CUDA toolkit, or name its folder: CUDA_HOME')
    return nvcc


def _find_gpu():
    """Name and compute capability, such as 90, of the first GPU."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError:
        raise UserError('there is no NVIDIA driver here; this benchmark needs an NVIDIA GPU')
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        raise UserError('there is no NVIDIA GPU here; this benchmark needs one')
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    return name.value.decode(), 10 * major.value + minor.value


def _build(nvcc, capability):
    """The kernels as a ctypes.CDLL that has the functions of the CUDA runtime as well."""
    toolkit = os.path.dirname(os.path.dirname(os.path.realpath(nvcc)))
    rpaths = []
    for name in ['lib64', 'lib', 'targets/x86_64-linux/lib']:
        rpaths += ['-Xlinker', '-rpath=' + os.path.join(toolkit, name)]
    target = '-gencode=arch=compute_%d,code=sm_%d' % (capability, capability)
    compile_with = [nvcc, '-c', '-std=c++14', '-O3', '-Xcompiler', '-fPIC', target]
    link_with = [nvcc, '-shared', '-cudart', 'shared', target] + rpaths
    try:
        version = native_build.output_of([nvcc, '--version'])
        recipe = recipe_of('bench-cuda', 'cuda', compile_with, link_with, version)
        return ctypes.CDLL(native_build.build(recipe))
    except native_build.BuildError as error:
        raise UserError('the kernels cannot be built: %s' % error)


class _Copy:
    """Memory on the GPU, freed with the object."""

    def __init__(self, runtime, size, like=None):
        self._runtime, self.address, self.like = runtime, ctypes.c_void_p(), like
        status = runtime.cudaMalloc(ctypes.byref(self.address), ctypes.c_size_t(max(size, 1)))
        if status:
            raise MemoryError('cudaMalloc of %d bytes returns %d' % (size, status))

    def __del__(self):
        self._runtime.cudaFree(self.address)


class CudaMemory:
    """Memory of the GPU, for `Kernels`, and a clock."""

    def __init__(self, library):
        self.runtime = library

    def put(self, array: np.ndarray) -> _Copy:
        """A copy on the GPU."""
        array = np.ascontiguousarray(array)
        copy = _Copy(self.runtime, array.nbytes, like=array)
        size = ctypes.c_size_t(array.nbytes)
        self._call('cudaMemcpy', copy.address, _address_of(array), size, _TO_DEVICE)
        return copy

    def empty(self, size: int) -> _Copy:
        """Memory of `size` bytes that holds anything."""
        return _Copy(self.runtime, size)

    def get(self, copy: _Copy) -> np.ndarray:
        """The array that a copy holds now."""
        array = np.empty_like(copy.like)
        size = ctypes.c_size_t(array.nbytes)
        self._call('cudaMemcpy', _address_of(array), copy.address, size, _TO_HOST)
        return array

    def address(self, copy: _Copy) -> Optional[int]:
        """Where a copy lies."""
        return copy.address.value

    def seconds(self, function: Callable, repeats: int) -> float:
        """The best time of one call, of several runs of `repeats` calls."""
        start, stop, elapsed = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_float()
        for event in [start, stop]:
            self._call('cudaEventCreate', ctypes.byref(event))
        times = []
        for _ in range(6):  # the first one warms up
            self._call('cudaEventRecord', start, None)
            for _ in range(repeats):
                function()
            self._call('cudaEventRecord', stop, None)
            self._call('cudaEventSynchronize', stop)
            self._call('cudaEventElapsedTime', ctypes.byref(elapsed), start, stop)
            times.append(elapsed.value / 1e3 / repeats)
        return min(times[1:])

    def seconds_of_copy(self, size: int, repeats: int) -> float:
        """The best time of copying so many bytes within the GPU."""
        to, source = self.empty(size), self.empty(size)
        args = to.address, source.address, ctypes.c_size_t(size), _DEVICE_TO_DEVICE, None
        return self.seconds(lambda: self._call('cudaMemcpyAsync', *args), repeats)

    def _call(self, name, *args):
        status = getattr(self.runtime, name)(*args)
        if status:
            raise RuntimeError('%s returns %d' % (name, status))


def _address_of(array):
    return ctypes.c_void_p(array.ctypes.data)


def _torch_ops():
    """name -> function(shape, dtype) that returns a function to be timed; {} without PyTorch."""
    try:
        import torch
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {}
    functional = torch.nn.functional

    def zeros(shape, dtype):
        return torch.zeros(shape, dtype=getattr(torch, dtype), device='cuda')

    def bias_act(shape, dtype):
        x, b = zeros(shape, dtype), zeros([1, shape[1], 1, 1], dtype)
        return lambda: functional.leaky_relu(x + b, 0.2).mul_(np.sqrt(2))

    def resampling(up, down):
        def make(shape, dtype):
            x = zeros([shape[0] * shape[1], 1] + list(shape[2:]), dtype)
            k = torch.tensor(_FILTER[None, None], dtype=x.dtype, device='cuda')
            if up > 1:
                return lambda: functional.conv_transpose2d(x, k, stride=up, padding=1)
            return lambda: functional.conv2d(x, k, stride=down, padding=1)

        return make

    ops = {name: resampling(up, down) for name, up, down, _ in _RESAMPLINGS}
    return dict(ops, **{'bias_act lrelu': bias_act})


def _kernel_ops(kernels, memory, shape, dtype):
    """name -> (function to be timed, bytes that it moves at least)."""
    code, kind = TYPES[dtype]
    n, c, h, w = shape
    pixels, image = n * h * w, n * c * h * w * np.dtype(kind).itemsize
    x, dy, y = [memory.put(np.zeros(shape, kind)) for _ in range(3)]
    large = memory.empty(4 * image + 4096)
    vectors = {
        name: memory.put(np.ones(size, np.float32))
        for name, size in dict(bias=c, style=n * c, scale=pixels, shift=pixels, m=pixels).items()
    }
    k = memory.put(_FILTER)
    spec = Spec(outer=n, channels=c, inner=h * w, samples=n, dtype=code, act=3, alpha=0.2, gain=1.4)

    def inputs(*names):
        return Inputs(x=x.address, **{name: vectors[name].address for name in names})

    plain, full = inputs('bias'), inputs('bias', 'style', 'scale', 'shift')
    grads = Grads(dx=y.address, dbias=vectors['bias'].address)
    size = kernels.function('bias_act_workspace')(ctypes.byref(spec), ctypes.byref(grads))
    workspace = memory.empty(size)

    ref = ctypes.byref

    def bias_act(inputs):
        return lambda: kernels.run('bias_act', ref(spec), ref(inputs), 0, None, y.address)

    def backward():
        args = ref(spec), ref(plain), dy.address, x.address, ref(grads), workspace.address
        kernels.run('bias_act_backward', *args)

    def channel_sum():
        style, m = vectors['style'].address, vectors['m'].address
        kernels.run('channel_sum', ref(spec), x.address, style, m)

    def resampling(how):
        return lambda: kernels.run('upfirdn_2d', ref(how), x.address, k.address, large.address)

    ops = {
        'bias_act lrelu': (bias_act(plain), 2 * image),
        'bias_act with style, noise': (bias_act(full), 2 * image + 8 * pixels),
        'bias_act gradients': (backward, 3 * image),
        'channel_sum': (channel_sum, image + 4 * pixels),
    }
    for name, up, down, pad in _RESAMPLINGS:
        how = Upfirdn(n * c, h, w, 1, 4, 4, up, up, down, down, *(pad + pad + (code,)))
        made = [(size * up + sum(pad) - 4) // down + 1 for size in (h, w)]
        moved = image + image * made[0] * made[1] // (h * w)
        ops[name] = resampling(how), moved
    return ops


def _measure(kernels, memory, shape, dtype, repeats):
    records, torch_ops = [], _torch_ops()
    for name, (function, moved) in _kernel_ops(kernels, memory, shape, dtype).items():
        copy = memory.seconds_of_copy(moved // 2, repeats)
        seconds = memory.seconds(function, repeats)
        record = dict(shape=list(shape), dtype=dtype, op=name, ms=1e3 * seconds, torch_ms=None)
        rates = dict(gb_per_s=moved / seconds / 1e9, copy_gb_per_s=moved / copy / 1e9)
        record.update(rates, of_copy=copy / seconds)
        if name in torch_ops:
            call = torch_ops[name](shape, dtype)
            record['torch_ms'] = 1e3 * memory.seconds(call, repeats)
        records.append(record)
    return records


def main(argv: Optional[List[str]] = None) -> int:
    """Check, print the table; write it as JSON too where asked."""
    parser = ArgumentParser(description='Check and time the CUDA kernels on the first GPU.')
    parser.add_argument('--cases', type=int, default=60, help='random cases to check, per type')
    parser.add_argument('--repeats', type=int, default=20, help='calls that are timed together')
    parser.add_argument('--json', metavar='FILE', help='write the numbers to this file as well')
    args = parser.parse_args(argv)
    if args.repeats < 1:
        parser.error('--repeats is %d; it must be at least 1' % args.repeats)
    nvcc = _find_nvcc()
    gpu, capability = _find_gpu()
    records = []
    library = _build(nvcc, capability)
    memory = CudaMemory(library)
    kernels = Kernels(library, 'cuda', memory)
    print('%s, sm_%d' % (gpu, capability), flush=True)
    for dtype in TYPES:
        rng = np.random.RandomState(0)
        for _ in range(args.cases):
            kernel_judge.check_bias_act(kernels, rng, dtype)
            kernel_judge.check_upfirdn(kernels, rng, dtype)
        print('%s: %d random cases agree with NumPy' % (dtype, 2 * args.cases), flush=True)
    for dtype in TYPES:
        for n, c, size in _SHAPES:
            shape = n, c, size, size
            titles = '', 'ms', 'GB/s', 'of copy', 'PyTorch'
            print('\n%s %s\n' % (dtype, list(shape)) + '%-28s %10s %9s %9s %9s' % titles)
            for r in _measure(kernels, memory, shape, dtype, args.repeats):
                records.append(r)
                other = '%8.2fx' % (r['torch_ms'] / r['ms']) if r['torch_ms'] else ''
                line = '%(op)-28s %(ms)10.4f %(gb_per_s)9.0f %(of_copy)9.2f' % r
                print(line + ' %9s' % other, flush=True)
    if args.json:
        with atomic_write(args.json, 'w') as file:
            json.dump(dict(gpu=gpu, capability=capability, results=records), file, indent=2)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
