"""The configurations of `run_training.py --config`, as one table of plain data.

A configuration is a list of parts; a part maps dotted names of `training_loop`'s options to values,
and later parts override earlier ones. So a new system of your own is a new line in CONFIGS.
"""

from collections import OrderedDict
from itertools import product
from typing import Any, Dict, List

from dnnlib.options import nested, value_of
from dnnlib.util import UserError, get_obj_by_name

Part = Dict[str, Any]  # dotted names of options, and their values

_ADAM = {'beta1': 0.0, 'beta2': 0.99, 'epsilon': 1e-8}

# Configuration f of StyleGAN2, table 1 of its paper; all others are changes of it.
BASE: Part = {
    'G_args.func_name': 'training.networks_stylegan2.G_main',
    'D_args.func_name': 'training.networks_stylegan2.D_stylegan2',
    'G_opt_args': _ADAM,
    'D_opt_args': _ADAM,
    'G_loss_args.func_name': 'training.loss.G_logistic_ns_pathreg',
    'D_loss_args.func_name': 'training.loss.D_logistic_r1',
    'D_loss_args.gamma': 10.0,
    'sched_args.G_lrate_base': 0.002,
    'sched_args.D_lrate_base': 0.002,
    'sched_args.minibatch_size_base': 32,
    'sched_args.minibatch_gpu_base': 4,
    'grid_args': {'size': '8k', 'layout': 'random'},
    'image_snapshot_ticks': 10,
    'network_snapshot_ticks': 10,
    'total_kimg': 25000,
}

SMALL_NETWORKS: Part = {
    'G_args.fmap_base': 8 << 10,
    'D_args.fmap_base': 8 << 10,
    'D_loss_args.gamma': 100.0,
}

NO_PATH_REGULARIZATION: Part = {'G_loss_args': {'func_name': 'training.loss.G_logistic_ns'}}

NO_LAZY_REGULARIZATION: Part = {'lazy_regularization': False}

STYLEGAN1_REGULARIZATION = [NO_PATH_REGULARIZATION, NO_LAZY_REGULARIZATION]

# Progressive growing from 8x8, with minibatches and learning rates by resolution.
_GROWING_LRATES = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
GROWING: Part = {
    'sched_args.lod_initial_resolution': 8,
    'sched_args.G_lrate_base': 0.001,
    'sched_args.D_lrate_base': 0.001,
    'sched_args.G_lrate_dict': _GROWING_LRATES,
    'sched_args.D_lrate_dict': _GROWING_LRATES,
    'sched_args.minibatch_size_dict': {8: 256, 16: 128, 32: 64, 64: 32},
    'sched_args.minibatch_gpu_dict': {8: 32, 16: 16, 32: 8, 64: 4},
}

GROWING_NETWORKS: Part = {
    'G_args.synthesis_func': 'G_synthesis_stylegan_revised',
    'D_args.func_name': 'training.networks_stylegan2.D_stylegan',
    'D_loss_args.gamma': 10.0,
}

STYLEGAN1_NETWORKS: Part = {
    'G_args': {'func_name': 'training.networks_stylegan.G_style'},
    'D_args': {'func_name': 'training.networks_stylegan.D_basic'},
}

# DCGAN as the noise injection paper's authors trained it.
_DCGAN_ADAM = {'beta1': 0.5, 'beta2': 0.99, 'epsilon': 1e-8}
DCGAN: Part = {
    'G_args': {'func_name': 'dcgan.networks.G_dcgan'},
    'D_args': {'func_name': 'dcgan.networks.D_dcgan'},
    'G_opt_args': _DCGAN_ADAM,
    'D_opt_args': _DCGAN_ADAM,
    'D_loss_args': {'func_name': 'training.loss.D_logistic'},
    'sched_args.G_lrate_base': 0.0002,
    'sched_args.D_lrate_base': 0.0002,
    'sched_args.minibatch_size_base': 128,
    'sched_args.minibatch_gpu_base': 128,  # batch normalization wants many
    'G_repeats': 2,
}
DCGAN_PARTS = [DCGAN] + STYLEGAN1_REGULARIZATION

# What training without --dataset uses: a length, networks and rates for a CPU and small images.
DEMO: Part = {
    'G_args.fmap_base': 256,
    'G_args.fmap_max': 64,
    'D_args.fmap_base': 256,
    'D_args.fmap_max': 64,
    'sched_args.minibatch_size_base': 16,
    'sched_args.minibatch_size_dict': {},
    'sched_args.minibatch_gpu_base': 16,
    'sched_args.minibatch_gpu_dict': {},
    'sched_args.lod_training_kimg': 3,
    'sched_args.lod_transition_kimg': 2,
    'sched_args.tick_kimg_base': 1,
    'sched_args.tick_kimg_dict': {},
    'G_smoothing_kimg': 0.5,
    'mirror_augment': True,
    'total_kimg': 60,
    'grid_args': {'size': 'screen', 'layout': 'random'},
}

DEMO_STYLEGAN: Part = {
    'G_args.mapping_layers': 4,
    'G_args.mapping_fmaps': 128,
    'G_args.mapping_lrmul': 0.05,
    'G_args.latent_size': 128,
    'G_args.dlatent_size': 128,
    'D_loss_args.gamma': 2.0,
    'sched_args.G_lrate_base': 0.01,
    'sched_args.D_lrate_base': 0.005,
}

