"""Generated images are those of the official recipe, the same for a seed in every command."""

import os
import sys

import imageio_ffmpeg
import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import pretrained_networks
import run_generator
from bench import metric_toys
from dnnlib import cli, tflib
from dnnlib.util import UserError
from tests.toy_networks import SMALL
from training import misc
from training.networks_stylegan2 import G_main
from training.pictures import generate, images


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with network files, in a session that all tests share so that each is built once."""
    path = tmp_path_factory.mktemp('networks')
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        networks = {
            'rgb': tflib.Network('Gs', G_main, noise_injection='fr', num_channels=3, **SMALL),
            'gray': tflib.Network('Gs', G_main, num_channels=1, label_size=3, **SMALL),
        }
        for name, net in networks.items():
            net.set_var('dlatent_avg', np.linspace(-1, 1, 8))
            misc.save_pkl((net, net, net), str(path / (name + '.pkl')))
        rgba = tflib.Network('Gs', metric_toys.G_without_w, num_channels=4)
        misc.save_pkl(rgba, str(path / 'rgba.pkl'))
        yield path


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(command, network, *flags):
    """Run a sub-command; returns the folder that it wrote."""
    before = set(os.listdir('results')) if os.path.exists('results') else set()
    run_generator.main([command, '--network=%s' % network] + list(flags))
    (new,) = set(os.listdir('results')) - before
    assert new.endswith('-' + command)
    return os.path.join('results', new)


def pixels(*path):
    return np.asarray(PIL.Image.open(os.path.join(*path)))


def enlarged(*path):
    """Pixels of an image of 8x8 as 128x128."""
    return np.kron(pixels(*path), np.ones([16, 16, 1], np.uint8))


def pictures_in(path):
    return sorted(name for name in os.listdir(path) if name.endswith('.png'))


def official_image(Gs, seed, truncation_psi=0.5, noise=None):
    """The image of a seed by the official recipe, uint8 [H, W, C]; `noise` replaces the maps."""
    random = np.random.RandomState(seed)
    z = random.randn(1, *Gs.input_shape[1:])
    variables = [
        var for name, var in Gs.components.synthesis.vars.items() if name.startswith('noise')
    ]
    stored = tflib.run(variables)
    values = [random.randn(*var.shape.as_list()) for var in variables]
    if noise is not None:
        values = [noise(value) for value in stored]
    tflib.set_vars(dict(zip(variables, values)))
    image = Gs.run(
        z,
        None,
        truncation_psi=truncation_psi,
        randomize_noise=False,
        output_transform=dict(func=tflib.convert_images_to_uint8, nchw_to_nhwc=True),
    )
    tflib.set_vars(dict(zip(variables, stored)))
    return image[0]


def assert_same_pixels(got, want):
    """Equal but for float rounding at the edge between two values of a pixel."""
    assert got.shape == want.shape
    assert np.max(np.abs(got.astype(int) - want)) <= 1


def test_images_are_those_of_the_official_recipe(folder, capsys):
    path = run('generate-images', folder / 'rgb.pkl', '--seeds=3,5-6')
    assert pictures_in(path) == ['grid.png', 'seed0003.png', 'seed0005.png', 'seed0006.png']
    out = capsys.readouterr().out
    assert 'Loading networks from "' in out and 'Generating 3 images...' in out
    assert out.count('\n') < 10  # no line for each
    Gs = pretrained_networks.load_networks(str(folder / 'rgb.pkl'))[2]
    for seed in [3, 5]:
        assert_same_pixels(pixels(path, 'seed%04d.png' % seed), official_image(Gs, seed))
    assert np.std(pixels(path, 'seed0003.png').astype(int) - pixels(path, 'seed0005.png')) > 1
    grid = pixels(path, 'grid.png')
    assert grid.shape[1] == 2 * 128  # two rows of two, enlarged, with a label below each
    for seed, y, x in [(3, 0, 0), (5, 0, 128), (6, 1, 0)]:
        y *= grid.shape[0] // 2
        assert np.array_equal(grid[y : y + 128, x : x + 128], enlarged(path, 'seed%04d.png' % seed))
        assert np.any(grid[y + 128 : y + grid.shape[0] // 2, x : x + 128] < 128)


def test_sheets_of_many_images_show_all_of_them(folder, monkeypatch):
    monkeypatch.setattr(images, '_MOST_IN_SHEET', 4)
    path = run('generate-images', folder / 'rgb.pkl', '--seeds=0-5', '--scale=2')
    assert [name for name in pictures_in(path) if 'grid' in name] == [
        'grid0000.png',
        'grid0001.png',
    ]
    assert pixels(path, 'seed0005.png').shape == (16, 16, 3)
    assert np.any(pixels(path, 'grid0001.png')[:16] != 255)


def test_large_images_are_averaged_in_sheets():
    image = np.random.RandomState(0).randint(256, size=[3, 512, 512])
    small = images._thumbnail(image.astype(np.uint8))
    assert small.shape == (3, 256, 256) and small.dtype == np.uint8
    assert small[1, 2, 3] == np.rint(image[1, 4:6, 6:8].mean())


def test_noise_and_truncation_can_be_chosen(folder):
    Gs = pretrained_networks.load_generator(str(folder / 'rgb.pkl'))
    images = {}
    for noise, maps in [('const', lambda stored: stored), ('none', np.zeros_like)]:
        path = run(
            'generate-images',
            folder / 'rgb.pkl',
            '--seeds=1,2,3',
            '--noise=' + noise,
            '--truncation-psi=0.5',
            '--minibatch-size=2',
        )
        images[noise] = pixels(path, 'seed0003.png')
        assert_same_pixels(images[noise], official_image(Gs, 3, noise=maps))
    path = run('generate-images', folder / 'rgb.pkl', '--seeds=1,3', '--noise=seed:3')
    images['seed'] = pixels(path, 'seed0003.png')
    assert_same_pixels(images['seed'], official_image(Gs, 3))
    assert len({image.tobytes() for image in images.values()}) == 3


@pytest.mark.parametrize('noise', ['random', 'const'])
def test_a_seed_gives_the_same_image_in_every_command(folder, noise):
    flags = ['--noise=' + noise, '--truncation-psi=0.7']
    images = run('generate-images', folder / 'rgb.pkl', '--seeds=7,8', *flags)
    mixing = run(
        'style-mixing-example', folder / 'rgb.pkl', '--row-seeds=7', '--col-seeds=8', *flags
    )
    for seed in [7, 8]:
        want = pixels(images, 'seed%04d.png' % seed)
        assert_same_pixels(pixels(mixing, '%d-%d.png' % (seed, seed)), want)
    Gs = pretrained_networks.load_generator(str(folder / 'rgb.pkl'))
    generator = generate.Generator(Gs, truncation_psi=0.7, noise=noise)
    for space in ['z', 'w']:
        frames = list(generate.walk(generator, [7, 8], 3, space))
        assert len(frames) == 6
        for frame, seed in [(0, 7), (3, 8)]:
            assert_same_pixels(
                frames[frame].transpose(1, 2, 0), pixels(images, 'seed%04d.png' % seed)
            )
        assert len({frame.tobytes() for frame in frames}) > 3


def test_the_network_s_own_noise_comes_back(folder):
    Gs = pretrained_networks.load_generator(str(folder / 'rgb.pkl'))
    before = Gs.get_var('G_synthesis/noise1')
    for noise in ['random', 'none']:
        list(generate.Generator(Gs, noise=noise).images_of_seeds([1]))
    assert np.array_equal(Gs.get_var('G_synthesis/noise1'), before)


def test_mixed_images_take_the_column_s_styles(folder, capsys):
    path = run(
        'style-mixing-example',
        folder / 'rgb.pkl',
        '--row-seeds=1,2',
        '--col-seeds=2,3,4',
        '--col-styles=0,2',
        '--truncation-psi=0.6',
    )
    assert pictures_in(path) == sorted(
        ['%d-%d.png' % (row, col) for row in (1, 2) for col in (2, 3, 4)]
        + ['1-1.png', '3-3.png', '4-4.png', 'grid.png']
    )
    lines = capsys.readouterr().out.splitlines()
    at = [
        lines.index(line + '...')
        for line in [
            'Generating W vectors',
            'Generating images',
            'Generating style-mixed images',
            'Saving images',
            'Saving image grid',
        ]
    ]
    assert at == sorted(at)

    Gs = pretrained_networks.load_generator(str(folder / 'rgb.pkl'))
    z = np.stack([np.random.RandomState(seed).randn(8) for seed in (1, 3)])
    w = Gs.components.mapping.run(z, None)
    average = Gs.get_var('dlatent_avg')
    row, col = average + (w - average) * 0.6
    row[[0, 2]] = col[[0, 2]]
    want = Gs.components.synthesis.run(
        row[np.newaxis],
        randomize_noise=False,
        output_transform=dict(func=tflib.convert_images_to_uint8),
    )[0]
    assert_same_pixels(pixels(path, '1-3.png'), want.transpose(1, 2, 0))

    # From the lower right corner, with a gap of 6 pixels between columns and rows of 128.
    grid = pixels(path, 'grid.png')
    for name, row, column in [('3-3', 0, 2), ('1-1', 1, 0), ('2-4', 2, 3), ('1-3', 1, 2)]:
        y, x = grid.shape[0] - (3 - row) * 134 + 6, grid.shape[1] - (4 - column) * 134 + 6
        assert np.array_equal(grid[y : y + 128, x : x + 128], enlarged(path, name + '.png'))
    corner = grid[-3 * 134 + 6 :, -4 * 134 + 6 :][:128, :128]
    assert (corner == 255).all()
    assert np.any(grid[: -3 * 134] < 128) and np.any(grid[:, : -4 * 134] < 128), 'labels'


@pytest.mark.parametrize('num_layers, last', [(4, 1), (6, 1), (8, 2), (12, 4), (14, 4), (18, 6)])
def test_by_default_columns_give_the_official_share_of_their_styles(num_layers, last):
    """7 of 18; at 32x32 styles 0 to 6 would be all but one."""
    assert images.default_styles(num_layers) == list(range(last + 1))


def test_styles_are_told_in_short():
    assert images._ranges([6, 0, 1, 2, 4, 5, 2]) == '0-2, 4-6' and images._ranges([3]) == '3'


def test_a_figure_of_mixed_styles_is_written_as_pdf(folder):
    seeds = ['--row-seeds=1', '--col-seeds=2']
    path = run('style-mixing-example', folder / 'rgb.pkl', *seeds, '--format=pdf', '--dpi=200')
    assert 'grid.png' not in os.listdir(path)
    with open(os.path.join(path, 'grid.pdf'), 'rb') as file:
        assert file.read(5) == b'%PDF-'


def test_one_class_is_generated_in_gray(folder):
    images = [
        pixels(
            run('generate-images', folder / 'gray.pkl', '--seeds=1', '--class=%d' % index),
            'seed0001.png',
        )
        for index in [0, 2]
    ]
    assert images[0].shape == (8, 8) and not np.array_equal(*images)
    Gs = pretrained_networks.load_generator(str(folder / 'gray.pkl'))
    z = np.random.RandomState(1).randn(1, 8)
    want = Gs.run(
        z,
        np.eye(3)[2:],
        truncation_psi=0.5,
        randomize_noise=False,
        output_transform=dict(func=tflib.convert_images_to_uint8),
    )
    assert_same_pixels(images[1], want[0, 0])


def test_four_channels_and_networks_without_styles_work(folder):
    network = folder / 'rgba.pkl'
    path = run('generate-images', network, '--seeds=1', '--trust-network-code')
    assert pixels(path, 'seed0001.png').shape == (16, 16, 4)
    path = run(
        'generate-video',
        network,
        '--seeds=1,2',
        '--frames=2',
        '--format=gif',
        '--trust-network-code',
    )
    with PIL.Image.open(os.path.join(path, 'video.gif')) as video:
        assert video.n_frames == 4 and video.size == (256, 256) and video.info['duration'] == 30
    for flags in [
        ['style-mixing-example', '--row-seeds=1', '--col-seeds=2'],
        ['generate-video', '--seeds=1,2', '--space=w', '--format=gif'],
    ]:
        with pytest.raises(UserError, match='no styles w'):
            run(flags[0], network, '--trust-network-code', *flags[1:])


def test_mp4_is_written_where_there_is_ffmpeg(folder, monkeypatch):
    flags = ['--seeds=1,2', '--frames=3', '--fps=10', '--space=w', '--scale=1']
    path = run('generate-video', folder / 'rgb.pkl', *flags)
    assert os.listdir(path).count('video.mp4') == 1
    facts, *frames = imageio_ffmpeg.read_frames(os.path.join(path, 'video.mp4'))
    assert facts['fps'] == 10 and facts['size'] == (8, 8) and len(frames) == 6
    monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
    with pytest.raises(UserError, match='ffmpeg.*--format=gif'):
        run('generate-video', folder / 'rgb.pkl', '--seeds=1,2')


def test_arcs_keep_normal_variables_normal():
    random = np.random.RandomState(0)
    a, b = random.randn(2, 1000, 50)
    for t in [0.25, 0.5]:
        assert np.std(generate.slerp(a, b, t)) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(
        generate.slerp(np.array([1.0, 0]), np.array([0, 1.0]), 1 / 3), [np.sqrt(3) / 2, 0.5]
    )
    for t, want in [(0, a), (1, b)]:
        np.testing.assert_allclose(generate.slerp(a, b, t), want, atol=1e-12)
    assert np.array_equal(generate.slerp(a, a, 0.3), a)


def test_without_a_network_the_newest_run_s_is_used(folder, capsys):
    os.makedirs('results/00004-stylegan2-tiny')
    with open(str(folder / 'rgb.pkl'), 'rb') as source:
        with open('results/00004-stylegan2-tiny/network-final.pkl', 'wb') as target:
            target.write(source.read())
    run_generator.main(['generate-images', '--seeds=1'])
    assert os.path.exists('results/00005-generate-images/seed0001.png')
    assert '00004-stylegan2-tiny/network-final.pkl"' in capsys.readouterr().out


@pytest.mark.parametrize(
    'network, flags, words',
    [
        ('rgb', [], ['sub-command', 'generate-images', 'generate-video']),
        ('rgb', ['generate-images'], ['--seeds']),
        ('rgb', ['generate-images', '--seeds=4-2'], ['4-2']),
        ('rgb', ['generate-images', '--seeds=4294967296'], ['4294967296']),
        ('rgb', ['generate-images', '--seeds=1', '--noise=loud'], ['loud', 'seed:N']),
        ('rgb', ['generate-images', '--seeds=1', '--class=0'], ['--class is 0', 'without labels']),
        ('rgb', ['generate-images', '--seeds=1', '--minibatch-size=0'], ['--minibatch-size is 0']),
        ('gray', ['generate-images', '--seeds=1'], ['3 classes', '--class']),
        ('gray', ['generate-images', '--seeds=1', '--class=3'], ['--class is 3', '0 to 2']),
        (
            'rgb',
            ['style-mixing-example', '--row-seeds=1', '--col-seeds=2', '--col-styles=3,4'],
            ['style 4', '0 to 3'],
        ),
        ('rgb', ['generate-video', '--seeds=1', '--frames=0', '--format=gif'], ['--frames is 0']),
        ('missing', ['generate-images', '--seeds=1'], ['missing.pkl', 'No such file']),
        (None, ['generate-images', '--seeds=1'], ['no run', '--network']),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(folder, capsys, network, flags, words):
    if network and flags:
        flags = flags + ['--network=%s' % (folder / (network + '.pkl'))]
    assert cli.run_cli(run_generator.main, flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('Error: ')
    for word in words:
        assert word in line
    assert not os.path.exists('results')
