"""Figures show what the networks and the records say, in numbers."""

import os
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import run_generator
from dnnlib import cli, tflib
from dnnlib.util import UserError
from tests.test_noise_injection import sigma_in_numpy
from training import anatomy, misc
from training.networks_stylegan2 import NOISE_INJECTION_FORMS, G_main
from training.pictures import figures, fr_maps
from training.pictures.generate import Generator

STYLEGAN2 = dict(
    func_name=G_main,
    resolution=8,
    fmap_max=8,
    latent_size=8,
    dlatent_size=8,
    mapping_fmaps=8,
    mapping_layers=1,
)
DCGAN = dict(func_name='dcgan.networks.G_dcgan', resolution=8, fmap_max=4, latent_size=8)
RUN_NAMES = {
    'fr': '00000-stylegan2-demo-1gpu-config-e-fr',
    'bald': '00001-stylegan2-demo-1gpu-config-e-bald',
    'dcgan-fr': '00002-stylegan2-demo-1gpu-dcgan-fr',
    'dcgan': '00003-stylegan2-demo-1gpu-dcgan',
}


def G_known(latents_in, noise_values=None, **_kwargs):
    """One number of z everywhere, noise of 2x2 blocks in red, of pixels in the left half."""
    variables = [
        tf.get_variable(
            'noise%d' % index,
            shape=[1, 1, size, size],
            trainable=False,
            initializer=tf.initializers.random_normal(),
        )
        for index, size in enumerate([4, 8])
    ]
    latents_in.set_shape([None, 3])
    blocks, pixels = noise_values or variables
    blocks = tf.reshape(tf.tile(blocks[:, :, :, None, :, None], [1, 1, 1, 2, 1, 2]), [-1, 1, 8, 8])
    left = np.float32(np.arange(8) < 4)
    red = tf.reshape(np.float32([1, 0, 0]), [1, 3, 1, 1])
    images = tf.tanh(latents_in[:, :1, None, None]) / 2 + 0.1 * blocks * red + 0.01 * pixels * left
    return tf.identity(images, name='images_out')


@pytest.fixture(scope='module')
def networks(tmp_path_factory):
    """Networks by name, and their files in the folders of runs, in a session for all tests."""
    root = tmp_path_factory.mktemp('results')
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        found = {
            'fr': tflib.Network('Gs', noise_injection='fr', **STYLEGAN2),
            'bald': tflib.Network('Gs', noise_injection='none', **STYLEGAN2),
            'dcgan-fr': tflib.Network('Gs', noise_injection='fr', **DCGAN),
            'dcgan': tflib.Network('Gs', noise_injection='none', **DCGAN),
        }
        for name, run_name in RUN_NAMES.items():
            (root / run_name).mkdir()
            misc.save_pkl(found[name], str(root / run_name / 'network-final.pkl'))
        found['known'] = tflib.Network('Gs', 'tests.test_figures.G_known')
        yield dict(found, root=root)


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(networks, command, *flags):
    """Run a sub-command; returns the folder that it wrote."""
    before = set(os.listdir('results')) if os.path.exists('results') else set()
    run_generator.main([command] + list(flags))
    (new,) = set(os.listdir('results')) - before
    return os.path.join('results', new)


def flag(networks, name):
    return '--network=%s' % (networks['root'] / RUN_NAMES[name])


def known_image(z, blocks, pixels):
    """What G_known makes of one z and its noise, [3, 8, 8]."""
    image = np.tile(np.tanh(z[0]) / 2, [3, 8, 8])
    image[0] += 0.1 * np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
    image[:, :, :4] += 0.01 * pixels[:, :4]
    return image


def draw(seed):
    """z and noise maps of a seed."""
    random = np.random.RandomState(seed)
    return random.randn(1, 3)[0], random.randn(1, 1, 4, 4)[0, 0], random.randn(1, 1, 8, 8)[0, 0]


@pytest.mark.parametrize('layer, shown', [(None, [1, 1]), (0, [1, 0]), (1, [0, 1])])
def test_the_map_is_the_standard_deviation_over_the_draws(networks, layer, shown):
    generator = Generator(networks['known'], minibatch_size=3)
    z, _, _ = draw(5)
    images = []
    for seed in range(7):
        _, blocks, pixels = draw(seed)
        images.append(known_image(z, blocks * shown[0], pixels * shown[1]))
    want = np.std(images, axis=0).mean(axis=0) * 127.5
    got = figures.stddev_of_noise(generator, 5, 7, layer)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    assert (got[:, 4:].max() > 1e-3) == bool(shown[0])  # noise of pixels is in the left half alone


