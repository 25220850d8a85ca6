#!/usr/bin/env python3
"""Train a generator: `python run_training.py --config=config-e-fr` (see --help)."""

import argparse
import json
import os
import sys
from typing import Any, Dict, List, Optional

import dnnlib
from dnnlib import cli, flags
from dnnlib.cli import number
from dnnlib.flags import flag
from dnnlib.tflib import custom_ops, engine, precision
from dnnlib.util import UserError
from metrics.metric_defaults import check_metrics, default_metrics
from training import configs, misc, overrides
from training.data import demo
from training.data.opening import load_dataset
from training.networks_stylegan2 import NOISE_INJECTION_FORMS
from training.schedule import check_minibatches

_DEFAULT_CONFIG, _DEFAULT_SEED = 'config-f', 1000
_DEFAULTS = {
    'mirror_augment': False,
    'data_dir': 'datasets',
    'dataset_args': {'tfrecord_dir': demo.NAME, 'seed': _DEFAULT_SEED},
    'tf_config': {'rnd.np_random_seed': _DEFAULT_SEED},
}
_COUNT = number(int, 1, 1 << 20)

_FLAGS = (
    flags.group(
        'what to train',
        flag('--config', 'NAME', 'configuration, see below (default: %s)' % _DEFAULT_CONFIG),
        flag(
            '--config-file',
            'FILE',
            'options in JSON, such as {"D_loss_args": {"gamma": 5}}, laid over --config; or all of '
            "them: a run's own JSON or folder, or what --dry-run prints",
        ),
        flag(
            '--set',
            cli.setting,
            'an option by its dotted name, D_loss_args.gamma=5 for instance; VALUE is JSON, else '
            'text; over --config-file, below flags; may be repeated',
            action='append',
            dest='settings',
        ),
        flag(
            '--noise-injection',
            list(NOISE_INJECTION_FORMS),
            'form of the noise (default: by --config)',
        ),
        flag('--fmap-base', _COUNT, 'feature maps: at 2^r, N / 2^(r-1), at most --fmap-max'),
        flag('--fmap-max', _COUNT, 'largest number of feature maps'),
        flag(
            '--gamma', number(float, 0, 1e9), 'weight of R1 regularization (default: by --config)'
        ),
    )
    + flags.group(
        'data',
        flag('--data-dir', 'DIR', 'folder of data sets (default: %s)' % _DEFAULTS['data_dir']),
        flag(
            '--dataset',
            'NAME',
            'data set in --data-dir, made by dataset_tool.py '
            '(default: a demo made from photographs that come with this program)',
        ),
        flag(
            '--mirror-augment', cli.str_to_bool, 'flip images left to right at random (default: no)'
        ),
        flag('--cond', cli.str_to_bool, 'train on the labels of the data set (default: no)'),
    )
    + flags.group(
        'length and minibatches',
        flag(
            '--total-kimg',
            number(int, 0, 10**9),
            'length in thousands of images (default: %d)' % configs.BASE['total_kimg'],
        ),
        flag('--minibatch-size', _COUNT, 'images per step over all devices'),
        flag('--minibatch-gpu', _COUNT, 'images per device at a time'),
        flags.seed('of weights, latents and image order (default: %d)' % _DEFAULT_SEED, None),
    )
    + flags.group(
        'speed',
        flags.NUM_GPUS,
        flag(
            '--precision',
            precision.PRECISIONS,
            'mixed: convolutions in half precision, bfloat16 on CPUs that have it (with TensorFlow '
            '2), float16 on GPUs (default: float32)',
        ),
        flags.REQUIRE_NATIVE_OPS,
    )
    + flags.group(
        'output',
        flags.RESULT_DIR,
        flag(
            '--metrics',
            cli.parse_name_list,
            'metrics to evaluate at snapshots, comma-separated, or none '
            '(default: fid50k if possible)',
        ),
        flag('--snapshot-ticks', _COUNT, 'ticks between snapshots of images and networks'),
        flag('--dry-run', bool, 'print the resolved configuration as JSON and end'),
    )
)

