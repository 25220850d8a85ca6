"""Published collections, in small: pixels, labels, order; wrong files are one-line errors."""

import gzip
import os
import pickle
import sys

import numpy as np
import pytest
from PIL import Image

import dataset_tool
from dnnlib.cli import run_cli
from training.data import published
from training.dataset import TFRecordDataset

RND = np.random.RandomState(4)
ORDER_OF_10 = [4, 0, 7, 5, 8, 3, 1, 6, 9, 2]  # the official shuffled order


@pytest.fixture(autouse=True)
def ten_images_make_a_collection(monkeypatch):
    numbers = dict.fromkeys(published.NUM_IMAGES, 10)
    monkeypatch.setattr(published, 'NUM_IMAGES', numbers)


def run(*args):
    return run_cli(dataset_tool.main, [str(arg) for arg in args])


def open_set(path):
    return TFRecordDataset(str(path), max_label_size='full')


def check_set(path, images, labels, num_classes):
    """The data set must hold ten images with one-hot labels in the official order."""
    dataset = open_set(path)
    assert (dataset.num_images, dataset.label_size) == (10, num_classes)
    for record, source in enumerate(ORDER_OF_10):
        np.testing.assert_array_equal(dataset.get_image(record), images[source])
        assert dataset.get_label(record).tolist() == [
            float(c == labels[source]) for c in range(num_classes)
        ]


def failing(capsys, *args):
    assert run(*args) == 2
    err = capsys.readouterr().err
    assert err.startswith('Error: ') and err.count('\n') == 1
    return err


def write_mnist(folder, images, labels):
    for name, header, data in [
        ('train-images-idx3-ubyte.gz', 16, images),
        ('train-labels-idx1-ubyte.gz', 8, labels),
    ]:
        with gzip.open(str(folder / name), 'wb') as file:
            file.write(bytes(header) + data.astype(np.uint8).tobytes())


def test_mnist_is_padded_with_zeros(tmp_path):
    images, labels = RND.randint(256, size=[10, 28, 28]), np.arange(10)[::-1]
    write_mnist(tmp_path, images, labels)
    assert run('create_mnist', tmp_path / 'set', tmp_path) == 0
    padded = np.zeros([10, 1, 32, 32])
    padded[:, 0, 2:30, 2:30] = images
    check_set(tmp_path / 'set', padded, labels, 10)


def test_mnistrgb_stacks_three_digits(tmp_path):
    images = RND.randint(256, size=[10, 28, 28])
    write_mnist(tmp_path, images, np.zeros(10))
    assert (
        run('create_mnistrgb', tmp_path / 'set', tmp_path, '--num_images=5', '--random_seed=7') == 0
    )
    rnd = np.random.RandomState(7)
    dataset = TFRecordDataset(str(tmp_path / 'set'))
    assert dataset.shape == [3, 32, 32] and dataset.num_images == 5 and dataset.label_file is None
    for i in range(5):
        np.testing.assert_array_equal(
            dataset.get_image(i)[:, 2:30, 2:30], images[rnd.randint(10, size=3)]
        )


def test_incomplete_mnist_is_refused(tmp_path, capsys):
    assert "no file 'train-images-idx3-ubyte.gz'" in failing(
        capsys, 'create_mnist', tmp_path / 'set', tmp_path
    )
    write_mnist(tmp_path, np.zeros([9, 28, 28]), np.zeros(10))
    assert 'holds 7056 bytes of data, expected 7840' in failing(
        capsys, 'create_mnist', tmp_path / 'set', tmp_path
    )
    path = tmp_path / 'train-images-idx3-ubyte.gz'
    path.write_bytes(path.read_bytes()[:-20])
    assert 'as a complete gzip file: Compressed file ended' in failing(
        capsys, 'create_mnist', tmp_path / 'set', tmp_path
    )
    assert not (tmp_path / 'set').exists()


def random_images():
    return RND.randint(256, size=[10, 3, 32, 32]).astype(np.uint8)


def dump(path, content, protocol=2):
    with open(str(path), 'wb') as file:
        pickle.dump(content, file, protocol)


