#!/usr/bin/env python3
"""How much a run gains by the weights of another one, on the demo: figures and a picture.

Networks that have learned 16x16 images, or additive noise, or colours, begin with 32x32, with fuzzy
reparameterization, with gray; each is compared with the same training from nothing. What was
finished is not done again: to begin anew, delete the folder of --work-dir.
"""

import glob
import json
import os
import subprocess
import sys
from typing import List, NamedTuple, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, flags  # first, see dnnlib/startup.py

# isort: split

import numpy as np
from PIL import Image

from dnnlib.flags import flag
from dnnlib.util import UserError, atomic_write
from metrics.metric_defaults import metric_kwargs
from training.data import demo

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PICTURE = os.path.join('docs', 'transfer.png')
COLOURS, SMALL, GRAY = demo.NAME, 'demo-16', 'demo-gray'
_METRIC = metric_kwargs(['swd16k'], num_samples=512)
_CELL, _IMAGES, _GAP = 48, 6, 12  # pixels of an image, images of a group, pixels between groups

_FLAGS = flags.group(
    'what to do',
    flag('--seeds', cli.parse_int_list, 'of the runs that are compared', [0, 1, 2]),
    flag('--source-kimg', cli.number(int, 1, 10**6), 'length of the runs that give weights', 20),
    flag('--kimg', cli.number(int, 1, 10**6), 'length of those that take them', 5),
    flag('--work-dir', 'DIR', 'folder of runs (default: results/transfer)'),
    flag('--output', 'FILE', 'the picture to write (default: %s)' % PICTURE),
)


class Pair(NamedTuple):
    """A training, and the source of its weights."""

    title: str
    config: str
    dataset: str
    source: str  # data set that the source, config-e, was trained on


PAIRS = [
    Pair('16x16 to 32x32', 'config-e', COLOURS, SMALL),
    Pair('RGB to gray', 'config-e', GRAY, COLOURS),
    Pair('additive noise to `fr-noise`', 'config-e-fr-noise', COLOURS, COLOURS),
    Pair('additive noise to `fr`', 'config-e-fr', COLOURS, COLOURS),
]


class Work:
    """The folder of all runs."""

    def __init__(self, folder: str):
        self.folder = os.path.abspath(folder)
        self.data = os.path.join(self.folder, 'datasets')

    def call(self, *argv: str) -> str:
        """What a program prints; its errors go to the terminal."""
        done = subprocess.run([sys.executable, *argv], cwd=ROOT, stdout=subprocess.PIPE)
        if done.returncode:
            text = '%s ended with exit status %d; start this again to go on from there'
            raise UserError(text % (argv[0], done.returncode))
        return done.stdout.decode('utf-8')

    def make_data(self) -> None:
        """The demo's images as they are, of half the size, and gray."""
        demo.ensure_demo_dataset(self.data)
        images = os.path.join(self.folder, 'images')
        colours = os.path.join(self.data, COLOURS)
        for name, change in [(SMALL, '--resize=16'), (GRAY, '--convert=gray')]:
            if not glob.glob(os.path.join(self.data, name, '*.tfrecords')):
                self.call('dataset_tool.py', 'extract', colours, images)
                self.call('dataset_tool.py', 'create_from_images', '--force', change,
                          os.path.join(self.data, name), images)  # fmt: skip

    def options(self, config: str) -> str:
        """A file with the demo's options of a configuration, and the metric."""
        path = os.path.join(self.folder, config + '.json')
        if not os.path.exists(path):
            text = self.call('run_training.py', '--config=' + config, '--dry-run', '--metrics=none')
            with atomic_write(path) as file:
                options = dict(json.loads(text), metric_arg_list=_METRIC)
                file.write(json.dumps(options).encode('utf-8'))
        return path

    def train(self, name: str, config: str, dataset: str, kimg: int, *more: str) -> str:
        """Folder of a finished run, which is trained if there is none."""
        pattern = os.path.join(glob.escape(self.folder), name, '[0-9]*', '_finished.txt')
        if not glob.glob(pattern):
            print('%s ...' % name, flush=True)
            self.call('run_training.py', '--config-file=' + self.options(config),
                      '--dataset=' + dataset, '--data-dir=' + self.data, '--snapshot-ticks=1000',
                      '--total-kimg=%d' % kimg, '--result-dir=' + os.path.join(self.folder, name),
                      *more)  # fmt: skip
        return os.path.dirname(max(glob.glob(pattern)))

    def pair(self, pair: Pair, seed: int, args) -> List[str]:
        """Folders of the run with the weights of the source, and of that from nothing."""
        source = self.train('source-' + pair.source, 'config-e', pair.source, args.source_kimg)
        name = '%s-on-%s-%d' % (pair.config, pair.dataset, seed)
        run = [pair.config, pair.dataset, args.kimg, '--seed=%d' % seed]
        start = '--init-from=' + os.path.join(source, 'network-final.pkl')
        with_weights = self.train('%s-from-%s' % (name, pair.source), *run, start)
        return [with_weights, self.train(name, *run)]


