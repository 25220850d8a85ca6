"""Data that cannot be used ends in one line and exit status 2, with nothing written."""

import gzip
import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

import dataset_tool
from dnnlib.cli import run_cli
from training.data import published

RND = np.random.RandomState(0)


def run(*args):
    return run_cli(dataset_tool.main, [str(arg) for arg in args])


def png(side=16, mode='RGB'):
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, 'PNG')
    return file.getvalue()


def png_header(width, height):
    """A PNG file that claims to be of this size, without the pixels."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', crc)

    header = chunk(b'IHDR', struct.pack('>2I5B', width, height, 8, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', b'') + chunk(b'IEND', b'')


def folder_of(path, **files):
    path.mkdir()
    for name, content in files.items():
        (path / (name + '.png')).write_bytes(content)
    return path


def assert_refused(capsys, tmp_path, reason, *args):
    """Errors of single files may stand in lines of their own above the error."""
    before = sorted(os.listdir(str(tmp_path)))
    capsys.readouterr()
    assert run(*args) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith('Error: ') and reason in ' '.join(lines)
    assert not [line for line in lines[:-1] if line.startswith(('Traceback', 'Error'))]
    assert sorted(os.listdir(str(tmp_path))) == before


@pytest.mark.parametrize('flag', ['--resize=1000000', '--resize=1048576', '--resize=-4'])
def test_sides_that_no_image_can_have(flag, tmp_path, capsys):
    folder = folder_of(tmp_path / 'in', a=png())
    args = 'create_from_images', tmp_path / 'set', folder, flag
    assert_refused(capsys, tmp_path, 'is no power of two from 4 to 8192', *args)


@pytest.mark.parametrize('size', [(13000, 13000), (30000, 30000), (2**31 - 1, 2**31 - 1)])
def test_pictures_of_hundreds_of_megapixels_are_refused_by_their_header(size, tmp_path, capsys):
    folder = folder_of(tmp_path / 'in', a=png_header(*size))
    for command in ['create_from_images', 'create_from_crops']:
        assert_refused(capsys, tmp_path, '80 megapixels', command, tmp_path / 'set', folder)


def test_a_pipe_among_the_images_does_not_hang(tmp_path, capsys):
    folder = folder_of(tmp_path / 'in', a=png())
    os.mkfifo(str(folder / 'b.png'))
    args = tmp_path / 'set', folder
    assert_refused(capsys, tmp_path, 'b.png: cannot be read', 'create_from_images', *args)
    assert run('create_from_images', *(args + ('--skip-bad',))) == 0


def test_a_folder_of_open_files_and_names_with_nul(tmp_path, capsys):
    folder = folder_of(tmp_path / 'in', a=png())
    assert_refused(capsys, tmp_path, '', 'create_from_images', tmp_path / 'set', '/proc/self/fd')
    assert_refused(capsys, tmp_path, 'NUL', 'create_from_images', str(tmp_path) + '/\0', folder)


def test_formats_that_call_other_programs_are_not_opened(tmp_path, capsys):
    folder = folder_of(tmp_path / 'in')
    Image.new('RGB', (16, 16)).save(str(folder / 'a.eps'))
    args = 'create_from_images', tmp_path / 'set', folder
    assert_refused(capsys, tmp_path, 'a.eps: cannot be read as an image (it is none of', *args)


def test_a_zip_that_unpacks_to_more_than_an_image(tmp_path, capsys):
    path = tmp_path / 'in.zip'
    with zipfile.ZipFile(str(path), 'w', zipfile.ZIP_DEFLATED) as archive:
        with archive.open('a.png', 'w') as file:
            for _ in range(300):
                file.write(bytes(1 << 20))
    args = 'create_from_images', tmp_path / 'set', path
    assert_refused(capsys, tmp_path, 'it has 300 MiB, more than 256', *args)
    content = path.read_bytes()  # the same, with a size that is not true
    path.write_bytes(content.replace(struct.pack('<L', 300 << 20), struct.pack('<L', 1000)))
    assert_refused(capsys, tmp_path, 'checksum', *args)


def test_a_zip_whose_directory_lies_outside(tmp_path, capsys):
    path = tmp_path / 'in.zip'
    with zipfile.ZipFile(str(path), 'w') as archive:
        archive.writestr('a.png', png())
    content = bytearray(path.read_bytes())
    content[-10:-6] = struct.pack('<L', 10**6)
    path.write_bytes(bytes(content))
    args = 'create_from_images', tmp_path / 'set', path
    assert_refused(capsys, tmp_path, 'no complete .zip file', *args)


@pytest.mark.parametrize(
    'flag, reason',
    [
        ('--num-images=1000000000000', '1000000000000 images'),
        ('--num-images=0', '--num-images=0'),
        ('--seed=4294967296', 'at most 4294967295'),
        ('--seed=-1', 'at least 0'),
        ('--resolution=65536', 'no power of two from 4 to 8192'),
    ],
)
def test_crops_that_cannot_be_made(flag, reason, tmp_path, capsys):
    folder = folder_of(tmp_path / 'in', a=png())
    args = 'create_from_crops', tmp_path / 'set', folder, flag
    assert_refused(capsys, tmp_path, reason, *args)


@pytest.mark.parametrize('flag', ['--random-seed=4294967296', '--num-images=1000000000000'])
def test_stacked_digits_that_cannot_be_made(flag, tmp_path, capsys):
    args = 'create_mnistrgb', tmp_path / 'set', tmp_path, flag
    assert_refused(capsys, tmp_path, flag.split('=')[1][:4], *args)


def test_a_gzip_file_that_unpacks_to_more_than_the_digits(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(published.NUM_IMAGES, 'mnist', 2)
    path = str(tmp_path / 'train-images-idx3-ubyte.gz')
    with gzip.open(path, 'wb') as file:
        file.write(bytes(1 << 24))
    args = 'create_mnist', tmp_path / 'set', tmp_path
    assert_refused(capsys, tmp_path, 'holds more than 1568 bytes', *args)
    os.remove(path)
    os.mkfifo(path)
    assert_refused(capsys, tmp_path, 'train-images', *args)


def write_hdf5(path, **arrays):
    import h5py

    with h5py.File(str(path), 'w') as file:
        for name, array in arrays.items():
            file.create_dataset(name, **array)


IMAGES = RND.randint(2, 256, size=[3, 3, 8, 8]).astype(np.uint8)


@pytest.mark.parametrize(
    'array, reason',
    [
        (dict(data=np.full([3, 3, 8, 8], b'text')), 'not numbers'),
        (dict(shape=(1, 3, 65536, 65536), dtype='u1', chunks=(1, 1, 64, 64)), 'a power of two'),
        (dict(shape=(2**40, 3, 8, 8), dtype='u1', chunks=(1, 3, 8, 8)), '1099511627776 images'),
        (dict(data=IMAGES[:, :2]), 'C 1, 3 or 4'),
        (dict(data=IMAGES[:0]), '[0, 3, 8, 8]'),
        (dict(data=IMAGES / 255), 'none above 1; they must be 0..255, or else say'),
        (dict(data=IMAGES.astype(np.int32) * 100), 'are from'),
        (dict(data=np.where(IMAGES < 20, np.nan, IMAGES)), 'are from nan to nan'),
    ],
)
def test_hdf5_files_of_other_things_than_images(array, reason, tmp_path, capsys):
    write_hdf5(tmp_path / 'x.h5', data=array)
    args = 'create_from_hdf5', tmp_path / 'set', tmp_path / 'x.h5'
    assert_refused(capsys, tmp_path, reason, *args)


def test_hdf5_files_that_lead_to_other_files_are_refused(tmp_path, capsys):
    import h5py

    (tmp_path / 'secret').write_bytes(IMAGES.tobytes())
    path, external = tmp_path / 'x.h5', [(str(tmp_path / 'secret'), 0, IMAGES.nbytes)]
    write_hdf5(path, data=dict(shape=IMAGES.shape, dtype='u1', external=external))
    args = 'create_from_hdf5', tmp_path / 'set', path
    assert_refused(capsys, tmp_path, 'in other files', *args)
    write_hdf5(tmp_path / 'other.h5', data=dict(data=IMAGES))
    with h5py.File(str(path), 'w') as file:
        file['data'] = h5py.ExternalLink(str(tmp_path / 'other.h5'), 'data')
    assert_refused(capsys, tmp_path, "has the link 'data'", *args)
    layout = h5py.VirtualLayout(shape=IMAGES.shape, dtype='u1')
    layout[:] = h5py.VirtualSource(str(tmp_path / 'other.h5'), 'data', shape=IMAGES.shape)
    with h5py.File(str(path), 'w') as file:
        file.create_virtual_dataset('data', layout)
    assert_refused(capsys, tmp_path, 'in other files', *args)


def test_values_of_other_ranges_are_scaled_where_it_is_said(tmp_path):
    sets = {
        'a': ('0..255', IMAGES),
        'b': ('0..1', IMAGES / 255),
        'c': ('-1..1', IMAGES / 127.5 - 1),
    }
    for name, (values, images) in sets.items():
        write_hdf5(tmp_path / (name + '.h5'), data=dict(data=images.astype(np.float32)))
        path, flag = tmp_path / (name + '.h5'), '--values=' + values
        assert run('create_from_hdf5', tmp_path / name, path, flag, '--shuffle=0') == 0
        assert run('compare', tmp_path / 'a', tmp_path / name) == 0


@pytest.mark.parametrize(
    'content, reason',
    [
        (b'text', 'is no label file'),
        (b'', 'is no label file'),
        (np.array([['a']] * 3), 'one array of numbers'),
        (np.array([[None]] * 3), 'cannot be read as a label file'),
        (np.eye(3)[:2], 'expected [3, label size]'),
        (np.array([[0.0], [2.0], [1.0]]), 'seems to hold class numbers'),
        (np.array([[1.0, 0], [np.nan, 1], [1, 0]]), 'label 1 is not finite'),
        (np.array([[1.0, 0], [0, 1], [np.inf, 0]]), 'label 2 is not finite'),
        (b'\x93NUMPY\1\0\x76\0' + b'(' * 117 + b'\n', 'cannot be read as a label file'),
    ],
)
def test_labels_that_are_none(content, reason, tmp_path, capsys):
    write_hdf5(tmp_path / 'x.h5', data=dict(data=IMAGES))
    path = tmp_path / 'x-labels.npy'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(str(path), content)
    args = 'create_from_hdf5', tmp_path / 'set', tmp_path / 'x.h5'
    assert_refused(capsys, tmp_path, reason, *args)


def test_an_npz_in_place_of_labels(tmp_path, capsys):
    write_hdf5(tmp_path / 'x.h5', data=dict(data=IMAGES))
    with open(str(tmp_path / 'x-labels.npy'), 'wb') as file:
        np.savez(file, np.eye(3))
    args = 'create_from_hdf5', tmp_path / 'set', tmp_path / 'x.h5'
    assert_refused(capsys, tmp_path, 'is no label file', *args)


@pytest.mark.parametrize('keep', [0, 100, 5000, 0.5, 0.9])
def test_an_lmdb_file_that_was_cut(keep, tmp_path, capsys):
    """Reading it by LMDB itself ends the process by a signal."""
    import lmdb

    with lmdb.open(str(tmp_path / 'lmdb'), map_size=1 << 24) as environment:
        with environment.begin(write=True) as transaction:
            for i in range(40):
                transaction.put(b'%02d' % i, RND.bytes(5000))
    path = str(tmp_path / 'lmdb' / 'data.mdb')
    os.truncate(path, int(keep * os.path.getsize(path)) if isinstance(keep, float) else keep)
    args = 'create_lsun', tmp_path / 'set', tmp_path / 'lmdb'
    assert_refused(capsys, tmp_path, 'cannot be read as an LMDB folder', *args)


@pytest.mark.parametrize('command', ['info', 'verify', 'extract'])
def test_pipes_and_devices_in_place_of_records(command, tmp_path, capsys):
    (tmp_path / 'set').mkdir()
    args = (tmp_path / 'set', tmp_path / 'out')[: 2 if command == 'extract' else 1]
    os.mkfifo(str(tmp_path / 'set' / 'set-r04.tfrecords'))
    assert_refused(capsys, tmp_path, '', command, *args)
    os.remove(str(tmp_path / 'set' / 'set-r04.tfrecords'))
    os.symlink('/dev/zero', str(tmp_path / 'set' / 'set-r04.tfrecords'))
    assert_refused(capsys, tmp_path, '', command, *args)