@pytest.mark.parametrize('protocol', [2, 4])
def test_cifar10_joins_its_batches(protocol, tmp_path):
    images, labels = random_images(), RND.randint(10, size=10)
    for i in range(5):
        part = slice(2 * i, 2 * i + 2)
        dump(
            tmp_path / ('data_batch_%d' % (i + 1)),
            {'data': images[part].reshape(2, -1), 'labels': labels[part].tolist()},
            protocol,
        )
    assert run('create_cifar10', tmp_path / 'set', tmp_path) == 0
    check_set(tmp_path / 'set', images, labels, 10)


def test_cifar100_has_fine_labels(tmp_path):
    images, labels = random_images(), RND.randint(100, size=10)
    dump(
        tmp_path / 'train',
        {'data': images.reshape(10, -1), 'fine_labels': labels.tolist(), 'coarse_labels': [0] * 10},
    )
    assert run('create_cifar100', tmp_path / 'set', tmp_path) == 0
    check_set(tmp_path / 'set', images, labels, 100)


def test_svhn_joins_its_parts(tmp_path):
    images, labels = random_images(), RND.randint(10, size=10)
    for i, part in enumerate([slice(0, 4), slice(4, 7), slice(7, 10)]):
        dump(tmp_path / ('train_%d.pkl' % (i + 1)), (images[part], labels[part].astype(np.uint8)))
    assert run('create_svhn', tmp_path / 'set', tmp_path) == 0
    check_set(tmp_path / 'set', images, labels, 10)


class Evil:
    def __reduce__(self):
        return os.mkdir, ('broken-in',)


