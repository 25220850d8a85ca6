"""Plots of a metric against the images that training had seen, for several runs.

As Fig. 4 of "On Noise Injection in Generative Adversarial Networks", from the results that runs
recorded.
"""

import glob
import json
import math
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from dnnlib import records
from dnnlib.util import UserError
from metrics import metric_names, run_titles
from metrics.paper_tables import config_of_run
from metrics.recorded import kimg_of, read_records
from training.pictures import plotting

_KIMG = 'Progress/kimg'
_COMPARED = {  # entries of records, and what they are called
    'dataset': 'data sets',
    'num_samples': 'numbers of samples',
    'Gs_kwargs': 'options of the generator',
    'feature_networks': 'feature networks',
}


class Point(NamedTuple):
    """A recorded figure of a network."""

    kimg: float  # thousands of images that the network had seen
    value: float
    record: Dict[str, Any]  # as `protocol.record` makes it


Series = Tuple[str, List[Point]]  # title of a run, and its points


def read_points(run_dir: str) -> Dict[str, List[Point]]:
    """Recorded figures of the snapshots of a training run, by name such as fid50k or swd16k_avg.

    Training records them in the run's folder, run_metrics.py in folders beside it. Of several
    figures for one snapshot the last one counts.

    Args:
        run_dir: folder of a training run, also one of official StyleGAN2, or of a run of
            run_metrics.py.

    Returns: {name: points in the order of images seen}.
    """
    run_dir = os.path.abspath(os.path.expanduser(run_dir))
    found: Dict[str, Dict[float, Point]] = {}
    for record in _records(run_dir):
        kimg = kimg_of(record['network'], _trained_in(run_dir, record))
        for name, value in record['results'].items():
            if kimg is not None and value is not None and math.isfinite(value):
                found.setdefault(name, {})[kimg] = Point(kimg, value, record)
    return {name: [points[kimg] for kimg in sorted(points)] for name, points in found.items()}


def read_stats(run_dir: str) -> Dict[str, List[Point]]:
    """Figures of the ticks of a training run, by name such as Loss/D; {} without stats.jsonl.

    Raises:
        UserError: the file is broken.
    """
    found: Dict[str, List[Point]] = {}
    path = os.path.join(os.path.expanduser(run_dir), 'stats.jsonl')
    if not os.path.exists(path):
        return found
    for _, stats in records.read_lines(path, skip_unfinished=True):
        kimg = stats.get(_KIMG, 0.0)
        for name, value in stats.items():
            if (
                '/' in name
                and name != _KIMG
                and records.is_figure(kimg)
                and records.is_figure(value)
            ):
                found.setdefault(name, []).append(Point(kimg, value, {}))
    return found


def read_runs(run_dirs: Sequence[str], metric: str) -> Tuple[List[Series], List[str]]:
    """The points of one metric, or of a figure of stats.jsonl, for several runs.

    Returns: ([(title, points)], runs without a record of it).

    Raises:
        UserError: no run has a record of the metric.
    """
    series, without, recorded = [], [], set()  # type: Tuple[list, list, set]
    of_ticks = '/' in metric
    for run_dir in run_dirs:
        points = read_stats(run_dir) if of_ticks else read_points(run_dir)
        recorded.update(points)
        if metric in points:
            series.append((_trained_in(run_dir, points[metric][0].record), points[metric]))
        else:
            without.append(run_dir)
    if not series and of_ticks:
        text = 'no run has a record of %s; in stats.jsonl are: %s; choose another --metric'
        raise UserError(text % (metric, ', '.join(sorted(recorded)) or 'no figures at all'))
    if not series:
        raise UserError(
            'no run has a record of %s; recorded are: %s; evaluate it by '
            'run_metrics.py --network=RUN, or choose another --metric'
            % (metric, ', '.join(sorted(recorded)) or 'no metrics at all')
        )
    names = run_titles.titles([run_dir for run_dir, _ in series])
    return [(name, points) for name, (_, points) in zip(names, series)], without


