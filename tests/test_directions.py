"""Directions are those of the paper's equation, and move images as they say."""

import os

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import run_generator
from dnnlib import cli, tflib
from training import anatomy, misc
from training.networks_stylegan2 import G_main
from training.pictures import directions
from training.pictures.generate import Generator

SIZES = dict(resolution=8, fmap_max=8, latent_size=8, dlatent_size=8, mapping_fmaps=8)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with a network, in a session that all tests share."""
    path = tmp_path_factory.mktemp('networks')
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        options = dict(SIZES, mapping_layers=2, mapping_lrmul=1)
        misc.save_pkl(tflib.Network('Gs', G_main, **options), str(path / 'network.pkl'))
        yield path


def test_the_first_direction_changes_styles_most_and_all_are_at_right_angles():
    random = np.random.RandomState(0)
    matrices = [random.randn(6, 9), random.randn(6, 4)]
    found = directions.factorize(matrices)
    A = np.concatenate(matrices, axis=1)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(
        np.linalg.norm(found.vectors @ A, axis=1), np.linalg.svd(A)[1], rtol=1e-9
    )
    np.testing.assert_allclose(found.strengths, np.linalg.svd(A)[1], rtol=1e-9)
    for vector in found.vectors:
        assert vector[np.argmax(np.abs(vector))] > 0


def test_sheets_videos_and_numbers(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_generator.main(
        ['directions', '--network=%s' % (folder / 'network.pkl'), '--seeds=3,4', '--steps=3']
        + ['--layers=1-2', '--num-directions=2', '--extent=2', '--video=gif', '--scale=1']
    )
    (run,) = os.listdir('results')
    names = ['direction00.gif', 'direction00.png', 'direction01.gif', 'direction01.png']
    assert set(names + ['directions.npz']) <= set(os.listdir('results/' + run))
    Gs = run_generator.pretrained_networks.load_generator(str(folder / 'network.pkl'))
    layers = ['8x8/Conv0_up', '8x8/Conv1']
    matrices = [Gs.get_var('G_synthesis/%s/mod_weight' % layer) for layer in layers]
    want = directions.factorize(matrices)
    with np.load('results/%s/directions.npz' % run) as saved:
        np.testing.assert_array_equal(saved['directions'], want.vectors[:2])
        assert saved['layers'].tolist() == [1, 2]
    video = PIL.Image.open('results/%s/direction00.gif' % run)
    assert video.size == (16, 8) and video.n_frames > 50

    generator = Generator(Gs, 0.5, 'const')
    z = generator.latents([3])
    w = generator.dlatents(z)
    w[:, 1:3] -= 2 * want.vectors[0]
    (image,) = generator.images(z, w)
    sheet = np.asarray(PIL.Image.open('results/%s/direction00.png' % run).convert('RGB'))
    height, width, _ = sheet.shape
    assert any(
        np.array_equal(sheet[y : y + 8, x : x + 8], image.transpose(1, 2, 0))
        for y, x in np.ndindex(height - 7, width - 7)
    )


def test_styles_are_those_of_the_layers_in_their_order(folder):
    Gs = run_generator.pretrained_networks.load_generator(str(folder / 'network.pkl'))
    assert [Gs.get_var_local_name(var) for var in anatomy.style_weights(Gs)] == [
        'G_synthesis/%s/mod_weight' % layer for layer in ('4x4/Conv', '8x8/Conv0_up', '8x8/Conv1')
    ]


@pytest.mark.parametrize(
    'flag, reason',
    [
        ('--layers=3', '--layers names layer 3; those of the network are 0 to 2'),
        ('--num-directions=9', '--num-directions is 9; W of the network has 8 dimensions'),
    ],
)
def test_what_a_network_has_not_is_refused(folder, tmp_path, monkeypatch, capsys, flag, reason):
    monkeypatch.chdir(tmp_path)
    argv = ['directions', '--network=%s' % (folder / 'network.pkl'), flag]
    assert cli.run_cli(run_generator.main, argv) == 2
    assert reason in capsys.readouterr().err and not os.path.exists('results')
