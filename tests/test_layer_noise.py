"""Changes of single layers' noise: as flags, and what they do to images."""

import argparse
import os

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import run_generator
from dnnlib import tflib
from dnnlib.util import UserError
from training import misc
from training.networks_stylegan2 import G_main
from training.pictures import layer_noise
from training.pictures.generate import Generator
from training.pictures.layer_noise import LayerNoise

SIZES = dict(resolution=16, fmap_max=8, latent_size=8, dlatent_size=8, mapping_fmaps=8)


@pytest.fixture(scope='module')
def networks(tmp_path_factory):
    """A folder with network files, in a session that all tests share."""
    path = tmp_path_factory.mktemp('networks')
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        found = {}
        for form, variable in [('fr-noise', 'FR/strength'), ('additive', 'noise_strength')]:
            options = dict(SIZES, mapping_layers=2, mapping_lrmul=1, noise_injection=form)
            Gs = tflib.Network('Gs', G_main, **options)
            for name in Gs.vars:
                if name.endswith(variable):
                    Gs.set_var(name, 0.5)
                if name.endswith('alpha_logit'):
                    Gs.set_var(name, -1.0)
            Gs.set_var('dlatent_avg', np.linspace(-1, 1, 8))
            misc.save_pkl(Gs, str(path / (form + '.pkl')))
            found[form] = Gs
        yield path, found


def image(generator, seed=3):
    (found,) = generator.images_of_seeds([seed])
    return found


@pytest.mark.parametrize(
    'text, layer, changes',
    [
        ('8x8a:noise=0', '8x8a', LayerNoise(scale=0)),
        ('4x4:seed=7,t=0.5,noise=2', '4x4', LayerNoise(2, 7, 0.5)),
    ],
)
def test_flags_say_what_is_changed_and_are_written_again(text, layer, changes):
    assert layer_noise.parse(text) == (layer, changes)
    (again,) = layer_noise.texts({layer: changes, 'other': LayerNoise()})
    assert layer_noise.parse(again) == (layer, changes)


@pytest.mark.parametrize(
    'text', ['8x8a', '8x8a:', ':noise=1', '8x8a:noise', '4x4:x=1', '4x4:t=nan']
)
def test_other_flags_are_errors(text):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        layer_noise.parse(text)


def test_a_layer_s_noise_is_that_of_its_maps_times_its_factor(networks):
    Gs = networks[1]['additive']
    plain = Generator(Gs)
    assert plain.layer_names == ['4x4', '8x8a', '8x8b', '16x16a', '16x16b']
    layers = {'8x8a': LayerNoise(scale=-2), '16x16b': LayerNoise(scale=0, seed=9)}
    layers['4x4'] = LayerNoise(seed=9)
    maps, others = plain.noise_of(3), plain.noise_of(9)
    want = [others[0], -2 * maps[1], maps[2], maps[3], 0 * maps[4]]
    (by_hand,) = plain.images(plain.latents([3]), noises=[want])
    np.testing.assert_array_equal(image(Generator(Gs, layers=layers)), by_hand)
    assert np.any(by_hand != image(plain))


@pytest.mark.parametrize('noise', ['const', 'none', 'seed:5'])
def test_layers_change_noise_of_every_kind(networks, noise):
    Gs = networks[1]['additive']
    plain = Generator(Gs, noise=noise)
    kinds = dict(none=[np.zeros(shape) for shape in plain.noise_shapes])
    kinds['seed:5'] = plain.noise_of(5)
    kinds['const'] = [Gs.get_var('G_synthesis/noise%d' % index) for index in range(5)]
    maps = list(kinds[noise])
    maps[1:3] = plain.noise_of(4)[1], 3 * maps[2]
    (want,) = plain.images(plain.latents([3]), noises=[maps])
    layers = {'8x8a': LayerNoise(seed=4), '8x8b': LayerNoise(scale=3)}
    np.testing.assert_array_equal(image(Generator(Gs, noise=noise, layers=layers)), want)


def test_t_changes_alpha_as_the_paper_says(networks):
    Gs = networks[1]['fr-noise']
    t = 2.5
    powers = image(Generator(Gs, layers={'8x8b': LayerNoise(t=t)}))
    assert np.any(powers != image(Generator(Gs)))
    alpha = 1 / (1 + np.exp(1.0))
    power = alpha**t / (alpha**t + (1 - alpha) ** t)
    name = 'G_synthesis/8x8/Conv1/FR/alpha_logit'
    Gs.set_var(name, np.log(power / (1 - power)))
    changed = image(Generator(Gs))
    Gs.set_var(name, -1.0)
    assert np.max(np.abs(powers.astype(int) - changed)) <= 1


def test_variations_share_a_graph_and_are_the_same_to_the_last_bit(networks):
    Gs = networks[1]['fr-noise']
    first = Generator(Gs)
    layers = {'4x4': LayerNoise(t=2)}
    changes = [dict(truncation_psi=psi, layers=x) for psi in (0.3, 0.7, 1) for x in ({}, layers)]
    for each in changes:
        np.testing.assert_array_equal(image(first.varied(**each)), image(Generator(Gs, **each)))
    number = len(tf.get_default_graph().get_operations())
    for psi in np.linspace(-1, 0.9, 8):
        image(first.varied(truncation_psi=psi, noise='none'))
    assert len(tf.get_default_graph().get_operations()) == number


def test_layers_that_are_not_there_and_t_without_alpha_are_errors(networks):
    Gs = networks[1]['additive']
    with pytest.raises(UserError, match="--layer names '8x8'.*8x8a, 8x8b"):
        Generator(Gs, layers={'8x8': LayerNoise(scale=0)})
    with pytest.raises(UserError, match='no alpha'):
        Generator(Gs, layers={'8x8a': LayerNoise(t=2)})


def test_the_command_takes_layers(networks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, found = networks
    run_generator.main(
        ['generate-images', '--network=%s' % (path / 'fr-noise.pkl'), '--seeds=3']
        + ['--layer=8x8a:noise=0', '--layer=16x16b:seed=8,t=3', '--noise=const']
    )
    (run,) = os.listdir('results')
    layers = {'8x8a': LayerNoise(scale=0), '16x16b': LayerNoise(1.0, 8, 3.0)}
    want = image(Generator(found['fr-noise'], noise='const', layers=layers))
    got = np.asarray(PIL.Image.open('results/%s/seed0003.png' % run))
    np.testing.assert_array_equal(got, want.transpose(1, 2, 0))
