"""A plain folder or .zip of images is the same data set as the .tfrecords made of it."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from dnnlib.util import UserError
from training.data.from_images import create_from_images
from training.data.image_folder import ImageFolderDataset
from training.dataset import TFRecordDataset, load_dataset

RND = np.random.RandomState(6)


@pytest.fixture
def folder(tmp_path):
    """Seven images in two classes."""
    for i in range(7):
        path = tmp_path / 'in' / ('class%d' % (i % 2)) / ('%d.png' % i)
        os.makedirs(str(path.parent), exist_ok=True)
        Image.fromarray(RND.randint(256, size=[16, 16, 3]).astype(np.uint8)).save(str(path))
    return tmp_path / 'in'


@pytest.fixture(params=['folder', 'zip'])
def source(request, folder, tmp_path):
    """The same as a folder and as a .zip."""
    if request.param == 'folder':
        return str(folder)
    path = str(tmp_path / 'in.zip')
    with zipfile.ZipFile(path, 'w') as archive:
        for root, _, names in os.walk(str(folder)):
            for name in names:
                full = os.path.join(root, name)
                archive.write(full, os.path.relpath(full, str(folder)))
    return path


def test_stream_equals_that_of_the_tfrecords(source, tmp_path, session):
    create_from_images(str(tmp_path / 'set'), source, shuffle=0)
    records = TFRecordDataset(str(tmp_path / 'set'), max_label_size='full', seed=2)
    direct = load_dataset(tfrecord_dir=source, max_label_size='full', seed=2)
    assert isinstance(direct, ImageFolderDataset)
    assert direct.shape == records.shape and direct.label_size == records.label_size == 2
    assert direct.lods == records.lods == [0, 1, 2]
    for lod in [0, 1, 2]:
        for dataset in (records, direct):
            dataset.configure(3, lod=lod, position=5)
        for _ in range(4):
            for a, b in zip(records.get_minibatch_np(3, lod), direct.get_minibatch_np(3, lod)):
                np.testing.assert_array_equal(a, b)
    direct.close()


def test_path_outside_of_the_data_folder(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir('datasets')
    dataset = load_dataset(data_dir='datasets', tfrecord_dir=os.path.basename(source))
    assert dataset.num_images == 7
    with pytest.raises(UserError, match="'datasets/none'"):
        load_dataset(data_dir='datasets', tfrecord_dir='none')


def test_label_columns_can_be_limited(source):
    full = ImageFolderDataset(source, max_label_size='full')
    first = ImageFolderDataset(source, max_label_size=1)
    assert (full.label_size, first.label_size, ImageFolderDataset(source).label_size) == (2, 1, 0)
    for i in range(7):
        assert first.get_label(i).tolist() == full.get_label(i)[:1].tolist()
    assert ImageFolderDataset(source, max_label_size=9).label_size == 2


def test_label_file_takes_the_place_of_classes(folder, source):
    labels = RND.randn(7, 5).astype(np.float32)
    with open(str(folder.parent / 'own.labels'), 'wb') as file:
        np.save(file, labels)
    dataset = ImageFolderDataset(
        source, label_file=str(folder.parent / 'own.labels'), max_label_size='full'
    )
    np.testing.assert_array_equal(dataset.get_label(4), labels[4])


def test_labels_asked_for_but_absent(folder):
    with pytest.raises(UserError, match='has no labels'):
        ImageFolderDataset(str(folder / 'class0'), max_label_size='full')


def test_unusable_files_are_listed_before_any_is_used(folder, capsys):
    Image.new('RGBA', (16, 16)).save(str(folder / 'class0' / 'a.png'))
    Image.new('RGB', (32, 32)).save(str(folder / 'class1' / 'b.png'))
    with pytest.raises(UserError, match='2 of the 9 files .* cannot be used'):
        load_dataset(tfrecord_dir=str(folder))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith('class0/a.png: is neither RGB nor gray')
    assert lines[1].startswith('class1/b.png: is 32x32 rgb, but the first image, class0/0.png')


def test_a_file_that_breaks_later_is_named(folder, session):
    dataset = ImageFolderDataset(str(folder), shuffle_mb=0)
    path = folder / 'class1' / '3.png'
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="'class1/3.png' in .* cannot be read as an image"):
        for _ in range(2):
            dataset.get_minibatch_np(4)
    Image.new('L', (16, 16)).save(str(path))
    with pytest.raises(UserError, match="'class1/3.png' in .* has changed"):
        dataset.get_image(5)


def test_wrong_resolution(folder):
    assert ImageFolderDataset(str(folder), resolution=16).resolution == 16
    with pytest.raises(UserError, match='have side 16, not 32'):
        ImageFolderDataset(str(folder), resolution=32)


def test_fingerprint_depends_on_the_images(folder):
    before = ImageFolderDataset(str(folder)).fingerprint()
    assert ImageFolderDataset(str(folder)).fingerprint() == before
    Image.new('RGB', (16, 16)).save(str(folder / 'class0' / '0.png'))
    assert ImageFolderDataset(str(folder)).fingerprint() != before


@pytest.mark.parametrize('name', ['photo.jpg', 'archive.zip'])
def test_a_file_that_is_no_zip(name, tmp_path):
    (tmp_path / name).write_bytes(b'x')
    with pytest.raises(UserError, match='neither a folder nor a .zip'):
        load_dataset(tfrecord_dir=str(tmp_path / name))
