"""The data set tool: what it accepts, what it refuses in one line; nothing is half made."""

import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

import dataset_tool
from dnnlib.cli import run_cli
from training.data import tfrecord_exporter
from training.data.labels import OneHotLabels
from training.data.tfrecord_exporter import TFRecordExporter
from training.dataset import TFRecordDataset

RND = np.random.RandomState(0)


def save_image(path, size=(16, 16), mode='RGB'):
    """Write a random image and return its pixels [C, H, W]."""
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    channels = {'RGB': 3, 'RGBA': 4, 'L': 1, 'LA': 2, 'P': 1}[mode]
    pixels = RND.randint(256, size=(size[1], size[0], channels)).astype(np.uint8)
    if mode == 'P':
        Image.fromarray(pixels[..., 0]).convert('P').save(str(path))
    else:
        Image.fromarray(pixels if channels > 1 else pixels[..., 0]).save(str(path))
    return pixels.transpose(2, 0, 1)


def run(*args):
    return run_cli(dataset_tool.main, [str(arg) for arg in args])


def error_of(capsys, *args):
    """Run a command that must fail; return the last line on stderr after checking how it failed."""
    assert run(*args) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith('Error: ') and 'Traceback' not in '\n'.join(lines)
    return lines[-1]


@pytest.fixture
def images(tmp_path):
    """Folder with four 16x16 RGB images and their pixels."""
    return tmp_path / 'in', [save_image(tmp_path / 'in' / ('%d.png' % i)) for i in range(4)]


@pytest.fixture
def dataset(images, tmp_path):
    """Folder of a data set made of `images` in order of their names."""
    assert run('create_from_images', tmp_path / 'set', images[0], '--shuffle=0') == 0
    return tmp_path / 'set'


def test_without_arguments_the_help_is_printed(capsys):
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 0
    assert 'create_from_images' in capsys.readouterr().out


@pytest.mark.parametrize(
    'args, reason',
    [
        (['create_everything'], 'invalid choice'),
        (['info'], 'required: tfrecord_dir'),
        (['create_from_images', 'a', 'b', '--resize=big'], 'invalid int'),
        (['create_from_images', 'a', 'b', '--resize=100'], r'--resize=100 is no power of two'),
        (['create_from_crops', 'a', 'b', '--min-scale=2'], '--min-scale=2 and --max-scale=1'),
        (['create_from_crops', 'a', 'b', '--num-images=0'], '--num-images=0 must be at least 1'),
        (['create_from_images', 'a', '/no/such/folder'], 'neither a folder nor a .zip'),
        (['info', '/no/such/folder'], 'no data set folder'),
        (['verify', '/no/such/folder'], 'no data set folder'),
    ],
)
def test_wrong_arguments_end_in_one_line(args, reason, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*args) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1 and reason in err
    assert os.listdir(str(tmp_path)) == []


def test_images_are_stored_in_the_order_of_their_names(images, dataset, tmp_path):
    stored = TFRecordDataset(str(dataset))
    for i, pixels in enumerate(images[1]):
        np.testing.assert_array_equal(stored.get_image(i), pixels)
    assert sorted(os.listdir(str(tmp_path))) == ['.set.dataset.json', 'in', 'set']


def test_a_trailing_slash_does_not_change_the_file_names(images, tmp_path):
    assert run('create_from_images', str(tmp_path / 'set') + '/', images[0]) == 0
    assert 'set-r04.tfrecords' in os.listdir(str(tmp_path / 'set'))


def test_hidden_files_do_not_count(images, dataset):
    (images[0] / '.DS_Store').write_bytes(b'x')
    assert run('create_from_images', dataset, images[0], '--force') == 0


