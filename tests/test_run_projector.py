"""Projected images with their files, stopped and resumed, compared, and rendered again."""

import json
import os
import shutil
from argparse import Namespace

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import run_generator
import run_projector
from bench import metric_toys
from dcgan.networks import G_dcgan
from dnnlib import cli, flags, tflib
from dnnlib.util import UserError
from projector import find_vgg16
from tests import test_vgg16
from tests.toy_networks import SMALL
from training import misc
from training.inversion import results
from training.networks_stylegan2 import G_main
from training.perception import feature_nets, vgg16

FAST = ['--num-steps=4', '--vgg16=none', '--minibatch-size=2']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with network files and images, in a session that all tests share."""
    path = tmp_path_factory.mktemp('networks')
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        networks = {
            'fr': tflib.Network('Gs', G_main, noise_injection='fr', **SMALL),
            'additive': tflib.Network('Gs', G_main, noise_injection='additive', **SMALL),
            'dcgan': tflib.Network(
                'Gs', G_dcgan, resolution=8, latent_size=8, fmap_base=32, fmap_max=8
            ),
        }
        for name, net in networks.items():
            misc.save_pkl((net, net, net), str(path / (name + '.pkl')))
        save_images(
            path / 'photos',
            [('a.png', 'RGB', (8, 8)), ('b.png', 'RGB', (8, 8)), ('c.png', 'RGB', (8, 8))],
        )
        yield path


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(feature_nets.FOLDER_VARIABLE, raising=False)


def save_images(path, images):
    os.makedirs(str(path))
    for seed, (name, mode, (width, height)) in enumerate(images):
        shape = [height, width] + ([3] if mode == 'RGB' else [])
        pixels = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(str(path / name))


def run(command, *flags):
    """Run a sub-command; returns the folder that it wrote."""
    before = set(os.listdir('results')) if os.path.exists('results') else set()
    run_projector.main([command] + list(map(str, flags)))
    (new,) = set(os.listdir('results')) - before
    assert new.endswith('-' + command)
    return os.path.join('results', new)


def pixels(*path):
    return np.asarray(PIL.Image.open(os.path.join(*path)))


def summary_of(path):
    with open(os.path.join(path, 'summary.json')) as file:
        return json.load(file)


def test_generated_images_with_official_file_names(folder, capsys):
    path = run(
        'project-generated-images',
        '--network=%s' % (folder / 'fr.pkl'),
        '--seeds=3,5,8',
        '--num-steps=150',
        '--num-snapshots=3',
        '--learning-rate=0.05',
        '--vgg16=none',
        '--minibatch-size=2',
    )
    out = capsys.readouterr().out
    assert 'Loading networks from "' in out and 'Projecting seed 5 (1/3) ...' in out
    assert '2 of 3 images are done, about' in out and 'paper, config-e-fr ' in out
    names = {name for name in os.listdir(path) if name.startswith('seed0003')}
    assert names == {
        'seed0003' + ending
        for ending in [
            '.npz',
            '-target.png',
            '-step0050.png',
            '-step0100.png',
            '-step0150.png',
            '-projected.png',
            '-strip.png',
        ]
    }
    assert pixels(path, 'seed0003-strip.png').shape == (128, 4 * 128, 3)  # enlarged
    strip = pixels(path, 'seed0003-strip.png')[::16, ::16]
    np.testing.assert_array_equal(strip[:, :8], pixels(path, 'seed0003-target.png'))
    np.testing.assert_array_equal(strip[:, 24:], pixels(path, 'seed0003-projected.png'))
    summary = summary_of(path)
    assert list(summary['images']) == ['seed0003', 'seed0005', 'seed0008']
    for figures in summary['images'].values():
        assert figures['mse'] < 0.05 * figures['mse_at_start'] and figures['distance'] > 0
        assert len(figures['alpha_powers']) == 3
    assert summary['overall']['num_images'] == 3 and summary['hard'] is None
    assert summary['overall']['mse'] == pytest.approx(
        np.mean([figures['mse'] for figures in summary['images'].values()])
    )

    with np.load(os.path.join(path, 'seed0003.npz')) as file:
        assert file['latents'].shape == (4, 8) and file['alpha_powers'].shape == (3,)
        assert file['noise2'].shape == (1, 8, 8) and file['curve_mse'].shape == (150,)
        assert json.loads(str(file['settings']))['num_steps'] == 150
    run_generator.main(['render-projection', os.path.join(path, 'seed0003.npz')])
    (rendered,) = [name for name in os.listdir('results') if name.endswith('render-projection')]
    np.testing.assert_array_equal(
        pixels('results', rendered, 'seed0003.png'), pixels(path, 'seed0003-projected.png')
    )
    with pytest.raises(UserError, match='is not the network that seed0003 was projected into'):
        run_generator.main(
            [
                'render-projection',
                os.path.join(path, 'seed0003.npz'),
                '--network=%s' % (folder / 'additive.pkl'),
            ]
        )


def test_a_stopped_run_is_not_begun_again(folder, tmp_path, capsys):
    flags = ['--network=%s' % (folder / 'fr.pkl'), '--images=%s' % (folder / 'photos')] + FAST
    first = run('project-real-images', *flags)
    pictures = {name: pixels(first, name) for name in os.listdir(first) if name.endswith('.png')}
    os.remove(os.path.join(first, '_finished.txt'))  # as if it had been killed during image b
    os.remove(os.path.join(first, 'b.npz'))
    capsys.readouterr()
    second = run('project-real-images', *flags)
    out = capsys.readouterr().out
    assert 'a: taken from' in out and 'c: taken from' in out and 'Projecting image 1/3 ...' in out
    assert 'Projecting image 0/3' not in out
    for name, picture in pictures.items():
        assert np.max(np.abs(pixels(second, name).astype(int) - picture)) <= 1
    assert list(summary_of(second)['images']) == ['a', 'b', 'c']

    result = results.load_projection(os.path.join(second, 'b.npz'))
    os.mkdir(str(tmp_path / 'new'))

    def taken(settings, target):
        return [
            each.name
            for each in results.take_over(
                'results', 'project-real-images', str(tmp_path / 'new'), settings, {'b': target}
            )
        ]

    assert taken(result.settings, result.target) == []  # what has finished stays as it is
    os.remove(os.path.join(second, '_finished.txt'))
    assert taken(dict(result.settings, num_steps=5), result.target) == []
    assert taken(result.settings, -result.target) == []
    assert taken(dict(result.settings, network='moved.pkl'), result.target) == ['b']


def test_data_set_hard_cases_and_comparison(folder, capsys):
    """Real images of a data set by two networks, and their picture side by side."""
    with open('hard.txt', 'w') as file:
        file.write('# two of three\nimage0002\n1\n')
    runs = [
        run(
            'project-real-images',
            '--network=%s' % (folder / name),
            '--dataset=photos',
            '--data-dir=%s' % folder,
            '--hard-cases=hard.txt',
            *FAST,
        )
        for name in ['fr.pkl', 'additive.pkl']
    ]
    out = capsys.readouterr().out
    assert 'Loading images from "photos"...' in out and 'Projecting image 2/3 ...' in out
    assert 'hard cases' in out and '2.86' in out
    summary = summary_of(runs[0])
    assert summary['hard_cases'] == ['image0001', 'image0002']
    assert summary['hard']['num_images'] == 2
    np.testing.assert_array_equal(
        pixels(runs[0], 'image0002-target.png'), pixels(str(folder), 'photos', 'c.png')
    )
    assert summary_of(runs[1])['settings']['optimize_alpha'] is False
    grid = run('compare', *runs)
    picture = pixels(grid, 'grid.png')
    left = picture.shape[1] - 3 * 134 + 6
    assert left > 40 and 3 * 134 < picture.shape[0] < 3 * 134 + 60  # names and titles
    np.testing.assert_array_equal(
        picture[-128:, left : left + 128],
        np.kron(pixels(runs[0], 'image0002-target.png'), np.ones([16, 16, 1], np.uint8)),
    )
    assert os.path.exists(os.path.join(run('compare', *runs, '--format=pdf'), 'grid.pdf'))
    os.makedirs('other')
    shutil.copy(os.path.join(runs[0], 'image0000.npz'), 'other/image0001.npz')
    with pytest.raises(UserError, match="image0001 in 'other' is another image than in"):
        run('compare', runs[0], 'other')
    os.rename('other/image0001.npz', 'other/photo.npz')
    with pytest.raises(UserError, match='have no image in common'):
        run('compare', runs[0], 'other')
    with pytest.raises(UserError, match='no projected image'):
        run('compare', str(folder))


def test_official_method_and_a_network_without_w(folder, tmp_path):
    metric_toys.save_feature_nets(str(tmp_path / 'nets'))
    path = run(
        'project-generated-images',
        '--network=%s' % (folder / 'dcgan.pkl'),
        '--seeds=4',
        '--method=w-lpips',
        '--feature-nets=%s' % (tmp_path / 'nets'),
        '--num-steps=5',
    )
    figures = summary_of(path)['images']['seed0004']
    assert figures['lpips'] == pytest.approx(figures['mse'] * 127.5**2, rel=1e-3)
    assert summary_of(path)['settings']['space'] == 'z'


def test_images_can_be_fitted_and_compared_by_vgg16(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        vgg16, 'BLOCKS', [(count, maps) for (count, _), maps in zip(vgg16.BLOCKS, test_vgg16.MAPS)]
    )
    weights = test_vgg16.save(tmp_path / 'vgg16.h5', test_vgg16.random_arrays())
    save_images(tmp_path / 'odd', [('wide one.png', 'RGB', (20, 10)), ('gray.png', 'L', (8, 8))])
    path = run(
        'project-real-images',
        '--network=%s' % (folder / 'additive.pkl'),
        '--fit',
        '--images=%s' % (tmp_path / 'odd'),
        '--vgg16=' + weights,
        '--num-steps=2',
    )
    assert list(summary_of(path)['images']) == ['gray', 'wide_one']
    assert summary_of(path)['overall']['perceptual'] > 0
    assert 'perceptual' in capsys.readouterr().out
    want = PIL.Image.open('odd/wide one.png').crop((5, 0, 15, 10)).resize((8, 8), PIL.Image.LANCZOS)
    np.testing.assert_array_equal(pixels(path, 'wide_one-target.png'), np.asarray(want))

    _, options = flags.parse_command('', '', run_projector.COMMANDS, ['project-real-images'])
    assert find_vgg16(Namespace(**options)) is None
    assert 'the loss is the mean squared error alone' in capsys.readouterr().out


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--images={odd}/wide'], r'wide.png .* is 16x8 pixels, the network makes 8x8; --fit'),
        (
            ['--images={odd}/gray'],
            r'gray.png .* is an image of mode L, the network makes RGB; --fit',
        ),
        (['--images={odd}/broken'], r'broken.png .* cannot be read as an image'),
        (['--images=nowhere'], 'neither a folder nor'),
        (['--dataset=photos', '--data-dir={nets}', '--num-images=4'], 'has 3 images'),
        (['--dataset=gray', '--data-dir={odd}'], 'are 8x8 gray, those of the network 8x8 rgb'),
        ([], 'name the data set by --dataset, or image files by --images'),
        (['--images={nets}/photos', '--vgg16={odd}/broken/broken.png'], 'as an HDF5 file'),
        (['--images={nets}/photos', '--vgg16=missing.h5'], 'no file .missing.h5'),
        (['--images={nets}/photos', '--lambda-perceptual=1'], "needs VGG16's weights"),
        (['--images={nets}/photos', '--space=z'], 'has a W .*--space is z'),
        (['--images={nets}/photos', '--optimize-alpha=yes'], 'has no alpha in'),
        (['--images={nets}/photos', '--num-steps=0'], '--num-steps is 0; it must be at least 1'),
        (
            ['--images={nets}/photos', '--learning-rate=0'],
            '--learning-rate is 0; .* greater than 0',
        ),
        (
            ['--images={nets}/photos', '--hard-cases={odd}/hard.txt'],
            "names 'z', which is not among",
        ),
        (
            ['--images={nets}/photos', '--method=w-lpips', '--feature-nets={odd}'],
            'zhang_perceptual',
        ),
        (['--fit'], '--fit is for --images'),
        (['--method=best'], 'invalid choice'),
    ],
)
def test_mistakes_are_found_before_anything_is_optimized(folder, tmp_path, flags, message):
    odd = tmp_path / 'odd'
    save_images(odd / 'wide', [('wide.png', 'RGB', (16, 8))])
    save_images(odd / 'gray', [('gray.png', 'L', (8, 8))])
    save_images(odd / 'broken', [])
    (odd / 'broken' / 'broken.png').write_bytes(b'no image')
    (odd / 'hard.txt').write_text('a.png\nz\n')
    flags = [flag.format(odd=odd, nets=folder) for flag in flags]
    with pytest.raises(UserError, match=message):
        run('project-real-images', '--network=%s' % (folder / 'additive.pkl'), *flags)
    assert not os.path.exists('results')


def test_errors_are_one_line_and_exit_2(folder, capsys):
    for argv in [
        [],
        ['project-real-images'],
        ['compare', 'nowhere'],
        ['project-generated-images', '--network=%s' % (folder / 'dcgan.pkl'), '--space=w'],
    ]:
        assert cli.run_cli(run_projector.main, argv) == 2
        err = capsys.readouterr().err
        assert err.startswith('Error: ') and err.count('\n') == 1
    assert not os.path.exists('results')
