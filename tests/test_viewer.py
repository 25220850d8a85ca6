"""What the viewer computes: images as run_generator.py makes them, histories, projections."""

import functools
import os
import shlex
import threading

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import run_generator
import run_projector
import run_viewer
import viewer.networks
from dnnlib import cli, program, records, tflib
from dnnlib.tflib import engine
from dnnlib.util import UserError
from tests import golden, toy_networks
from training import misc
from training.networks_stylegan2 import G_main
from training.pictures.layer_noise import LayerNoise
from viewer import histories, pictures, projection, serving
from viewer.networks import Networks
from viewer.pictures import Wish

FR_LAYERS = {'8x8a': LayerNoise(scale=0.0), '8x8b': LayerNoise(2.0, 5, 1.5)}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A result folder with two runs, and a network of classes beside it."""
    path = tmp_path_factory.mktemp('viewer')
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        for number, form in enumerate(['additive', 'fr-noise']):
            run = path / 'results' / ('%05d-stylegan2-toys-1gpu-%s' % (number, form))
            run.mkdir(parents=True)
            Gs = toy_networks.noisy_generator(form)
            for kimg in (0, 8):
                misc.save_pkl(Gs, str(run / ('network-snapshot-%06d.pkl' % kimg)))
                colour = PIL.Image.new('RGB', (32, 32), (kimg, 100 * number, 0))
                colour.save(str(run / ('fakes%06d.png' % kimg)))
                line = records.to_json({'Progress/kimg': float(kimg), 'Loss/D': 1.5 + kimg}, '')
                with open(str(run / 'stats.jsonl'), 'a') as file:
                    file.write(line + '\n')
        of_classes = tflib.Network('Gs', G_main, label_size=3, **toy_networks.SMALL)
        misc.save_pkl(of_classes, str(path / 'c.pkl'))
    return path


@pytest.fixture(autouse=True)
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture(scope='module')
def networks():
    with tf.Graph().as_default(), tflib.create_session().as_default():
        return Networks()


def network(form='fr-noise', kimg=8):
    return histories.snapshots(
        next(path for name, path in histories.run_dirs('results').items() if form in name)
    )['network-snapshot-%06d.pkl' % kimg]


@pytest.fixture(scope='module')
def made_by():
    """Function of a command of the viewer that returns the folder which it makes."""
    graph = tf.Graph()
    with graph.as_default():
        session = tflib.create_session()
    yield functools.partial(_made_by, graph, session)
    session.close()


def _made_by(graph, session, command):
    python, file, *argv = shlex.split(command)
    main = {'run_generator.py': run_generator.main, 'run_projector.py': run_projector.main}[file]
    before = set(os.listdir('results'))
    with graph.as_default(), session.as_default():  # networks are loaded once
        assert cli.run_cli(main, argv) == 0, command
    (new,) = set(os.listdir('results')) - before
    return os.path.join('results', new)


def pixels(*path):
    return np.asarray(PIL.Image.open(os.path.join(*path)).convert('RGB')).transpose(2, 0, 1)


@pytest.mark.parametrize(
    'changes, name',
    [
        (dict(seed=3, truncation_psi=0.7), 'seed0003.png'),
        (dict(seed=3, noise='const', truncation_psi=1), 'seed0003.png'),
        (dict(seed=4, layers=FR_LAYERS), 'seed0004.png'),
        (dict(seed=4, mix_seed=2, first_style=1, last_style=2, noise='none'), '4-2.png'),
    ],
)
def test_images_and_commands_are_those_of_run_generator(networks, made_by, changes, name):
    wish = Wish(network(), **changes)
    folder = made_by(pictures.command(wish))
    np.testing.assert_array_equal(pictures.image(networks, wish), pixels(folder, name))
    plain = pictures.image(networks, Wish(network(), seed=wish.seed))
    assert np.any(plain != pictures.image(networks, wish))


def test_classes_are_part_of_image_and_command(networks, made_by):
    images = [pictures.image(networks, Wish('c.pkl', class_index=index)) for index in range(3)]
    made = made_by(pictures.command(Wish('c.pkl', class_index=2)))
    np.testing.assert_array_equal(images[2], pixels(made, 'seed0000.png'))
    assert np.any(images[0] != images[2])
    with pytest.raises(UserError, match='choose one from 0 to 2'):
        pictures.image(networks, Wish('c.pkl'))


@pytest.mark.skipif(engine.ENGINE == 'tf1', reason='takes long; the figures have their own tests')
def test_figures_are_those_of_run_generator(networks, made_by, tmp_path):
    wish, path = Wish(network(), seed=1, layers=FR_LAYERS), str(tmp_path / 'figure.png')
    pictures.save_noise_stddev(networks, wish, 3, path)
    made = made_by(pictures.stddev_command(wish, 3))
    np.testing.assert_array_equal(pixels(path), pixels(made, 'noise-stddev.png'))
    pictures.save_fr_maps(networks, wish, path)
    np.testing.assert_array_equal(
        pixels(path), pixels(made_by(pictures.maps_command(wish)), 'fr-maps.png')
    )
    video = pictures.save_walk(networks, wish, [1, 2], 2, 'w', str(tmp_path))
    made = made_by(pictures.walk_command(wish, [1, 2], 2, 'w'))
    with open(video, 'rb') as shown, open(os.path.join(made, 'video.gif'), 'rb') as file:
        assert shown.read() == file.read()


@pytest.mark.parametrize('writer', ['tf1', 'tf2'])
def test_networks_of_both_engines_are_shown(networks, writer):
    path = os.path.join(golden.DATA_DIR, 'snapshot_%s.pkl' % writer)
    with networks.using(path) as loaded:
        class_index = 0 if loaded.about.label_size else None
    assert pictures.image(networks, Wish(path, class_index=class_index)).dtype == np.uint8


def test_a_page_gets_to_know_what_a_network_has(networks):
    with networks.using(network()) as loaded:
        about = loaded.about
    names = ['4x4', '8x8a', '8x8b']
    assert (about.label_size, about.num_layers, about.layer_names) == (0, 4, names)
    np.testing.assert_allclose(list(about.alphas.values()), 1 / (1 + np.exp(1.0)), rtol=1e-6)
    with networks.using(network('additive')) as loaded:
        assert (loaded.about.alphas, loaded.about.has_maps) == ({}, False)


def test_t_and_alpha_turn_into_each_other():
    t = pictures.with_alpha(0.2, 0.9)
    np.testing.assert_allclose(0.2**t / (0.2**t + 0.8**t), 0.9)
    np.testing.assert_allclose(pictures.alpha_at(0.2, t), 0.9)
    with pytest.raises(UserError, match='no t makes'):
        pictures.with_alpha(0.5, 0.9)


def test_differences_are_half_of_what_changed():
    a, b = np.array([[0, 255, 7]], np.uint8), np.array([[255, 0, 7]], np.uint8)
    assert pictures.difference(a, b).tolist() == [[255, 0, 128]]


@pytest.mark.parametrize(
    'changes, problem',
    [
        (dict(seed=-1), 'seed is -1'),
        (dict(truncation_psi=float('nan')), 'truncation psi is nan'),
        (dict(layers={'8x8a': LayerNoise(scale=1e9)}), 'strength of 8x8a'),
        (dict(layers={'9x9': LayerNoise(scale=0)}), "names '9x9'"),
        (dict(mix_seed=1, first_style=3, last_style=2), 'styles 3 to 2'),
        (dict(mix_seed=1, first_style=3, last_style=9), 'style 4'),
        (dict(network='nothing.pkl'), 'nothing.pkl'),
        (dict(network='results/../broken.pkl'), 'broken.pkl'),
    ],
)
def test_what_cannot_be_made_is_one_line(networks, folder, changes, problem):
    (folder / 'broken.pkl').write_bytes(b'\x80\x04broken')
    with pytest.raises(UserError, match=problem) as caught:
        pictures.image(networks, Wish(network())._replace(**changes))
    assert '\n' not in str(caught.value)


def test_threads_with_different_networks_get_the_images_of_each(networks):
    wishes = [
        Wish(network(form), seed=seed) for form in ('additive', 'fr-noise') for seed in (1, 2)
    ]
    want = [pictures.image(networks, wish) for wish in wishes]
    found, errors = {}, []

    def work(number):
        try:
            for _ in range(5):
                found.setdefault(number, []).append(pictures.image(networks, wishes[number]))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(len(wishes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for number, image in enumerate(want):
        assert len(found[number]) == 5
        assert all(np.array_equal(each, image) for each in found[number])


def test_snapshots_of_a_run_share_a_graph_and_keep_their_weights(networks, tmp_path):
    with networks.using(network(kimg=0)) as first:
        other = first.Gs.clone()
        for name in other.trainables:
            other.set_var(name, other.get_var(name) + 0.3)
        misc.save_pkl(other, str(tmp_path / 'other.pkl'))
    paths = [network(kimg=0), str(tmp_path / 'other.pkl')]
    images = [pictures.image(networks, Wish(path)) for path in paths * 2]
    np.testing.assert_array_equal(images[0], images[2])
    np.testing.assert_array_equal(images[1], images[3])
    assert np.any(images[0] != images[1])
    with networks.using(paths[1]) as second:
        assert second.graph is first.graph
        assert second.about.alphas['4x4'] > first.about.alphas['4x4'] + 0.05


def test_few_networks_stay_in_memory_and_a_new_file_is_read_again(monkeypatch):
    monkeypatch.setattr(viewer.networks, '_MOST', 2)
    with tf.Graph().as_default(), tflib.create_session().as_default():
        some = Networks()
    first = pictures.image(some, Wish(network()))
    copies = []
    for number in range(2):
        copies.append('copy%d.pkl' % number)
        with open(network('additive'), 'rb') as source, open(copies[-1], 'wb') as target:
            target.write(source.read())
        second = pictures.image(some, Wish(copies[-1]))
    assert len(some._loaded) == 2 and np.any(first != second)
    with open(network(), 'rb') as source, open(copies[-1], 'wb') as target:
        target.write(source.read())
    os.utime(copies[-1], (1, 1))
    np.testing.assert_array_equal(pictures.image(some, Wish(copies[-1])), first)


def test_runs_tell_their_snapshots_curves_and_grids(tmp_path):
    runs = histories.run_dirs('results')
    assert [name[:5] for name in runs][-2:] == ['00001', '00000']
    dirs = [path for name, path in reversed(list(runs.items())) if 'toys' in name]
    assert list(histories.snapshots(dirs[0])) == [
        'network-snapshot-000008.pkl',
        'network-snapshot-000000.pkl',
    ]
    assert histories.names_of_curves(dirs) == ['Loss/D']
    histories.save_curves(str(tmp_path / 'plot.png'), dirs, 'Loss/D')
    assert PIL.Image.open(str(tmp_path / 'plot.png')).width > 400
    at = [
        (grid.kimg, histories.picture(grid.path).getpixel((0, 0)))
        for _, grid in histories.grids_at(dirs, 7.9)
    ]
    assert at == [(0, (0, 0, 0)), (0, (0, 100, 0))]
    assert [grid.kimg for _, grid in histories.grids_at(dirs, 8)] == [8, 8]
    with pytest.raises(UserError, match='no run'):
        histories.save_curves('plot.png', dirs, 'fid50k')


def test_metrics_of_runs_have_a_command(made_by):
    run = histories.run_dirs('results')
    (path,) = [path for name, path in run.items() if name.endswith('additive')]
    record = dict(network=network('additive', 0), results=dict(swd16k_avg=3.0), time='1')
    with open(os.path.join(path, 'metric-swd16k.jsonl'), 'w') as file:
        file.write(records.to_json(record, '') + '\n')
    assert histories.names_of_curves([path])[0] == 'swd16k_avg'
    assert os.listdir(made_by(histories.curve_command([path], 'swd16k_avg')))


def test_figures_of_ticks_have_a_command(made_by):
    paths = [path for name, path in histories.run_dirs('results').items() if 'toys' in name]
    assert os.listdir(made_by(histories.curve_command(paths, 'Loss/D')))


def test_a_projection_is_that_of_run_projector(networks, made_by, tmp_path):
    picture = np.random.RandomState(0).randint(256, size=[20, 40, 3], dtype=np.uint8)
    PIL.Image.fromarray(picture).save(str(tmp_path / 'mine.png'))
    found = list(projection.project(networks, network(), str(tmp_path / 'mine.png'), 4))
    assert [each.step for each in found][-1] == 4 and found[-1].seconds_left == 0
    made = made_by(projection.command(network(), 4).replace('FOLDER', str(tmp_path)))
    shown = [misc.convert_to_pil_image(image, [-1, 1]) for image in found[-1].images]
    for image, name in zip(shown, ['mine-target.png', 'mine-projected.png']):
        np.testing.assert_array_equal(
            np.asarray(image), np.asarray(PIL.Image.open(made + '/' + name))
        )


@pytest.mark.parametrize('content', [b'no picture', b'P6 60000 60000 255\n' + bytes(100)])
def test_a_file_that_is_no_picture_is_one_line(networks, tmp_path, content):
    (tmp_path / 'x.png').write_bytes(content)
    with pytest.raises(UserError, match='picture in what was uploaded'):
        list(projection.project(networks, network(), str(tmp_path / 'x.png'), 4))


def test_without_gradio_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(program, 'is_missing', lambda name: name == 'gradio')
    assert cli.run_cli(run_viewer.main, []) == 2
    assert 'pip install -r requirements/viewer.txt' in capsys.readouterr().err


def test_a_port_that_is_taken_and_an_address_of_nobody_are_errors():
    with serving.listen('127.0.0.1', 0) as taken:
        assert taken.getsockname()[0] == '127.0.0.1'
        with pytest.raises(UserError, match='choose another --host or --port'):
            serving.listen('127.0.0.1', taken.getsockname()[1])
    with pytest.raises(UserError, match='cannot listen at 192.0.2.1'):
        serving.listen('192.0.2.1', 0)