def test_all_offending_files_are_listed_and_nothing_is_written(images, tmp_path, capsys):
    folder = images[0]
    save_image(folder / 'b-small.png', (8, 8))
    save_image(folder / 'c-gray.png', mode='L')
    save_image(folder / 'd-wide.png', (32, 16))
    save_image(folder / 'e-odd.png', (12, 12))
    Image.fromarray(np.zeros([16, 16], np.float32)).save(str(folder / 'f-float.tif'))
    save_image(folder / 'g-palette.png', mode='P')
    (folder / 'h-text.png').write_text('no image')
    (folder / 'i-cut.png').write_bytes((folder / '0.png').read_bytes()[:-100])
    Image.fromarray(np.zeros([16, 16], np.uint16)).save(str(folder / 'j-deep.png'))
    assert run('create_from_images', tmp_path / 'set', folder) == 2
    lines = capsys.readouterr().err.splitlines()
    reasons = [
        'b-small.png: is 8x8 rgb, but the first image, 0.png, is 16x16 rgb',
        'c-gray.png: is 16x16 gray',
        'd-wide.png: is 32x16 pixels, not square',
        'e-odd.png: is 12x12 pixels, the side is no power',
        'f-float.tif: has more than 16 bits',
        'g-palette.png: is neither RGB nor gray (mode P)',
        'h-text.png: cannot be read as an image',
        'i-cut.png: cannot be read as an image',
        'j-deep.png: is 16x16 gray',
    ]
    assert [line.startswith(reason) for line, reason in zip(lines, reasons)] == [True] * 9
    assert lines[9].startswith('Error: 9 of the 13 files') and len(lines) == 10
    assert os.listdir(str(tmp_path)) == ['in']
    assert run('create_from_images', tmp_path / 'set', folder, '--skip-bad') == 0
    assert TFRecordDataset(str(tmp_path / 'set')).num_images == 4


def test_skip_bad_does_not_make_an_empty_data_set(tmp_path, capsys):
    save_image(tmp_path / 'in' / 'a.png', (5, 5))
    assert '1 of the 1 files' in error_of(
        capsys, 'create_from_images', tmp_path / 'set', tmp_path / 'in', '--skip-bad'
    )


@pytest.mark.parametrize('convert, channels', [('rgb', 3), ('gray', 1), ('rgba', 4)])
def test_mixed_files_can_be_made_alike(convert, channels, tmp_path):
    for name, size, mode in [
        ('a', (40, 30), 'RGB'),
        ('b', (16, 16), 'L'),
        ('c', (9, 50), 'RGBA'),
        ('d', (16, 20), 'P'),
        ('e', (20, 20), 'LA'),
    ]:
        save_image(tmp_path / 'in' / (name + '.png'), size, mode)
    assert (
        run(
            'create_from_images',
            tmp_path / 'set',
            tmp_path / 'in',
            '--crop',
            '--resize=8',
            '--convert=' + convert,
        )
        == 0
    )
    assert TFRecordDataset(str(tmp_path / 'set')).shape == [channels, 8, 8]


def test_crop_takes_the_middle(tmp_path):
    pixels = save_image(tmp_path / 'in' / 'a.png', (20, 16))
    assert run('create_from_images', tmp_path / 'set', tmp_path / 'in', '--crop') == 0
    np.testing.assert_array_equal(
        TFRecordDataset(str(tmp_path / 'set')).get_image(0), pixels[:, :, 2:18]
    )


@pytest.mark.parametrize('outer', ['', 'outer/'])
@pytest.mark.parametrize('zipped', [False, True])
def test_one_folder_per_class_gives_labels(outer, zipped, tmp_path):
    pixels = {
        name: save_image(tmp_path / 'in' / (outer + name))
        for name in ['bird/1.png', 'cat/1.png', 'cat/2.png', 'dog/0.png']
    }
    source = tmp_path / 'in'
    if zipped:
        source = tmp_path / 'in.zip'
        with zipfile.ZipFile(str(source), 'w') as archive:
            for name in pixels:
                archive.write(str(tmp_path / 'in' / (outer + name)), outer + name)
    assert run('create_from_images', tmp_path / 'set', source) == 0
    dataset = TFRecordDataset(str(tmp_path / 'set'), max_label_size='full')
    assert dataset.label_size == 3
    found = set()
    for i in range(4):
        name = [n for n in pixels if np.array_equal(pixels[n], dataset.get_image(i))][0]
        want = [float(name.startswith(c)) for c in ('bird', 'cat', 'dog')]
        assert dataset.get_label(i).tolist() == want
        found.add(name)
    assert found == set(pixels)


