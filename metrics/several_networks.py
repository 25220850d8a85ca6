"""Several networks evaluated one after the other: what run_metrics.py does."""

import contextlib
import os
from collections import OrderedDict
from typing import Any, Dict, List, Optional, Sequence

import dnnlib
from dnnlib.hints import next_command
from dnnlib.util import UserError
from metrics import paper_tables
from metrics.evaluation import Evaluation
from metrics.metric_base import MetricGroup, told
from training import misc
from training.data.opening import load_dataset


def check(group: MetricGroup, work: Dict[str, Any]) -> None:
    """Find out about missing data and classes before any work starts.

    Args:
        group: the metrics. work: arguments of `run`; of networks there may be none yet.
    """
    need_reals = group.needing_reals()
    if work['dataset_args'] is not None:
        dataset = load_dataset(data_dir=work['data_dir'], **work['dataset_args'])
        with contextlib.closing(dataset):
            _check_data(group, dataset.shape, dataset.num_images)
    elif need_reals:
        text = '%s needs real images, and no training run tells which; name a data set by --dataset'
        raise UserError(text % need_reals[0].name)
    if work['class_index'] is None or not work['networks']:
        return
    names = ('data_dir', 'dataset_args', 'class_index', 'trust_network_code')
    options = {name: work[name] for name in names}
    with Evaluation(work['networks'][-1], **options) as evaluation, evaluation.graph():
        evaluation.load_generator()
        if need_reals:
            _check_data(group, evaluation.dataset.shape, len(evaluation.real_indices()))


def _check_data(group, shape, num_reals):
    """Raise UserError if no metric at all can be had of so many real images [C, H, W]."""
    reasons: Dict[str, List[str]] = OrderedDict()
    for metric in group.needing_reals():
        try:
            metric.check_data(shape, num_reals)
        except UserError as error:
            reasons.setdefault(str(error), []).append(metric.name)
    if sum(map(len, reasons.values())) == len(group.metrics):
        raise UserError(told(reasons))


def run(
    networks: List[str],
    metric_kwargs: List[dict],
    dataset_args: Optional[dict],
    problems: Sequence[str] = (),
    **options: Any,
) -> None:
    """Evaluate networks into the current run folder, and print a table.

    Args:
        problems: why metrics were left out.
        options: other arguments of `MetricGroup.run`.

    Raises:
        UserError: what could not be had, after all that could be has been written and printed.
    """
    group, run_dir = MetricGroup(metric_kwargs), dnnlib.make_run_dir_path()
    seen, rows, problems = set(), [], list(problems)
    for number, network in enumerate(networks):
        group.rounds = len(networks) - number
        digest = misc.file_sha256(network)
        if digest in seen:
            print('"%s" is the same as a network before.' % network)
            continue
        seen.add(digest)
        names = ','.join(metric.name for metric in group.metrics)
        print('Evaluating metrics "%s" for "%s"...' % (names, network))
        try:
            group.run(network, run_dir, dataset_args=dataset_args or {}, **options)
        except UserError as error:
            problems.append(str(error))
        if group.get_results():
            rows.append((network, group.get_results(), group.image_shape))
    if rows:
        print()
        print('\n'.join(_table(rows) + _beside_paper(*rows[-1], dataset_args=dataset_args)))
        print()
        print(_next_command([network for network, _, _ in rows], list(rows[0][1])))
    if problems:
        raise UserError('; '.join(sorted(set(problems), key=problems.index)))


def _next_command(networks, results):
    """Line with what to do with the results: plot several of a run, else look at images."""
    run_dirs = {os.path.dirname(network) for network in networks}
    if len(networks) > 1 and len(run_dirs) == 1:
        name = next((result for result in results if result.endswith('_avg')), results[0])
        return next_command('run_generator.py', 'plot-metric', *run_dirs, '--metric=' + name)
    images = 'generate-images', '--seeds=0-9', '--network=' + networks[-1]
    return next_command('run_generator.py', *images)


def _table(rows):
    """Lines with the figures of all networks."""
    names = list(OrderedDict.fromkeys(name for _, results, _ in rows for name in results))
    label_width = max(len(_label(network)) for network, _, _ in rows)
    widths = [max(len(name), 10) for name in names]
    lines = [' ' * label_width + ''.join('  %*s' % pair for pair in zip(widths, names))]
    for network, results, _ in rows:
        figures = ['%.4f' % results[name] if name in results else '-' for name in names]
        cells = ['  %*s' % pair for pair in zip(widths, figures)]
        lines.append('%-*s' % (label_width, _label(network)) + ''.join(cells))
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
