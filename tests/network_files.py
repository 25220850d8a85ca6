"""Network files with altered content: states as dictionaries, read and written as data."""

import copyreg
import io
import os
import pickle

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
