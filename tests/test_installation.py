"""`pip install .`: what is in the wheel, and console commands from another folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import dnnlib
from dnnlib import program

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ['dcgan', 'dnnlib', 'metrics', 'paper', 'training', 'viewer']
MODULES = [path.name for path in ROOT.glob('*.py') if path.name != 'setup.py']


def pip(*args):
    command = [sys.executable, '-m', 'pip'] + list(args) + ['-q', '--no-deps', '--no-index']
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel of a copy of the sources, made without a network."""
    for package in ['pip', 'setuptools', 'wheel']:
        if find_spec(package) is None:
            pytest.skip('no %s to make a wheel with' % package)
    folder = tmp_path_factory.mktemp('wheel')
    ignore = shutil.ignore_patterns('.*', '__pycache__', 'build', 'results', 'datasets', 'docs')
    shutil.copytree(str(ROOT), str(folder / 'sources'), ignore=ignore)
    pip('wheel', '--no-build-isolation', '-w', str(folder), str(folder / 'sources'))
    (path,) = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def installed(wheel):
    """A folder that the wheel is installed in, with console commands in bin/."""
    folder = wheel.parent / 'installed'
    pip('install', '--no-compile', '--target', str(folder), str(wheel))
    return folder


def run(installed, folder, command, *args):
    """Run a console command: (status, stdout)."""
    done = subprocess.run(
        [str(installed / 'bin' / command)] + list(args),
        env=dict(os.environ, PYTHONPATH=str(installed), PYTHONDONTWRITEBYTECODE='1'),
        cwd=str(folder),
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    return done.returncode, done.stdout


def test_the_wheel_has_all_that_programs_need_and_nothing_else(wheel):
    with zipfile.ZipFile(str(wheel)) as file:
        packed = {name for name in file.namelist() if '.dist-info/' not in name}
    paths = [path for name in PACKAGES for path in (ROOT / name).rglob('*') if path.is_file()]
    names = [path.relative_to(ROOT).as_posix() for path in paths if path.suffix != '.pyc']
    assert packed == set(names + MODULES)
    assert {'training/data/demo_data/README.md', 'dnnlib/tflib/kernels/bias_act.h'} <= packed


def test_the_wheel_names_version_dependencies_and_commands(wheel):
    with zipfile.ZipFile(str(wheel)) as file:
        about = {name.split('/')[-1]: name for name in file.namelist() if '.dist-info/' in name}
        metadata = file.read(about['METADATA']).decode()
        commands = file.read(about['entry_points.txt']).decode()
    assert 'LICENSE' in about and 'NOTICE' in about
    assert '\nVersion: %s\n' % dnnlib.__version__ in metadata
    needed = metadata.replace(' (', '').replace(') ;', ';')  # older ones: 'six (==1.0) ; python...'
    for name, extra in [
        ('tf1.txt', '"3.8"'),
        ('tf2-common.txt', '"3.10"'),
        ('tf2-cuda.txt', ''),
        ('features.txt', 'features'),
        ('export.txt', 'export'),
        ('tracking.txt', 'tracking'),
        ('notebook.txt', 'notebook'),
        ('viewer.txt', 'viewer'),
    ]:
        for line in (ROOT / 'requirements' / name).read_text().splitlines():
            pin = line.split(';')[0]
            found = [
                each for each in needed.splitlines() if each.startswith('Requires-Dist: ' + pin)
            ]
            assert ('==' not in pin) or any(extra in each for each in found), line
    for command in program.COMMANDS.values():
        assert '%s = dnnlib.program:console' % command in commands


def test_console_commands_run_in_any_folder_and_call_themselves_by_name(installed, tmp_path):
    assert {path.name for path in (installed / 'bin').iterdir()} == set(program.COMMANDS.values())
    status, out = run(installed, tmp_path, 'stylegan2-generate', '--help')
    assert status == 0 and out.startswith('usage: stylegan2-generate ')
    assert '  stylegan2-generate generate-images ' in out and 'python run_' not in out
    assert list(tmp_path.iterdir()) == []
