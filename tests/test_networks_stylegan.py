"""StyleGAN 1 networks give the numbers of the official code, in both activation layouts."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import layout
from tests import golden
from training import networks_stylegan as stylegan

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
