#!/usr/bin/env python3
"""Make all pictures of README.md and docs/ again, from networks that it trains on the demo.

What was finished is not done again: to begin anew, delete the folder of --work-dir.
"""

import glob
import os
import subprocess
import sys
import time
from typing import Dict, List, NamedTuple, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, flags  # first, see dnnlib/startup.py

# isort: split

from PIL import Image

from dnnlib.flags import flag
from dnnlib.util import UserError, atomic_write, format_time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAX_BYTES = 5 << 20  # of all pictures in docs/ together

_FLAGS = flags.group(
    'where',
    flag('--output', 'DIR', 'folder of the pictures (default: docs, or --work-dir if --short)'),
    flag('--work-dir', 'DIR', 'folder of runs (default: results/pictures)'),
    flag('--short', bool, 'train and search next to nothing, to see whether all of it works'),
)


class Step(NamedTuple):
    """A run of a program, in a result folder of the same name."""

    name: str
    command: str  # {name} stands for the folder of an earlier step's run
    pictures: Dict[str, str]  # files of the run, and where they go below --output


def _training(config, name=None, more='', **pictures):
    command = 'run_training.py --config=%s --metrics=none --data-dir={data} {length} %s'
    return Step(name or config, command % (config, more), pictures)


def _strip(config):
    """Images of the same seeds by all snapshots of a run."""
    command = 'run_generator.py sample-grid --networks={%s/snapshots} --seeds=0-7 --columns=1'
    return Step(
        'strip-' + config,
        command % config + ' --truncation-psi=1',
        {'sample-grid.png': 'demo/%s.png' % config},
    )


def _figure(command, config, name):
    words = 'run_generator.py %s --network={%s} --truncation-psi=1' % (command, config)
    kind = command.split()[0]
    return Step(kind + name, words, {kind + '.png': 'figures/%s%s.png' % (kind, name)})


def _metrics(config):
    command = 'run_metrics.py --network={%s} --metrics=swd16k --num-samples=1024'
    return Step('metrics-' + config, command % config, {})


def _projection(config, name='', more=''):
    command = 'run_projector.py project-real-images --network={%s} --num-images=6 {search} %s'
    return Step('projection-%s%s' % (config, name), command % (config, more), {})


_GENERATED = 'run_projector.py project-generated-images --network={config-e-fr} --seeds=0-2'
_PHOTOS = '--images=training/data/demo_data/photos --fit'

STEPS = [
    _training('config-e-fr', **{'reals.png': 'demo_reals.png'}),
    _training('config-e', **{'fakes0*.png': 'demo/config-e-fakes.png'}),
    _training('dcgan-fr'),
    _strip('config-e'),
    _strip('config-e-fr'),
    _strip('dcgan-fr'),
    _figure('noise-layers --seeds=0-2', 'config-e-fr', '-fr'),
    _figure('noise-layers --seeds=0-2', 'config-e', '-additive'),
    _figure('noise-stddev --seeds=0,1 {draws}', 'config-e-fr', '-fr'),
    _figure('noise-stddev --seeds=0,1 {draws}', 'config-e', '-additive'),
    _figure('fr-maps --seeds=1', 'config-e-fr', ''),
    Step(
        'sample-grid',
        'run_generator.py sample-grid --networks={config-e},{config-e-fr},{dcgan-fr} --seeds=0-8 '
        '--truncation-psi=1',
        {'sample-grid.png': 'figures/sample-grid.png'},
    ),
    Step('generated', _GENERATED + ' {search}', {'*-strip.png': 'inversion_generated.png'}),
    _projection('config-e'),
    _projection('config-e-fr', '-trained', '--optimize-alpha=false'),
    _projection('config-e-fr'),
    Step(
        'compare',
        'run_projector.py compare {projection-config-e} {projection-config-e-fr-trained} '
        '{projection-config-e-fr}',
        {'grid.png': 'inversion_real.png'},
    ),
    _projection('config-e-fr', '-photos', _PHOTOS),
    Step(
        'compare-photos',
        'run_projector.py compare {projection-config-e-fr-photos}',
        {'grid.png': 'inversion_photos.png'},
    ),
    _metrics('config-e'),
    _metrics('config-e-fr'),
    _metrics('dcgan-fr'),
    Step(
        'plot-metric',
        'run_generator.py plot-metric {metrics-config-e} {metrics-config-e-fr} {metrics-dcgan-fr} '
        '--metric=swd16k_n1024_avg',
        {'metric.png': 'figures/metric.png'},
    ),
    _training('config-e', 'classes', '--cond=yes', **{'fakes0*.png': 'demo/classes.png'}),
]