_EXAMPLES = [
    (
        'A small network on photographs that come with this program, on a CPU in minutes:',
        '--config=config-e-fr',
    ),
    (
        'StyleGAN2 with fuzzy reparameterization on FFHQ at 128x128, 8 GPUs:',
        '--data-dir=~/datasets --dataset=ffhq-128 --config=config-e-fr \\\n'
        '      --num-gpus=8 --mirror-augment=true',
    ),
    (
        'A run again, with another learning rate:',
        '--config-file=results/00003-A --set sched_args.G_lrate_base=0.001',
    ),
]


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line and read --config-file: `changes`, the last one on top."""
    summaries = {name: configs.SUMMARIES[name] for name in configs.CONFIGS}
    args = flags.parse(
        'run_training.py',
        'Train a generative adversarial network.',
        _FLAGS,
        argv,
        _EXAMPLES,
        flags.table('configurations', summaries),
    )
    from_file, whole = {}, None
    if args.config_file is not None:
        from_file, whole = overrides.read_file(args.config_file)
    args.is_whole = whole is not None
    if args.is_whole and args.config is not None:
        raise UserError('--config-file is a whole configuration; leave --config out')
    args.config = whole or args.config or _DEFAULT_CONFIG
    args.changes = [from_file, dict(args.settings or []), _flag_options(args)]
    named = [name for change in args.changes for name in change]
    args.is_demo = not {'dataset_args', 'dataset_args.tfrecord_dir'} & set(named)
    return args


def _flag_options(args):
    """Options that flags set, by their dotted names."""
    found = [
        ('total_kimg', args.total_kimg),
        ('mirror_augment', args.mirror_augment),
        ('data_dir', args.data_dir),
        ('dataset_args.tfrecord_dir', args.dataset),
        ('dataset_args.seed', args.seed),
        ('tf_config.rnd.np_random_seed', args.seed),
        ('D_loss_args.gamma', args.gamma),
        ('G_args.noise_injection', args.noise_injection),
        ('G_args.fmap_base', args.fmap_base),
        ('D_args.fmap_base', args.fmap_base),
        ('G_args.fmap_max', args.fmap_max),
        ('D_args.fmap_max', args.fmap_max),
        ('sched_args.minibatch_size_base', args.minibatch_size),
        ('sched_args.minibatch_size_dict', None if args.minibatch_size is None else {}),
        ('sched_args.minibatch_gpu_base', args.minibatch_gpu),
        ('sched_args.minibatch_gpu_dict', None if args.minibatch_gpu is None else {}),
        ('image_snapshot_ticks', args.snapshot_ticks),
        ('network_snapshot_ticks', args.snapshot_ticks),
        ('dataset_args.max_label_size', None if args.cond is None else 'full' if args.cond else 0),
    ]
    if args.precision == 'mixed':
        # Small gradients vanish in float16, which GPUs have, unless losses are scaled.
        scaling = bool(engine.gpu_devices())
        found += [(name + '_args.precision', args.precision) for name in 'GD']
        found += [(name + '_opt_args.use_loss_scaling', scaling) for name in 'GD']
    return {path: value for path, value in found if value is not None}


def resolve_options(args: argparse.Namespace) -> Dict[str, Any]:
    """Options of `training_loop`: --config, demo, --config-file, --set and flags, in this order.

    Raises:
        UserError: nothing takes an option, or it is of another kind than what it replaces.
    """
    # Whole options have all parts that this configuration has, so that nothing of it is left.
    config = _DEFAULT_CONFIG if args.is_whole else args.config
    changes = [_DEFAULTS] + (configs.demo_parts(config) if args.is_demo else []) + args.changes
    if args.gamma is not None:
        if 'gamma' not in overrides.lay_over(config, changes[:-1])['D_loss_args']:
            raise UserError(
                '--gamma is the weight of R1 regularization, which --config=%s does not '
                'have; leave it out' % args.config
            )
    options = overrides.lay_over(config, changes)
    if args.precision == 'float32':
        for name in 'GD':
            options[name + '_args'].pop('precision', None)
            options[name + '_opt_args'].pop('use_loss_scaling', None)
    options['dataset_args'].setdefault('tfrecord_dir', demo.NAME)
    configs.check(options)
    return options


def check_options(args: argparse.Namespace, options: Dict[str, Any]) -> None:
    """Find what would stop the run, before it makes a folder or trains for hours."""
    if not options['total_kimg'] >= 0:
        raise UserError('total_kimg is %s; it must be at least 0' % options['total_kimg'])
    for name in 'GD':
        part = options[name + '_args']
        precision.check(part.get('precision', 'float32'), [part['func_name']])
    training_set = load_dataset(data_dir=options['data_dir'], **options['dataset_args'])
    check_minibatches(
        options['sched_args'],
        training_set.resolution,
        args.num_gpus,
        lambda size: configs.is_legal_on_device(options, size),
    )
    if not any('grid_args.layout' in change for change in args.changes):
        _adapt_to_labels(options, training_set)
    training_set.close()


def _adapt_to_labels(options, training_set):
    """Show one class in each row of a grid where all fit; mention labels that are not used."""
    if not training_set.label_size and training_set.offers_labels:
        print('The data set has labels, which are not used; --cond=yes trains on them.')
    _, rows = misc.grid_size(training_set.shape, options['grid_args']['size'])
    if 0 < training_set.label_size <= rows and training_set.has_all_classes():
        options['grid_args']['layout'] = 'row_per_class'


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and train."""
    args = parse_args(argv)
    options = resolve_options(args)
    if args.metrics is not None or 'metric_arg_list' not in options:
        metrics = default_metrics() if args.metrics is None else args.metrics
        options['metric_arg_list'] = check_metrics(metrics)
    changes = overrides.describe(dict(args.changes[1], **args.changes[2]))
    changes = ', '.join(filter(None, [args.config_file, changes])) or 'nothing'
    changes = '%s with changes by the user: %s' % (args.config, changes)
    if args.dry_run:
        print(changes, file=sys.stderr)
        about = dict(config=args.config, num_gpus=args.num_gpus, version=dnnlib.full_version())
        print(json.dumps(dict(options, **about), indent=4, default=str))
        return
    cli.check_writable_dir(args.result_dir)
    custom_ops.require_native_ops(args.require_native_ops)
    dataset = options['dataset_args']['tfrecord_dir']
    if dataset == demo.NAME:
        demo.ensure_demo_dataset(options['data_dir'])
    check_options(args, options)
    print(changes)
    if args.is_demo:
        print(
            'Demo: %d kimg of %s with narrow layers; for real training see --dataset, '
            '--fmap-base, --total-kimg, --minibatch-size and --gamma.'
            % (options['total_kimg'], demo.NAME)
        )
    dataset_name = os.path.basename(dataset.rstrip('/'))
    cli.submit(
        args.result_dir,
        'stylegan2-%s-%dgpu-%s' % (dataset_name, args.num_gpus, args.config),
        'training.training_loop.training_loop',
        args.num_gpus,
        **options,
    )


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
