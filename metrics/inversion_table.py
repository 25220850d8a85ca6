"""How well images can be projected: the figures of table 4 of "On Noise Injection in GANs"."""

import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

import dnnlib
from dnnlib import records
from dnnlib.util import UserError, atomic_write
from metrics import paper_tables, run_titles
from training import misc
from training.inversion import grid, results
from training.pictures import sheets

# The name of a figure in results, and the title of its column.
_COLUMNS = dict(mse='MSE', perceptual='perceptual', lpips='LPIPS', distance='|w-mean|^2')
_OF_NETWORK = ('network', 'network_sha256')  # settings that its name tells
_WARNING = (
    'Warning: compare with the paper only how the systems relate: it projects 20 faces and does '
    'not tell its units.'
)


def summarize(projections: Sequence[Any], hard_cases: Sequence[str]) -> Dict[str, Any]:
    """Figures of each image and their means.

    Args:
        projections: as `training.inversion.results.load_projection` gives them.
        hard_cases: names of images that also have a mean of their own.

    Returns: plain data: {'images': {name: figures}, 'overall': means, 'hard': means or None}.
    """
    images = {projection.name: projection.figures for projection in projections}
    hard = [images[name] for name in hard_cases if name in images]
    overall = _means(list(images.values()))
    return dict(images=images, overall=overall, hard=_means(hard) if hard else None)


def _means(figures):
    """Means of the figures that all have, and their number; t of each layer likewise."""
    means: Dict[str, Any] = dict(num_images=len(figures))
    for name in figures[0]:
        values = [each.get(name) for each in figures]
        if None not in values and len({np.shape(value) for value in values}) == 1:
            means[name] = np.mean(values, axis=0).tolist()
    return means


def labels(run_dirs: Sequence[str], settings: Sequence[Dict[str, Any]]) -> List[str]:
    """Titles of runs of projections that tell them apart.

    The configuration or file of the network, and what is searched beside latents; where that is the
    same, also the number of the run and what differs in their settings.
    """
    networks = sorted({each['network'] for each in settings})
    names = dict(zip(networks, run_titles.titles(networks)))
    found = []
    for each in settings:
        options = [('t', 'optimize_alpha'), ('noise', 'optimize_noise')]
        searched = ' and '.join(text for text, key in options if each[key])
        name = names[each['network']]
        found.append(name + ' with ' + searched if searched else name)
    relevant = [{k: v for k, v in each.items() if k not in _OF_NETWORK} for each in settings]
    return run_titles.tell_apart(found, list(map(os.path.abspath, run_dirs)), relevant)


def table(rows: Sequence[Tuple[str, Dict[str, Any]]]) -> List[str]:
    """Lines with the means of networks, (label, `summarize`) each, and the paper's table 4."""
    columns = [name for name in _COLUMNS if name in rows[0][1]['overall']]
    parts = ['overall'] + (['hard'] if any(summary['hard'] for _, summary in rows) else [])
    width = max([28] + [len(title) for title, _ in rows])
    block = '%8s' % 'images' + ''.join('%12s' % _COLUMNS[name] for name in columns)
    heads = ''.join('%*s' % (len(block), 'hard cases' if p == 'hard' else p) for p in parts)
    lines = [' ' * width + heads, ' ' * width + block * len(parts)]
    for title, summary in rows:
        lines.append(title.ljust(width) + ''.join(_cells(summary[p], columns) for p in parts))
    for config, (mse, perceptual, hard_mse, hard_perceptual) in paper_tables.INVERSION.items():
        overall = dict(num_images=20, mse=mse, perceptual=perceptual)
        hard = dict(mse=hard_mse, perceptual=hard_perceptual)
        cells = [_cells(values, columns) for values in [overall, hard][: len(parts)]]
        lines.append(('paper, ' + config).ljust(width) + ''.join(cells))
    return [line.rstrip() for line in lines] + [_WARNING]


def _cells(values, columns):
    values = values or {}
    return '%8s' % values.get('num_images', '') + ''.join(
        '%12s' % ('%.4g' % values[name] if name in values else '') for name in columns
    )


def report(projections: Sequence[Any], hard_cases: Sequence[str]) -> None:
    """Write summary.json of a run into its folder, and print its table."""
    summary, settings = summarize(projections, hard_cases), projections[0].settings
    about = dict(settings=settings, hard_cases=hard_cases, version=dnnlib.full_version())
    with atomic_write(dnnlib.make_run_dir_path('summary.json'), 'w') as file:
        file.write(records.to_json(dict(summary, **about), 'summary.json', indent=4))
    (title,) = labels([dnnlib.make_run_dir_path()], [settings])
    print('\n'.join([''] + table([(title, summary)])))


def check_runs(run_dirs: Sequence[str], dpi: int = 100) -> None:
    """Raise UserError unless `compare` can be done."""
    pictures = [run[2] for run in _read_runs(run_dirs)]
    sheets.check_size(pictures[0][0].shape[-1], len(pictures) + 1, len(pictures[0]), dpi=dpi)


def _read_runs(run_dirs):
    """For each run (folder, projections of the images that all have, pictures, hard cases)."""
    found_by_run = [(folder, results.load_run(folder)) for folder in run_dirs]
    names = grid.common_names(found_by_run)
    runs = []
    for folder, found in found_by_run:
        found = [result for result in found if result.name in names]
        if len({result.target.shape for result in found}) > 1:
            raise UserError('the images in %r are not of one size' % folder)
        pictures = [results.load_picture(folder, each.name, each.target.shape) for each in found]
        runs.append((folder, found, pictures, results.hard_cases(folder)))
    return runs


def compare(run_dirs: Sequence[str], format: str = 'png', dpi: int = 100) -> None:
    """Write a picture with a column for each run into the current run folder, and print a table.

    Args:
        format: of the picture. dpi: its pixels an inch.
    """
    runs = _read_runs(run_dirs)
    titles = labels(run_dirs, [found[0].settings for _, found, _, _ in runs])
    origin = [result.target for result in runs[0][1]]  # the same of all runs
    blocks, rows = [sheets.Block('Origin', list(map(_pixels, origin)))], []
    for title, (folder, found, pictures, hard_cases) in zip(titles, runs):
        row = '%s (%s)' % (title, os.path.basename(os.path.abspath(folder)))
        rows.append((row, summarize(found, hard_cases)))
        blocks.append(sheets.Block(title, list(map(_pixels, pictures))))
    path = dnnlib.make_run_dir_path('grid.' + format)
    names = [result.name for result in runs[0][1]]
    sheets.save_sheet(path, blocks, 1, row_labels=names, dpi=dpi)
    print('Wrote "%s".' % path)
    print('\n'.join([''] + table(rows)))


def _pixels(image):
    """uint8 of an image in [-1, 1]."""
    pixels = misc.adjust_dynamic_range(image, [-1, 1], [0, 255])
    return np.rint(pixels).clip(0, 255).astype(np.uint8)
