"""Train a generator: `python run_training.py --config=config-e-fr` (see --help)."""

import argparse
import json
import os
import sys
from typing import Any, Dict, List, Optional

import dnnlib
from dnnlib import cli
from dnnlib.tflib import custom_ops, engine, precision
from dnnlib.util import UserError
from metrics.metric_defaults import default_metrics, make_group
from training import configs, misc, option_groups
from training.data import demo
from training.data.opening import load_dataset
from training.networks_stylegan2 import NOISE_INJECTION_FORMS
from training.schedule import check_minibatches

_EXAMPLES = """examples:
  # A small network on photographs that come with this program, on a CPU in minutes:
  python run_training.py --config=config-e-fr

  # StyleGAN2 with fuzzy reparameterization on FFHQ at 128x128, 8 GPUs:
  python run_training.py --data-dir=~/datasets --dataset=ffhq-128 --config=config-e-fr \\
      --num-gpus=8 --mirror-augment=true

configurations:
  %s
""" % '\n  '.join(configs.CONFIGS)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(
        description='Train a generative adversarial network.',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add(
        '--result-dir',
        default='results',
        metavar='DIR',
        help='folder of all runs (default: %(default)s)',
    )
    add(
        '--data-dir',
        default='datasets',
        metavar='DIR',
        help='folder of data sets (default: %(default)s)',
    )
    add(
        '--dataset',
        metavar='NAME',
        help='data set in --data-dir, made by dataset_tool.py\n'
        '(default: a demo made from photographs that come with this program)',
    )
    add(
        '--config',
        default='config-f',
        metavar='NAME',
        help='configuration, see below (default: %(default)s)',
    )
    add(
        '--num-gpus',
        type=int,
        default=1,
        metavar='N',
        help='number of devices (default: %(default)s)',
    )
    add(
        '--total-kimg',
        type=int,
        metavar='N',
        help='length in thousands of images (default: %d)' % configs.BASE['total_kimg'],
    )
    add(
        '--gamma',
        type=float,
        metavar='X',
        help='weight of R1 regularization (default: by --config)',
    )
    add(
        '--mirror-augment',
        type=cli.str_to_bool,
        default=False,
        metavar='BOOL',
        help='flip images left to right at random (default: %(default)s)',
    )
    add(
        '--cond',
        type=cli.str_to_bool,
        default=False,
        metavar='BOOL',
        help='train on the labels of the data set (default: %(default)s)',
    )
    add(
        '--metrics',
        type=cli.parse_name_list,
        metavar='LIST',
        help='metrics to evaluate at snapshots, comma-separated, or none\n'
        '(default: fid50k if possible)',
    )
    add(
        '--noise-injection',
        choices=list(NOISE_INJECTION_FORMS),
        metavar='FORM',
        help='form of the noise: %s (default: by --config)' % ', '.join(NOISE_INJECTION_FORMS),
    )
    add(
        '--fmap-base',
        type=int,
        metavar='N',
        help='feature maps: at 2^r, N / 2^(r-1), at most --fmap-max',
    )
    add('--fmap-max', type=int, metavar='N', help='largest number of feature maps')
    add('--minibatch-size', type=int, metavar='N', help='images per step over all devices')
    add('--minibatch-gpu', type=int, metavar='N', help='images per device at a time')
    add(
        '--snapshot-ticks',
        type=int,
        metavar='N',
        help='ticks between snapshots of images and networks',
    )
    add(
        '--precision',
        choices=precision.PRECISIONS,
        default='float32',
        help='mixed: convolutions in half precision, bfloat16 on CPUs that have it (with\n'
        'TensorFlow 2), float16 on GPUs (default: %(default)s)',
    )
    add(
        '--seed',
        type=int,
        default=1000,
        metavar='N',
        help='seed of weights, latents and image order (default: %(default)s)',
    )
    add(
        '--require-native-ops',
        action='store_true',
        help='end with an error where compiled ops cannot be had',
    )
    add('--dry-run', action='store_true', help='print the resolved configuration and end')
    return parser.parse_args(argv)


# Options that not every network or loss takes, and the flags that set them.
_FLAG_OF = {
    'D_loss_args.gamma': '--gamma',
    'G_args.noise_injection': '--noise-injection',
    'G_args.fmap_base': '--fmap-base',
    'D_args.fmap_base': '--fmap-base',
    'G_args.fmap_max': '--fmap-max',
    'D_args.fmap_max': '--fmap-max',
    'G_args.precision': '--precision',
    'D_args.precision': '--precision',
}


def resolve_options(args: argparse.Namespace) -> Dict[str, Any]:
    """Options of `training_loop` for the command line: configuration, demo, then flags."""
    is_demo = args.dataset is None
    flags = {}
    for path, value in [
        ('total_kimg', args.total_kimg),
        ('D_loss_args.gamma', args.gamma),
        ('G_args.noise_injection', args.noise_injection),
        ('G_args.fmap_base', args.fmap_base),
        ('D_args.fmap_base', args.fmap_base),
        ('G_args.fmap_max', args.fmap_max),
        ('D_args.fmap_max', args.fmap_max),
        ('sched_args.minibatch_size_base', args.minibatch_size),
        ('sched_args.minibatch_gpu_base', args.minibatch_gpu),
        ('image_snapshot_ticks', args.snapshot_ticks),
        ('network_snapshot_ticks', args.snapshot_ticks),
    ]:
        if value is not None:
            flags[path] = value
    if args.precision != 'float32':
        flags.update(_precision_flags(args.precision))
    if args.minibatch_size is not None:
        flags['sched_args.minibatch_size_dict'] = {}
    if args.minibatch_gpu is not None:
        flags['sched_args.minibatch_gpu_dict'] = {}
    demo_parts = configs.demo_parts(args.config) if is_demo else []
    options = configs.resolve(args.config, *demo_parts, flags)
    options.update(
        mirror_augment=args.mirror_augment,
        data_dir=args.data_dir,
        dataset_args=dict(tfrecord_dir=args.dataset or demo.NAME, seed=args.seed),
        tf_config={'rnd.np_random_seed': args.seed},
    )
    if args.cond:
        options['dataset_args']['max_label_size'] = 'full'
    option_groups.check(options, {path: _FLAG_OF[path] for path in flags if path in _FLAG_OF})
    return options


def _precision_flags(value):
    """Small gradients vanish in float16, which GPUs have, unless losses are scaled."""
    flags = {}
    for name in 'GD':
        flags[name + '_args.precision'] = value
        flags[name + '_opt_args.use_loss_scaling'] = bool(engine.gpu_devices())
    return flags


def check_options(args: argparse.Namespace, options: Dict[str, Any]) -> None:
    """Find what would stop the run, before it makes a folder or trains for hours."""
    for flag, value, low in [
        ('--num-gpus', args.num_gpus, 1),
        ('--total-kimg', options['total_kimg'], 0),
        ('--gamma', args.gamma, 0),
        ('--fmap-base', args.fmap_base, 1),
        ('--fmap-max', args.fmap_max, 1),
        ('--minibatch-size', args.minibatch_size, 1),
        ('--minibatch-gpu', args.minibatch_gpu, 1),
        ('--seed', args.seed, 0),
        ('--snapshot-ticks', args.snapshot_ticks, 1),
    ]:
        if value is not None and value < low:
            raise UserError('%s is %s; it must be at least %s' % (flag, value, low))
    precision.check(args.precision)
    training_set = load_dataset(data_dir=args.data_dir, **options['dataset_args'])
    check_minibatches(
        options['sched_args'],
        training_set.resolution,
        args.num_gpus,
        lambda size: configs.is_legal_on_device(options, size),
    )
    _adapt_to_labels(args, options, training_set)
    training_set.close()


def _adapt_to_labels(args, options, training_set):
    """Show one class in each row of a grid where all fit; mention labels that are not used."""
    if not args.cond and training_set.offers_labels:
        print('The data set has labels, which are not used; --cond=yes trains on them.')
    _, rows = misc.grid_size(training_set.shape, options['grid_args']['size'])
    if args.cond and training_set.label_size <= rows and training_set.has_all_classes():
        options['grid_args']['layout'] = 'row_per_class'


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and train."""
    args = parse_args(argv)
    options = resolve_options(args)
    metrics = default_metrics() if args.metrics is None else args.metrics
    group = make_group(metrics)
    group.ensure_feature_nets()
    options['metric_arg_list'] = group.metric_kwarg_list
    if args.dry_run:
        print(json.dumps(dict(options, num_gpus=args.num_gpus), indent=4, default=str))
        return
    cli.check_writable_dir(args.result_dir)
    custom_ops.require_native_ops(args.require_native_ops)
    if args.dataset is None:
        demo.ensure_demo_dataset(args.data_dir)
    check_options(args, options)
    if args.dataset is None:
        print(
            'Demo: %d kimg of %s with narrow layers; for real training see --dataset, '
            '--fmap-base, --total-kimg, --minibatch-size and --gamma.'
            % (options['total_kimg'], demo.NAME)
        )

    submit_config = dnnlib.SubmitConfig()
    submit_config.num_gpus = args.num_gpus
    submit_config.run_dir_root = dnnlib.submission.submit.get_template_from_path(args.result_dir)
    dataset_name = os.path.basename(options['dataset_args']['tfrecord_dir'].rstrip('/'))
    submit_config.run_desc = 'stylegan2-%s-%dgpu-%s' % (dataset_name, args.num_gpus, args.config)
    dnnlib.submit_run(submit_config, 'training.training_loop.training_loop', **options)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
