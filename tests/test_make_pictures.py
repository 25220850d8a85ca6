"""All pictures of README and docs can be made again by one command."""

import os
import re
import subprocess
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

import run_generator
import run_metrics
import run_projector
import run_training
from bench import transfer
from dnnlib import flags
from dnnlib.cli import run_cli
from tools import make_pictures

FOLDER = make_pictures.ROOT


def documents():
    """Texts with pictures, by their paths."""
    names = ['README.md'] + ['docs/' + name for name in os.listdir(os.path.join(FOLDER, 'docs'))]
    for name in names:
        if name.endswith('.md'):
            with open(os.path.join(FOLDER, name), encoding='utf-8') as file:
                yield name, file.read()


def test_every_picture_of_the_documents_is_made_by_one_step_and_they_are_small():
    made = ['docs/' + name for step in make_pictures.STEPS for name in step.pictures.values()]
    made.append(transfer.PICTURE)
    # By hand: screenshots, and pieces of grids of hours of training.
    made += ['docs/viewer_image.png', 'docs/viewer_runs.png']
    made += ['docs/small_data_none.png', 'docs/small_data_ada.png']
    shown = set()
    for name, text in documents():
        for link in re.findall(r'!\[[^]]*\]\(([^)]+)\)', text):
            shown.add(os.path.normpath(os.path.join(os.path.dirname(name), link)))
    # Measured results keep theirs beside their tables.
    others = [path for path in shown if not path.startswith('docs/results/')]
    assert others and sorted(made) == sorted(others)
    assert sum(os.path.getsize(os.path.join(FOLDER, path)) for path in shown) < 5e6


PARSERS = {
    'run_training.py': run_training.parse_args,
    'run_metrics.py': run_metrics.parse_args,
    'run_generator.py': lambda argv: flags.parse_command('', '', run_generator.COMMANDS, argv),
    'run_projector.py': lambda argv: flags.parse_command('', '', run_projector.COMMANDS, argv),
}


@pytest.fixture
def programs(monkeypatch):
    """Programs that only parse their arguments and leave what a run would; a list of those called.

    Those in `failing` fail.
    """

    def run(command, cwd):
        assert cwd == FOLDER
        program, *argv = command[1:]
        PARSERS[program](argv)
        result_dir = argv[-1].partition('=')[2]
        name = os.path.basename(result_dir)
        called.append(name)
        if name in failing:
            return subprocess.CompletedProcess(command, 2)
        for word in argv[:-1]:
            for path in word.partition('=')[2].split(',') if '=' in word else [word]:
                is_there = os.path.exists(path) or path.endswith('datasets')
                assert is_there or not path.startswith('/'), path
        folder = os.path.join(result_dir, '00000-a')
        os.makedirs(folder)
        (step,) = [each for each in make_pictures.STEPS if each.name == name]
        for pattern in step.pictures:
            for number in '12' if '*' in pattern else '1':
                picture = PIL.Image.new('L', (4, 2), 10 * int(number))
                picture.save(os.path.join(folder, pattern.replace('*', number)))
        for name in ('network-snapshot-000000.pkl', 'network-snapshot-000010.pkl', '_finished.txt'):
            open(os.path.join(folder, name), 'w').close()
        return subprocess.CompletedProcess(command, 0)

    called, failing = [], set()
    monkeypatch.setattr(subprocess, 'run', run)
    return SimpleNamespace(called=called, failing=failing)


@pytest.mark.parametrize('short', [False, True])
def test_pictures_are_made_once_and_go_on_after_a_failure(tmp_path, capsys, programs, short):
    names = [step.name for step in make_pictures.STEPS]
    output = tmp_path / 'docs'
    argv = ['--work-dir=%s' % (tmp_path / 'a b'), '--output=%s' % output] + ['--short'] * short
    programs.failing.add('plot-metric')
    assert run_cli(make_pictures.main, argv) == 2
    assert 'run_generator.py ended with exit status 2' in capsys.readouterr().err
    index = names.index('plot-metric')
    assert programs.called == names[: index + 1]
    programs.failing.clear()
    assert run_cli(make_pictures.main, argv) == 0
    assert programs.called == names[: index + 1] + names[index:]
    assert run_cli(make_pictures.main, argv) == 0
    assert programs.called == names[: index + 1] + names[index:]
    for step in make_pictures.STEPS:
        for name in step.pictures.values():
            assert (output / name).exists()
    assert len(set(programs.called)) == len(names)
    # Of grids the last one counts; strips stand below each other.
    grid = np.asarray(PIL.Image.open(str(output / 'demo' / 'config-e-fakes.png')))
    strips = np.asarray(PIL.Image.open(str(output / 'inversion_generated.png')))
    assert grid.shape == (2, 4, 3) and np.all(grid == 20)
    assert strips.shape == (4, 4, 3) and list(strips[:, 0, 0]) == [10, 10, 20, 20]
