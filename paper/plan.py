"""What has to be done for tables and figures: runs of this project's programs, in their order."""

import os
import re
import zlib
from collections import OrderedDict
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from dnnlib.names import plain_name
from paper import contents, metrics_at_hand
from paper.contents import Part
from paper.scales import Scale
from training import runs
from training.data import demo

_SEED = 0  # of metrics and projections: the same samples for all networks
_GRID_SEEDS = '0-15'
_NOISE_SEEDS = '0-3'
_FORMATS = ('png', 'pdf')


class Task(NamedTuple):
    """One run of a program, in a result folder of the task's name.

    Attributes:
        words: program and flags; '{TASK}' stands for the folder of a finished task's run,
            '{TASK@60}' for its snapshot that is nearest to 60 thousand images.
        needs: names of the tasks whose runs it reads. hours, megabytes: an estimate.
        part: the run, or the figure; tasks of one part are done by one shard, if possible.
    """

    name: str
    kind: str  # 'train', 'metric', 'project', 'draw'
    words: Tuple[str, ...]
    needs: Tuple[str, ...]
    part: str
    hours: float
    megabytes: float


class Choice(NamedTuple):
    """What is to be reproduced, and with what.

    Attributes:
        scale: see `scales`. tables, figures: their names. seeds: of training.
        systems: names of configurations; None: the paper's. dataset: of --dataset.
        kimg: length of training. pictures: folder of images to project. hard_cases: file that
            names some of them.
    """

    scale: Scale
    tables: Sequence[str]
    figures: Sequence[str]
    seeds: Sequence[int]
    systems: Optional[List[str]]
    dataset: Optional[str]
    kimg: int
    num_gpus: int
    data_dir: str
    pictures: str
    hard_cases: str

    def parts(self) -> List[Tuple[str, str, Part]]:
        """('table' or 'figure', number, part) of all that the scale has data for."""
        return [
            (kind, number, part)
            for kind, numbers, table in [
                ('table', self.tables, contents.TABLES),
                ('figure', self.figures, contents.FIGURES),
            ]
            for number in numbers
            for part in table[number]
            if part.data in self.scale.data and contents.systems_of(part, self.systems)
        ]

    def run_name(self, data: str, system: str, seed: int) -> str:
        """Name of a system that is trained on one of the paper's data sets."""
        dataset = os.path.basename(self.data_set(data, contents.family(system)).rstrip('/'))
        return '%s-%s-seed%d' % (plain_name(dataset), system, seed)

    def metric_name(self, data: str, system: str, seed: int, metric: str, at: float) -> str:
        """Name of the task that evaluates a system at some part of training, 1 for its end."""
        when = '' if at == 1 else '-%dkimg' % (at * self.kimg)
        return 'metric-%s-%s%s' % (self.run_name(data, system, seed), metric, when)

    def data_set(self, data: str, family: str) -> str:
        """The data set that stands for one of the paper's, which the scale has."""
        return self.scale.data[data][family] or str(self.dataset)