@pytest.mark.parametrize(
    'content, reason',
    [
        ({'data': np.zeros([10, 3072], np.uint8)}, 'do not hold "data" and "fine_labels"'),
        (
            {'data': np.zeros([9, 3072], np.uint8), 'fine_labels': [0] * 9},
            'expected uint8 [10, 3, 32',
        ),
        ({'data': np.zeros([10, 3072]), 'fine_labels': [0] * 10}, 'are float64'),
        (
            {'data': np.zeros([10, 3072], np.uint8), 'fine_labels': [100] * 10},
            'numbers from 0 to 99',
        ),
        ([1, 2], 'do not hold'),
        (Evil(), 'mkdir'),
    ],
)
def test_wrong_pickles_are_refused_and_never_run(content, reason, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dump(tmp_path / 'train', content)
    assert reason in failing(capsys, 'create_cifar100', tmp_path / 'set', tmp_path)
    assert os.listdir(str(tmp_path)) == ['train']


def test_celeba_is_cropped_around_the_face(tmp_path, capsys):
    folder = tmp_path / 'img_align_celeba_png'
    folder.mkdir()
    images = RND.randint(256, size=[10, 218, 178, 3]).astype(np.uint8)
    for i, image in enumerate(images):
        Image.fromarray(image).save(str(folder / ('%06d.png' % i)))
    assert run('create_celeba', tmp_path / 'set', tmp_path, '--cx=90', '--cy=100') == 0
    dataset = TFRecordDataset(str(tmp_path / 'set'))
    assert dataset.shape == [3, 128, 128]
    for record, source in enumerate(ORDER_OF_10):
        np.testing.assert_array_equal(
            dataset.get_image(record).transpose(1, 2, 0), images[source][36:164, 26:154]
        )
    capsys.readouterr()
    assert 'outside' in failing(capsys, 'create_celeba', tmp_path / 's', tmp_path, '--cy=200')
    os.remove(str(folder / '000003.png'))
    assert 'Found 9 images' in failing(capsys, 'create_celeba', tmp_path / 's', tmp_path)
    Image.fromarray(images[0][:200]).save(str(folder / '000003.png'))
    assert run('create_celeba', tmp_path / 's', tmp_path) == 2
    assert 'has shape [200, 178, 3]' in capsys.readouterr().err
    assert not (tmp_path / 's').exists()


def test_hdf5_uses_the_highest_resolution_and_its_labels(tmp_path, capsys):
    import h5py

    images = RND.randint(256, size=[10, 3, 16, 16]).astype(np.uint8)
    path = tmp_path / 'x.h5'
    with h5py.File(str(path), 'w') as file:
        file.create_dataset('data2x2', data=images[:, :, :2, :2])
        file.create_dataset('data16x16', data=images)
        file.create_dataset('other', data=np.zeros([10, 3, 64, 64], np.uint8))
    np.save(str(tmp_path / 'x-labels.npy'), np.eye(10))
    assert run('create_from_hdf5', tmp_path / 'set', path) == 0
    check_set(tmp_path / 'set', images, np.arange(10), 10)
    np.save(str(tmp_path / 'x-labels.npy'), np.eye(9))
    capsys.readouterr()
    assert 'expected [10, label size]' in failing(capsys, 'create_from_hdf5', tmp_path / 's', path)
    path.write_bytes(b'rubbish')
    assert 'as an HDF5 file' in failing(capsys, 'create_from_hdf5', tmp_path / 's', path)


@pytest.fixture
def lsun(tmp_path):
    """LMDB with a broken entry, and photographs of several sizes; red = x, green = y."""
    import lmdb

    with lmdb.open(str(tmp_path / 'lmdb'), map_size=1 << 24) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(b'0', b'no image')
            for i, (width, height) in enumerate([(60, 40), (40, 64), (16, 16), (128, 32)]):
                y, x = np.mgrid[:height, :width]
                path = str(tmp_path / 'image.png')
                Image.fromarray(np.stack([x, y, 0 * x], 2).astype(np.uint8)).save(path)
                with open(path, 'rb') as file:
                    transaction.put(b'%d' % (i + 1), file.read())
    return tmp_path / 'lmdb'


def test_lsun_takes_the_middle_square(lsun, tmp_path, capsys):
    assert run('create_lsun', tmp_path / 'set', lsun, '--resolution=32', '--max_images=3') == 0
    assert 'Entry 0 is left out' in capsys.readouterr().err
    dataset = TFRecordDataset(str(tmp_path / 'set'))
    assert dataset.shape == [3, 32, 32] and dataset.num_images == 3
    wide, tall = dataset.get_image(0).astype(float), dataset.get_image(1).astype(float)
    assert abs(wide[0].mean() - 29.5) < 0.5 and abs(wide[1].mean() - 19.5) < 0.5
    assert abs(tall[0].mean() - 19.5) < 0.5 and abs(tall[1].mean() - 31.5) < 0.5
    assert 8 < wide[0].min() < 12 and 48 < wide[0].max() < 52


def test_lsun_wide_keeps_the_aspect_ratio_between_black_bars(lsun, tmp_path):
    """Of 60x40 pixels, 60x30 become 32x16; 16x16 is too small, 128x32 too wide."""
    assert run('create_lsun_wide', tmp_path / 'set', lsun, '--width=32', '--height=16') == 0
    dataset = TFRecordDataset(str(tmp_path / 'set'))
    assert dataset.shape == [3, 32, 32] and dataset.num_images == 2
    image = dataset.get_image(0).astype(float)
    assert not image[:, :8].any() and not image[:, 24:].any()
    across = (image[0, 8:24, -3] - image[0, 8:24, 2]).mean() / 27
    down = (image[1, 21] - image[1, 10]).mean() / 11
    assert abs(across - 60 / 32) < 0.05 and abs(down - across) < 0.08
    assert abs(image[1, 8:24].mean() - 19.5) < 0.5


def test_lmdb_that_is_none(tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    assert 'data.mdb' in failing(capsys, 'create_lsun', tmp_path / 's', tmp_path / 'empty')
    assert '--resolution=100' in failing(
        capsys, 'create_lsun', tmp_path / 's', tmp_path, '--resolution=100'
    )
    assert '--height=40' in failing(
        capsys, 'create_lsun_wide', tmp_path / 's', tmp_path, '--width=32', '--height=40'
    )


def test_missing_package_is_named_with_its_cure(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    assert 'run "pip install lmdb"' in failing(capsys, 'create_lsun', tmp_path / 's', tmp_path)
