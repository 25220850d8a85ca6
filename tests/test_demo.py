"""The data set that training uses when none is named."""

import io
import json
import os
import tarfile
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

import run_training
from dnnlib import owner
from dnnlib.cli import run_cli
from dnnlib.util import UserError
from tests.test_training_loop import TINY
from tools import make_demo_sheet
from training import configs
from training.data import demo
from training.data.opening import load_dataset
from training.data.tfrecord_dataset import TFRecordDataset
from training.inversion import targets

FOLDER = os.path.join(os.path.dirname(demo.__file__), 'demo_data')


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    """The demo data set with its labels."""
    folder = tmp_path_factory.mktemp('demo')
    name = demo.ensure_demo_dataset(str(folder / 'datasets'))
    return TFRecordDataset(str(folder / 'datasets' / name), max_label_size='full')


def contents(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(str(folder))}


def test_the_demo_has_each_tile_of_the_sheet_once_with_its_class(people):
    assert (people.num_images, people.shape, people.label_size) == (1127, [3, 32, 32], 7)
    with open(os.path.join(FOLDER, 'classes.json')) as file:
        about = json.load(file)
    sheet = np.asarray(PIL.Image.open(os.path.join(FOLDER, 'people-32.png')))
    tiles = sheet.reshape(32, 32, 36, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32)
    assert np.all(tiles[1127:] == 255) and about['columns'] == 36
    expected = sorted(zip(map(bytes, tiles), about['of_tiles']))
    classes = people.class_numbers()
    found = [(bytes(people.get_image(i)), classes[i]) for i in range(1127)]
    assert sorted(found) == expected and found != expected
    assert about['classes'][0] == 'face' and about['classes'][6] == 'person dark'
    assert list(np.bincount(classes)) == [130, 172, 165, 165, 165, 165, 165]
    assert len(set(classes[:20])) > 3  # the first images, which projections take, are of all kinds


def test_the_demo_is_the_same_every_time_and_made_once(people, tmp_path, capsys):
    assert demo.ensure_demo_dataset(str(tmp_path)) == 'demo-people-32'
    assert contents(tmp_path / 'demo-people-32') == contents(type(tmp_path)(people.tfrecord_dir))
    capsys.readouterr()
    assert demo.ensure_demo_dataset(str(tmp_path)) == 'demo-people-32'
    assert capsys.readouterr().out == ''


def test_the_demo_can_be_asked_for_twice_at_once(tmp_path):
    with ThreadPool(3) as pool:
        assert pool.map(demo.ensure_demo_dataset, [str(tmp_path)] * 3) == ['demo-people-32'] * 3
    assert sorted(os.listdir(str(tmp_path))) == ['.demo-people-32.dataset.json', 'demo-people-32']
    assert TFRecordDataset(str(tmp_path / 'demo-people-32')).num_images == 1127


def test_what_a_killed_process_left_of_the_demo_is_removed_when_it_is_used(people):
    folder = os.path.dirname(people.tfrecord_dir)
    left = '.demo-people-32.of-%s.0.tmp' % owner.current()._replace(pid=1 << 30).text()
    os.mkdir(os.path.join(folder, left))
    load_dataset(data_dir=folder, tfrecord_dir='demo-people-32').close()
    assert left not in os.listdir(folder)


def test_nothing_is_left_of_a_demo_that_was_interrupted(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.TFRecordExporter, 'add_labels', interrupt)
    with pytest.raises(KeyboardInterrupt):
        demo.ensure_demo_dataset(str(tmp_path / 'datasets'))
    assert os.listdir(str(tmp_path / 'datasets')) == []


@pytest.mark.parametrize(
    'about, words',
    [
        (dict(columns=3, classes=['a'], of_tiles=[0] * 6), 'is 16x16 pixels'),
        (dict(columns=2, classes=['a'], of_tiles=[0] * 5), 'no 3 rows of 2 square tiles'),
        (dict(columns=2, classes=['a']), 'classes'),
        (None, 'classes.json'),
    ],
)
def test_a_sheet_that_does_not_fit_its_classes_is_refused(tmp_path, about, words):
    PIL.Image.new('RGB', (16, 16)).save(str(tmp_path / 'sheet.png'))
    if about is not None:
        (tmp_path / 'classes.json').write_text(json.dumps(about))
    with pytest.raises(UserError, match=words):
        demo.create_from_sheet(str(tmp_path / 'set'), str(tmp_path / 'sheet.png'))
    assert not (tmp_path / 'set').exists()