class Planner:
    """Makes the tasks of a choice, each of them once.

    Args:
        is_at_hand: says whether a metric can be had here without a download.
    """

    def __init__(self, choice: Choice, is_at_hand: Callable[[str], bool]):
        self._choice = choice
        self._scale = choice.scale
        self._is_at_hand = is_at_hand
        self._tasks: Dict[str, Task] = OrderedDict()

    def tasks(self) -> List[Task]:
        """All tasks, each after those that it needs."""
        makers = {
            ('figure', '1'): self._noise,
            ('figure', '3'): self._grid,
            ('figure', '4'): self._curves,
            ('figure', '5'): self._grid,
            ('figure', '9'): self._projected,
        }
        for kind, number, part in self._choice.parts():
            systems = contents.systems_of(part, self._choice.systems)
            if (kind, number) == ('table', '4'):
                for system in systems:
                    for seed in (
                        self._choice.seeds if contents.family(system) != contents.DCGAN else []
                    ):
                        self._projections(part.data, system, seed)
            elif (kind, number) != ('figure', '4'):
                self._metrics(part, systems)
            if (kind, number) in makers:
                makers[kind, number](number, part, systems)
        order = ['train', 'metric', 'project', 'draw']
        return sorted(self._tasks.values(), key=lambda task: order.index(task.kind))

    def _add(self, name, kind, words, needs, part, seconds, megabytes):
        if name not in self._tasks:
            hours = (self._scale.costs.start + seconds) / 3600
            task = Task(name, kind, tuple(words), tuple(needs), part, hours, megabytes)
            self._tasks[name] = task
        return name

    def _train(self, data, system, seed):
        choice, scale, costs = self._choice, self._scale, self._scale.costs
        run = choice.run_name(data, system, seed)
        family = contents.family(system)
        dataset = choice.data_set(data, family)
        ticks = max(int(choice.kimg / scale.tick_kimg / scale.snapshots), 1)
        words = ['run_training.py', '--config=' + system, '--seed=%d' % seed]
        words += ['--total-kimg=%d' % choice.kimg, '--snapshot-ticks=%d' % ticks]
        num_gpus = choice.num_gpus if family == contents.STYLEGAN else 1
        words += ['--metrics=none', '--num-gpus=%d' % num_gpus, '--resume=auto']
        words += ['--data-dir=' + choice.data_dir] + scale.training[family]
        words += ['--mirror-augment=true'] if data in scale.mirrored else []
        words += [] if dataset == demo.NAME else ['--dataset=%s' % dataset]
        seconds = choice.kimg * 1000 / (costs.images[family] * num_gpus)
        # Two states and the last network come on top of the snapshots.
        megabytes = costs.network[family] * (scale.snapshots + 4)
        return self._add('train-' + run, 'train', words, [], run, seconds, megabytes)

    def _metrics(self, part, systems):
        """Evaluate the final networks of all seeds."""
        for system in systems:
            family = contents.family(system)
            for column in part.columns:
                metric = self._metric(column, family)
                for seed in self._choice.seeds if metric else []:
                    self._metric_task(part.data, system, seed, metric, column.at)

    def _metric(self, column, family):
        """The name of the first way to measure a column that is at hand; None: there is none."""
        for choice in column.choices:
            if all(map(self._can, {metric for metric, _ in choice.values()})):
                return choice[family][0]
        return None

    def _can(self, metric):
        if self._scale.is_papers:
            return metric in metrics_at_hand.OF_PAPER
        return self._is_at_hand(metric)

    def _metric_task(self, data, system, seed, metric, at=1.0, is_curve=False):
        samples = self._scale.samples.get(metric)
        training = self._train(data, system, seed)
        run, costs = self._choice.run_name(data, system, seed), self._scale.costs
        network = '{%s}' if is_curve else '{%s}/network-final.pkl'
        if at < 1:
            network = '{%%s@%d}' % (at * self._choice.kimg)
        words = ['run_metrics.py', '--metrics=' + metric, '--network=' + network % training]
        words += ['--seed=%d' % _SEED, '--num-gpus=%d' % self._choice.num_gpus]
        words += ['--num-samples=%d' % samples] if samples else []
        number = samples or metrics_at_hand.number_of_samples(metric)
        cost = costs.pair if metric.startswith(('cond', 'ppl')) else costs.image
        seconds = number * cost * (self._scale.snapshots + 1 if is_curve else 1)
        name = self._choice.metric_name(data, system, seed, metric, at)
        name = 'curve-%s-%s' % (run, metric) if is_curve else name
        return self._add(name, 'metric', words, [training], run, seconds, 0.01)

    def _projections(self, data, system, seed):
        """Project the pictures, with a search for t and without; the names of the tasks."""
        training, scale = self._train(data, system, seed), self._scale
        run = self._choice.run_name(data, system, seed)
        words = ['run_projector.py', 'project-real-images', '--fit']
        words.append('--images=' + self._choice.pictures)
        words += ['--network={%s}/network-final.pkl' % training, '--seed=%d' % _SEED]
        words += ['--num-steps=%d' % scale.steps, '--num-snapshots=1']
        words.append('--hard-cases=' + self._choice.hard_cases)
        words += ['--vgg16=download'] if scale.is_papers else []
        seconds = scale.pictures * scale.steps * scale.costs.step
        names = []
        for suffix, more in [('', []), ('-trained-alpha', ['--optimize-alpha=false'])]:
            if suffix == '' or contents.has_alpha(system):
                name = 'project-%s%s' % (run, suffix)
                names.append(
                    self._add(name, 'project', words + more, [training], run, seconds, 1.0)
                )
        return names

    def _draw(self, figure, words, needs):
        """Draw in all formats; the names of the tasks tell what of."""
        sources = zlib.crc32(' '.join(needs).encode('utf-8'))
        for extension in _FORMATS:
            name = '%s-%08x-%s' % (figure, sources, extension)
            more = ['--format=' + extension]
            self._add(name, 'draw', words + more, needs, figure, self._scale.costs.start, 1.0)

    def _first_networks(self, part, systems):
        seed = self._choice.seeds[0]
        return [self._train(part.data, system, seed) for system in systems]

    def _noise(self, number, part, systems):
        """Figure 1: noise switched on layer by layer, and what it changes."""
        for system in systems:
            if contents.noise_form(system) == 'none':
                continue
            (training,) = self._first_networks(part, [system])
            words = ['--network={%s}/network-final.pkl' % training, '--seeds=' + _NOISE_SEEDS]
            words.append('--truncation-psi=1')
            draws = '--num-draws=%d' % self._scale.draws
            for command, more in [('noise-layers', []), ('noise-stddev', [draws])]:
                name = 'figure%s-%s-%s' % (number, command, _of(training))
                self._draw(name, ['run_generator.py', command] + words + more, [training])

    def _grid(self, number, part, systems):
        """Figures 3 and 5: the same seeds in all systems."""
        needs = self._first_networks(part, systems)
        networks = ','.join('{%s}/network-final.pkl' % name for name in needs)
        words = ['run_generator.py', 'sample-grid', '--networks=' + networks]
        words += ['--seeds=' + _GRID_SEEDS, '--truncation-psi=1']
        self._draw('figure%s-%s' % (number, part.data), words, needs)

    def _curves(self, number, part, systems):
        """Figure 4: a metric of all snapshots, of the first seed."""
        columns = [c for c in part.columns if self._metric(c, contents.STYLEGAN)]
        if not columns:
            return
        needs, seed = [], self._choice.seeds[0]
        for system in systems:
            metric = self._metric(columns[0], contents.family(system))
            needs.append(self._metric_task(part.data, system, seed, metric, is_curve=True))
        metric, suffix = next(
            choice[contents.STYLEGAN]
            for choice in columns[0].choices
            if choice[contents.STYLEGAN][0] == metric
        )
        label = metrics_at_hand.result_name(metric, self._scale.samples.get(metric)) + suffix
        words = ['run_generator.py', 'plot-metric'] + ['{%s}' % name for name in needs]
        self._draw('figure%s-%s' % (number, part.data), words + ['--metric=' + label], needs)

    def _projected(self, number, part, systems):
        """Figure 9: pictures beside their projections, of the first seed."""
        seed = self._choice.seeds[0]
        needs = [self._projections(part.data, system, seed)[0] for system in systems]
        words = ['run_projector.py', 'compare'] + ['{%s}' % name for name in needs]
        self._draw('figure%s-%s' % (number, part.data), words, needs)


