"""Reading and writing network pickles: one file format for all engines, and nothing run on the way.

Written: protocol 4, which Python 3.6 reads, with arrays as plain `numpy.ndarray(shape, dtype,
buffer)` calls, which every NumPy version reads (NumPy 2 names its own helpers differently).
"""

import copyreg
import io
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO

import numpy as np

from dnnlib.tflib import network_code
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, atomic_write

_CONTAINERS = {
    'object',
    'list',
    'dict',
    'set',
    'tuple',
    'range',
    'xrange',
    'slice',
    'bytearray',
    'complex',
}

_ALLOWED = {
    'dnnlib.tflib.network': {'Network'},
    'dnnlib.util': {'EasyDict'},
    'collections': {'OrderedDict'},
    '_codecs': {'encode'},
    'copyreg': {'_reconstructor'},
    'copy_reg': {'_reconstructor'},
    'builtins': _CONTAINERS,
    '__builtin__': _CONTAINERS,  # Python 2
    'numpy': {
        'ndarray',
        'dtype',
        'float16',
        'float32',
        'float64',
        'int8',
        'uint8',
        'int16',
        'uint16',
        'int32',
        'uint32',
        'int64',
        'uint64',
        'bool_',
    },
    'numpy.core.multiarray': {'_reconstruct', 'scalar'},
}


class _SavedNetwork(Network):
    """A Network that only comes to life from saved state: a file must not call the constructor."""

    def __init__(self, *_args, **_kwargs):
        raise UserError(
            'the file tries to build a network instead of holding one; it was not loaded'
        )

    def __setstate__(self, state):
        self.__class__ = Network
        Network.__setstate__(self, state)


class NetworkRecord:
    """What a file says about a network, as plain data: nothing is built and no code runs.

    Attributes:
        version, name, build_func_name, static_kwargs: as in the file.
        source: the code of the build function's module.
        components: key -> NetworkRecord. variables: local name -> array, of own variables only.
    """

    def __init__(self, *_args, **_kwargs):
        raise UserError('the file tries to build a network instead of holding one')

    def __setstate__(self, state: dict) -> None:
        self.version = state['version']
        if self.version not in (2, 3, 4):
            raise UserError('the file has the unknown format version %r' % (self.version,))
        self.name = str(state['name'])
        self.build_func_name = str(state['build_func_name'])
        self.source = str(state['build_module_src'])
        self.static_kwargs = dict(state['static_kwargs'])
        self.components = dict(state.get('components', {}))
        self.variables = OrderedDict(
            (str(name), np.asarray(value)) for name, value in state['variables']
        )
        if not all(isinstance(component, NetworkRecord) for component in self.components.values()):
            raise UserError('a component of the network %r is no network' % self.name)


class _RestrictedUnpickler(pickle.Unpickler):
    """Unpickler of known classes alone; `network_class` takes the place of Network."""

    def __init__(self, file, network_class):
        super().__init__(file, encoding='latin1')
        self._network_class = network_class

    def find_class(self, module, name):
        module = module.replace('numpy._core', 'numpy.core')
        if name not in _ALLOWED.get(module, ()):
            raise UserError(
                'the file asks for %s.%s, which a network file has no need of; it was '
                'not loaded' % (module, name)
            )
        if module == 'dnnlib.tflib.network':
            return self._network_class
        special = {
            'ndarray': _make_array,
            '_reconstruct': _make_empty_array,
            'scalar': _numpy_scalar,
        }
        if module.startswith('numpy') and name in special:
            return special[name]
        return super().find_class(module, name)


def _make_array(shape, dtype, buffer):
    """What `_reduce_array` asks for; an array of objects made from bytes would be one of wild
    pointers.
    """
    dtype = np.dtype(dtype)
    if dtype.hasobject:
        raise UserError('the file holds an array of objects; it was not loaded')
    return np.ndarray(shape, dtype, buffer)


# The helpers that NumPy's own pickles name, in whatever module this NumPy keeps them.
_numpy_reconstruct = np.zeros(1).__reduce__()[0]
_numpy_scalar = np.float32(0).__reduce__()[0]


def _make_empty_array(_subtype, shape, dtype):
    return _numpy_reconstruct(np.ndarray, shape, dtype)


def load(file: BinaryIO, trust_network_code: bool = False) -> Any:
    """Unpickle networks from a binary file.

    Only networks, arrays and plain containers are accepted. `trust_network_code` allows the source
    code embedded in the networks to run, with all that it may do.

    Raises:
        UserError: not a pickle, truncated, a class outside the list, or networks that do not fit.
    """
    with network_code.trust(trust_network_code):
        return _read(file, _SavedNetwork)


def load_records(file: BinaryIO) -> Any:
    """Unpickle networks as `NetworkRecord`s, which needs no session and runs nothing.

    Raises:
        UserError: not a pickle, truncated, or a class outside the list.
    """
    return _read(file, NetworkRecord)


def _read(file, network_class):
    data = file.read()
    where = getattr(file, 'name', 'the file')
    if data[:200].lstrip()[:1] == b'<':
        raise UserError('%s is a web page, not a network file; download it again' % where)
    try:
        return _RestrictedUnpickler(io.BytesIO(data), network_class).load()
    except UserError as error:
        raise UserError('cannot load %s: %s' % (where, error))
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        ImportError,
        TypeError,
        UnicodeDecodeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise UserError(
            '%s is not a whole network file (%s: %s); download or save it again'
            % (where, type(error).__name__, error)
        )


def save(obj: Any, path: str) -> None:
    """Pickle networks to a file, which appears whole or not at all."""
    with atomic_write(path) as file:
        pickler = pickle.Pickler(file, protocol=4)
        pickler.dispatch_table = dict(copyreg.dispatch_table)
        pickler.dispatch_table[np.ndarray] = _reduce_array
        for scalar in (np.float32, np.float64, np.float16, np.int32, np.int64, np.bool_):
            pickler.dispatch_table[scalar] = _reduce_scalar
        pickler.dump(obj)


def _reduce_array(array):
    return np.ndarray, (array.shape, array.dtype.str, array.tobytes())


def _reduce_scalar(scalar):
    return type(scalar), (scalar.item(),)
