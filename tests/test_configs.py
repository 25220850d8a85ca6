"""The configurations of StyleGAN2's paper are the official ones."""

import pytest

from dnnlib import util
from dnnlib.util import UserError
from training import configs
from training.networks_stylegan2 import NOISE_INJECTION_FORMS

PATHREG, NO_PATHREG = 'training.loss.G_logistic_ns_pathreg', 'training.loss.G_logistic_ns'
G_MAIN, G_STYLE = 'training.networks_stylegan2.G_main', 'training.networks_stylegan.G_style'
GROWING_G = dict(func_name=G_MAIN, fmap_base=8192, synthesis_func='G_synthesis_stylegan_revised')
GROWING_D = dict(func_name='training.networks_stylegan2.D_stylegan', fmap_base=8192)
D_MAIN = 'training.networks_stylegan2.D_stylegan2'


def test_the_official_names_come_first_and_in_the_official_order():
    architectures = [
        'config-e-G%s-D%s' % (G, D)
        for G in ['orig', 'resnet', 'skip']
        for D in ['orig', 'resnet', 'skip']
    ]
    assert list(configs.CONFIGS)[:15] == ['config-' + letter for letter in 'abcdef'] + architectures


@pytest.mark.parametrize(
    'name, G_args, D_args, G_loss, gamma, is_lazy',
    [
        (
            'config-a',
            dict(func_name=G_STYLE),
            dict(func_name='training.networks_stylegan.D_basic'),
            NO_PATHREG,
            10,
            False,
        ),
        ('config-b', GROWING_G, GROWING_D, NO_PATHREG, 10, False),
        ('config-c', GROWING_G, GROWING_D, NO_PATHREG, 10, True),
        ('config-d', GROWING_G, GROWING_D, PATHREG, 10, True),
        (
            'config-e',
            dict(func_name=G_MAIN, fmap_base=8192),
            dict(func_name=D_MAIN, fmap_base=8192),
            PATHREG,
            100,
            True,
        ),
        ('config-f', dict(func_name=G_MAIN), dict(func_name=D_MAIN), PATHREG, 10, True),
        (
            'config-e-Gresnet-Dorig',
            dict(func_name=G_MAIN, fmap_base=8192, architecture='resnet'),
            dict(func_name=D_MAIN, fmap_base=8192, architecture='orig'),
            PATHREG,
            100,
            True,
        ),
    ],
)
def test_configs_have_the_official_networks_and_losses(
    name, G_args, D_args, G_loss, gamma, is_lazy
):
    options = configs.resolve(name)
    assert options['G_args'] == G_args and options['D_args'] == D_args
    assert options['G_loss_args'] == dict(func_name=G_loss)
    assert options['D_loss_args'] == dict(func_name='training.loss.D_logistic_r1', gamma=gamma)
    assert options.get('lazy_regularization', True) == is_lazy


@pytest.mark.parametrize(
    'name, form, G_loss',
    [
        ('config-e-bald', 'none', NO_PATHREG),
        ('config-e-fr', 'fr', PATHREG),
        ('config-e-fr-nopathreg', 'fr', NO_PATHREG),
        ('config-e-fr-noise', 'fr-noise', PATHREG),
        ('config-e-fr-released', 'fr-released', PATHREG),
        ('config-e-fr-nonorm', 'fr-nonorm', PATHREG),
        ('config-e-fr-nostab', 'fr-nostab', PATHREG),
        ('config-e-fr-nodecomp', 'fr-nodecomp', PATHREG),
        ('config-e-fr-cnn', 'fr-cnn', PATHREG),
    ],
)
def test_the_papers_systems_are_config_e_with_another_noise(name, form, G_loss):
    want = configs.resolve('config-e')
    want['G_args']['noise_injection'] = form
    want['G_loss_args'] = dict(func_name=G_loss)
    assert configs.resolve(name) == want
    assert form in NOISE_INJECTION_FORMS


@pytest.mark.parametrize(
    'name, form', [('dcgan', 'none'), ('dcgan-additive', 'additive'), ('dcgan-fr', 'fr')]
)
def test_dcgan_is_trained_as_in_the_paper(name, form):
    options = configs.resolve(name)
    assert options['G_args'] == dict(func_name='dcgan.networks.G_dcgan', noise_injection=form)
    assert options['D_args'] == dict(func_name='dcgan.networks.D_dcgan')
    assert (
        options['G_opt_args'] == options['D_opt_args'] == dict(beta1=0.5, beta2=0.99, epsilon=1e-8)
    )
    assert options['G_loss_args'] == dict(func_name=NO_PATHREG)
    assert options['D_loss_args'] == dict(func_name='training.loss.D_logistic')
    assert options['sched_args'] == dict(
        G_lrate_base=2e-4, D_lrate_base=2e-4, minibatch_size_base=128, minibatch_gpu_base=128
    )
    assert options['lazy_regularization'] is False and options['G_repeats'] == 2


@pytest.mark.parametrize(
    'name, size, is_legal',
    [
        ('config-e', 6, False),
        ('config-e', 1, False),
        ('config-e', 2, True),
        ('config-e-bald', 1, True),
        ('dcgan', 6, True),
        ('dcgan', 1, True),
    ],
)
def test_minibatches_must_suit_the_networks_and_losses(name, size, is_legal):
    assert configs.is_legal_on_device(configs.resolve(name), size) == is_legal


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
