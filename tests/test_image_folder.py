"""A plain folder or .zip of images is the same data set as the .tfrecords made of it."""

import json
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
    zip_folder(folder, path)
    return path


def zip_folder(folder, path):
    with zipfile.ZipFile(path, 'w') as archive:
        for root, _, names in os.walk(str(folder)):
            for name in names:
                full = os.path.join(root, name)
                archive.write(full, os.path.relpath(full, str(folder)))


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
    Image.new('P', (16, 16)).save(str(folder / 'class0' / 'a.png'))
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


def test_fingerprint_changes_with_every_image_and_label(source, folder):
    """Those in the middle included, though names, number and sizes stay."""
    before = ImageFolderDataset(source).fingerprint()
    seen = {before, ImageFolderDataset(source, max_label_size='full').fingerprint()}
    for i in range(7):
        path = folder / ('class%d' % (i % 2)) / ('%d.png' % i)
        image = np.asarray(Image.open(str(path))).copy()
        image[0, 0, 0] ^= 1
        Image.fromarray(image).save(str(path))
        if source.endswith('.zip'):
            zip_folder(folder, source)
        seen.add(ImageFolderDataset(source).fingerprint())
    assert len(seen) == 9


def ada_files(folder, labels):
    """The folder as stylegan2-ada-pytorch's dataset tool lays it out."""
    names = sorted(os.path.join(root, name) for root, _, ns in os.walk(str(folder)) for name in ns)
    os.makedirs(str(folder / 'ada' / '00000'))
    new = ['00000/img%08d.png' % i for i in range(len(names))]
    for old, name in zip(names, new):
        os.rename(old, str(folder / 'ada' / name))
    entries = labels if labels is None else [[n, la] for n, la in zip(new, labels)][::-1]
    (folder / 'ada' / 'dataset.json').write_text(json.dumps({'labels': entries}))
    return folder / 'ada'


@pytest.mark.parametrize('zipped', [False, True])
@pytest.mark.parametrize(
    'labels, rows',
    [
        ([0, 2, 1, 0, 2, 2, 1], np.eye(3)[[0, 2, 1, 0, 2, 2, 1]]),
        ([[0.5, i] for i in range(7)], [[0.5, i] for i in range(7)]),
        (None, None),
    ],
)
def test_labels_of_dataset_json_are_read(labels, rows, zipped, folder, tmp_path):
    path = str(ada_files(folder, labels))
    if zipped:
        zip_folder(path, str(tmp_path / 'ada.zip'))
        path = str(tmp_path / 'ada.zip')
    dataset = load_dataset(tfrecord_dir=path)
    assert dataset.num_images == 7 and dataset.offers_labels == (labels is not None)
    create_from_images(str(tmp_path / 'set'), path, shuffle=0)
    if labels is None:
        assert not [n for n in os.listdir(str(tmp_path / 'set')) if n.endswith('.labels')]
        return
    for dataset in [
        ImageFolderDataset(path, max_label_size='full'),
        TFRecordDataset(str(tmp_path / 'set'), max_label_size='full'),
    ]:
        np.testing.assert_array_equal([dataset.get_label(i) for i in range(7)], rows)
    assert ImageFolderDataset(path, max_label_size=1).label_size == 1


@pytest.mark.parametrize(
    'content, reason',
    [
        ('[', 'cannot be read as labels'),
        ('[]', 'cannot be read as labels'),
        ('[' * 100000, 'nested too deeply'),
        ('{"labels": [["00000/img00000000.png", 1]]}', '6 images have no label'),
        ('{"labels": [1]}', 'cannot be read as labels'),
    ],
)
def test_a_wrong_dataset_json_is_one_line(content, reason, folder):
    path = ada_files(folder, None)
    (path / 'dataset.json').write_text(content)
    with pytest.raises(UserError, match='dataset.json.*' + reason):
        load_dataset(tfrecord_dir=str(path))


@pytest.mark.parametrize('label', [-1, 10**9, float('nan'), [1, 2], 'cat', None])
def test_a_label_that_is_none_is_refused(label, folder):
    with pytest.raises(UserError, match='dataset.json'):
        load_dataset(tfrecord_dir=str(ada_files(folder, [0, 1, 2, label, 0, 1, 2])))


def test_links_to_folders_are_followed_and_loops_end(folder, tmp_path, capsys):
    (tmp_path / 'links').mkdir()
    for name in ['class0', 'class1']:
        os.symlink(str(folder / name), str(tmp_path / 'links' / ('to-' + name)))
    dataset = ImageFolderDataset(str(tmp_path / 'links'), max_label_size='full')
    assert (dataset.num_images, dataset.label_size) == (7, 2)
    assert capsys.readouterr().err == ''
    os.symlink(str(folder), str(folder / 'class0' / 'loop'))
    assert ImageFolderDataset(str(folder)).num_images == 7
    assert 'listed before): class0/loop/' in capsys.readouterr().err


def test_what_a_listing_leaves_out_is_said(source, folder, capsys):
    (folder / '.DS_Store').write_bytes(b'')
    (folder / '__MACOSX').mkdir()
    (folder / '__MACOSX' / 'x').write_bytes(b'')
    if source.endswith('.zip'):
        zip_folder(folder, source)
    assert load_dataset(tfrecord_dir=source).num_images == 7
    err = capsys.readouterr().err
    assert err.startswith('2 x left out') and '.DS_Store, __MACOSX' in err and err.count('\n') == 1


@pytest.mark.parametrize('place', ['', 'class0/'])
def test_a_stray_file_is_named_and_can_be_dropped(place, source, folder, tmp_path, capsys):
    (folder / (place + 'Thumbs.db')).write_bytes(b'x')
    if source.endswith('.zip'):
        zip_folder(folder, source)
    with pytest.raises(UserError) as caught:
        create_from_images(str(tmp_path / 'set'), source)
    assert 'Thumbs.db' in str(caught.value) + capsys.readouterr().err
    create_from_images(str(tmp_path / 'set'), source, skip_bad=True)
    assert 'Thumbs.db' in capsys.readouterr().err
    dataset = TFRecordDataset(str(tmp_path / 'set'), max_label_size='full')
    assert (dataset.num_images, dataset.label_size) == (7, 2)


def test_images_without_a_suffix_are_images_everywhere(folder, tmp_path):
    for path in list(folder.glob('*/*.png')):
        path.rename(path.with_suffix(''))
    dataset = load_dataset(tfrecord_dir=str(folder))
    assert isinstance(dataset, ImageFolderDataset) and dataset.num_images == 7
    create_from_images(str(tmp_path / 'set'), str(folder))
    assert TFRecordDataset(str(tmp_path / 'set')).num_images == 7


@pytest.mark.parametrize('name', ['a [b] c', 'Käse*?', '猫 1', "it's #1 50%"])
def test_names_of_folders_may_have_any_letters(name, source, tmp_path):
    create_from_images(str(tmp_path / name), source)
    assert load_dataset(tfrecord_dir=str(tmp_path / name), max_label_size='full').num_images == 7
    os.rename(source, str(tmp_path / ('in ' + name)))
    assert load_dataset(tfrecord_dir=str(tmp_path / ('in ' + name))).num_images == 7
