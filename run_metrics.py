#!/usr/bin/env python3
"""Evaluate networks: `python run_metrics.py --metrics=fid50k,ppl_wend,cond` (see --help)."""

import argparse
import hashlib
import os
import sys
from typing import Any, Dict, List, Optional

import dnnlib
import pretrained_networks
from dnnlib import cli, util
from dnnlib.tflib import custom_ops
from dnnlib.util import UserError
from metrics import paper_tables
from metrics.evaluation import Evaluation
from metrics.metric_base import MetricGroup
from metrics.metric_defaults import GROUPS, make_group, metric_defaults
from training import misc, runs
from training.data.opening import load_dataset
from training.perception import feature_nets

_EXAMPLES = """examples:
  # The last snapshot of the newest training run, on its own data set:
  python run_metrics.py --metrics=fid50k,ppl_wend,cond

  # The same where no pretrained network can be had:
  python run_metrics.py --metrics=all-local

  # All snapshots of a run, quickly:
  python run_metrics.py --network=results/00003-stylegan2-ffhq-8gpu-config-e-fr --num-samples=5000

metrics:
  %s
groups of metrics:
  %s
""" % (
    ', '.join(metric_defaults),
    '\n  '.join('%s: %s' % (name, ', '.join(members)) for name, members in GROUPS.items()),
)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(
        description='Evaluate metrics of generators.',
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
        '--network',
        metavar='PKL',
        help='network pickle, URL, published network, or folder of a '
        'run for all its\nsnapshots (default: last snapshot of the newest run)',
    )
    add(
        '--metrics',
        type=cli.parse_name_list,
        default=['fid50k'],
        metavar='LIST',
        help='comma-separated, see below (default: fid50k)',
    )
    add('--dataset', metavar='NAME', help="data set in --data-dir (default: the run's)")
    add('--data-dir', metavar='DIR', help="folder of data sets (default: the run's, or datasets)")
    add(
        '--mirror-augment',
        type=cli.str_to_bool,
        metavar='BOOL',
        help='flip real images at random (default: as the run did)',
    )
    add(
        '--class',
        type=int,
        metavar='N',
        dest='class_index',
        help='generated and real images of this class alone, for networks trained with --cond;\n'
        'results are labelled with it',
    )
    add(
        '--num-gpus',
        type=int,
        default=1,
        metavar='N',
        help='number of devices (default: %(default)s)',
    )
    add(
        '--num-samples',
        type=int,
        metavar='N',
        help="images or pairs in place of each metric's own number; results are labelled with it",
    )
    add(
        '--seed',
        type=int,
        default=0,
        metavar='N',
        help='of all that is random; the same seed gives the same figures (default: %(default)s)',
    )
    add(
        '--feature-nets',
        type=cli.existing_dir,
        metavar='DIR',
        help='folder of the pretrained networks that metrics use, for machines without\n'
        'internet; code in these files runs (default: %s)' % feature_nets.FOLDER_VARIABLE,
    )
    add(
        '--trust-network-code',
        action='store_true',
        help='run code that is embedded in --network, if you trust its source',
    )
    add(
        '--require-native-ops',
        action='store_true',
        help='end with an error where compiled ops cannot be had',
    )
    return parser.parse_args(argv)


def find_networks(args: argparse.Namespace) -> Dict[str, Any]:
    """What to evaluate on what data: arguments of `run`, by flags and the run of the network."""
    run_dir = None
    if args.network is None:
        run_dir = runs.newest_run(args.result_dir)
        networks = [runs.last_snapshot(run_dir)]
    elif os.path.isdir(os.path.expanduser(args.network)):
        run_dir = os.path.expanduser(args.network)
        networks = runs.snapshots(run_dir)
    else:
        networks = [pretrained_networks.get_path_or_url(args.network)]
        if not util.is_url(networks[0]):
            networks = [os.path.expanduser(args.network)]
            run_dir = os.path.dirname(os.path.abspath(networks[0]))
    options = (runs.training_options(run_dir) if run_dir else None) or {}
    dataset_args = None
    if args.dataset is not None:
        dataset_args = dict(tfrecord_dir=args.dataset, shuffle_mb=0)
    elif options.get('dataset_args'):
        dataset_args = dict(options['dataset_args'], shuffle_mb=0)
    mirror_augment = args.mirror_augment
    if mirror_augment is None:
        mirror_augment = options.get('mirror_augment', False)
    return dict(
        networks=networks,
        dataset_args=dataset_args,
        mirror_augment=mirror_augment,
        data_dir=args.data_dir or options.get('data_dir') or 'datasets',
    )


