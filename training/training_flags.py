"""The flags of run_training.py, as data, and which options they set."""

import argparse

from dnnlib import cli, flags
from dnnlib.cli import number, parse_name_list
from dnnlib.flags import flag
from dnnlib.names import keys_in_source
from training import configs
from training.overrides import BOUNDS

_COUNT = number(int, 1, 1 << 20)
_KIMG = configs.BASE['total_kimg']
_AUGMENT = 'training.augmentation.adaptation'
FORMS = keys_in_source('training.networks_stylegan2', 'NOISE_INJECTION_FORMS')

# Options of the configuration, by the flags that set them.
SETS = {
    'noise_injection': ['G_args.noise_injection'],
    'fmap_base': ['G_args.fmap_base', 'D_args.fmap_base'],
    'fmap_max': ['G_args.fmap_max', 'D_args.fmap_max'],
    'gamma': ['D_loss_args.gamma'],
    'lr': ['sched_args.G_lrate_base', 'sched_args.D_lrate_base'],
    'map_depth': ['G_args.mapping_layers'],
    'ema_kimg': ['G_smoothing_kimg'],
    'augment': ['augment_args.mode'],
    'augment_p': ['augment_args.p'],
    'augment_pipe': ['augment_args.pipe'],
    'ada_target': ['augment_args.target'],
    'ada_kimg': ['augment_args.kimg'],
    'data_dir': ['data_dir'],
    'dataset': ['dataset_args.tfrecord_dir'],
    'mirror_augment': ['mirror_augment'],
    'subset': ['dataset_args.subset'],
    'validation': ['dataset_args.validation'],
    'cond': ['dataset_args.max_label_size'],
    'total_kimg': ['total_kimg'],
    'minibatch_size': ['sched_args.minibatch_size_base'],
    'minibatch_gpu': ['sched_args.minibatch_gpu_base'],
    'seed': ['dataset_args.seed', 'tf_config.rnd.np_random_seed'],
    'checkpoint_minutes': ['checkpoint_minutes'],
    'keep_snapshots': ['keep_snapshots'],
    'best': ['best'],
    'track': ['track'],
    'init_from': ['init_from'],
    'freeze_d': ['freeze_d'],
    'snapshot_ticks': ['image_snapshot_ticks', 'network_snapshot_ticks'],
}


def _how_many(text):
    if text != 'all' and not text.isdecimal():
        raise argparse.ArgumentTypeError('%r is neither a number nor all' % text)
    return text if text == 'all' else _COUNT(text)


def _label_size(text):
    return 'full' if cli.str_to_bool(text) else 0