def test_images_beside_folders_are_refused(images, tmp_path, capsys):
    save_image(images[0] / 'more' / 'a.png')
    assert 'several depths' in error_of(capsys, 'create_from_images', tmp_path / 'set', images[0])


def test_force_is_needed_to_replace_existing_data(images, dataset, tmp_path, capsys):
    before = TFRecordDataset(str(dataset)).fingerprint()
    os.remove(str(images[0] / '0.png'))
    assert 'already holds a data set; use --force' in error_of(
        capsys, 'create_from_images', dataset, images[0]
    )
    assert TFRecordDataset(str(dataset)).fingerprint() == before
    assert run('create_from_images', dataset, images[0], '--force') == 0
    assert TFRecordDataset(str(dataset)).num_images == 3
    assert sorted(os.listdir(str(tmp_path))) == ['.set.dataset.json', 'in', 'set']


def test_force_never_removes_other_files(images, capsys):
    message = error_of(capsys, 'create_from_images', images[0], images[0], '--force')
    assert 'holds other files' in message
    assert len(os.listdir(str(images[0]))) == 4


def test_nothing_is_left_when_writing_fails(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with TFRecordExporter(str(tmp_path / 'set'), 5, print_progress=False) as exporter:
            exporter.add_image(np.zeros([3, 8, 8], np.uint8))
            raise ZeroDivisionError
    assert os.listdir(str(tmp_path)) == []


def test_labels_are_saved_as_numpy_saves_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord_exporter, '_LABELS_AT_A_TIME', 2)
    numbers = np.array([2, 0, 1, 1, 2])
    for name, labels in [('a', np.eye(3)[numbers]), ('b', OneHotLabels(numbers, 3))]:
        with TFRecordExporter(str(tmp_path / name), 5, print_progress=False) as exporter:
            for _ in numbers:
                exporter.add_image(np.zeros([3, 4, 4], np.uint8))
            exporter.add_labels(labels)
        want = io.BytesIO()
        np.save(want, np.eye(3, dtype=np.float32)[numbers])
        assert (tmp_path / name / (name + '-rxx.labels')).read_bytes() == want.getvalue()


def test_disk_errors_are_one_line(images, tmp_path, capsys):
    (tmp_path / 'file').write_text('x')
    message = error_of(capsys, 'create_from_images', tmp_path / 'file' / 'set', images[0])
    assert 'Cannot write the data set' in message and 'Not a directory' in message


def test_upstream_spelling_of_flags_is_understood(dataset, capsys):
    assert run('compare', dataset, dataset, '--ignore_labels', 1) == 0
    assert capsys.readouterr().out.splitlines() == ['Identical images: 4 / 4']


def test_compare_counts_differences(images, dataset, tmp_path, capsys):
    save_image(images[0] / '2.png')
    save_image(images[0] / '4.png')
    assert run('create_from_images', tmp_path / 'b', images[0], '--shuffle=0') == 0
    capsys.readouterr()
    assert run('compare', dataset, tmp_path / 'b') == 1
    assert capsys.readouterr().out.splitlines() == [
        'Image 2 is different',
        'Datasets contain different number of images',
        'Identical images: 3 / 4',
        'Identical labels: 4 / 4',
    ]


@pytest.mark.parametrize('mode', ['RGB', 'L', 'RGBA'])
def test_extracted_files_make_the_same_data_set_again(mode, tmp_path):
    kind = '--convert=' + {'RGB': 'rgb', 'L': 'gray', 'RGBA': 'rgba'}[mode]
    for i in range(3):
        save_image(tmp_path / 'in' / ('%d.png' % i), mode=mode)
    assert run('create_from_images', tmp_path / 'set', tmp_path / 'in', kind) == 0
    assert run('extract', tmp_path / 'set', tmp_path / 'out') == 0
    assert sorted(os.listdir(str(tmp_path / 'out'))) == ['img%08d.png' % i for i in range(3)]
    assert Image.open(str(tmp_path / 'out' / 'img00000000.png')).mode == mode
    assert run('create_from_images', tmp_path / 'again', tmp_path / 'out', kind, '--shuffle=0') == 0
    assert run('compare', tmp_path / 'set', tmp_path / 'again') == 0


