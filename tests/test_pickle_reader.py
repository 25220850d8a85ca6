"""The reader of pickles: what real files hold comes out as data, anything else is one error."""

import collections
import io
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from dnnlib import EasyDict, pickle_machine, pickle_reader
from dnnlib.pickle_machine import Call, GlobalName, PickleError
from dnnlib.util import UserError

ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.arange(6.0).reshape(2, 3).T,
    np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
    np.arange(4, dtype='>i2'),
    np.zeros([0, 3], np.float16),
    np.array(2.5),
    np.array([True, False]),
    np.arange(4000, dtype=np.uint8),
]

PLAIN = {
    'numbers': [0, 1, -1, 255, 256, 65536, -(2**31), 2**40, -(2**70), 1.5, -0.0, float('inf')],
    'constants': (None, True, False, (), [], {}),
    'text': ['', 'a', 'ä', '猫', 'a' * 300, 'quotes \' and "', 'line\nfeed\\'],
    'bytes': [b'', b'\0\xff', b'b' * 300],
    'tuples': [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    'keys': {1: 'a', 2.5: 'b', 'c': {'d': 1}},
    'set': {1, 2, 3},
    'ordered': collections.OrderedDict([('z', 1), ('a', [2])]),
    'easy': EasyDict(inner=EasyDict(x=1)),
}


def read(data, objects=()):
    return pickle_reader.read(data, objects)


def assert_same(got, want):
    assert type(got) is type(want) and got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back_from_every_protocol(protocol):
    got = read(pickle.dumps(PLAIN, protocol))
    assert got == PLAIN and repr(got) == repr(PLAIN)
    assert type(got['easy'].inner) is EasyDict and type(got['ordered']) is collections.OrderedDict


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_numbers_of_numpy_come_back_from_every_protocol(protocol):
    for array in ARRAYS:
        assert_same(read(pickle.dumps(array, protocol)), array)
    for number in [np.float32(1.5), np.int64(-3), np.bool_(True), np.float64(2)]:
        assert_same(read(pickle.dumps(number, protocol)), number)


def old_dtype(name=b"S'f4'\n", order=b"S'<'\n"):
    return b'cnumpy\ndtype\n(' + name + b'I0\nI1\ntR(I3\n' + order + b'NNNI-1\nI-1\nI0\ntb'


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
def test_text_pickles_of_python_2_hold_arrays(core):
    data = struct.pack('<2f', 1.5, -2)
    escaped = ''.join('\\x%02x' % byte for byte in data).encode()
    got = read(
        b'c'
        + core
        + b".multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nt"
        + old_dtype()
        + b"I00\nS'"
        + escaped
        + b"'\ntb."
    )
    assert_same(got, np.float32([1.5, -2]))


def test_arrays_of_protocol_5_are_read_by_pythons_that_do_not_write_it():
    data = np.arange(6, dtype='<f4').tobytes()
    got = read(
        b'\x80\x05cnumpy._core.numeric\n_frombuffer\n(\x96'
        + struct.pack('<Q', len(data))
        + data
        + old_dtype()
        + b'(K\x03K\x02tU\x01FtR.'
    )
    assert_same(got, np.arange(6, dtype='<f4').reshape(3, 2, order='F'))


def test_other_byte_orders_keep_their_numbers():
    data = struct.pack('>2i', 1, -2)
    got = read(
        b'cnumpy.core.multiarray\nscalar\n('
        + old_dtype(b"S'i4'\n", b"S'>'\n")
        + b'C\x04'
        + data[4:]
        + b'tR.'
    )
    assert got == -2


def test_what_is_shared_stays_shared():
    array, values = np.zeros(3), [1, 2]
    got = read(pickle.dumps((array, array, values, [values]), 2))
    assert got[0] is got[1] and got[2] is got[3][0]


def test_objects_are_records_of_names_and_never_classes():
    data = pickle.dumps([io.BytesIO, collections.Counter(a=2)], 2)
    found = read(data, objects=None)
    assert type(found[0]) is GlobalName and found[0].text.endswith('io.BytesIO')
    assert type(found[1]) is Call and found[1].func == 'collections.Counter'
    with pytest.raises(pickle_reader.UnknownObject, match='io.BytesIO'):
        read(data)


def test_the_reader_brings_no_tensorflow_with_it():
    code = 'import sys, dnnlib.pickle_reader; sys.exit("tensorflow" in sys.modules)'
    assert subprocess.call([sys.executable, '-c', code]) == 0


def doubling():
    """Lists of the list before, twice: 2^60 elements if written out."""
    doubled = b''.join(b']q%c(h%ch%ce' % (i + 1, i, i) for i in range(60))
    return b'(]q\x00' + doubled + b't'


@pytest.mark.parametrize(
    'data, reason',
    [
        (b'', 'byte 0: it ends too early'),
        (b'K\x01', 'byte 2: it ends too early'),
        (b'\x80\x04]', 'ends too early'),
        (b'K\x01K\x01.', 'one object'),
        (b'(K\x01.', 'one object'),
        (b'K\x01R.', 'missing'),
        (b'\x86.', 'missing'),
        (b'e.', 'missing'),
        (b'K\x01K\x02a.', 'no list'),
        (b'K\x01K\x02K\x02s.', 'no dictionary'),
        (b'(K\x01d.', 'no value'),
        (b'}K\x01b.', 'no new object'),
        (b'cdnnlib.util\nEasyDict\n}b.', 'no new object'),
        (b'cos\nsystem\nK\x01R.', 'without arguments'),
        (b"cos\nsystem\n(S'ls'\ntR.", 'os.system'),
        (b'(ios\nsystem\n.', 'old class'),
        (b'Pname\n.', 'outside of itself'),
        (b'K\x01Q.', 'outside of itself'),
        (b'\x97.', 'outside of itself'),
        (b'\x82\x01.', '0x82 is not known'),
        (b'h\x07.', 'number 7 of the memory is empty'),
        (b'])s.', 'missing'),
        (b'}(K\x01K\x02tK\x01s.', 'a key is neither'),
        (b'}NK\x01s.', 'a key is neither'),
        (b'}Fnan\nK\x01s.', 'a key is neither'),
        (b'\x8f(]\x90.', 'a key is neither'),
        (b'}\x8a\x28' + b'\x7f' * 40 + b'K\x01s.', 'a key is neither'),
        (b'L' + b'9' * 1001 + b'L\n.', 'more than 1000'),
        (b'\x8b' + struct.pack('<i', 500) + b'\x7f' * 500 + b'.', 'more than 1000'),
        (b'\x8b' + struct.pack('<i', -1) + b'.', 'ends too early'),
        (b'\x8e' + struct.pack('<Q', 1 << 63) + b'.', 'ends too early'),
        (b'Ix\n.', 'byte 0'),
        (b'X\x02\0\0\0\xff\xff.', 'byte 0'),
        (b'V\\ud800\n.', 'byte 0'),
        (b'Sx\n.', 'quotation'),
        (b']' + b']' * 200 + b'a' * 200 + b'.', 'nested more than 100 deep'),
        (b']q\0h\0a.', 'holds itself'),
        (b'(' + b']' * 300000 + b't.', 'too many steps'),
        (doubling() + b'.', 'repeats itself'),
        (b'cbuiltins\nbytearray\n(\x8b\4\0\0\0\0\0\0\x40tR.', 'builtins.bytearray'),
        (b'cbuiltins\nset\n(cbuiltins\nrange\n(K\x09tRtR.', 'builtins.range'),
        (b'c_codecs\nencode\n(X\1\0\0\0aX\3\0\0\0hextR.', 'another way'),
    ],
)
def test_broken_and_hostile_pickles_are_one_error(data, reason):
    with pytest.raises(PickleError, match=reason):
        read(data)


@pytest.mark.parametrize(
    'shape, dtype, data, reason',
    [
        ((2,), '<f4', b'1234', 'are 8 bytes'),
        ((1,), 'O', b'12345678', 'only numbers'),
        ((1,), 'V8', b'12345678', 'only numbers'),
        ((1,), 'S8', b'12345678', 'only numbers'),
        ((1,), 'M8[s]', b'12345678', 'only numbers'),
        ((1,), 'f4,f4', b'12345678', 'only numbers'),
        ((1,), 4, b'1234', 'only numbers'),
        ((-1,), '<f4', b'1234', 'shape'),
        ((1.0,), '<f4', b'1234', 'shape'),
        ((1 << 70,), '<f4', b'1234', 'shape'),
        ((1 << 39, 1 << 39), '<f4', b'1234', 'bytes'),
        ((1,) * 33, '<f4', b'1234', 'shape'),
        ('1', '<f4', b'1234', 'not given by'),
        ((1,), '<f4', [1], 'not given by'),
        ((1,), '<f4', 'łłłł', 'latin-1'),
    ],
)
def test_arrays_that_the_bytes_do_not_make_are_refused(shape, dtype, data, reason):
    class Forged:
        def __reduce__(self):
            return np.ndarray, (shape, dtype, data)

    with pytest.raises(PickleError, match=reason):
        read(pickle.dumps(Forged(), 4))


def test_a_type_with_forged_flags_is_refused():
    state = b"(I3\nS'<'\nNNNI-1\nI-1\nI63\ntb"
    with pytest.raises(PickleError, match='no plain type'):
        read(b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR" + state + b'.')


def test_bytes_make_no_more_arrays_than_the_file_is_large():
    data = b'(B' + struct.pack('<I', 1 << 22) + b'x' * (1 << 22) + b'q\x01'
    array = b'cnumpy\nndarray\n(\x8a\x04\0\0\x40\0\x85U\x02u1h\x01tR'
    with pytest.raises(PickleError, match='more than the file'):
        read(data + 3 * array + b't.')
    assert read(data + array + b't.')[1].nbytes == 1 << 22


def test_files_are_named_in_errors(tmp_path):
    path = tmp_path / 'half.pkl'
    for content, reason in [
        (b'', 'is not a whole list'),
        (b' <!DOCTYPE html>', 'is a web page, not a list'),
        (b'cos\nsystem\n(tR.', 'asks for os.system, which a list has no need of'),
    ]:
        path.write_bytes(content)
        with open(str(path), 'rb') as file, pytest.raises(UserError, match='half.pkl.*' + reason):
            pickle_reader.load(file, 'list')


def test_cifars_largest_file_is_within_the_bounds():
    names = [b'name_%06d.png' % index for index in range(50000)]
    content = {'filenames': [str(n, 'ascii') for n in names], 'fine_labels': [9] * 50000}
    content['coarse_labels'] = list(range(50000))
    assert read(pickle.dumps(content, 2)) == content
    assert pickle_machine.MAX_COST > 5 * 2 * 50000
