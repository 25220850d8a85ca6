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
import tempfile
from typing import Dict, List, NamedTuple, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, flags  # first, see dnnlib/startup.py

# isort: split

import numpy as np
from PIL import Image

from dnnlib.flags import flag
from dnnlib.util import UserError, atomic_write
from training.data import demo

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PICTURE = os.path.join('docs', 'transfer.png')
COLOURS, SMALL, GRAY = demo.NAME, 'demo-16', 'demo-gray'
_SOURCE_KIMG = 20  # length of the runs that give weights
# Half of the demo's widths, and no path length regularization: a third of the time.
_CHEAP = ['--fmap-base=128', '--fmap-max=32']
_CHEAP.append('--set=G_loss_args={"func_name": "training.loss.G_logistic_ns"}')
_CELL, _IMAGES, _GAP = 48, 6, 12  # pixels of an image, images of a group, pixels between groups

_FLAGS = flags.group(
    'what to do',
    flag('--seeds', cli.parse_int_list, 'of the runs that are compared', [0, 1, 2]),
    flag('--kimg', cli.number(int, 1, 10**6), 'length of these runs', 5),
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
        """A file with the demo's options of a configuration."""
        path = os.path.join(self.folder, config + '.json')
        if not os.path.exists(path):
            text = self.call(
                'run_training.py', '--config=' + config, '--dry-run', '--metrics=none', *_CHEAP
            )
            with atomic_write(path) as file:
                file.write(text.encode('utf-8'))
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

    def pair(self, pair: Pair, seed: int, kimg: int) -> List[str]:
        """Folders of the run with the weights of the source, and of that from nothing."""
        source = self.train('source-' + pair.source, 'config-e', pair.source, _SOURCE_KIMG)
        name = '%s-on-%s-%d' % (pair.config, pair.dataset, seed)
        run = pair.config, pair.dataset, kimg, '--seed=%d' % seed
        start = '--init-from=' + os.path.join(source, 'network-final.pkl')
        with_weights = self.train('%s-from-%s' % (name, pair.source), *run, start)
        return [with_weights, self.train(name, *run)]

    def distances(self, run_dirs: List[str], dataset: str) -> Dict[str, float]:
        """Sliced Wasserstein distance x 1000 of the last networks of runs, by their folders."""
        path = os.path.join(self.folder, 'distances.json')
        found = {}
        if os.path.exists(path):
            with open(path) as file:
                found = json.load(file)
        todo = [run_dir for run_dir in run_dirs if run_dir not in found]
        if todo:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                for index, run_dir in enumerate(todo):  # as if they were snapshots of one run
                    link = os.path.join(folder, 'network-snapshot-%06d.pkl' % index)
                    os.symlink(os.path.join(run_dir, 'network-final.pkl'), link)
                print('distances of %d networks ...' % len(todo), flush=True)
                self.call('run_metrics.py', '--network=' + folder, '--metrics=swd16k',
                          '--num-samples=512', '--dataset=' + dataset, '--data-dir=' + self.data,
                          '--mirror-augment=yes', '--result-dir=' + folder)  # fmt: skip
                (lines,) = glob.glob(os.path.join(folder, '*', 'metric-*.jsonl'))
                with open(lines) as file:
                    results = [json.loads(line)['results']['swd16k_n512_avg'] for line in file]
            found.update(zip(todo, results))
            with atomic_write(path) as file:
                file.write(json.dumps(found).encode('utf-8'))
        return found


def table_of(run_dir: str) -> List[str]:
    """What the log says was taken."""
    with open(os.path.join(run_dir, 'log.txt'), encoding='utf-8') as file:
        lines = file.read().split('\n')
    begin = next(i for i, line in enumerate(lines) if line.startswith('Constructing networks'))
    end = next(i for i, line in enumerate(lines) if line.startswith('Taken:'))
    return lines[begin + 1 : end + 1]


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


def report(title: str, pairs: List[List[float]]) -> str:
    """A line of the table of figures: with the weights, from nothing; by seeds and on average."""
    cells = [
        '%.1f (%s)' % (sum(column) / len(column), ', '.join('%.1f' % x for x in column))
        for column in zip(*pairs)
    ]
    return '| %s | %s |' % (title, ' | '.join(cells))


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, train what is missing, and report."""
    description, examples = __doc__.split('\n')[0], [('All of it:', '')]
    args = flags.parse('bench/transfer.py', description, _FLAGS, argv, examples)
    work = Work(args.work_dir or os.path.join(ROOT, 'results', 'transfer'))
    cli.check_writable_dir(work.folder)
    work.make_data()
    runs: Dict[str, List[List[str]]] = {pair.title: [] for pair in PAIRS}
    figures: Dict[str, List[List[float]]] = {pair.title: [] for pair in PAIRS}
    for seed in args.seeds:
        for pair in PAIRS:
            runs[pair.title].append(work.pair(pair, seed, args.kimg))
        for dataset in sorted({pair.dataset for pair in PAIRS}):
            pairs = [pair for pair in PAIRS if pair.dataset == dataset]
            run_dirs = [run for pair in pairs for run in runs[pair.title][-1]]
            found = work.distances(run_dirs, dataset)
            for pair in pairs:
                figures[pair.title].append([found[run] for run in runs[pair.title][-1]])
        print('\n| swd16k_n512_avg, seeds %s | with weights | from nothing |' % args.seeds)
        print('| --- | --- | --- |')
        for title, pairs in figures.items():
            print(report(title, pairs), flush=True)
    last = 'fakes%06d.png' % args.kimg
    rows = []
    for pairs in runs.values():
        taken, nothing = pairs[0]
        names = [(taken, 'fakes_init.png'), (taken, last), (nothing, last)]
        rows.append([os.path.join(*name) for name in names])
    for title, pairs in runs.items():
        print('\n%s:\n%s' % (title, '\n'.join(table_of(pairs[0][0]))))
    with atomic_write(args.output or os.path.join(ROOT, PICTURE)) as file:
        Image.fromarray(picture(rows)).quantize().save(file, 'PNG', optimize=True)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