def distances(run_dir: str) -> List[float]:
    """Sliced Wasserstein distance x 1000 at the first and the last snapshot of a run."""
    with open(os.path.join(run_dir, 'stats.jsonl')) as file:
        stats = [json.loads(line) for line in file]
    found = [x for line in stats for key, x in line.items() if key.endswith('swd16k_n512_avg')]
    return [found[0], found[-1]]


def table_of(run_dir: str) -> List[str]:
    """What the log says was taken."""
    with open(os.path.join(run_dir, 'log.txt'), encoding='utf-8') as file:
        lines = file.read().split('\n')
    begin = next(i for i, line in enumerate(lines) if line.startswith('Starting from'))
    end = next(i for i, line in enumerate(lines) if line.startswith('Taken:'))
    return lines[begin : end + 1]


def first_images(path: str) -> np.ndarray:
    """The first images of a grid of 32x32 images, which training saved enlarged, in two rows."""
    grid = Image.open(path).convert('RGB')
    side = grid.width // 15  # columns of the demo's grid
    part = grid.crop((0, 0, side * _IMAGES, side * 2))
    return np.asarray(part.resize((_CELL * _IMAGES, _CELL * 2), Image.BOX))


def picture(rows: List[List[str]]) -> np.ndarray:
    """Groups of images of these files beside and below each other."""
    lines = []
    for row in rows:
        groups = []
        for path in row:
            group = first_images(path)
            groups += [np.full([len(group), _GAP, 3], 255, np.uint8)] * bool(groups) + [group]
        line = np.concatenate(groups, axis=1)
        gap = [np.full([_GAP, line.shape[1], 3], 255, np.uint8)] * bool(lines)
        lines += gap + [line]
    return np.concatenate(lines)


def _report(title, runs):
    """A line of the table of figures."""
    figures = np.array([[distances(each) for each in pair] for pair in runs])  # [seed, run, time]
    cells = [
        '%.1f (%s)'
        % (figures[:, run, time].mean(), ', '.join('%.1f' % x for x in figures[:, run, time]))
        for time in (0, 1)
        for run in (0, 1)
    ]
    return '| %s | %s |' % (title, ' | '.join(cells))


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, train what is missing, and report."""
    description, examples = __doc__.split('\n')[0], [('All of it:', '')]
    args = flags.parse('bench/transfer.py', description, _FLAGS, argv, examples)
    work = Work(args.work_dir or os.path.join(ROOT, 'results', 'transfer'))
    cli.check_writable_dir(work.folder)
    work.make_data()
    runs = {pair.title: [] for pair in PAIRS}
    for seed in args.seeds:
        for pair in PAIRS:
            runs[pair.title].append(work.pair(pair, seed, args))
            print(_report(pair.title, runs[pair.title]), flush=True)
    rows = []
    print(
        '\n| | first tick, with weights | from nothing | at the end, with weights | from nothing |'
    )
    print('| --- | --- | --- | --- | --- |')
    for title, pairs in runs.items():
        print(_report(title, pairs))
        taken, nothing = pairs[0]
        last = 'fakes%06d.png' % args.kimg
        rows.append([os.path.join(taken, 'fakes_init.png'), os.path.join(taken, last),
                     os.path.join(nothing, last)])  # fmt: skip
    for title, pairs in runs.items():
        print('\n%s:\n%s' % (title, '\n'.join(table_of(pairs[0][0]))))
    with atomic_write(args.output or os.path.join(ROOT, PICTURE)) as file:
        Image.fromarray(picture(rows)).save(file, 'PNG', optimize=True)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
