#!/usr/bin/env python3
"""Evaluate networks: `python run_metrics.py --metrics=fid50k,ppl_wend,cond` (see --help)."""

import argparse
import contextlib
import os
import sys
from typing import Any, Dict, List, Optional

import pretrained_networks
from dnnlib import cli, download, flags, workers
from dnnlib.cli import number
from dnnlib.flags import flag
from dnnlib.util import UserError
from metrics import metric_defaults, metric_names
from training import runs
from training.data.splits import SPLITS

_FLAGS = (
    flags.group(
        'what to evaluate',
        flag('--metrics', cli.parse_name_list, 'metrics, comma-separated, see below', 'fid50k'),
        flags.network(
            'all its snapshots, or %s, one half of the data against the other' % metric_names.REALS
        ),
        flag(
            '--watch',
            'RUN',
            'a training run (its folder or number): evaluate snapshots as they appear, into the '
            "run's own folder, until it has finished",
        ),
        flag(
            '--best',
            'METRIC',
            'of --watch: metric, or result of one, by which network-best.pkl is chosen (default: '
            'the first of --metrics)',
        ),
        flags.TRUST_NETWORK_CODE,
        flags.CLASS,
        flag('--num-samples', number(int, 1, 10**7), "in place of each metric's number of images"),
        flags.seed('of all that is random; the same seed gives the same figures', 0),
        flag(
            '--repeats',
            number(int, 1, 1000),
            'evaluations of each network, with seeds from --seed on: mean and standard deviation',
            1,
        ),
    )
    + flags.group(
        'data',
        flags.RUN_DATASET,
        flags.RUN_DATA_DIR,
        flag('--mirror-augment', cli.str_to_bool, 'flip real images at random (default: as run)'),
        flag(
            '--reals',
            ['first', 'random'],
            'real images that are taken where not all are (default: the first of .tfrecords, as '
            'official code does, random ones of folders and zips)',
        ),
        flag(
            '--split',
            list(SPLITS),
            'real images of a run with --subset or --validation: %s (default: train)'
            % '; '.join('%s: %s' % pair for pair in SPLITS.items()),
        ),
        flags.FEATURE_NETS,
    )
    + flags.group(
        'speed',
        flags.NUM_GPUS,
        flag(
            '--precision',
            flags.NETWORK_PRECISIONS,
            'of the generator, whatever it was trained in; mixed is faster and not quite the same',
            'float32',
        ),
        flags.REQUIRE_NATIVE_OPS,
    )
    + flags.group('output', flags.RESULT_DIR, flags.CACHE_DIR)
)

_EXAMPLES = [
    ('The last network of the newest run, on its data set:', '--metrics=fid50k,ppl_wend,cond'),
    ('The same where no pretrained network can be had:', '--metrics=all-local'),
    ('Snapshots of run 3 as they appear, on a GPU of its own:', '--watch=3 --metrics=fid50k'),
    ('What FID is worth on a data set:', '--network=reals --dataset=mydata --repeats=5'),
    ('All snapshots of a run, quickly:', '--network=results/00003-A --num-samples=5000'),
]


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    more = flags.table('metrics', metric_names.SUMMARIES)
    description = 'Evaluate metrics of generators.'
    return flags.parse('run_metrics.py', description, _FLAGS, argv, _EXAMPLES, more)


def find_networks(args: argparse.Namespace) -> Dict[str, Any]:
    """What to evaluate on what data, by flags and the run of the networks."""
    if args.network == metric_names.REALS:
        found = pretrained_networks.Found([args.network], None)
        with contextlib.suppress(UserError):
            found = found._replace(run_dir=runs.newest_run(args.result_dir))
    else:
        found = pretrained_networks.find(args.network, args.result_dir)
    is_needed = args.dataset is None
    options = (runs.training_options(found.run_dir, is_needed) if found.run_dir else None) or {}
    return dict(_data(args, options), networks=found.paths)


def _data(args, options):
    """Real images, by flags and the options of a training run."""
    dataset_args = options.get('dataset_args')
    if args.dataset is not None:
        dataset_args = dict(tfrecord_dir=args.dataset)
    if args.split is not None:
        if not {'subset', 'validation'} & set(dataset_args or {}):
            text = '--split=%s takes a run with --subset or --validation; leave it out'
            raise UserError(text % args.split)
        dataset_args = dict(dataset_args, split=args.split)
    if args.mirror_augment is None:
        args.mirror_augment = options.get('mirror_augment', False)
    return dict(
        dataset_args=dict(dataset_args, shuffle_mb=0) if dataset_args else None,
        mirror_augment=args.mirror_augment,
        data_dir=args.data_dir or options.get('data_dir') or 'datasets',
    )