def check_data(
    group: MetricGroup,
    work: Dict[str, Any],
    class_index: Optional[int],
    trust_network_code: bool,
) -> None:
    """Find out about missing networks, data and classes before any work starts."""
    for network in work['networks']:
        misc.open_file_or_url(network).close()
    need_reals = group.needing_reals()
    if work['dataset_args'] is not None:
        load_dataset(data_dir=work['data_dir'], **work['dataset_args']).close()
    elif need_reals:
        raise UserError(
            '%s needs real images, and no training run tells which; name the data '
            'set by --dataset' % need_reals[0]
        )
    if class_index is None:
        return
    with Evaluation(
        work['networks'][-1],
        data_dir=work['data_dir'],
        dataset_args=work['dataset_args'],
        class_index=class_index,
        trust_network_code=trust_network_code,
    ) as evaluation, evaluation.graph():
        evaluation.load_generator()
        if need_reals:
            evaluation.real_indices()


def run(
    networks: List[str],
    metric_kwargs: List[dict],
    data_dir: str,
    dataset_args: Optional[dict],
    mirror_augment: bool,
    num_gpus: int,
    seed: int,
    feature_nets_dir: Optional[str],
    trust_network_code: bool,
    class_index: Optional[int],
) -> None:
    """Evaluate networks one by one into the current run folder, and print a table."""
    group = MetricGroup(metric_kwargs)
    seen, rows = set(), []
    for network in networks:
        with misc.open_file_or_url(network) as file:
            digest = hashlib.sha256(file.read()).digest()
        if digest in seen:
            print('"%s" is the same as a network before.' % network)
            continue
        seen.add(digest)
        print(
            'Evaluating metrics "%s" for "%s"...'
            % (','.join(metric.name for metric in group.metrics), network)
        )
        group.run(
            network,
            run_dir=dnnlib.make_run_dir_path(),
            data_dir=data_dir,
            dataset_args=dataset_args or {},
            mirror_augment=mirror_augment,
            num_gpus=num_gpus,
            seed=seed,
            trust_network_code=trust_network_code,
            class_index=class_index,
            feature_nets_dir=feature_nets_dir,
        )
        rows.append((network, group.get_results(), group.image_shape))
    print()
    print('\n'.join(_table(rows) + _beside_paper(*rows[-1], dataset_args=dataset_args)))


def _table(rows):
    """Lines with the figures of all networks."""
    names = list(rows[0][1])
    label_width = max(len(_label(network)) for network, _, _ in rows)
    widths = [max(len(name), 10) for name in names]
    lines = [' ' * label_width + ''.join('  %*s' % pair for pair in zip(widths, names))]
    for network, results, _ in rows:
        lines.append(
            '%-*s' % (label_width, _label(network))
            + ''.join('  %*.4f' % (width, results[name]) for width, name in zip(widths, names))
        )
    return lines


def _label(network):
    return os.path.splitext(os.path.basename(network))[0]


def _beside_paper(network, results, image_shape, dataset_args):
    """Lines with the paper's figures for the configuration of the run, if it has any."""
    run_name = os.path.basename(os.path.dirname(os.path.abspath(network)))
    config = paper_tables.config_of_run(run_name)
    if config is None or not dataset_args or not image_shape:
        return []
    name = os.path.basename(dataset_args['tfrecord_dir'].rstrip('/'))
    lines = paper_tables.comparison(config, name, image_shape[-1], results)
    return [''] + lines if lines else []


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and evaluate."""
    args = parse_args(argv)
    for flag, value, low in [
        ('--num-gpus', args.num_gpus, 1),
        ('--seed', args.seed, 0),
        ('--num-samples', args.num_samples, 1),
    ]:
        if value is not None and not low <= value < 1 << 32:
            raise UserError('%s is %s; it must be at least %s' % (flag, value, low))
    if not args.metrics:
        raise UserError('--metrics names no metric; choose from %s' % ', '.join(metric_defaults))
    custom_ops.require_native_ops(args.require_native_ops)
    group = make_group(args.metrics, args.num_samples, args.class_index)
    work = find_networks(args)
    check_data(group, work, args.class_index, args.trust_network_code)
    group.ensure_feature_nets(args.feature_nets)

    submit_config = dnnlib.SubmitConfig()
    submit_config.num_gpus = args.num_gpus
    submit_config.run_dir_root = dnnlib.submission.submit.get_template_from_path(args.result_dir)
    submit_config.run_desc = 'run-metrics'
    dnnlib.submit_run(
        submit_config,
        'run_metrics.run',
        metric_kwargs=group.metric_kwarg_list,
        seed=args.seed,
        num_gpus=args.num_gpus,
        feature_nets_dir=args.feature_nets,
        trust_network_code=args.trust_network_code,
        class_index=args.class_index,
        **work,
    )


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