def test_noise_along_an_edge_is_told_from_noise_beside_it():
    image = np.zeros([3, 20, 20], np.uint8)
    image[:, :, 10:] = 200  # np.gradient sees the edge in columns 9 and 10, 40 of 400 pixels
    edge = np.zeros([20, 20])
    edge[:, 9:11] = 1
    assert figures.share_in_outlines(edge, image) == 1
    assert figures.share_in_outlines(1 - edge, image) == pytest.approx(40 / 360)
    assert figures.share_in_outlines(np.ones([20, 20]), image) == pytest.approx(figures.OUTLINES)
    assert figures.share_in_outlines(2 * edge + (1 - edge), image) == pytest.approx(200 / 520)
    assert figures.share_in_outlines(0 * edge, image) == 0


def test_noise_is_switched_on_from_the_smallest_layer_on(networks):
    generator = Generator(networks['known'])
    z, blocks, pixels = draw(3)
    want = [known_image(z, blocks * on[0], pixels * on[1]) for on in [(0, 0), (1, 0), (1, 1)]]
    got = figures.noise_by_layers(generator, 3)
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got, np.clip(np.array(want) * 127.5 + 128, 0, 255), atol=1)
    assert generator.layer_names == ['4x4', '8x8']


@pytest.mark.parametrize('name, names', [('fr', ['4x4', '8x8a', '8x8b']), ('dcgan-fr', ['4x4'])])
def test_rows_of_noise_begin_without_and_end_with_the_seed_s_own(networks, name, names):
    Gs = networks[name]
    images = figures.noise_by_layers(Generator(Gs), 3)
    assert Generator(Gs).layer_names == names and len(images) == len(names) + 1
    for index, noise in [(0, 'none'), (-1, 'random')]:
        (want,) = Generator(Gs, noise=noise).images_of_seeds([3])
        np.testing.assert_allclose(images[index], want.astype(int), atol=1)
    assert all(np.any(a != b) for a, b in zip(images, images[1:]))


def test_commands_write_pictures_of_the_noise(networks):
    for command, flags in [('noise-layers', []), ('noise-stddev', ['--num-draws=3'])]:
        path = run(networks, command, flag(networks, 'fr'), '--seeds=1,2', *flags)
        pictures = [name for name in os.listdir(path) if not name.endswith('.txt')]
        assert sorted(pictures) == [command + '.png', 'submit_config.json', 'submit_config.pkl']
        with PIL.Image.open(os.path.join(path, command + '.png')) as picture:
            assert picture.width > 4 * 128 and picture.height > 2 * 128
            assert picture.mode[:3] == 'RGB'


def test_networks_stand_side_by_side_with_the_same_seeds(networks):
    folders = [str(networks['root'] / RUN_NAMES[name]) for name in ['fr', 'dcgan']]
    path = run(
        networks,
        'sample-grid',
        '--networks=' + ','.join(folders),
        '--seeds=4-9',
        '--columns=3',
        '--noise=none',
    )
    picture = np.asarray(PIL.Image.open(os.path.join(path, 'sample-grid.png')))
    # Two grids of 3x2 images, enlarged from 8 to 128 pixels, and a gap; a line below each image.
    assert picture.shape[1] == 2 * 3 * 128 + 6
    label = 13 * 5 // 4 + 6
    tops = [picture.shape[0] - n * (128 + label) for n in (2, 1)]
    for name, left in [('fr', 0), ('dcgan', 3 * 128 + 6)]:
        images = list(Generator(networks[name], noise='none').images_of_seeds(range(4, 10)))
        for index, image in enumerate(images):
            y, x = tops[index // 3], left + index % 3 * 128
            cell = picture[y : y + 128, x : x + 128]
            want = image.transpose(1, 2, 0).astype(int)
            np.testing.assert_allclose(cell, np.kron(want, np.ones([16, 16, 1])), atol=1)
            assert np.any(picture[y + 128 : y + 128 + label, x : x + 128] < 128), 'label'
    assert np.any(picture[: tops[0]] < 128), 'titles'


def dcgan_mu(net, z):
    """What goes into the noise injection of the tiny DCGAN, [4, 4, 4]."""
    v = {
        name: net.get_var('4x4/' + name).astype(np.float64)
        for name in ['weight']
        + ['BatchNorm/' + x for x in ['gamma', 'beta', 'moving_mean', 'moving_variance']]
    }
    gamma, beta, mean, variance = [
        v['BatchNorm/' + x].reshape(4, 1, 1)
        for x in ['gamma', 'beta', 'moving_mean', 'moving_variance']
    ]
    x = np.dot(z, v['weight']).reshape(4, 4, 4)
    return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)


