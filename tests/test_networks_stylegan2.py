"""StyleGAN2 networks give the numbers of the official code, in both activation layouts."""
import pytest

from dnnlib import tflib
from tests import golden

MODULE = 'training.networks_stylegan2.'
G_ARRAYS, G_META = golden.load('networks_g_stylegan2')
D_ARRAYS, D_META = golden.load('networks_d_stylegan2')


@pytest.mark.parametrize('case', G_META['nets'], ids=lambda case: case['net'])
def test_generators_give_the_official_images_and_dlatents(session, data_format, case):
    golden.check_generator(G_ARRAYS, MODULE + case['func'], case)


@pytest.mark.parametrize('case', D_META['nets'], ids=lambda case: case['net'])
def test_discriminators_give_the_official_scores(session, data_format, case):
    golden.check_discriminator(D_ARRAYS, MODULE + case['func'], case)


@pytest.mark.parametrize('func, fmap_base, expected', [
    ('G_main', 8 << 10, 24767458), ('G_main', 16 << 10, 30034338),
    ('D_stylegan2', 8 << 10, 24001089), ('D_stylegan2', 16 << 10, 28864129)])
def test_networks_have_the_published_number_of_parameters(session, func, fmap_base, expected):
    net = tflib.Network('net', MODULE + func, num_channels=3, resolution=256, fmap_base=fmap_base)
    assert golden.count_trainables(net) == expected