def find_run(args: argparse.Namespace, metric_kwargs: List[dict]) -> Dict[str, Any]:
    """What to watch; arguments of `metrics.watching.watch`, and no networks to begin with."""
    if args.network is not None:
        raise UserError('--watch takes the networks of a run; leave --network out')
    run_dir = runs.folder(args.watch, args.result_dir)
    options = runs.training_options(run_dir) or {}
    if 'G_args' not in options:
        raise UserError('there is no training run in --watch=%s' % args.watch)
    cli.check_writable_dir(run_dir)
    choice = metric_names.choose(args.best, [kwargs['name'] for kwargs in metric_kwargs])
    own = [str(kwargs.get('name')) for kwargs in options.get('metric_arg_list') or []]
    its = metric_names.choose(options.get('best'), own)
    if its and args.best and its != choice:
        text = '--best=%s: the run finds its best network itself, by %s; leave --best out'
        raise UserError(text % (args.best, its.result))
    which = dict(best=args.best, chooses_best=its in (None, choice))
    return dict(_data(args, options), networks=[], run_dir=run_dir, **which)


def run(**options: Any) -> None:
    """Evaluate networks into the current run folder; see `metrics.several_networks.run`."""
    from metrics import several_networks

    several_networks.run(**options)


def follow(args: argparse.Namespace) -> None:
    """Do a worker's share of what the chief evaluates."""
    from dnnlib.tflib import cluster
    from metrics.metric_base import follow_metrics

    while follow_metrics(args.data_dir, args.num_gpus, None, args.feature_nets_dir):
        pass
    cluster.current().leave()


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and evaluate."""
    args = parse_args(argv)
    if not args.metrics:
        names = ', '.join(metric_defaults.metric_defaults)
        raise UserError('--metrics names no metric; choose from %s' % names)
    if args.cache_dir is not None:
        cli.check_writable_dir(args.cache_dir)
        os.environ[download.CACHE_VARIABLE] = args.cache_dir
    if args.seed + args.repeats - 1 > cli.MAX_SEED:
        raise UserError(
            '--repeats=%d goes beyond the largest seed, %d' % (args.repeats, cli.MAX_SEED)
        )
    others = workers.find()
    if others is not None and args.watch is not None:
        raise UserError('--watch does not go with several workers; leave it, or TF_CONFIG, out')
    flags_given = dict(vars(args))
    metric_kwargs = metric_defaults.metric_kwargs(args.metrics, args.num_samples, args.class_index)
    if args.best is not None and args.watch is None:
        raise UserError('--best=%s goes with --watch; leave it out' % args.best)
    if args.split is not None and args.watch is not None:
        raise UserError('--split=%s does not go with --watch; leave it out' % args.split)
    if args.repeats > 1 and args.watch is not None:
        raise UserError('--repeats=%d does not go with --watch; leave it out' % args.repeats)
    is_chief = others is None or others.rank == 0
    work = dict(
        _networks(args, metric_kwargs) if is_chief else {},
        metric_kwargs=metric_kwargs,
        feature_nets_dir=args.feature_nets_dir,
        reals=args.reals,
        num_gpus=args.num_gpus,
        seed=args.seed,
        repeats=args.repeats,
        class_index=args.class_index,
        precision=args.precision,
        trust_network_code=args.trust_network_code,
    )

    from dnnlib.tflib import custom_ops, engine, precision
    from metrics import together
    from training import joining

    custom_ops.require_native_ops(args.require_native_ops)
    engine.check_devices(args.num_gpus)
    precision.check(args.precision)
    if others is not None:
        joining.join(others, flags_given, {}, args.num_gpus, joining.EVALUATION_ENDS)
    if not is_chief:
        follow(args)
        return
    with together.leading():
        evaluate(args, work)


def _networks(args, metric_kwargs):
    return find_networks(args) if args.watch is None else find_run(args, metric_kwargs)


def evaluate(args: argparse.Namespace, work: Dict[str, Any]) -> None:
    """Evaluate, or watch a run, after a look at all that is needed.

    Args:
        work: arguments of `run`, or of `metrics.watching.watch` and no networks.
    """
    from metrics.metric_base import MetricGroup, told
    from metrics.several_networks import check

    group = MetricGroup(work['metric_kwargs'])
    reasons = {}
    if args.network == metric_names.REALS:
        reasons.update(group.drop_with_generator())
    else:
        for network in work['networks']:  # the last one may come to its turn after days
            pretrained_networks.check_generator(network)
    if group.metrics:
        check(group, work)
    reasons.update(group.drop_without_feature_nets(args.feature_nets_dir))
    if not group.metrics:
        raise UserError(told(reasons))
    if reasons:
        print('Without %s' % told(reasons))
        work.update(metric_kwargs=group.metric_kwarg_list, problems=[told(reasons)])
    if args.watch is not None:
        from metrics import watching

        del work['networks'], work['repeats']
        watching.watch(**work)
        return
    cli.submit(args.result_dir, 'run-metrics', 'run_metrics.run', args.num_gpus, **work)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
