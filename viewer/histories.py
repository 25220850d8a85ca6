"""What runs left behind them: snapshots, curves of figures and metrics, grids of images."""

import glob
import os
import re
import shlex
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

import PIL.Image

from dnnlib import program
from dnnlib.files import temporary_folder
from dnnlib.util import UserError, open_regular, reading
from metrics import metric_plot, run_titles
from training import runs
from training.data.decoding import opened_image


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


def names_of_curves(dirs: Sequence[str]) -> List[str]:
    """Names of the figures that any of the runs has: metrics, losses, the others.

    Raises:
        UserError: a file of a run is broken.
    """
    both = (metric_plot.read_points, metric_plot.read_stats)
    names = {name for path in dirs for read in both for name in read(path)}
    return sorted(names, key=lambda name: ('/' in name, not name.startswith('Loss/'), name))


def save_curves(path: str, dirs: Sequence[str], name: str) -> None:
    """Write a plot of a figure for several runs.

    Raises:
        UserError: none of them has it.
    """
    metric_plot.save_metric_plot(path, metric_plot.read_runs(dirs, name)[0], name)


def curve_command(dirs: Sequence[str], name: str) -> str:
    """The command that plots a figure again."""
    words = [program.how_to_run('run_generator.py'), 'plot-metric', *map(shlex.quote, dirs)]
    return ' '.join(words + ['--metric=' + shlex.quote(name)])


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
