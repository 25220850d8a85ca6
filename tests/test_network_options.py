"""Networks say which options they take, and what a wrong value should have been."""

import importlib
import json
import pickle

import pytest

from dnnlib import tflib, util
from dnnlib.options import accepted, check, taken_by
from dnnlib.tflib import network_options
from dnnlib.util import UserError
from tests import golden
from training import configs

STYLEGAN2, STYLEGAN1 = 'training.networks_stylegan2.', 'training.networks_stylegan.'
DCGAN = 'dcgan.networks.'
REVISED = dict(synthesis_func='G_synthesis_stylegan_revised')
OFFICIAL_NAMES = [
    'get_weight',
    'dense_layer',
    'conv2d_layer',
    'apply_bias_act',
    'modulated_conv2d_layer',
    'minibatch_stddev_layer',
    'naive_upsample_2d',
    'naive_downsample_2d',
    'G_main',
    'G_mapping',
    'G_synthesis_stylegan_revised',
    'G_synthesis_stylegan2',
    'D_stylegan',
    'D_stylegan2',
]


@pytest.mark.parametrize('name', configs.CONFIGS)
@pytest.mark.parametrize('group', ['G_args', 'D_args'])
def test_a_misspelt_option_of_a_configuration_s_networks_is_found(name, group):
    options = configs.resolve(name, *configs.demo_parts(name))[group]
    options.update(num_channels=3, resolution=64, label_size=0)
    func = util.get_obj_by_name(options.pop('func_name'))
    check(group, func, options)
    with pytest.raises(UserError, match="'fmap_bse'.*did you mean 'fmap_base'"):
        check(group, func, dict(options, fmap_bse=3))
    if group == 'G_args':
        check(group, func, dict(options, noise_injection='fr', fr_reduce='abs'))


@pytest.mark.parametrize(
    'func, options, name, is_taken',
    [
        (STYLEGAN2 + 'G_main', {}, 'architecture', True),
        (STYLEGAN2 + 'G_main', REVISED, 'architecture', False),
        (STYLEGAN2 + 'G_main', REVISED, 'structure', True),
        (STYLEGAN2 + 'G_main', {}, 'structure', False),
        (STYLEGAN2 + 'G_main', {}, 'mapping_lrmul', True),
        (STYLEGAN2 + 'G_main', {}, 'style_mixing_prob', True),
        (STYLEGAN1 + 'G_style', {}, 'use_noise', True),
        (STYLEGAN1 + 'G_style', {}, 'style_mixing_prob', True),
        (STYLEGAN1 + 'G_style', {}, 'architecture', False),
        (STYLEGAN1 + 'G_style', {}, 'precision', False),
        (DCGAN + 'G_dcgan', {}, 'return_dlatents', True),
        (DCGAN + 'G_dcgan', {}, 'truncation_psi', False),
    ],
)
def test_a_generator_takes_the_options_of_the_sub_networks_that_it_has(
    func, options, name, is_taken
):
    assert (name in accepted(util.get_obj_by_name(func), options)) == is_taken


def any_mapping(latents_in, labels_in, dlatent_broadcast=None, **kwargs):
    """A user's function, which hands its options on."""
    assert kwargs['colour'] == 'blue'
    kwargs = taken_by(util.get_obj_by_name(STYLEGAN2 + 'G_mapping'), kwargs)
    func = util.get_obj_by_name(STYLEGAN2 + 'G_mapping')
    return func(latents_in, labels_in, dlatent_broadcast=dlatent_broadcast, **kwargs)


def test_a_user_s_sub_network_may_take_anything(session):
    options = dict(mapping_func=any_mapping, resolution=4, fmap_max=2, latent_size=4, colour='blue')
    assert accepted(util.get_obj_by_name(STYLEGAN2 + 'G_main'), options) is None
    G = tflib.Network('G', STYLEGAN2 + 'G_main', **options)
    assert G.output_shape == [None, 3, 4, 4]


@pytest.mark.parametrize(
    'data, module',
    [
        ('networks_g_stylegan2', STYLEGAN2),
        ('networks_g_stylegan_revised', STYLEGAN2),
        ('networks_g_stylegan1', STYLEGAN1),
        ('networks_d_stylegan2', STYLEGAN2),
        ('networks_d_stylegan', STYLEGAN2),
        ('networks_d_stylegan1', STYLEGAN1),
    ],
)
def test_options_of_official_networks_are_known(data, module):
    _, meta = golden.load(data)
    for case in meta['nets']:
        check(data, util.get_obj_by_name(module + case['func']), case['static_kwargs'])


@pytest.mark.parametrize(
    'func, options, words',
    [
        (STYLEGAN2 + 'G_main', dict(resolution=48), ['48', 'power of two, 4 or more']),
        (STYLEGAN2 + 'G_main', dict(resolution=0), ['is 0', 'power of two']),
        (STYLEGAN2 + 'D_stylegan2', dict(resolution=2), ['is 2', '4 or more']),
        (DCGAN + 'G_dcgan', dict(resolution=4), ['is 4', '8 or more']),
        (STYLEGAN2 + 'G_main', dict(architecture='skp'), ["'skp'", 'orig, skip, resnet']),
        (STYLEGAN2 + 'D_stylegan2', dict(architecture='unet'), ["'unet'", 'orig, skip, resnet']),
        (
            STYLEGAN2 + 'G_main',
            dict(synthesis_func='G_synth'),
            ["synthesis_func 'G_synth'", 'G_synthesis_stylegan_revised, G_synthesis_stylegan2'],
        ),
        (STYLEGAN2 + 'G_main', dict(mapping_func='Map'), ["'Map'", 'one of G_mapping']),
        (STYLEGAN1 + 'D_basic', dict(structure='tree'), ["'tree'", 'fixed, linear, recursive']),
        (STYLEGAN1 + 'G_style', dict(nonlinearity='elu'), ["'elu'", 'relu, lrelu']),
        (
            STYLEGAN2 + 'D_stylegan2',
            dict(nonlinearity='gelu'),
            ["activation function 'gelu'", 'linear, relu, lrelu'],
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_those_allowed(session, func, options, words):
    with pytest.raises(UserError) as error:
        tflib.Network('net', func, **dict(dict(resolution=8), **options))
    assert all(word in str(error.value) for word in words) and '\n' not in str(error.value)


@pytest.mark.parametrize('name', OFFICIAL_NAMES)
def test_official_names_are_where_scripts_look_for_them(name):
    assert callable(getattr(importlib.import_module(STYLEGAN2[:-1]), name))


def test_equal_options_have_equal_pickles_wherever_they_come_from():
    options = {'form': 'fr-noise', 'layers': [1, 'fr-noise'], 'pair': ('a', 2.5)}
    read = json.loads(json.dumps({'form': 'fr-noise', 'layers': [1, 'fr-noise']}))
    read['pair'] = (''.join(['', 'a']), 2.5)
    again = {''.join(list(name)): value for name, value in read.items()}
    assert pickle.dumps(again, 4) != pickle.dumps(options, 4)
    same = [pickle.dumps(network_options.interned(each), 4) for each in (options, again)]
    assert same[0] == same[1] and pickle.loads(same[0]) == options