@pytest.mark.parametrize('form', [form for form in NOISE_INJECTION_FORMS if 'fr' in form])
def test_maps_of_every_form_are_those_of_the_equations(networks, form):
    net = tflib.Network('Gs', noise_injection=form, **DCGAN)
    random = np.random.RandomState(0)
    values = {}
    for name, var in net.vars.items():
        match = re.match(r'4x4/FR/(?!strength)(\w+)$', name)
        if match:
            values[match.group(1)] = random.randn(*var.shape.as_list())
            net.set_var(name, values[match.group(1)])
    net.set_var('4x4/weight', random.randn(8, 64))
    generator = Generator(net)
    maps = fr_maps.image_maps(generator, [3, 4])
    assert set(maps) == {('4x4', 's'), ('4x4', 'sigma')}
    for index, z in enumerate(generator.latents([3, 4])):
        mu = dcgan_mu(net, z)
        options = dict(values, fr_reduce='neg_relu') if form == 'fr-released' else values
        np.testing.assert_allclose(
            maps['4x4', 'sigma'][index], sigma_in_numpy(form, mu, **options), rtol=1e-3, atol=1e-4
        )
        if form not in ('fr-released', 'fr-cnn'):  # all there is without A, b and Eq. 9
            s = mu.sum(axis=0) if form == 'fr-nonorm' else sigma_in_numpy('fr-nostab', mu)
            np.testing.assert_allclose(maps['4x4', 's'][index], s, rtol=1e-3, atol=1e-4)
    learned = tflib.run(anatomy.fr_values(net))['4x4']
    assert set(learned) & {'A', 'b'} == set(values) & {'A', 'b'}
    for what in set(learned) & {'A', 'b'}:
        np.testing.assert_allclose(learned[what], values[what] / 2, rtol=1e-5)  # 1 / sqrt(4)


def test_maps_of_all_layers_are_found_and_drawn(networks):
    layers = ['4x4/Conv', '8x8/Conv0_up', '8x8/Conv1']
    assert list(anatomy.fr_layers(networks['fr'])) == layers
    maps = fr_maps.image_maps(Generator(networks['fr']), [1])
    assert sorted(maps) == [(layer, what) for layer in layers for what in ('s', 'sigma')]
    for learned in tflib.run(anatomy.fr_values(networks['fr'])).values():
        assert (learned['alpha'], learned['strength']) == (0.5, 1.0)
    path = run(networks, 'fr-maps', flag(networks, 'dcgan-fr'))
    assert os.path.exists(os.path.join(path, 'fr-maps.png'))


def test_growing_networks_whose_maps_are_hidden_say_so(networks):
    net = tflib.Network(
        'Gs',
        noise_injection='fr',
        synthesis_func='G_synthesis_stylegan_revised',
        **dict(STYLEGAN2, resolution=16),
    )
    with pytest.raises(UserError, match='progressively growing'):
        fr_maps.image_maps(Generator(net), [1])


def test_matplotlib_is_loaded_by_figures_alone():
    root = Path(__file__).resolve().parent.parent
    for folder in ['.', 'training', 'metrics']:
        for path in (root / folder).glob('*.py'):
            assert not re.search(r'^(import|from) matplotlib', path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize(
    'flags, words',
    [
        (['noise-layers', '@bald'], ['no noise injection', 'config-e-fr']),
        (['noise-stddev', '@dcgan'], ['no noise injection']),
        (['noise-stddev', '@fr', '--num-draws=0'], ['--num-draws is 0']),
        (['noise-layers', '@fr', '--seeds=4294967296'], ['4294967296']),
        (['fr-maps', '@bald'], ['no fuzzy reparameterization', 'config-e-fr']),
        (['fr-maps', '@fr', '--class=1'], ['--class is 1', 'without labels']),
        (['sample-grid'], ['--networks']),
        (['sample-grid', '--networks=missing.pkl'], ['missing.pkl', 'No such file']),
        (['sample-grid', '--networks=.'], ['no network-*.pkl']),
        (['plot-metric'], ['no run', 'results']),
        (
            ['plot-metric', '.'],
            ['no run has a record of fid50k', 'no metrics at all', 'run_metrics'],
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(networks, capsys, flags, words):
    flags = [flag(networks, text[1:]) if text.startswith('@') else text for text in flags]
    assert cli.run_cli(run_generator.main, flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('Error: ')
    for word in words:
        assert word in line
    assert not os.path.exists('results')
