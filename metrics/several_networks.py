"""Several networks evaluated one after the other: what run_metrics.py does."""

import contextlib
import os
from collections import OrderedDict
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

import dnnlib
from dnnlib import records
from dnnlib.hints import next_command
from dnnlib.peers import WorkerLost
from dnnlib.util import TEXT, UserError
from metrics import paper_tables
from metrics.evaluation import Evaluation
from metrics.metric_base import MetricGroup, told
from metrics.metric_names import REALS, parse
from training import misc
from training.data.opening import load_dataset


def check(group: MetricGroup, work: Dict[str, Any]) -> None:
    """Find out about missing data and classes before any work starts.

    Args:
        group: the metrics. work: arguments of `run`; of networks there may be none yet.
    """
    of_reals = REALS in work['networks']
    need_reals = group.metrics if of_reals else group.needing_reals()
    if work['dataset_args'] is not None:
        dataset = load_dataset(data_dir=work['data_dir'], **work['dataset_args'])
        with contextlib.closing(dataset):
            _check_data(group, dataset.shape, dataset.num_images // (1 + of_reals))
    elif need_reals:
        text = '%s needs real images, and no training run tells which; name a data set by --dataset'
        raise UserError(text % need_reals[0].name)
    if work['class_index'] is None or not work['networks']:
        return
    names = ('data_dir', 'dataset_args', 'class_index', 'trust_network_code')
    options = {name: work[name] for name in names}
    with Evaluation(work['networks'][-1], **options) as evaluation, evaluation.graph():
        if not of_reals:
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
    seed: int = 0,
    repeats: int = 1,
    **options: Any,
) -> None:
    """Evaluate networks into the current run folder, and print a table.

    Args:
        networks: files, URLs, or REALS alone.
        problems: why metrics were left out.
        repeats: how often each is evaluated, with the seeds from `seed` on. What they have in
            common goes to repeats.jsonl, see `_summary`.
        options: other arguments of `MetricGroup.run`.

    Raises:
        UserError: what could not be had, after all that could be has been written and printed.
    """
    group, run_dir = MetricGroup(metric_kwargs), dnnlib.make_run_dir_path()
    seen, rows, problems = set(), [], list(problems)
    for number, network in enumerate(networks):
        digest = _digest(network)
        if digest in seen:
            print('"%s" is the same as a network before.' % network)
            continue
        seen.add(digest)
        names = ','.join(metric.name for metric in group.metrics)
        print('Evaluating metrics "%s" for "%s"...' % (names, network))
        found = []
        for repeat in range(repeats):
            group.rounds = (len(networks) - number) * repeats - repeat
            common = dict(options, dataset_args=dataset_args or {}, seed=seed + repeat)
            try:
                group.run(network, run_dir, **common)
            except WorkerLost:
                raise
            except UserError as error:
                problems.append(str(error))
            found.append(group.get_results())
        if any(found):
            rows.append((network, found, group.image_shape))
            if repeats > 1:
                _append_summary(run_dir, network, seed, found)
    if rows:
        print()
        if repeats > 1:
            print('Mean ± standard deviation of the seeds %d to %d:' % (seed, seed + repeats - 1))
        print('\n'.join(_table(rows) + _beside_paper(*rows[-1], dataset_args=dataset_args)))
        print()
        print(_next_command([network for network, _, _ in rows], list(figures_of(rows[0][1]))))
    if problems:
        raise UserError('; '.join(sorted(set(problems), key=problems.index)))


def _digest(network):
    return network if network == REALS else misc.file_sha256(network)


class Spread(NamedTuple):
    """A figure over several evaluations."""

    mean: float
    std: float  # with n - 1; nan for a single one
    values: List[float]


def figures_of(found: Sequence[Dict[str, float]]) -> Dict[str, Spread]:
    """What evaluations have in common, by the names of their results."""
    names = list(OrderedDict.fromkeys(name for results in found for name in results))
    spreads = OrderedDict()
    for name in names:
        values = [results[name] for results in found if name in results]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')
        spreads[name] = Spread(float(np.mean(values)), std, values)
    return spreads


def _append_summary(run_dir, network, seed, found):
    """Add what evaluations of a network have in common to repeats.jsonl."""
    facts = dict(network=network, seeds=list(range(seed, seed + len(found))))
    facts['results'] = {name: spread._asdict() for name, spread in figures_of(found).items()}
    path = os.path.join(run_dir, 'repeats.jsonl')
    with open(path, 'a', **TEXT) as file:
        file.write(records.to_json(facts, path) + '\n')


def _next_command(networks, results):
    """Line with what to do with the results: plot several of a run, else look at images."""
    if networks == [REALS]:
        metrics = sorted({parse(result).metric for result in results})
        return next_command('run_metrics.py', '--metrics=' + ','.join(metrics))
    run_dirs = {os.path.dirname(network) for network in networks}
    if len(networks) > 1 and len(run_dirs) == 1:
        name = next((result for result in results if result.endswith('_avg')), results[0])
        return next_command('run_generator.py', 'plot-metric', *run_dirs, '--metric=' + name)
    images = 'generate-images', '--seeds=0-9', '--network=' + networks[-1]
    return next_command('run_generator.py', *images)


def _table(rows):
    """Lines with the figures of all networks."""
    spreads = [(_label(network), figures_of(found)) for network, found, _ in rows]
    names = list(OrderedDict.fromkeys(name for _, figures in spreads for name in figures))
    label_width = max(len(label) for label, _ in spreads)
    cells = [[_cell(figures.get(name)) for name in names] for _, figures in spreads]
    widths = [max(10, *map(len, column)) for column in zip(names, *cells)]
    lines = [' ' * label_width + ''.join('  %*s' % pair for pair in zip(widths, names))]
    for (label, _), texts in zip(spreads, cells):
        lines.append(
            '%-*s' % (label_width, label) + ''.join('  %*s' % p for p in zip(widths, texts))
        )
    return lines


def _cell(spread):
    if spread is None:
        return '-'
    return '%.4f' % spread.mean + (' ± %.4f' % spread.std if len(spread.values) > 1 else '')


def _label(network):
    return os.path.splitext(os.path.basename(network))[0]


def _beside_paper(network, found, image_shape, dataset_args):
    """Lines with the paper's figures for the configuration of the run, if it has any."""
    run_name = os.path.basename(os.path.dirname(os.path.abspath(network)))
    config = paper_tables.config_of_run(run_name)
    if config is None or not dataset_args or not image_shape:
        return []
    name = os.path.basename(dataset_args['tfrecord_dir'].rstrip('/'))
    results = {name: spread.mean for name, spread in figures_of(found).items()}
    lines = paper_tables.comparison(config, name, image_shape[-1], results)
    return [''] + lines if lines else []
