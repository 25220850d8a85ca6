#!/usr/bin/env python3
"""Train a generator: `python run_training.py --config=config-e-fr` (see --help)."""

import argparse
import contextlib
import json
import os
import sys
from typing import Any, Dict, List, Optional, Set

import dnnlib
import pretrained_networks
from dnnlib import cli, flags, util, workers
from dnnlib.util import UserError
from metrics import metric_names
from metrics.metric_defaults import default_metrics, make_group, metric_defaults, metric_kwargs
from training import automatic, configs, resume
from training.data import demo
from training.data.opening import fingerprint, load_dataset
from training.overrides import Choice
from training.training_flags import EXAMPLES as _EXAMPLES
from training.training_flags import FLAGS as _FLAGS
from training.training_flags import SETS as _SETS

_DEFAULTS = {
    'mirror_augment': False,
    'data_dir': 'datasets',
    'dataset_args': {'tfrecord_dir': demo.NAME, 'seed': 1000},
    'tf_config': {'rnd.np_random_seed': 1000},
}
_NETWORKS = ('G_args', 'D_args')
_MIXED = ['G_args.precision', 'D_args.precision']
_TF32 = 'tf_config.math.allow_tf32'

# Small gradients vanish in float16, which GPUs have, unless losses are scaled. Optimizer's own
# first scale, 2^64, is too large for the first dozens of steps, which would be skipped; from this
# one the scale grows by itself.
_LOSS_SCALING_INIT = 8.0


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
    args.reasons = []
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
    parts = configs.demo_parts(args.choice.config) if args.is_demo else []
    if args.choice.is_automatic:
        args.reasons = decisions(args)
        parts = [automatic.part(args.reasons)]
    options = args.choice.options(_DEFAULTS, *parts)

    from training import option_groups

    options['dataset_args'].setdefault('tfrecord_dir', demo.NAME)
    for name in ('minibatch_size', 'minibatch_gpu'):
        if getattr(args, name) is not None:
            options['sched_args'][name + '_dict'] = {}
    if args.lr is not None:
        options['sched_args'].update(G_lrate_dict={}, D_lrate_dict={})
    for name in 'GD':
        _set_precision(args.precision, options[name + '_args'], options[name + '_opt_args'])
    if options.get('augment_args', {}).get('mode') == 'none' and len(options['augment_args']) == 1:
        del options['augment_args']  # as if nothing had been said
    flag_of = {path: '--' + name.replace('_', '-') for name in _SETS for path in _SETS[name]}
    flag_of.update(dict.fromkeys(_MIXED, '--precision'))
    given = {path: flag for path, flag in flag_of.items() if path in args.choice.from_flags}
    option_groups.check(options, given)
    return options


def decisions(args: argparse.Namespace) -> List[automatic.Decision]:
    """What --config=auto chooses for the data set and devices of a command line."""
    from dnnlib.tflib import engine

    options = args.choice.options(_DEFAULTS)
    options['dataset_args'].setdefault('tfrecord_dir', demo.NAME)
    if args.is_demo:
        demo.ensure_demo_dataset(options['data_dir'])
    with contextlib.closing(
        load_dataset(data_dir=options['data_dir'], **options['dataset_args'])
    ) as dataset:
        num_images, resolution = dataset.num_images, dataset.resolution
    memory, others = engine.gpu_memory(), workers.find()
    facts = automatic.Situation(
        num_images,
        resolution,
        (args.num_gpus or 1) * (len(others.addresses) if others else 1),
        bool(memory),
        memory / 2**30,
        args.minibatch_size,
        args.minibatch_gpu,
    )
    return automatic.decide(facts)


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
    others = workers.find()
    metrics_given = metric_kwargs(args.metrics or [])  # are there such metrics?
    if args.metrics is not None:
        _check_best(args.best, metrics_given)
    if args.resume in (None, resume.AUTO):
        run, options = None, resolve_options(args)
    else:
        run = resume.find(args.resume, args.result_dir)
        options = options_of_run(args, run)
    num_workers = len(others.addresses) if others else 1
    num_gpus = args.num_gpus or (max(run.num_gpus // num_workers, 1) if run else 1)

    from dnnlib.tflib import cluster, custom_ops, engine, precision, provenance
    from training import following, joining, tracking

    if args.metrics is not None or 'metric_arg_list' not in options:
        metrics = default_metrics() if args.metrics is None else args.metrics
        group = make_group(metrics)
        group.ensure_feature_nets()
        options['metric_arg_list'] = group.metric_kwarg_list
    _check_best(options.get('best'), options['metric_arg_list'])
    if args.dry_run:
        print(args.choice, *args.reasons, sep='\n', file=sys.stderr)
        about = dict(config=args.choice.config, num_gpus=num_gpus, version=dnnlib.full_version())
        print(json.dumps(dict(options, **about), indent=4, default=str))
        return
    if others is None or others.rank == 0:
        tracking.check(options.get('track', []))
        cli.check_writable_dir(args.result_dir)
    custom_ops.require_native_ops(args.require_native_ops)
    engine.check_devices(num_gpus)
    precision.check(args.precision or 'float32')
    if others is not None:
        joining.join(others, vars(args), options, num_gpus, joining.TRAINING_ENDS)
    is_chief, num_devices = cluster.current().is_chief, num_gpus * num_workers
    dataset = options['dataset_args']['tfrecord_dir']
    if dataset == demo.NAME:
        demo.ensure_demo_dataset(options['data_dir'])
    data = fingerprint(options['data_dir'], options['dataset_args'])
    joining.check_data(data)
    if args.resume == resume.AUTO and is_chief:
        run = resume.find_equal(options, data, args.result_dir)
        options = options if run is None else resume.with_changes(run, options)
    is_complete = run is not None and resume.is_complete(run, options['total_kimg'])
    plan = joining.plan_of_chief(joining.Plan(options, run is not None, is_complete))
    options = plan.options
    if plan.is_complete:
        text = '%s has finished, or was stopped by abort.txt: nothing is left to do.'
        print(text % (run.run_dir if run else 'The run'))
        cluster.current().leave()
        return
    if run is not None:
        resume.check_states(run)
    args.choice.check(options, num_devices, is_resumed=plan.is_resumed)
    if not is_chief:
        run_dir, index = following.hear_run_dir(), cluster.current().index
        dnnlib.follow_run(run_dir, index, resume.LOOP, num_devices, **options)
        return
    facts = dict(provenance.facts(num_devices), data=data)
    if run is not None:
        if num_devices != run.num_gpus:
            text = 'Warning: %d devices in place of %d: the last bits of numbers will differ'
            print(text % (num_devices, run.num_gpus))
        print('Resuming %s.' % run.run_dir)
        dnnlib.resume_run(run.run_dir, resume.LOOP, num_devices, facts, **options)
        return
    print(args.choice, *args.reasons, sep='\n')
    if args.is_demo and not args.choice.is_automatic:
        print(
            'Demo: %d kimg of %s with narrow layers; for real training see --dataset, '
            '--fmap-base, --total-kimg, --minibatch-size and --gamma.'
            % (options['total_kimg'], demo.NAME)
        )
    dataset_name = os.path.basename(dataset.rstrip('/'))
    run_desc = 'stylegan2-%.100s-%dgpu-%s' % (dataset_name, num_devices, args.choice.config)
    cli.submit(args.result_dir, run_desc, resume.LOOP, num_devices, facts, **options)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
