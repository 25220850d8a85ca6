"""Reading and writing network pickles: one file format for all engines, and nothing run on the way.

Read by `pickle_reader`, checked by `network_state`, then built. `pickle.load` reads them too, and
then the file can do what it wants.

Written: protocol 4, which Python 3.6 reads, with arrays as plain `numpy.ndarray(shape, dtype,
buffer)` calls, which every NumPy version reads (NumPy 2 names its own helpers differently).
"""

import contextlib
import copyreg
import pickle
from typing import Any, BinaryIO

import numpy as np

from dnnlib import pickle_reader
from dnnlib.tflib import network_code, network_state
from dnnlib.util import UserError, atomic_write


def load(file: BinaryIO, trust_network_code: bool = False) -> Any:
    """Read networks from a binary file and build them.

    Only networks, arrays and plain containers are accepted. `trust_network_code` allows the source
    code embedded in the networks to run, with all that it may do.

    Raises:
        UserError: not a pickle, truncated, more than data, or networks that do not fit.
    """
    records = load_records(file)
    with network_code.trust(trust_network_code), _naming(file):
        return network_state.build(records)


def load_records(file: BinaryIO) -> Any:
    """Read networks as `NetworkRecord`s, which needs no session and runs nothing.

    Raises:
        UserError: not a pickle, truncated, more than data, or a state that no network has.
    """
    content = pickle_reader.load(file, 'network file', network_state.NETWORK_CLASSES)
    with _naming(file):
        return network_state.from_pickle(content)


@contextlib.contextmanager
def _naming(file):
    """Name the file in errors."""
    try:
        yield
    except UserError as error:
        raise UserError(
            'cannot load %s: %s' % (getattr(file, 'name', 'the file'), error)
        ) from error


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