class Work:
    """The folder in which the programs run, and what is finished there.

    Args:
        folder: of all steps. short: see --short.
    """

    def __init__(self, folder: str, short: bool):
        self._folder = os.path.abspath(folder)
        self._data = os.path.join(self._folder, 'datasets')
        length = ['--total-kimg=1', '--snapshot-ticks=1']
        more = {'{length}': length, '{search}': ['--num-steps=5'], '{draws}': ['--num-draws=2']}
        self._more = {word: argv if short else [] for word, argv in more.items()}

    def run_dir(self, name: str) -> Optional[str]:
        """Folder of a step's run that is finished; None if there is none."""
        pattern = os.path.join(glob.escape(self._folder), name, '[0-9]*', '_finished.txt')
        return max(map(os.path.dirname, glob.glob(pattern)), default=None)

    def do(self, step: Step) -> None:
        """Run a step's program, in a process of its own.

        Raises:
            UserError: it failed.
        """
        words = {each.name: self.run_dir(each.name) for each in STEPS if each.name in step.command}
        for name, run_dir in list(words.items()):
            if '{%s/snapshots}' % name in step.command:
                words[name + '/snapshots'] = ','.join(self._link_snapshots(name, run_dir))
        argv: List[str] = []
        for word in step.command.split():
            if word in self._more:
                argv += self._more[word]
            else:
                argv.append(word.format(data=self._data, **words))
        argv.append('--result-dir=' + os.path.join(self._folder, step.name))
        status = subprocess.run([sys.executable] + argv, cwd=ROOT).returncode
        if status:
            text = '%s ended with exit status %d; start this again to go on from there'
            raise UserError(text % (argv[0], status))

    def _link_snapshots(self, name, run_dir):
        """Links to a run's snapshots; their names, such as '10 kimg', become titles."""
        folder = os.path.join(self._folder, name + '-snapshots')
        os.makedirs(folder, exist_ok=True)
        links = []
        for path in sorted(glob.glob(os.path.join(glob.escape(run_dir), 'network-snapshot-*.pkl'))):
            links.append(os.path.join(folder, '%d kimg.pkl' % int(path[-10:-4])))
            if not os.path.lexists(links[-1]):
                os.symlink(path, links[-1])
        return links


def save_picture(sources: List[str], path: str) -> None:
    """Write pictures below each other as one PNG."""
    pictures = [Image.open(source).convert('RGB') for source in sources]
    size = max(each.width for each in pictures), sum(each.height for each in pictures)
    picture, top = Image.new('RGB', size, 'white'), 0
    for each in pictures:
        picture.paste(each, (0, top))
        top += each.height
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_write(path) as file:
        picture.save(file, 'PNG', optimize=True)


def _sources(run_dir, pattern):
    """Files of a run: all strips; of grids, which have the number of images seen, the last."""
    found = sorted(glob.glob(os.path.join(glob.escape(run_dir), pattern)))
    return found[-1:] if pattern.startswith('fakes') else found


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, do what is not done, and write the pictures."""
    description, examples = __doc__.split('\n')[0], [('In some minutes, for a look:', '--short')]
    args = flags.parse('tools/make_pictures.py', description, _FLAGS, argv, examples)
    work_dir = args.work_dir or os.path.join(ROOT, 'results', 'pictures' + '-short' * args.short)
    output = args.output or (work_dir if args.short else os.path.join(ROOT, 'docs'))
    for folder in (work_dir, output):
        cli.check_writable_dir(folder)
    work, num_bytes = Work(work_dir, args.short), 0
    for number, step in enumerate(STEPS, 1):
        print('Step %d of %d: %s' % (number, len(STEPS), step.name), end='', flush=True)
        if work.run_dir(step.name):
            print(' (done before)')
        else:
            begin = time.time()
            print()
            work.do(step)
            print('%s took %s.' % (step.name, format_time(time.time() - begin)))
        for pattern, name in step.pictures.items():
            path = os.path.join(output, name)
            save_picture(_sources(work.run_dir(step.name), pattern), path)
            num_bytes += os.path.getsize(path)
            print('Wrote "%s", %d kB.' % (path, os.path.getsize(path) // 1000))
    print('All pictures together: %.1f MB.' % (num_bytes / 1e6))
    if num_bytes > MAX_BYTES:
        raise UserError('the pictures are larger than %d MB together' % (MAX_BYTES >> 20))


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
