"""StyleGAN 1 networks give the numbers of the official code, in both activation layouts."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import layout
from tests import golden
from tests.test_noise_injection import EPS, MAPS, MU, fr_in_numpy
from training import networks_stylegan as stylegan
from training.networks_stylegan2 import NOISE_INJECTION_FORMS, NoiseInjection

MODULE = 'training.networks_stylegan.'
G_ARRAYS, G_META = golden.load('networks_g_stylegan1')
D_ARRAYS, D_META = golden.load('networks_d_stylegan1')
TINY = dict(num_channels=3, resolution=8, fmap_base=32, fmap_max=8)
TINY_G = dict(TINY, latent_size=8, dlatent_size=8, mapping_layers=2, mapping_fmaps=8)


@pytest.mark.parametrize('case', G_META['nets'], ids=lambda case: case['net'])
def test_generators_give_the_official_images_and_dlatents(session, data_format, case):
    net = golden.check_generator(G_ARRAYS, MODULE + case['func'], case)
    z, labels = [tf.constant(G_ARRAYS[case['net'] + name]) for name in ['.z', '.labels']]
    dlatents = tflib.run(net.components.mapping.get_output_for(z, labels))
    golden.assert_close(dlatents, G_ARRAYS[case['net'] + '.mapping_dlatents'], 2e-5)


@pytest.mark.parametrize('case', D_META['nets'], ids=lambda case: case['net'])
def test_discriminators_give_the_official_scores(session, data_format, case):
    golden.check_discriminator(D_ARRAYS, MODULE + case['func'], case)


def test_networks_have_the_published_number_of_parameters(session):
    common = dict(num_channels=3, resolution=256)
    assert golden.count_trainables(tflib.Network('G', MODULE + 'G_style', **common)) == 26086229
    assert golden.count_trainables(tflib.Network('D', MODULE + 'D_basic', **common)) == 23052353


@pytest.mark.parametrize(
    'option, missing',
    [('use_styles', 'StyleMod'), ('use_noise', 'Noise'), ('const_input_layer', 'Const')],
)
def test_parts_of_the_synthesis_network_can_be_left_out(session, option, missing):
    net = tflib.Network('G', MODULE + 'G_style', style_mixing_prob=0, **dict(TINY_G, **{option: 0}))
    assert not [name for name in net.vars if missing in name.split('/')]
    assert not (option == 'use_noise' and [name for name in net.vars if 'noise' in name])
    images = net.run(np.ones([2, 8]), None)
    assert images.shape == (2, 3, 8, 8) and np.isfinite(images).all()


@pytest.mark.parametrize('form', NOISE_INJECTION_FORMS)
def test_every_noise_form_takes_the_place_of_additive_noise(session, form):
    net = tflib.Network('G', MODULE + 'G_style', noise_injection=form, **TINY_G)
    prefix = 'G_synthesis/4x4/Const/'
    layer = [name[len(prefix) :] for name in net.vars if name.startswith(prefix)]
    assert layer[0] == 'const' and layer[-3:] == ['bias', 'StyleMod/weight', 'StyleMod/bias']
    if form in ('none', 'additive'):
        assert layer[1:-3] == {'none': [], 'additive': ['Noise/weight']}[form]
    else:
        assert all(name.startswith('FR/') for name in layer[1:-3]) and 'FR/strength' in layer
    strengths = [v for n, v in net.vars.items() if n.endswith(('FR/strength', 'Noise/weight'))]
    tflib.set_vars({var: np.full(var.shape.as_list(), 0.5) for var in strengths})
    assert len(strengths) == (0 if form == 'none' else 4)
    z = np.ones([1, 8])
    drawn = [net.run(z, None) for _ in range(2)]
    assert np.allclose(*drawn, atol=1e-3 * np.abs(drawn[0]).max()) == (form == 'none')
    fixed = [net.run(z, None, randomize_noise=False) for _ in range(2)]
    np.testing.assert_array_equal(*fixed)


def test_fr_in_the_layers_of_stylegan_1_follows_the_paper(session):
    with tf.variable_scope('layer'), layout.use('NHWC'):
        noise = NoiseInjection('fr', noise_values=tf.constant(EPS))
        y = layout.to_nchw(stylegan.apply_noise(layout.from_nchw(tf.constant(MU)), noise))
    variables = {v.name.split('/')[-1].split(':')[0]: v for v in tf.global_variables()}
    tflib.set_vars({variables[name]: value for name, value in MAPS.items()})
    golden.assert_close(tflib.run(y), fr_in_numpy(MU, EPS, **MAPS), 1e-5)


@pytest.mark.parametrize('f', [[1, 2, 1], [1, 3, 3, 1], [1, 2, 4]])
def test_blur_is_a_correlation_that_reaches_farther_right_and_down(session, data_format, f):
    x = np.random.RandomState(0).randn(2, 3, 6, 8).astype(np.float32)
    weights = np.zeros([5, 5])
    first = 2 - (len(f) - 1) // 2
    weights[first : first + len(f), first : first + len(f)] = np.outer(f, f) / np.sum(f) ** 2
    with layout.use(data_format):
        y = tflib.run(layout.to_nchw(stylegan.blur2d(layout.from_nchw(tf.constant(x)), f)))
    want = scipy.ndimage.correlate(x, weights[np.newaxis, np.newaxis], mode='constant')
    golden.assert_close(y, want, 1e-5)


def test_images_are_not_truncated_without_a_psi_or_without_a_cutoff(session):
    net = tflib.Network('G', MODULE + 'G_style', **TINY_G)
    net.set_var('dlatent_avg', np.arange(8))
    z = np.random.RandomState(0).randn(2, 8)

    def images(**kwargs):
        return net.run(z, None, randomize_noise=False, **kwargs)

    untruncated = images(truncation_psi=1)
    for kwargs in [
        dict(truncation_psi=None),
        dict(truncation_cutoff=None),
        dict(truncation_cutoff=0),
        dict(is_validation=True),
        dict(is_validation=True, truncation_psi_val=0.5),
    ]:
        assert np.array_equal(images(**kwargs), untruncated), kwargs
    for kwargs in [
        {},
        dict(truncation_psi=0.9, truncation_cutoff=1),
        dict(is_validation=True, truncation_psi_val=0.5, truncation_cutoff_val=1),
    ]:
        assert not np.allclose(images(**kwargs), untruncated), kwargs
