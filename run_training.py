#!/usr/bin/env python3
"""Train a generator: `python run_training.py --config=config-e-fr` (see --help)."""

import argparse
import json
import os
import sys
from typing import Any, Dict, List, Optional, Set

import dnnlib
import pretrained_networks
from dnnlib import cli, flags, util
from dnnlib.cli import number, parse_name_list
from dnnlib.flags import flag
from dnnlib.names import keys_in_source
from dnnlib.util import UserError
from metrics import metric_names
from metrics.metric_defaults import default_metrics, make_group, metric_defaults, metric_kwargs
from training import configs, resume
from training.data import demo
from training.data.opening import fingerprint
from training.overrides import BOUNDS, Choice

_DEFAULTS = {
    'mirror_augment': False,
    'data_dir': 'datasets',
    'dataset_args': {'tfrecord_dir': demo.NAME, 'seed': 1000},
    'tf_config': {'rnd.np_random_seed': 1000},
}
_COUNT = number(int, 1, 1 << 20)
_KIMG = configs.BASE['total_kimg']
_AUGMENT = 'training.augmentation.adaptation'
_FORMS = keys_in_source('training.networks_stylegan2', 'NOISE_INJECTION_FORMS')
_NETWORKS = ('G_args', 'D_args')
_MIXED = ['G_args.precision', 'D_args.precision']
_TF32 = 'tf_config.math.allow_tf32'

# Small gradients vanish in float16, which GPUs have, unless losses are scaled. Optimizer's own
# first scale, 2^64, is too large for the first dozens of steps, which would be skipped; from this
# one the scale grows by itself.
_LOSS_SCALING_INIT = 8.0

# Options of the configuration, by the flags that set them.
_SETS = {
    'noise_injection': ['G_args.noise_injection'],
    'fmap_base': ['G_args.fmap_base', 'D_args.fmap_base'],
    'fmap_max': ['G_args.fmap_max', 'D_args.fmap_max'],
    'gamma': ['D_loss_args.gamma'],
    'augment': ['augment_args.mode'],
    'augment_p': ['augment_args.p'],
    'augment_pipe': ['augment_args.pipe'],
    'ada_target': ['augment_args.target'],
    'ada_kimg': ['augment_args.kimg'],
    'data_dir': ['data_dir'],
    'dataset': ['dataset_args.tfrecord_dir'],
    'mirror_augment': ['mirror_augment'],
    'cond': ['dataset_args.max_label_size'],
    'total_kimg': ['total_kimg'],
    'minibatch_size': ['sched_args.minibatch_size_base'],
    'minibatch_gpu': ['sched_args.minibatch_gpu_base'],
    'seed': ['dataset_args.seed', 'tf_config.rnd.np_random_seed'],
    'checkpoint_minutes': ['checkpoint_minutes'],
    'keep_snapshots': ['keep_snapshots'],
    'best': ['best'],
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


_FLAGS = (
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
        flag('--noise-injection', _FORMS, 'form of the noise (default: by --config)'),
        flag('--fmap-base', BOUNDS['G_args.fmap_base'], 'feature maps at 2^r: N / 2^(r-1)'),
        flag('--fmap-max', BOUNDS['G_args.fmap_max'], 'largest number of feature maps'),
        flag('--gamma', BOUNDS['D_loss_args.gamma'], 'weight of R1 (default: by --config)'),
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
        flag('--num-gpus', number(int, 1, 64), 'number of devices (default: 1)'),
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
        flag('--dry-run', bool, 'print the resolved configuration as JSON and end'),
    )
)

_EXAMPLES = [
    ('A small network on people and faces that come with this program:', '--config=config-e-fr'),
    (
        'StyleGAN2 with fuzzy reparameterization on FFHQ at 128x128, 8 GPUs:',
        '--data-dir=~/datasets --dataset=ffhq-128 --config=config-e-fr \\\n'
        '      --num-gpus=8 --mirror-augment=true',
    ),
    ('The last run of all, from where it was stopped:', '--resume=latest'),
    (
        "Another data set, from a run's weights:",
        '--init-from=results/00003-A --config=config-e --dataset=mine --freeze-d=4',
    ),
    ('A run again, with fewer maps:', '--config-file=results/00003-A --set G_args.fmap_max=256'),
]


