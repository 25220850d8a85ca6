"""What runs left behind them: snapshots, curves of figures and metrics, grids of images."""

import glob
import os
import re
import shlex
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

import PIL.Image

from dnnlib import program, records
from dnnlib.files import temporary_folder
from dnnlib.util import UserError, open_regular, reading
from metrics import metric_plot, run_titles
from metrics.metric_plot import Point
from training import runs
from training.data.decoding import opened_image

_KIMG = 'Progress/kimg'


def drawn(save: Callable[[str], None]) -> PIL.Image.Image:
    """The picture that a function writes to the path that it is given."""
    with temporary_folder('stylegan2-viewer') as folder:
        path = os.path.join(folder, 'figure.png')
        save(path)
        return picture(path)


def picture(path: str) -> PIL.Image.Image:
    """The picture of a file; UserError if it is none."""
    with open_regular(path) as file, reading(path, 'a picture'), opened_image(file) as image:
        return image.convert('RGB')


class Grid(NamedTuple):
    """A picture of images during training."""

    kimg: float
    path: str


def run_dirs(result_dir: str) -> Dict[str, str]:
    """Folders of the runs with networks by their names, the newest first; {} for none."""
    try:
        found = runs.training_runs(result_dir)
    except UserError:
        return {}
    return {os.path.basename(path): path for path in reversed(found)}


def snapshots(run_dir: str) -> Dict[str, str]:
    """Paths of the networks of a run by the names of their files, the last one first."""
    return {os.path.basename(path): path for path in reversed(runs.snapshots(run_dir))}


def curves(run_dir: str) -> Dict[str, List[Point]]:
    """Figures of a run against thousands of images: those of metrics, and all of stats.jsonl.

    Raises:
        UserError: a file of the run is broken.
    """
    found = dict(metric_plot.read_points(run_dir))  # type: Dict[str, List[Point]]
    path = os.path.join(run_dir, 'stats.jsonl')
    if os.path.exists(path):
        for _, stats in records.read_lines(path, skip_unfinished=True):
            kimg = stats.get(_KIMG, 0.0)
            for name, value in stats.items():
                if name != _KIMG and records.is_figure(kimg) and records.is_figure(value):
                    found.setdefault(name, []).append(Point(kimg, value, {}))
    return found


def names_of_curves(dirs: Sequence[str]) -> List[str]:
    """Names of the figures that any of the runs has: metrics, losses, the others."""
    names = {name for path in dirs for name in curves(path)}
    names -= {'timestamp'}
    return sorted(names, key=lambda name: ('/' in name, not name.startswith('Loss/'), name))


def save_curves(path: str, dirs: Sequence[str], name: str) -> None:
    """Write a plot of a figure for several runs.

    Raises:
        UserError: none of them has it.
    """
    found = [(each, curves(each).get(name)) for each in dirs]
    titles = run_titles.titles([each for each, points in found if points])
    series = list(zip(titles, [points for _, points in found if points]))
    if not series:
        raise UserError('no run that is chosen has a record of %s' % name)
    metric_plot.save_metric_plot(path, series, name)


def curve_command(dirs: Sequence[str], name: str) -> str:
    """The command that plots a metric again; figures of stats.jsonl have none."""
    if any(name in metric_plot.read_points(path) for path in dirs):
        words = [program.how_to_run('run_generator.py'), 'plot-metric', *map(shlex.quote, dirs)]
        return ' '.join(words + ['--metric=' + name])
    return 'none: %s stands in stats.jsonl, which TensorBoard and trackers plot, too' % name


def grids(run_dir: str) -> List[Grid]:
    """Pictures fakes*.png of a run in the order of images seen."""
    found = []
    for path in glob.glob(os.path.join(glob.escape(run_dir), 'fakes*.png')):
        match = re.fullmatch(r'fakes(\d{1,12})\.png', os.path.basename(path))
        if match:
            found.append(Grid(float(match.group(1)), path))
    return sorted(found)


def grids_at(dirs: Sequence[str], kimg: float) -> List[Tuple[str, Grid]]:
    """(title of a run, its last grid up to that many thousand images, or its first) each."""
    found = []
    for title, path in zip(run_titles.titles(dirs), dirs):
        own = grids(path)
        if own:
            found.append((title, [grid for grid in own if grid.kimg <= kimg or grid == own[0]][-1]))
    return found
