"""The growing networks of configs b to d give the numbers of the official code at every lod."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import layout
from tests import golden
from training import progressive

MODULE = 'training.networks_stylegan2.'
G_ARRAYS, G_META = golden.load('networks_g_stylegan_revised')
D_ARRAYS, D_META = golden.load('networks_d_stylegan')
TINY = dict(num_channels=3, resolution=16, fmap_base=64, fmap_max=8)
TINY_G = dict(
    TINY,
    synthesis_func='G_synthesis_stylegan_revised',
    latent_size=8,
    dlatent_size=8,
    mapping_layers=2,
    mapping_fmaps=8,
)


@pytest.mark.parametrize('case', G_META['nets'], ids=lambda case: case['net'])
def test_generators_give_the_official_images_and_dlatents(session, data_format, case):
    golden.check_generator(G_ARRAYS, MODULE + case['func'], case)


@pytest.mark.parametrize('case', D_META['nets'], ids=lambda case: case['net'])
def test_discriminators_give_the_official_scores(session, data_format, case):
    golden.check_discriminator(D_ARRAYS, MODULE + case['func'], case)


def test_the_generator_passes_its_lod_on_to_the_synthesis_network(session):
    net = tflib.Network('G', MODULE + 'G_main', **TINY_G)
    net.set_var('lod', 2.0)
    net.set_var('G_synthesis/lod', 0.0)
    images = net.run(np.ones([1, 8]), None)
    assert net.get_var('G_synthesis/lod') == 2.0
    pixels = images.reshape(1, 3, 4, 4, 4, 4)  # at 4x4: blocks of equal pixels
    assert np.ptp(pixels, axis=(3, 5)).max() < 1e-5 < 1e-2 < np.ptp(images)


@pytest.mark.parametrize(
    'lod, computed',
    [(0.0, ['16x16', '8x8']), (0.5, ['16x16', '8x8']), (1.0, ['8x8']), (1.5, ['8x8']), (2.0, [])],
)
def test_resolutions_that_lod_does_not_need_are_not_computed(session, lod, computed):
    net = tflib.Network('D', MODULE + 'D_stylegan', **TINY)
    net.set_var('lod', lod)
    images = np.random.RandomState(0).randn(4, 3, 16, 16).astype(np.float32)
    for resolution in ['16x16', '8x8']:
        net.set_var(resolution + '/Conv0/bias', np.full([8], np.nan))
        assert np.isnan(net.run(images, None)).all() == (resolution in computed)
        net.set_var(resolution + '/Conv0/bias', np.zeros([8]))


@pytest.mark.parametrize(
    'form, first_layer',
    [
        ('none', []),
        ('additive', ['noise_strength']),
        ('fr', ['FR/A', 'FR/b', 'FR/alpha_logit', 'FR/strength']),
    ],
)
def test_noise_injection_forms_work_in_growing_generators(session, form, first_layer):
    net = tflib.Network('G', MODULE + 'G_main', noise_injection=form, **TINY_G)
    prefix = 'G_synthesis/4x4/Conv/'
    layer = [name[len(prefix) :] for name in net.vars if name.startswith(prefix)]
    assert layer == ['weight', 'mod_weight', 'mod_bias'] + first_layer + ['bias']
    for lod in [0.0, 1.5]:
        golden.set_lod(net, lod)
        z = np.random.RandomState(0).randn(2, 8)
        images = net.run(z, None, randomize_noise=True, is_validation=True)
        again = net.run(z, None, randomize_noise=True, is_validation=True)
        assert images.shape == (2, 3, 16, 16) and np.isfinite(images).all()
        is_same = np.allclose(images, again, atol=1e-3 * np.abs(images).max())
        assert is_same == (form != 'fr')  # additive noise starts at 0


def test_a_network_of_the_smallest_resolution_has_nothing_to_grow(session):
    G = tflib.Network('G', MODULE + 'G_main', **dict(TINY_G, resolution=4))
    D = tflib.Network('D', MODULE + 'D_stylegan', **dict(TINY, resolution=4))
    images = G.run(np.ones([2, 8]), None)
    assert images.shape == (2, 3, 4, 4) and D.run(images, None).shape == (2, 1)


@pytest.mark.parametrize('func', ['naive_upsample_2d', 'naive_downsample_2d'])
@pytest.mark.parametrize('activation_layout', ['NHWC', 'NCHW'])
def test_naive_resampling_repeats_pixels_or_averages_blocks(session, func, activation_layout):
    x = np.arange(2 * 3 * 4 * 6, dtype=np.float32).reshape(2, 3, 4, 6)
    if func == 'naive_upsample_2d':
        want = x.repeat(2, axis=2).repeat(2, axis=3)
    else:
        want = (x[:, :, ::2] + x[:, :, 1::2]) / 2
        want = (want[..., ::2] + want[..., 1::2]) / 2
    with layout.use(activation_layout):
        y = layout.to_nchw(getattr(progressive, func)(layout.from_nchw(tf.constant(x)), 2))
    assert np.array_equal(tflib.run(y), want)


def test_networks_have_the_published_number_of_parameters(session):
    common = dict(num_channels=3, resolution=256, fmap_base=8 << 10)
    synthesis_func = 'G_synthesis_stylegan_revised'
    G = tflib.Network('G', MODULE + 'G_main', synthesis_func=synthesis_func, **common)
    D = tflib.Network('D', MODULE + 'D_stylegan', **common)
    assert golden.count_trainables(G) == 24767458
    assert golden.count_trainables(D) == 23052353