def _of(training):
    return training[len('train-') :]


def placeholders(words: Sequence[str]) -> List[str]:
    """The tasks whose folders stand in words."""
    return [name for word in words for name in re.findall(r'\{([^{}@]+)[^{}]*\}', word)]


def fill_in(words: Sequence[str], folders: Dict[str, str]) -> List[str]:
    """Words with the folders of tasks by their names."""

    def put(match):
        name, _, kimg = match.group(1).partition('@')
        if name not in folders:
            return match.group()
        return _snapshot(folders[name], float(kimg)) if kimg else folders[name]

    return [re.sub(r'\{([^{}]+)\}', put, word) for word in words]


def _snapshot(run_dir, kimg):
    """The snapshot of a run that is nearest to some length."""

    def distance(path):
        return abs(int(re.findall(r'[0-9]+', os.path.basename(path))[-1]) - kimg)

    return min(
        (p for p in runs.snapshots(run_dir) if runs.is_snapshot(os.path.basename(p))), key=distance
    )


def totals(tasks: Sequence[Task]) -> Dict[str, Any]:
    """Number, hours and gigabytes of tasks by kind, with their sum as 'all'."""
    found = OrderedDict()  # type: Dict[str, Any]
    for kind in ['train', 'metric', 'project', 'draw', 'all']:
        some = [task for task in tasks if kind in (task.kind, 'all')]
        hours, size = sum(task.hours for task in some), sum(task.megabytes for task in some)
        found[kind] = len(some), hours, size / 1000
    return found
