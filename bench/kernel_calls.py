"""The native kernels called with NumPy arrays through their C interface, without TensorFlow.

See dnnlib/tflib/kernels/*.h for what the functions compute. bfloat16 is np.uint16 here.
"""

import ctypes
import os
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from dnnlib.native_build import Recipe

_FOLDER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'dnnlib', 'tflib', 'kernels'
)
_SOURCES = {
    'cpu': ['cpu/bias_act_cpu.cc', 'cpu/upfirdn_2d_cpu.cc', 'cpu/winograd_cpu.cc'],
    'cuda': ['cuda/bias_act_cuda.cu', 'cuda/upfirdn_2d_cuda.cu'],
}
ACTS = ['linear', 'relu', 'lrelu', 'tanh', 'sigmoid', 'elu', 'selu', 'softplus', 'swish']
TYPES = {'float32': (0, np.float32), 'float16': (1, np.float16), 'bfloat16': (2, np.uint16)}
Pair = Sequence[int]  # vertical, horizontal
_RANGE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
PARALLEL_FOR = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, _RANGE, ctypes.c_void_p
)


def recipe_of(
    name: str, device: str, compile_with: List[str], link_with: List[str], depends_on: str
) -> Recipe:
    """How to build the kernels for one device, 'cpu' or 'cuda', without TensorFlow."""
    commands = dict.fromkeys(_SOURCES[device], compile_with)
    return Recipe(name, _FOLDER, commands, link_with, [], depends_on)


def encode(values: Any, dtype: str) -> np.ndarray:
    """Round numbers to a type."""
    if dtype != 'bfloat16':
        return np.asarray(values).astype(TYPES[dtype][1])
    bits = np.asarray(values).astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def decode(array: np.ndarray) -> np.ndarray:
    """The numbers of an encoded array, as float64."""
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


def _structure(name, **fields):
    order = [(field, kind) for kind, names in fields.items() for field in names.split()]
    kinds = dict(i64=ctypes.c_int64, i32=ctypes.c_int32, f32=ctypes.c_float, ptr=ctypes.c_void_p)
    return type(name, (ctypes.Structure,), {'_fields_': [(f, kinds[kind]) for f, kind in order]})


Spec = _structure('Spec', i64='outer channels inner samples', i32='dtype act', f32='alpha gain')
Inputs = _structure('Inputs', ptr='x bias style scale shift')
Grads = _structure('Grads', ptr='dx dbias dstyle dscale dshift')
Upfirdn = _structure(
    'Upfirdn',
    i64='major in_h in_w minor',
    i32='taps_y taps_x up_y up_x down_y down_x pad_y0 pad_y1 pad_x0 pad_x1 dtype',
)
Winograd = _structure(
    'Winograd', i64='images height width channels tile_rows tile_columns', i32='pad matrix'
)


class HostMemory:
    """Memory of the device that works, here the CPU: arrays are their own copies there."""

    def put(self, array: np.ndarray) -> np.ndarray:
        """A copy on the device."""
        return np.ascontiguousarray(array)

    def get(self, copy: np.ndarray) -> np.ndarray:
        """The array that a copy holds now."""
        return copy

    def address(self, copy: np.ndarray) -> int:
        """Where a copy lies."""
        return copy.ctypes.data


