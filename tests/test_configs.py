"""The configurations of StyleGAN2's paper are the official ones."""
import pytest

from dnnlib import util
from dnnlib.util import UserError
from training import configs

PATHREG, NO_PATHREG = 'training.loss.G_logistic_ns_pathreg', 'training.loss.G_logistic_ns'
G_MAIN, G_STYLE = 'training.networks_stylegan2.G_main', 'training.networks_stylegan.G_style'
GROWING_G = dict(func_name=G_MAIN, fmap_base=8192, synthesis_func='G_synthesis_stylegan_revised')
GROWING_D = dict(func_name='training.networks_stylegan2.D_stylegan', fmap_base=8192)
D_MAIN = 'training.networks_stylegan2.D_stylegan2'


def test_the_official_names_come_first_and_in_the_official_order():
    architectures = ['config-e-G%s-D%s' % (G, D) for G in ['orig', 'resnet', 'skip']
                     for D in ['orig', 'resnet', 'skip']]
    assert list(configs.CONFIGS)[:15] == ['config-' + letter for letter in 'abcdef'] + architectures


@pytest.mark.parametrize('name, G_args, D_args, G_loss, gamma, is_lazy', [
    ('config-a', dict(func_name=G_STYLE), dict(func_name='training.networks_stylegan.D_basic'),
     NO_PATHREG, 10, False),
    ('config-b', GROWING_G, GROWING_D, NO_PATHREG, 10, False),
    ('config-c', GROWING_G, GROWING_D, NO_PATHREG, 10, True),
    ('config-d', GROWING_G, GROWING_D, PATHREG, 10, True),
    ('config-e', dict(func_name=G_MAIN, fmap_base=8192), dict(func_name=D_MAIN, fmap_base=8192),
     PATHREG, 100, True),
    ('config-f', dict(func_name=G_MAIN), dict(func_name=D_MAIN), PATHREG, 10, True),
    ('config-e-Gresnet-Dorig', dict(func_name=G_MAIN, fmap_base=8192, architecture='resnet'),
     dict(func_name=D_MAIN, fmap_base=8192, architecture='orig'), PATHREG, 100, True)])
def test_configs_have_the_official_networks_and_losses(name, G_args, D_args, G_loss, gamma,
                                                       is_lazy):
    options = configs.resolve(name)
    assert options['G_args'] == G_args and options['D_args'] == D_args
    assert options['G_loss_args'] == dict(func_name=G_loss)
    assert options['D_loss_args'] == dict(func_name='training.loss.D_logistic_r1', gamma=gamma)
    assert options.get('lazy_regularization', True) == is_lazy


@pytest.mark.parametrize('name', configs.CONFIGS)
def test_every_function_that_a_config_names_exists(name):
    options = configs.resolve(name)
    for group in ['G_args', 'D_args', 'G_loss_args', 'D_loss_args']:
        assert callable(util.get_obj_by_name(options[group]['func_name']))


def test_resolving_one_config_does_not_change_another():
    configs.resolve('config-f')['G_args']['fmap_base'] = 1
    configs.resolve('config-d')['sched_args']['G_lrate_dict'].clear()
    assert 'fmap_base' not in configs.resolve('config-f')['G_args']
    assert len(configs.resolve('config-b')['sched_args']['G_lrate_dict']) == 4


def test_an_unknown_config_names_the_known_ones():
    with pytest.raises(UserError, match="'config-x'; it must be one of: config-a, config-b"):
        configs.resolve('config-x')
