"""Network files with altered content, read and written as data; files of PyTorch weights."""

import copyreg
import io
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np

from dnnlib import pickle_reader
from dnnlib.tflib import network_state
from dnnlib.tflib.network import Network
from tests import golden

SNAPSHOT = os.path.join(golden.DATA_DIR, 'snapshot_tf2.pkl')


def read_calls(path=SNAPSHOT):
    """Records of a file's networks, (G, D, Gs), whose `.state` may be changed."""
    with open(path, 'rb') as file:
        return pickle_reader.read(file.read(), network_state.NETWORK_CLASSES)


def dumps(content, protocol=4):
    """A pickle in which the records of `read_calls` are networks again."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol)
    pickler.dispatch_table = dict(copyreg.dispatch_table)
    pickler.dispatch_table[pickle_reader.Call] = lambda call: (Network, (), call.state)
    pickler.dispatch_table[np.ndarray] = lambda array: (
        np.ndarray,
        (array.shape, array.dtype.str, array.tobytes()),
    )
    pickler.dump(content)
    return stream.getvalue()


class FloatStorage:
    """Stands for torch.FloatStorage in a pickle."""


class LongStorage:
    """Stands for torch.LongStorage in a pickle."""


def _rebuild_tensor_v2(*_args):
    """Stands for torch._utils._rebuild_tensor_v2 in a pickle."""


class _Tensor:
    def __init__(self, key, array, change):
        storage = FloatStorage if array.dtype == np.float32 else LongStorage
        self.storage = ('storage', storage, key, 'cpu', array.size, None)
        if 'storage' in change:
            self.storage = ('storage', change['storage']) + self.storage[2:]
        strides = tuple(step // array.itemsize for step in array.strides)
        place = dict(begin=0, shape=array.shape, strides=strides)
        place.update((name, value) for name, value in change.items() if name in place)
        self.place = place['begin'], place['shape'], place['strides']

    def __reduce__(self):
        return _rebuild_tensor_v2, (_Outside(self.storage), *self.place, False, OrderedDict())


class _Outside:
    def __init__(self, identity):
        self.identity = identity


class _TorchPickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, _Outside) else None


def torch_weights(arrays, **change):
    """A file as torch.save wrote it before version 1.6.

    Args:
        arrays: float32 and int64. change: of all arrays: begin, shape, strides, storage (a class),
            size (that their numbers are said to have).
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    stream = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True)):
        pickle.dump(value, stream, 2)
    weights = OrderedDict((name, _Tensor(name, arrays[name], change)) for name in arrays)
    pickled = io.BytesIO()
    _TorchPickler(pickled, 2).dump(weights)
    text = pickled.getvalue().replace(b'ctests.network_files\n_re', b'ctorch._utils\n_re')
    stream.write(text.replace(b'ctests.network_files\n', b'ctorch\n'))
    pickle.dump(list(arrays), stream, 2)
    for array in arrays.values():
        stream.write(struct.pack('<q', change.get('size', array.size)) + array.tobytes())
    return stream.getvalue()