class Kernels:
    """The kernels of a library for one device, 'cpu' or 'cuda'; arrays in, arrays out.

    library: a ctypes.CDLL. parallel_for: a PARALLEL_FOR for 'cpu'; None: one thread.
    """

    def __init__(self, library: ctypes.CDLL, device: str, memory: Any = None):
        self._library = library
        self._device = device
        self._memory = memory or HostMemory()
        self.parallel_for = None

    def function(self, name: str) -> Any:
        """A function of the library, by its name without the device."""
        found = getattr(self._library, 'sg_%s_%s' % (name, self._device))
        found.restype = ctypes.c_int64 if name.endswith('workspace') else ctypes.c_int
        return found

    def run(self, name: str, *args: Any) -> None:
        """Call a function in the device's default stream or the threads of `parallel_for`."""
        tail = [self.parallel_for, None] if self._device == 'cpu' else [None]
        status = self.function(name)(*(list(args) + tail))
        assert status == 0, '%s returns %d' % (name, status)

    def _pointer(self, copy):
        return None if copy is None else ctypes.c_void_p(self._memory.address(copy))

    def _put_all(self, arrays):
        return {
            name: self._memory.put(array) for name, array in arrays.items() if array is not None
        }

    def _fill(self, structure, copies):
        return structure(
            **{
                name: self._memory.address(copies[name])
                for name, _ in structure._fields_
                if name in copies
            }
        )

    def bias_act(
        self, spec: dict, inputs: dict, grad: int = 0, ref: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """y; inputs: x and perhaps bias, style, scale, shift."""
        copies = self._put_all(dict(inputs, ref=ref, y=np.zeros_like(inputs['x'])))
        self.run(
            'bias_act',
            ctypes.byref(Spec(**spec)),
            ctypes.byref(self._fill(Inputs, copies)),
            grad,
            self._pointer(copies.get('ref')),
            self._pointer(copies['y']),
        )
        return self._memory.get(copies['y'])

    def backward(
        self,
        spec: dict,
        inputs: dict,
        dy: Optional[np.ndarray],
        ref: Optional[np.ndarray],
        wanted: List[str],
    ) -> Dict[str, np.ndarray]:
        """The wanted ones of dx, dbias, dstyle, dscale, dshift, by name."""
        shapes = dict(
            dbias=[spec['channels']],
            dstyle=[spec['samples'], spec['channels']],
            dscale=[spec['outer'] * spec['inner']],
        )
        shapes['dshift'] = shapes['dscale']
        new = {name: np.full(shapes[name], np.nan, np.float32) for name in wanted if name != 'dx'}
        if 'dx' in wanted:
            new['dx'] = np.zeros_like(inputs['x'])
        results, copies = self._put_all(new), self._put_all(dict(inputs, dy=dy, ref=ref))
        grads, c_spec = self._fill(Grads, results), Spec(**spec)
        size = self.function('bias_act_workspace')(ctypes.byref(c_spec), ctypes.byref(grads))
        workspace = self._memory.put(np.full(size // 4, np.nan, np.float32))
        self.run(
            'bias_act_backward',
            ctypes.byref(c_spec),
            ctypes.byref(self._fill(Inputs, copies)),
            self._pointer(copies.get('dy')),
            self._pointer(copies.get('ref')),
            ctypes.byref(grads),
            self._pointer(workspace),
        )
        return {name: self._memory.get(copy) for name, copy in results.items()}

    def winograd(self, spec: dict, x: np.ndarray, num_planes: int) -> np.ndarray:
        """[planes, tiles of all images, channels]."""
        tiles = spec['images'] * spec['tile_rows'] * spec['tile_columns']
        planes = np.full([num_planes, tiles, spec['channels']], np.nan, np.float32)
        copies = self._put_all(dict(x=x, planes=planes))
        self.run(
            'winograd',
            ctypes.byref(Winograd(**spec)),
            self._pointer(copies['x']),
            self._pointer(copies['planes']),
        )
        return self._memory.get(copies['planes'])

    def winograd_adjoint(self, spec: dict, planes: np.ndarray) -> np.ndarray:
        """[images, height, width, channels]."""
        shape = [spec[name] for name in ['images', 'height', 'width', 'channels']]
        copies = self._put_all(dict(planes=planes, x=np.full(shape, np.nan, np.float32)))
        self.run(
            'winograd_adjoint',
            ctypes.byref(Winograd(**spec)),
            self._pointer(copies['planes']),
            self._pointer(copies['x']),
        )
        return self._memory.get(copies['x'])

    def channel_sum(self, spec: dict, x: np.ndarray, style: Optional[np.ndarray]) -> np.ndarray:
        """[pixels]: sums over the channels of x * style."""
        m = np.full(spec['outer'] * spec['inner'], np.nan, np.float32)
        copies = self._put_all(dict(x=x, style=style, m=m))
        self.run(
            'channel_sum',
            ctypes.byref(Spec(**spec)),
            self._pointer(copies['x']),
            self._pointer(copies.get('style')),
            self._pointer(copies['m']),
        )
        return self._memory.get(copies['m'])

    def upfirdn(
        self,
        x: np.ndarray,
        k: np.ndarray,
        up: Pair,
        down: Pair,
        pad: Sequence[Pair],
        out: List[int],
    ) -> np.ndarray:
        """y [major, out[0], out[1], minor] of x [major, H, W, minor]; pairs are (y, x)."""
        copies = self._put_all(
            dict(x=x, k=k, y=np.zeros([x.shape[0]] + out + [x.shape[3]], x.dtype))
        )
        numbers = (
            list(x.shape) + list(k.shape) + list(up) + list(down) + list(pad[0]) + list(pad[1])
        )
        code = next(code for code, kind in TYPES.values() if kind == x.dtype)
        self.run(
            'upfirdn_2d',
            ctypes.byref(Upfirdn(*(int(v) for v in numbers + [code]))),
            *(self._pointer(copies[name]) for name in 'xky'),
        )
        return self._memory.get(copies['y'])
