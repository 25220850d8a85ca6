"""What a generator is made of is found in every kind of network."""

import numpy as np
import pytest

from dnnlib import tflib
from training import anatomy

STYLE = dict(latent_size=8, dlatent_size=8, mapping_fmaps=8, mapping_layers=2)
SMALL = dict(num_channels=3, resolution=8, fmap_base=32, fmap_max=4)
STYLEGAN2 = dict(STYLE, func_name='training.networks_stylegan2.G_main', **SMALL)
STYLEGAN1 = dict(STYLE, func_name='training.networks_stylegan.G_style', **SMALL)
DCGAN = dict(func_name='dcgan.networks.G_dcgan', latent_size=8, resolution=8, fmap_max=4)
GROWING = dict(STYLEGAN2, synthesis_func='G_synthesis_stylegan_revised')


@pytest.mark.parametrize(
    'options, noise_sizes, num_layers, layers',
    [
        (STYLEGAN2, [4, 8, 8], 4, ['4x4/Conv', '8x8/Conv0_up', '8x8/Conv1']),
        (GROWING, [4, 8, 8], 4, ['4x4/Conv', '8x8/Conv0_up', '8x8/Conv1']),
        (STYLEGAN1, [4, 4, 8, 8], 4, ['4x4/Const', '4x4/Conv', '8x8/Conv0_up', '8x8/Conv1']),
        (DCGAN, [4], None, ['4x4']),
    ],
    ids=['StyleGAN2', 'growing', 'StyleGAN', 'DCGAN'],
)
def test_noise_and_layers_with_fr_are_found_in_every_generator(
    session, options, noise_sizes, num_layers, layers
):
    Gs = tflib.Network('Gs', noise_injection='fr', label_size=3, **options)
    assert anatomy.label_size(Gs) == 3
    assert anatomy.has_w(Gs) == (num_layers is not None)
    assert anatomy.num_layers(Gs) == num_layers
    assert anatomy.latent_shape(Gs, 'z') == [8]
    assert not num_layers or anatomy.latent_shape(Gs, 'w') == [num_layers, 8]
    sizes = [var.shape.as_list() for var in anatomy.noise_inputs(Gs)]
    assert sizes == [[1, 1, size, size] for size in noise_sizes]
    assert anatomy.takes_noise(Gs) and anatomy.injects_noise(Gs)
    assert list(anatomy.fr_layers(Gs)) == layers and anatomy.num_alphas(Gs) == len(layers)
    assert (anatomy.lod(Gs) is not None) == (options is not DCGAN)
    for layer, learned in tflib.run(anatomy.fr_values(Gs)).items():
        raw = Gs.get_var([name for name in Gs.vars if name.endswith(layer + '/FR/A')][0])
        np.testing.assert_allclose(learned['A'], raw / np.sqrt(len(raw)), rtol=1e-6)
        assert (learned['alpha'], learned['strength']) == (0.5, 1)


def test_noise_inputs_are_in_the_order_of_layers_beyond_the_tenth(session):
    Gs = tflib.Network('Gs', **dict(STYLEGAN2, resolution=128, fmap_max=1))
    variables = anatomy.noise_inputs(Gs)
    assert [var.name.split('/')[-1] for var in variables] == ['noise%d:0' % i for i in range(11)]


def test_a_generator_without_noise_or_fr_says_so(session):
    bald = tflib.Network('Gs', noise_injection='none', **STYLEGAN2)
    additive = tflib.Network('Gs', **STYLEGAN2)
    assert not anatomy.injects_noise(bald) and anatomy.injects_noise(additive)
    assert anatomy.fr_layers(bald) == anatomy.fr_layers(additive) == {}
    assert anatomy.num_alphas(additive) == 0 and anatomy.label_size(additive) == 0