def plot(folder: str, run_dirs: Sequence[str], metric: str, format: str, dpi: int) -> None:
    """Write metric.<format>, a metric against the images seen for several runs (Fig. 4).

    Args:
        metric: a recorded figure, or one of stats.jsonl, such as Loss/D.
    """
    series, without = read_runs(run_dirs, metric)
    if without:
        print('Without a record of %s: %s' % (metric, ', '.join(without)))
    warning = comparability_warning(series)
    if warning:
        print(warning)
    single = [title for title, points in series if len(points) == 1]
    if single and '/' not in metric:
        text = 'One point is no curve: %s. run_metrics.py --network=RUN evaluates all snapshots.'
        print(text % ', '.join(single))
    save_metric_plot(os.path.join(folder, 'metric.' + format), series, metric, dpi)


def comparability_warning(series: Sequence[Series]) -> Optional[str]:
    """What differs, beside the network, between the results in a plot, in one line."""
    found = [point.record for _, points in series for point in points]
    differing = []
    for key, text in _COMPARED.items():
        if len({json.dumps(record.get(key), sort_keys=True) for record in found}) > 1:
            differing.append(text)
    text = 'Warning: results of different %s are in one plot.' % ' and '.join(differing)
    return text if differing else None


def save_metric_plot(path: str, series: Sequence[Series], metric: str, dpi: int = 100) -> None:
    """Write a plot of each (title, points); the extension says the format: png, pdf or svg."""
    figure = plotting.new_figure(6.4, 4.0, dpi)
    axes = figure.add_subplot(1, 1, 1)
    for title, points in series:
        kimg, values, _ = zip(*points)
        label = plotting.literal(title + (' (one point)' if len(points) == 1 else ''))
        axes.plot(kimg, values, marker='o', markersize=4, linewidth=1.2, label=label)
    largest = max(point.kimg for _, points in series for point in points)
    margin = 0.03 * largest or 1
    axes.set_xlim(-margin, largest + margin)
    axes.set_xlabel('thousands of images seen in training')
    axes.set_ylabel(_axis_label(metric))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc='upper left', bbox_to_anchor=(1.02, 1), borderaxespad=0)
    plotting.save_figure(figure, path, bbox_inches='tight')


def _axis_label(metric):
    """What a result is, its unit, and which way is better."""
    figure = metric_names.figure_of(metric)
    if figure is None:
        return plotting.literal(metric)
    better = '; %s is better' % figure.better if figure.better else ''
    return '%s\n(%s%s)' % (figure.title, figure.scale, better)


def _trained_in(run_dir, record):
    """Folder of the training run that a record in some folder is about."""
    folder = os.path.dirname(record.get('network', ''))
    is_elsewhere = config_of_run(os.path.basename(os.path.abspath(run_dir))) is None
    return folder if folder and is_elsewhere else run_dir


def _records(run_dir):
    """Records with the path of their network, oldest first."""
    own = os.path.join(glob.escape(run_dir), 'metric-*.')
    found = [record for path in sorted(glob.glob(own + 'jsonl')) for record in read_records(path)]
    if not found:  # as official StyleGAN2 leaves it
        found = [record for path in sorted(glob.glob(own + 'txt')) for record in _read_txt(path)]
    parent, name = os.path.split(run_dir)
    for path in sorted(glob.glob(glob.escape(parent) + '/*-run-metrics/metric-*.jsonl')):
        # Paths may be relative to the folder in which run_metrics.py was started.
        named = [(os.path.dirname(record['network']), record) for record in read_records(path)]
        found += [record for folder, record in named if os.path.basename(folder) == name]
    return sorted(found, key=lambda record: record.get('time', ''))


def _read_txt(path):
    """Lines such as 'network-snapshot-000100  time 1m 02s  fid50k 12.3456'."""
    found = []
    with open(path, encoding='utf-8', errors='replace') as file:
        for number, line in enumerate(file, 1):
            network = line.split(' ', 1)[0]
            results = re.findall(r' (\w+) +(-?[\d.]+(?:e[+-]?\d+)?|nan|inf)(?= |$)', line.rstrip())
            try:
                figures = {name: float(value) for name, value in results if name != 'time'}
            except ValueError:
                raise records.broken_line(path, number, 'a figure is no number')
            found.append(dict(network=network + '.pkl', results=figures))
    return found