def metric_classes() -> Set[str]:
    """Names of the classes of metrics, those that a file may name."""
    return {kwargs['func_name'] for kwargs in metric_defaults.values()}


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line; `choice` is its configuration."""
    summaries = {name: configs.SUMMARIES.get(name, '') for name in configs.CONFIGS}
    more = flags.table('configurations', summaries)
    description = 'Train a generative adversarial network.'
    args = flags.parse('run_training.py', description, _FLAGS, argv, _EXAMPLES, more)
    given = {name: value for name, value in vars(args).items() if value is not None}
    options = {path: given[name] for name in _SETS if name in given for path in _SETS[name]}
    if args.keep_snapshots == 'all':
        options['keep_snapshots'] = None
    if args.init_from is not None:
        options['init_from'] = _source(args)
    if args.deterministic:
        options['tf_config.math.deterministic'] = True
    if args.precision is not None:
        options[_TF32] = args.precision == 'tf32'
    if args.precision == 'mixed':
        options.update(dict.fromkeys(_MIXED, 'mixed'))
    args.choice = Choice(
        args.config, args.config_file, args.settings or [], options, metric_classes()
    )
    args.is_demo = not args.choice.sets('dataset_args.tfrecord_dir')
    return args


def _source(args):
    """Path or URL of the networks to begin with."""
    path = args.init_from
    try:
        path = pretrained_networks.find(path, args.result_dir).paths[-1]
    except UserError:
        if args.resume is None:
            raise  # else the run may have begun with it
    return path if util.is_url(path) else os.path.abspath(os.path.expanduser(path))


def resolve_options(args: argparse.Namespace) -> Dict[str, Any]:
    """Options of `training_loop`: --config, demo, --config-file, --set and flags, in this order."""
    demo_parts = configs.demo_parts(args.choice.config) if args.is_demo else []
    options = args.choice.options(_DEFAULTS, *demo_parts)

    from training import option_groups

    options['dataset_args'].setdefault('tfrecord_dir', demo.NAME)
    for name in ('minibatch_size', 'minibatch_gpu'):
        if getattr(args, name) is not None:
            options['sched_args'][name + '_dict'] = {}
    for name in 'GD':
        _set_precision(args.precision, options[name + '_args'], options[name + '_opt_args'])
    if options.get('augment_args', {}).get('mode') == 'none' and len(options['augment_args']) == 1:
        del options['augment_args']  # as if nothing had been said
    flag_of = {path: '--' + name.replace('_', '-') for name in _SETS for path in _SETS[name]}
    flag_of.update(dict.fromkeys(_MIXED, '--precision'))
    given = {path: flag for path, flag in flag_of.items() if path in args.choice.from_flags}
    option_groups.check(options, given)
    return options


def options_of_run(args: argparse.Namespace, run: resume.Run) -> Dict[str, Any]:
    """Options of `training_loop` that a run goes on with: its own, with flags that may differ.

    Raises:
        UserError: other flags, or names in the run's file that only the command line may give.
    """
    given = args.choice.changes()
    is_whole = args.config is not None or args.config_file is not None
    stranger = resume.check_names(run, metric_classes())
    if is_whole or stranger:
        options = resolve_options(args)
        try:
            resume.check_equal(run, options)
        except UserError as error:
            if not stranger:
                raise
            text = 'in %s %s; it goes on only with the --config and flags that it began with: %s'
            raise UserError(text % (run.run_dir, stranger, error))
        return options if stranger else resume.with_changes(run, given)
    resume.check_given(run, given)
    precisions = {str(run.options[name].get('precision', 'float32')) for name in _NETWORKS}
    if args.precision and {args.precision.replace('tf32', 'float32')} != precisions:
        text = '--precision=%s is not that of the run in %s; leave it out'
        raise UserError(text % (args.precision, run.run_dir))
    return resume.with_changes(run, given)


def _set_precision(choice, net_args, opt_args):
    """Options of a network and its optimizer by --precision, None if it was not given."""
    from dnnlib.tflib import engine

    if choice in ('float32', 'tf32'):
        net_args.pop('precision', None)
        opt_args.pop('use_loss_scaling', None)
    if net_args.get('precision') == 'mixed':
        if choice is not None or 'use_loss_scaling' not in opt_args:
            opt_args['use_loss_scaling'] = bool(engine.gpu_devices())
        if opt_args['use_loss_scaling']:
            opt_args.setdefault('loss_scaling_init', _LOSS_SCALING_INIT)


def _check_best(best, metrics):
    """Raise UserError if the best network cannot be chosen by these metrics."""
    metric_names.choose(best, [str(kwargs.get('name')) for kwargs in metrics])


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and train."""
    args = parse_args(argv)
    metrics_given = metric_kwargs(args.metrics or [])  # are there such metrics?
    if args.metrics is not None:
        _check_best(args.best, metrics_given)
    if args.resume in (None, resume.AUTO):
        run, options = None, resolve_options(args)
    else:
        run = resume.find(args.resume, args.result_dir)
        options = options_of_run(args, run)
    num_gpus = args.num_gpus or (run.num_gpus if run else 1)

    from dnnlib.tflib import custom_ops, engine, precision, provenance

    if args.metrics is not None or 'metric_arg_list' not in options:
        metrics = default_metrics() if args.metrics is None else args.metrics
        group = make_group(metrics)
        group.ensure_feature_nets()
        options['metric_arg_list'] = group.metric_kwarg_list
    _check_best(options.get('best'), options['metric_arg_list'])
    if args.dry_run:
        print(args.choice, file=sys.stderr)
        about = dict(config=args.choice.config, num_gpus=num_gpus, version=dnnlib.full_version())
        print(json.dumps(dict(options, **about), indent=4, default=str))
        return
    cli.check_writable_dir(args.result_dir)
    custom_ops.require_native_ops(args.require_native_ops)
    engine.check_devices(num_gpus)
    precision.check(args.precision or 'float32')
    dataset = options['dataset_args']['tfrecord_dir']
    if dataset == demo.NAME:
        demo.ensure_demo_dataset(options['data_dir'])
    data = fingerprint(options['data_dir'], options['dataset_args'])
    if args.resume == resume.AUTO:
        run = resume.find_equal(options, data, args.result_dir)
        options = options if run is None else resume.with_changes(run, options)
    if run is not None:
        if resume.is_complete(run, options['total_kimg']):
            text = '%s has finished, or was stopped by abort.txt: nothing is left to do.'
            print(text % run.run_dir)
            return
        resume.check_states(run)
    args.choice.check(options, num_gpus, is_resumed=run is not None)
    facts = dict(provenance.facts(num_gpus), data=data)
    if run is not None:
        if num_gpus != run.num_gpus:
            text = 'Warning: %d devices in place of %d: the last bits of numbers will differ'
            print(text % (num_gpus, run.num_gpus))
        print('Resuming %s.' % run.run_dir)
        dnnlib.resume_run(run.run_dir, resume.LOOP, num_gpus, facts, **options)
        return
    print(args.choice)
    if args.is_demo:
        print(
            'Demo: %d kimg of %s with narrow layers; for real training see --dataset, '
            '--fmap-base, --total-kimg, --minibatch-size and --gamma.'
            % (options['total_kimg'], demo.NAME)
        )
    dataset_name = os.path.basename(dataset.rstrip('/'))
    run_desc = 'stylegan2-%.100s-%dgpu-%s' % (dataset_name, num_gpus, args.choice.config)
    cli.submit(args.result_dir, run_desc, resume.LOOP, num_gpus, facts, **options)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