def test_info_tells_size_and_labels(dataset, capsys):
    assert run('info', dataset) == 0
    out = capsys.readouterr().out
    for text in ['Images       4', 'Shape        [3, 16, 16]', 'set-r02.tfrecords']:
        assert text in out


def test_verify_finds_every_broken_record_in_every_file(dataset, capsys):
    assert run('verify', dataset) == 0
    for name in ['set-r04.tfrecords', 'set-r02.tfrecords']:
        path = str(dataset / name)
        for record in (1, 3):
            with open(path, 'r+b') as file:
                file.seek(record * os.path.getsize(path) // 4 + 60)
                file.write(b'bad')
    capsys.readouterr()
    assert run('verify', dataset) == 2
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4 and '4 problem(s)' in captured.err


def test_verify_compares_levels_of_detail_and_names_missing_ones(dataset, images, tmp_path, capsys):
    os.remove(str(dataset / 'set-r03.tfrecords'))
    assert run('verify', dataset) == 0
    assert 'at levels of detail 0, 2; level 1 is missing' in capsys.readouterr().out
    os.remove(str(images[0] / '0.png'))
    assert run('create_from_images', tmp_path / 'b', images[0]) == 0
    os.rename(str(tmp_path / 'b' / 'b-r03.tfrecords'), str(dataset / 'set-r03.tfrecords'))
    assert 'has 3 images, but' in error_of(capsys, 'verify', dataset)


def test_display_shows_images_until_q(dataset, monkeypatch, capsys):
    shown, answers = [], iter(['', 'q'])
    monkeypatch.setattr(Image.Image, 'show', lambda image, title=None: shown.append(image.size))
    monkeypatch.setattr('builtins.input', lambda prompt: next(answers))
    assert run('display', dataset) == 0
    assert shown == [(16, 16)] * 2
    assert capsys.readouterr().out.splitlines() == [
        'idx =        0',
        'label = []',
        'idx =        1',
        'label = []',
    ]


def test_crops_are_parts_of_the_photographs_and_reproducible(tmp_path):
    """On a photograph with red = x and green = y, a crop tells its own place and size."""
    y, x = np.mgrid[:120, :160]
    photo = np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)
    os.makedirs(str(tmp_path / 'in'))
    Image.fromarray(photo).save(str(tmp_path / 'in' / 'a.png'))
    flags = ['--resolution=16', '--num-images=40', '--min-scale=0.5', '--max-scale=0.8']
    for name, seed in [('a', 1), ('b', 1), ('c', 2)]:
        assert (
            run('create_from_crops', tmp_path / name, tmp_path / 'in', *flags, '--seed=%d' % seed)
            == 0
        )
    a, b, c = (TFRecordDataset(str(tmp_path / name)) for name in 'abc')
    assert a.shape == [3, 16, 16] and a.num_images == 40
    sides = []
    for i in range(40):
        np.testing.assert_array_equal(a.get_image(i), b.get_image(i))
        red, green, blue = a.get_image(i).astype(float)
        assert not blue.any()
        sides.append(
            ((red[:, -2] - red[:, 1]).mean() / 13 * 16, (green[-2] - green[1]).mean() / 13 * 16)
        )
    sides = np.array(sides)
    assert sides.min() > 0.5 * 120 - 2 and sides.max() < 0.8 * 120 + 2
    np.testing.assert_allclose(sides[:, 0], sides[:, 1], atol=2)  # square
    assert sides.std() > 5
    assert any(not np.array_equal(a.get_image(i), c.get_image(i)) for i in range(40))


def test_photographs_that_cannot_be_read_end_in_one_line(tmp_path, capsys):
    os.makedirs(str(tmp_path / 'in'))
    (tmp_path / 'in' / 'a.jpg').write_text('no image')
    message = error_of(capsys, 'create_from_crops', tmp_path / 'set', tmp_path / 'in')
    assert "'a.jpg'" in message and 'cannot be read as an image' in message
    assert os.listdir(str(tmp_path)) == ['in']
