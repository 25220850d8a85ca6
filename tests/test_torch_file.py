"""Files of PyTorch weights: real ones come out as arrays, anything else is one error."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from dnnlib import pickle_reader, torch_file
from dnnlib.pickle_machine import PickleError
from tests.golden import DATA_DIR
from tests.network_files import torch_weights

CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def real():
    with open(os.path.join(DATA_DIR, 'cases', 'weights.pth'), 'rb') as file:
        return file.read()


def test_a_file_of_pytorch_with_views_of_one_storage(real):
    arrays = torch_file.read_weights(real)
    assert list(arrays) == ['whole', 'turned', 'part', 'count']
    for name, want in [('whole', CUBE), ('turned', CUBE.transpose(2, 0, 1)), ('part', CUBE[1, 1:])]:
        assert arrays[name].dtype == np.float32
        np.testing.assert_array_equal(arrays[name], want)
    assert arrays['count'].shape == () and arrays['count'] == 7


def test_nothing_else_reads_what_lies_outside_of_a_pickle(real):
    third = real.index(b'collections')
    with pytest.raises(PickleError, match='persistent id.*PyTorch'):
        pickle_reader.read(real[third - 3 :])


def test_cut_files_and_flipped_bytes_are_errors_or_other_numbers(real):
    for length in range(0, len(real) - 1, 7):
        with pytest.raises(PickleError):
            torch_file.read_weights(real[:length])
    for at in range(len(real)):
        try:
            arrays = torch_file.read_weights(real[:at] + bytes([real[at] ^ 0x10]) + real[at + 1 :])
        except PickleError:
            continue
        assert all(isinstance(array, np.ndarray) for array in arrays.values())


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(shape=(5, 5)), 'larger than what it is a part of'),
        (dict(shape=(1 << 40,), strides=(0,)), 'larger than what it is a part of'),
        (dict(begin=20), 'larger than what it is a part of'),
        (dict(strides=(1,)), 'larger than what it is a part of'),
        (dict(begin=-1), 'no shape'),
        (dict(shape=(2.5, 2)), 'no shape'),
        (dict(storage=os.path.exists), 'other data outside of itself than arrays'),
        (dict(size=100), 'another size'),
    ],
)
def test_arrays_that_do_not_lie_in_their_storage_are_refused(change, reason):
    data = torch_weights({'x': np.zeros([4, 4], np.float32)})
    assert torch_file.read_weights(data)['x'].shape == (4, 4)
    with pytest.raises(PickleError, match=reason):
        torch_file.read_weights(torch_weights({'x': np.zeros([4, 4], np.float32)}, **change))


def zipped(name='x/data.pkl', byteorder=b'little', compression=zipfile.ZIP_STORED):
    """An archive as torch.save writes it, whose content is None."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', compression) as archive:
        archive.writestr(name, b'\x80\x02N.')
        archive.writestr('x/byteorder', byteorder)
    return stream.getvalue()


def test_other_files_are_refused():
    magic, version = pickle.dumps(torch_file._MAGIC, 2), pickle.dumps(1001, 2)
    for data, reason in [
        (b'', 'no file of PyTorch'),
        (b'PK\3\4' + bytes(60), 'no whole archive'),
        (b''.join(pickle.dumps(x, 2) for x in (1, 2, 3, 4, 5)), 'no file of PyTorch'),
        (magic + version + b'N.N.N.', 'not those that it names'),
        (magic + version + b'N.N.].', 'something else than a dictionary'),
        (magic + version + b'N.' + pickle.dumps(dict(x=1), 2) + b'].', "'x' is no array"),
        (zipped(compression=zipfile.ZIP_DEFLATED), 'is packed'),
        (zipped(name='weights.npy'), 'no data.pkl'),
        (zipped(byteorder=b'big'), 'big-endian'),
        (zipped(), 'something else than a dictionary'),
    ]:
        with pytest.raises(PickleError, match=reason):
            torch_file.read_weights(data)