def test_the_demo_is_trained_with_its_classes(tmp_path, monkeypatch, session):
    monkeypatch.chdir(tmp_path)
    tiny = dict(TINY, **{'total_kimg': 0.03, 'grid_args.size': 'screen'})
    monkeypatch.setattr(configs, 'DEMO', dict(configs.DEMO, **tiny))
    argv = ['--config=config-e-bald', '--cond=yes', '--fmap-base=64', '--metrics=none']
    assert run_cli(run_training.main, argv) == 0
    (run,) = os.listdir('results')
    assert run == '00000-stylegan2-demo-people-32-1gpu-config-e-bald'
    with open(os.path.join('results', run, 'stats.jsonl')) as file:
        assert np.isfinite(json.loads(file.readlines()[-1])['Loss/D'])
    assert os.path.exists(os.path.join('results', run, 'network-final.pkl'))
    # The first row of the grid of real images shows faces, most of which are yellow.
    reals = np.asarray(PIL.Image.open(os.path.join('results', run, 'reals.png')), np.float32)
    red, _, blue = reals[: len(reals) // 8].mean(axis=(0, 1))
    assert red > blue + 40


def save_package(path, emoji, pictures):
    """A package such as npm brings, of pictures by name."""
    with tarfile.open(str(path), 'w:gz') as archive:
        files = {'emoji.json': json.dumps(emoji).encode()}
        for name, picture in pictures.items():
            buffer = io.BytesIO()
            picture.save(buffer, 'PNG')
            files['img/google/64/' + name] = buffer.getvalue()
        for name, content in files.items():
            member = tarfile.TarInfo('package/' + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_the_sheet_is_made_of_faces_and_people_over_white(tmp_path, capsys):
    def entry(order, subcategory, image, **more):
        facts = dict(sort_order=order, subcategory=subcategory, image=image, has_img_google=True)
        return dict(facts, **more)

    tones = {
        '1F3FF': dict(image='dark.png', has_img_google=True),
        '1F3FB': dict(image='light.png', has_img_google=True),
        '1F3FC': dict(image='none.png', has_img_google=False),
    }
    emoji = [
        entry(3, 'person-role', 'cook.png', skin_variations=tones),
        entry(2, 'person-sport', 'golfer.png'),
        entry(1, 'face-smiling', 'smile.png'),
    ]
    colours = {'smile': (255, 255, 0, 255), 'cook': (255, 0, 0, 128), 'light': (0, 0, 0, 0)}
    pictures = {name: PIL.Image.new('RGBA', (64, 64), rgba) for name, rgba in colours.items()}
    pictures['dark'] = PIL.Image.new('RGBA', (64, 64), (0, 0, 0, 255))
    named = {name + '.png': picture for name, picture in pictures.items()}
    save_package(tmp_path / 'a.tgz', emoji, named)
    argv = [str(tmp_path / 'a.tgz'), '--size=8', '--output=%s' % (tmp_path / 'out')]
    assert run_cli(make_demo_sheet.main, argv) == 0
    assert sorted(os.listdir(str(tmp_path / 'out'))) == ['classes.json', 'people-8.png']
    sheet = np.asarray(PIL.Image.open(str(tmp_path / 'out' / 'people-8.png')))
    assert sheet.shape == (8, 36 * 8, 3)
    for tile, colour in enumerate([(255, 255, 0), (255, 127, 127), (255,) * 3, (0,) * 3]):
        assert np.all(sheet[:, tile * 8 : tile * 8 + 8] == colour)
    demo.create_from_sheet(str(tmp_path / 'set'), str(tmp_path / 'out' / 'people-8.png'))
    dataset = TFRecordDataset(str(tmp_path / 'set'), max_label_size='full')
    pairs = {(dataset.get_image(i)[2, 0, 0], n) for i, n in enumerate(dataset.class_numbers())}
    assert pairs == {(0, 0), (127, 1), (255, 2), (0, 6)}


@pytest.mark.parametrize(
    'content, argv, words',
    [
        (b'none', [], 'cannot be read as the package'),
        ([], [], 'has no tiles'),
        ([], ['--size=65'], '--size is 65'),
    ],
)
def test_a_package_that_is_none_ends_in_one_line(tmp_path, capsys, content, argv, words):
    package = tmp_path / 'a.tgz'
    if isinstance(content, bytes):
        package.write_bytes(content)
    else:
        save_package(package, content, {})
    output = tmp_path / 'out'
    argv = [str(package), '--output=%s' % output] + argv
    assert run_cli(make_demo_sheet.main, argv) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line and not output.exists()


def test_everything_of_the_demo_has_source_and_licence():
    with open(os.path.join(FOLDER, 'README.md'), encoding='utf-8') as file:
        readme = file.read()
    photos = os.listdir(os.path.join(FOLDER, 'photos'))
    assert len(photos) >= 4
    for name in photos:
        assert '| `photos/%s` |' % name in readme
    assert sorted(os.listdir(FOLDER)) == ['README.md', 'classes.json', 'people-32.png', 'photos']
    for name in ('people-32.png', 'classes.json', 'Noto Emoji', 'Apache', 'MIT'):
        assert name in readme


def test_the_photographs_can_be_projected(people):
    network = SimpleNamespace(output_shape=[None] + people.shape)
    found = targets.from_folder(network, os.path.join(FOLDER, 'photos'), fit=True)
    assert [target.name for target in found] == ['astronaut', 'cat', 'coffee', 'retina', 'rocket']
    assert all(target.image.shape == (3, 32, 32) for target in found)