# With a discriminator as fast as the generator few kinds of images are left: docs/demo.md.
DEMO_DCGAN: Part = {
    'sched_args.G_lrate_base': 0.0004,
    'sched_args.D_lrate_base': 0.0001,
    'G_smoothing_kimg': 1,
}


def _noise(form: str) -> Part:
    return {'G_args.noise_injection': form}


CONFIGS = OrderedDict(
    [
        ('config-a', [STYLEGAN1_NETWORKS, GROWING] + STYLEGAN1_REGULARIZATION),
        ('config-b', [SMALL_NETWORKS, GROWING_NETWORKS, GROWING] + STYLEGAN1_REGULARIZATION),
        ('config-c', [SMALL_NETWORKS, GROWING_NETWORKS, GROWING, NO_PATH_REGULARIZATION]),
        ('config-d', [SMALL_NETWORKS, GROWING_NETWORKS, GROWING]),
        ('config-e', [SMALL_NETWORKS]),
        ('config-f', []),
    ]
    + [
        (
            'config-e-G%s-D%s' % (G, D),
            [SMALL_NETWORKS, {'G_args.architecture': G, 'D_args.architecture': D}],
        )
        for G, D in product(['orig', 'resnet', 'skip'], repeat=2)
    ]
    + [
        # The systems of the noise injection paper, tables 1, 2 and 4.
        ('config-e-bald', [SMALL_NETWORKS, _noise('none'), NO_PATH_REGULARIZATION]),
        ('config-e-fr', [SMALL_NETWORKS, _noise('fr')]),
        ('config-e-fr-nopathreg', [SMALL_NETWORKS, _noise('fr'), NO_PATH_REGULARIZATION]),
        ('config-e-fr-noise', [SMALL_NETWORKS, _noise('fr-noise')]),
        ('config-e-fr-released', [SMALL_NETWORKS, _noise('fr-released')]),
        # Its ablations, table 5.
        ('config-e-fr-nonorm', [SMALL_NETWORKS, _noise('fr-nonorm')]),
        ('config-e-fr-nostab', [SMALL_NETWORKS, _noise('fr-nostab')]),
        ('config-e-fr-nodecomp', [SMALL_NETWORKS, _noise('fr-nodecomp')]),
        ('config-e-fr-cnn', [SMALL_NETWORKS, _noise('fr-cnn')]),
        # Completed by `automatic`, for data set and devices.
        ('auto', []),
        ('auto-fr', [_noise('fr')]),
        ('dcgan', DCGAN_PARTS + [_noise('none')]),
        ('dcgan-additive', DCGAN_PARTS + [_noise('additive')]),
        ('dcgan-fr', DCGAN_PARTS + [_noise('fr')]),
    ]
)


DEFAULT = 'config-f'
AUTOMATIC = ('auto', 'auto-fr')

# One line of explanation for each.
SUMMARIES = {
    'config-a': 'StyleGAN 1, growing progressively',
    'config-b': 'config-a with weight demodulation',
    'config-c': 'config-b with lazy regularization',
    'config-d': 'config-c with path length regularization',
    'config-e': 'config-d without growing, with skip generator and residual discriminator',
    'config-f': 'config-e with twice the feature maps: StyleGAN2',
    'config-e-bald': 'config-e without noise and without path length regularization',
    'config-e-fr': 'config-e with fuzzy reparameterization (FR)',
    'config-e-fr-nopathreg': 'config-e-fr without path length regularization',
    'config-e-fr-noise': 'config-e-fr, but r scales the noise alone',
    'config-e-fr-released': 'config-e with FR as in the code that the paper released',
    'config-e-fr-nonorm': 'config-e-fr without normalization (ablation)',
    'config-e-fr-nostab': 'config-e-fr without stabilization (ablation)',
    'config-e-fr-nodecomp': 'config-e-fr without decomposition (ablation)',
    'config-e-fr-cnn': 'config-e-fr with a convolution in place of decomposition (ablation)',
    'auto': 'StyleGAN2 with what images and devices ask for; each choice is told with its reason',
    'auto-fr': 'auto with fuzzy reparameterization',
    'dcgan': 'DCGAN without noise',
    'dcgan-additive': 'DCGAN with additive noise',
    'dcgan-fr': 'DCGAN with fuzzy reparameterization',
}
SUMMARIES.update(
    (name, 'config-e with these architectures of generator and discriminator')
    for name in CONFIGS
    if name.startswith('config-e-G')
)


def demo_parts(name: str) -> List[Dict[str, Any]]:
    """What training without --dataset lays over a configuration."""
    return [DEMO, DEMO_DCGAN if DCGAN in CONFIGS.get(name, []) else DEMO_STYLEGAN]


def resolve(name: str, *overrides: Dict[str, Any]) -> Dict[str, Any]:
    """Options of `training_loop` for a configuration, with further parts on top.

    Raises:
        UserError: there is no configuration of that name.
    """
    if name not in CONFIGS:
        raise UserError('--config is %r; it must be one of: %s' % (name, ', '.join(CONFIGS)))
    return nested(BASE, *CONFIGS[name], *overrides)


def is_legal_on_device(options: Dict[str, Any], size: int) -> bool:
    """Whether networks and losses of these options can take minibatches of `size` on a device."""

    def option(args, name):
        return value_of(get_obj_by_name(args['func_name']), args, name) or 1

    group_size = option(options['D_args'], 'mbstd_group_size')
    shrink = option(options['G_loss_args'], 'pl_minibatch_shrink')
    return size % min(group_size, size) == 0 and size >= shrink
