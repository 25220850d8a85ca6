"""dnnlib.startup, dnnlib.program: programs in a Python that lacks packages; scripts of users."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from dnnlib import cli, program

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OTHERS = [
    path.relative_to(ROOT).as_posix()
    for folder in ['bench', 'tools']
    for path in sorted(pathlib.Path(ROOT, folder).glob('*.py'))
    if '__main__' in path.read_text(encoding='utf-8')
]
SHOW = '#!/bin/sh\necho "$0" "$@"\n'


@pytest.fixture
def tree(tmp_path):
    """A copy of the programs, without an environment."""
    folder = tmp_path / 'tree'
    ignore = shutil.ignore_patterns('__pycache__', 'kernels')
    for package in ['dnnlib', 'bench', 'tools']:
        shutil.copytree(os.path.join(ROOT, package), str(folder / package), ignore=ignore)
    for name in program.COMMANDS:
        shutil.copy(os.path.join(ROOT, name), str(folder))
    return folder


def add_environment(tree, engine, text=SHOW):
    path = tree / ('.venv-' + engine) / 'bin' / 'python'
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def run(folder, *args, packages='', engine=None):
    """Run a Python that has no packages beside those of a folder: (status, stdout, stderr)."""
    environment = {k: v for k, v in os.environ.items() if k not in ('ENGINE', 'PYTHONPATH')}
    environment.update(PYTHONPATH=str(packages), PYTHONDONTWRITEBYTECODE='1')
    if engine:
        environment['ENGINE'] = engine
    done = subprocess.run(
        [sys.executable, '-S'] + list(args),
        env=environment,
        cwd=str(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    'command, path',
    [([name], name) for name in list(program.COMMANDS) + OTHERS]
    + [
        (['-m', 'doctor'], '{}/doctor.py'),
        (['-m', 'dnnlib.doctor'], '{}/doctor.py'),
        (['-mdnnlib.doctor'], '{}/doctor.py'),
        (['-m', 'bench.ops'], '{}/bench/ops.py'),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_without_tensorflow_a_program_goes_on_in_the_environment(tree, command, path):
    python = add_environment(tree, 'tf2')
    status, out, err = run(tree, *command, '--flag=a b', '-m')
    assert (status, out) == (0, '%s %s --flag=a b -m\n' % (python, path.format(tree)))
    assert err.count('\n') == 1 and 'has no TensorFlow: going on in .venv-tf2' in err


def test_what_goes_on_is_the_process_that_a_scheduler_knows(tree):
    add_environment(tree, 'tf2', '#!/bin/sh\necho $$\n')
    code = 'import os, sys; print(os.getpid(), flush=True); os.execv(%r, [%r, "-S", "doctor.py"])'
    before, after = run(tree, '-c', code % (sys.executable, sys.executable))[1].split()
    assert before == after


def test_a_program_is_found_from_any_folder_and_through_a_link(tree, tmp_path):
    python = add_environment(tree, 'tf2')
    (tmp_path / 'train').symlink_to(tree / 'run_training.py')
    for path in [tmp_path / 'train', tree / 'run_training.py']:
        assert run('/', str(path))[1] == '%s %s\n' % (python, path)


def test_the_environment_is_the_one_that_make_takes(tree):
    tf2, tf1 = add_environment(tree, 'tf2'), add_environment(tree, 'tf1')
    assert run(tree, 'doctor.py')[1].startswith(tf1)
    assert run(tree, 'doctor.py', engine='tf2')[1].startswith(tf2)
    os.remove(tf1)
    assert run(tree, 'doctor.py')[1].startswith(tf2)
    assert run(tree, 'doctor.py', engine='tf1')[0] == 2


@pytest.mark.parametrize('command', [['run_training.py', '--help'], ['-m', 'dnnlib.doctor']])
def test_without_an_environment_one_line_names_the_command_that_makes_it(tree, command):
    status, out, err = run(tree, *command)
    assert (status, out, err.count('\n')) == (2, '', 1)
    assert err.startswith('Error: the package tensorflow is missing in ')
    assert '`make env` in %s' % tree in err


def test_an_environment_without_tensorflow_does_not_go_on_for_ever(tree):
    add_environment(tree, 'tf1', '#!/bin/sh\nexec %s -S "$@"\n' % sys.executable)
    status, out, err = run(tree, 'run_training.py')
    assert (status, out) == (2, '')
    assert [line.split()[0] for line in err.splitlines()][1:] == ['Error:']


def test_another_missing_package_is_one_line_with_the_command_that_installs_it(tree, tmp_path):
    add_environment(tree, 'tf1')
    (tmp_path / 'tensorflow.py').write_text('')
    for command in ['run_training.py', 'doctor.py', 'bench/ops.py']:
        status, out, err = run(tree, command, packages=tmp_path)
        assert (status, out, err.count('\n')) == (2, '', 1)
        assert err.startswith('Error: the package numpy is missing in %s' % sys.executable)
        assert '-m pip install numpy`' in err and '`make env` in %s' % tree in err


@pytest.mark.parametrize('name, status', [('TERM', 143), ('INT', 130)])
def test_a_program_that_imports_its_packages_ends_in_one_line_when_asked_to(
    tree, tmp_path, name, status
):
    (tmp_path / 'tensorflow.py').write_text('')
    (tmp_path / 'numpy.py').write_text(
        'import os, signal, time\n'
        'signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background\n'
        'os.kill(os.getpid(), signal.SIG%s)\ntime.sleep(60)\n' % name
    )
    line = {'TERM': 'Terminated.\n', 'INT': 'Interrupted.\n'}[name]
    assert run(tree, 'doctor.py', packages=tmp_path) == (status, '', line)


def test_what_a_library_itself_lacks_is_no_missing_package_of_ours(tree, tmp_path):
    (tmp_path / 'tensorflow.py').write_text('')
    (tmp_path / 'numpy.py').write_text('import psutil')
    status, _, err = run(tree, 'run_training.py', packages=tmp_path)
    assert status == 1 and "No module named 'psutil'" in err and 'Error: the package' not in err


def test_a_folder_called_tensorflow_is_not_taken_for_the_package(tree, tmp_path):
    (tmp_path / 'tensorflow').mkdir()
    assert 'tensorflow is missing' in run(tree, 'doctor.py', packages=tmp_path)[2]


@pytest.mark.parametrize('place', ['tree', 'elsewhere'])
def test_a_script_of_the_user_s_own_is_never_moved_to_an_environment(tree, tmp_path, place):
    add_environment(tree, 'tf1')
    folder = tree if place == 'tree' else tmp_path / place
    (folder / 'mine').mkdir(parents=True)
    (folder / 'train.py').write_text('import dnnlib')
    (folder / 'mine' / '__init__.py').write_text('import dnnlib')
    (folder / 'mine' / 'main.py').write_text('')
    for command in [['train.py'], ['-m', 'mine.main'], ['-c', 'import dnnlib', 'doctor.py']]:
        status, out, err = run(folder, *command, packages=tree)
        assert (status, out) == (1, '')
        assert "No module named 'numpy'" in err and 'going on' not in err


def test_a_package_missing_while_a_program_works_is_one_line(capsys, monkeypatch):
    monkeypatch.setitem(program.PACKAGES, 'no_such_package', 'no-such-package')

    def main():
        import no_such_package.part  # noqa: F401

    assert cli.run_cli(main) == 2
    err = capsys.readouterr().err
    assert err.startswith('Error: the package no-such-package is missing in ' + sys.executable)
    assert err.count('\n') == 1
    del program.PACKAGES['no_such_package']
    with pytest.raises(ModuleNotFoundError):
        cli.run_cli(main)


def test_an_environment_of_make_that_was_damaged_is_to_be_made_anew(monkeypatch):
    monkeypatch.setattr(sys, 'prefix', os.path.join(program.ROOT, '.venvs', 'tf1-0'))
    line = program.advice('tqdm')
    assert '`rm -r %s` and `make env`' % sys.prefix in line and 'pip install' not in line


@pytest.mark.parametrize('engine_file', ['tf1.txt', 'tf2-common.txt'])
def test_the_packages_that_are_known_are_those_that_the_requirements_choose(engine_file):
    with open(os.path.join(ROOT, 'requirements', engine_file), encoding='utf-8') as file:
        chosen = file.read().split('in turn.')[0]
    names = {line.split('==')[0] for line in chosen.splitlines() if '==' in line}
    names = {'tensorflow' if name == 'tensorflow-gpu' else name for name in names}
    assert names | {'tensorflow'} == set(program.PACKAGES.values())