FLAGS = (
    flags.group(
        'what to train',
        flag('--config', 'NAME', 'configuration, see below (default: %s)' % configs.DEFAULT),
        flag(
            '--config-file',
            'FILE',
            'options in JSON, such as {"D_loss_args": {"gamma": 5}}, laid over --config; or all of '
            "them: a run's own JSON or folder, or what --dry-run prints",
        ),
        flag(
            '--set',
            cli.setting,
            'an option by its dotted name, such as D_loss_args.gamma=5, laid over --config-file, '
            'below flags; VALUE is JSON, else text; may be repeated',
            action='append',
            dest='settings',
        ),
        flag('--noise-injection', FORMS, 'form of the noise (default: by --config)'),
        flag('--fmap-base', BOUNDS['G_args.fmap_base'], 'feature maps at 2^r: N / 2^(r-1)'),
        flag('--fmap-max', BOUNDS['G_args.fmap_max'], 'largest number of feature maps'),
        flag('--gamma', BOUNDS['D_loss_args.gamma'], 'weight of R1 (default: by --config)'),
        flag(
            '--lr',
            BOUNDS['sched_args.G_lrate_base'],
            'learning rate of G and D (default: by --config)',
        ),
        flag(
            '--map-depth',
            BOUNDS['G_args.mapping_layers'],
            'layers of the mapping network (default: by --config)',
        ),
        flag(
            '--ema-kimg',
            BOUNDS['G_smoothing_kimg'],
            "half-life of the average of G's weights in thousands of images (default: by --config)",
        ),
    )
    + flags.group(
        'weights to start from',
        flag(
            '--init-from',
            'NETWORK',
            'file, run folder or number, URL or published name, of whose G, D and Gs the weights '
            'are taken that fit; the networks themselves are those of --config',
        ),
        flag(
            '--freeze-d',
            BOUNDS['freeze_d'],
            'hold the first N layers of D, those next to the image (default: 0)',
        ),
    )
    + flags.group(
        'data',
        flag('--data-dir', 'DIR', 'folder of data sets (default: datasets)'),
        flag(
            '--dataset',
            'NAME',
            'data set in --data-dir, made by dataset_tool.py '
            '(default: a demo of people and faces that come with this program)',
        ),
        flag('--mirror-augment', cli.str_to_bool, 'mirror images at random (default: no)'),
        flag('--cond', _label_size, 'train on labels (default: no)', metavar='BOOL'),
    )
    + flags.group(
        'few images',
        flag(
            '--subset',
            BOUNDS['dataset_args.subset'],
            'train on N images, chosen by the seed (default: all)',
        ),
        flag(
            '--validation',
            BOUNDS['dataset_args.validation'],
            'hold out N images, chosen by the seed: what D thinks of them shows overfitting '
            '(default: 0)',
        ),
        flag(
            '--augment',
            keys_in_source(_AUGMENT, 'MODES'),
            'show D images that are changed at random: ada: as often as r_t says that D knows the '
            'real ones by heart; fixed: as often as --augment-p says (default: none)',
        ),
        flag(
            '--augment-p',
            BOUNDS['augment_args.p'],
            'probability of each change; with ada, the first one (default: 0)',
        ),
        flag(
            '--augment-pipe',
            keys_in_source('training.augmentation.pipeline', 'PIPES'),
            'kinds of changes: blitting, geometry, colour, filters, noise, cutout (default: bgc)',
        ),
        flag('--ada-target', BOUNDS['augment_args.target'], 'r_t that is aimed at (default: 0.6)'),
        flag(
            '--ada-kimg',
            BOUNDS['augment_args.kimg'],
            'thousands of images in which the probability gets from 0 to 1 (default: 500)',
        ),
    )
    + flags.group(
        'length and minibatches',
        flag('--total-kimg', number(int, 0, 10**9), 'thousands of images (default: %d)' % _KIMG),
        flag('--minibatch-size', _COUNT, 'images per step over all devices'),
        flag('--minibatch-gpu', _COUNT, 'images per device at a time'),
        flags.seed('of weights, latents and image order (default: 1000)', None),
    )
    + flags.group(
        'speed',
        flag('--num-gpus', number(int, 1, 64), 'devices of each machine (default: 1)'),
        flag(
            '--precision',
            flags.PRECISIONS,
            'mixed: convolutions in half precision, bfloat16 on CPUs that have it (with TensorFlow '
            '2), float16 on GPUs; tf32: products of float32 from factors of 10 bits, on GPUs from '
            'Ampere on (default: float32)',
        ),
        flag(
            '--deterministic',
            bool,
            'the same bits whenever a run is repeated, on GPUs too (with TensorFlow 2), where it '
            'is slower; CPUs do so anyway',
        ),
        flags.REQUIRE_NATIVE_OPS,
    )
    + flags.group(
        'going on',
        flag(
            '--resume',
            'RUN',
            'go on with a run: its folder or number; latest; or auto: the one of --result-dir with '
            'the same options and data, unless it has finished, else a new one',
        ),
        flag(
            '--checkpoint-minutes',
            BOUNDS['checkpoint_minutes'],
            'time between states, from which a run goes on exactly (default: 10)',
        ),
    )
    + flags.group(
        'output',
        flags.RESULT_DIR,
        flag(
            '--metrics',
            parse_name_list,
            'metrics of snapshots, or none (default: fid50k if possible)',
        ),
        flag('--snapshot-ticks', _COUNT, 'ticks between snapshots of images and networks'),
        flag(
            '--keep-snapshots',
            _how_many,
            'networks of the last N snapshots are kept, beside the last and the best one; or all '
            '(default: all)',
            metavar='N|all',
        ),
        flag(
            '--best',
            'METRIC',
            'metric, or result of one, by which network-best.pkl is chosen (default: the first of '
            '--metrics)',
        ),
        flag(
            '--track',
            parse_name_list,
            'trackers that get figures, grids and options: wandb, mlflow (need '
            'requirements/tracking.txt), tensorboard (written in any case)',
        ),
        flag('--dry-run', bool, 'print the resolved configuration as JSON and end'),
    )
)

EXAMPLES = [
    ('A small network on people and faces that come with this program:', '--config=config-e-fr'),
    (
        'StyleGAN2 with fuzzy reparameterization on FFHQ at 128x128, 8 GPUs:',
        '--data-dir=~/datasets --dataset=ffhq-128 --config=config-e-fr \\\n'
        '      --num-gpus=8 --mirror-augment=true',
    ),
    ('The last run of all, from where it was stopped:', '--resume=latest'),
    (
        'A small data set of yours, settings by rule, told with their reasons:',
        '--config=auto --dataset=mine --validation=100',
    ),
    (
        "Another data set, from a run's weights:",
        '--init-from=results/00003-A --config=config-e --dataset=mine --freeze-d=4',
    ),
    ('A run again, with fewer maps:', '--config-file=results/00003-A --set G_args.fmap_max=256'),
]
