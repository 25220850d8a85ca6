import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import doctor
from dnnlib import download, native_build
from dnnlib.tflib import custom_ops, engine

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def lines_of(check):
    return ['%s %s' % verdict for verdict in check()]


def test_a_working_installation_passes(capsys):
    assert doctor.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(re.match(r'(ok  |warn)  \S', line) for line in lines)
    for wanted in [
        'Python %d.%d' % sys.version_info[:2],
        'TensorFlow ' + tf.__version__,
        'numpy ' + np.__version__,
        'UpFirDn2D: ',
        'FR generator on /cpu:0',
    ]:
        assert any(wanted in line for line in lines), wanted


def test_missing_tensorflow_is_one_line_that_says_what_to_do():
    code = (
        "import sys; sys.modules['tensorflow'] = None; from dnnlib import doctor;"
        'sys.exit(doctor.main([]))'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    failures = [line for line in done.stdout.splitlines() if line.startswith('FAIL')]
    assert done.returncode == 1 and len(failures) == 1, done.stdout + done.stderr
    assert 'TensorFlow cannot be imported' in failures[0] and 'make env' in failures[0]
    assert 'Traceback' not in done.stderr


def test_the_small_generator_makes_different_finite_images():
    images = doctor.generate('/cpu:0', 'float32')
    assert images.shape == (2, 3, 8, 8) and images.dtype == np.float32
    assert np.all(np.isfinite(images)) and np.abs(images[0] - images[1]).max() > 0.1


@pytest.mark.parametrize('error, level', [(0.001, 'ok'), (0.1, 'FAIL'), (np.nan, 'FAIL')])
def test_a_generator_that_computes_wrong_numbers_fails(monkeypatch, error, level):
    def generate(device, dtype):
        return np.linspace(-2, 2, 5) + (2 * error if dtype == 'float32' else 0)

    monkeypatch.setattr(doctor, 'generate', generate)
    assert all(line.startswith(level) for line in lines_of(doctor.check_generator))


def test_an_error_inside_a_check_is_a_line_and_the_other_checks_go_on(capsys):
    def check_broken():
        yield doctor.ok('first')
        raise ValueError('no such thing')

    assert not doctor.report([check_broken, lambda: [doctor.ok('last')]])
    assert capsys.readouterr().out.splitlines() == [
        'ok    first',
        'FAIL  check_broken stopped: ValueError: no such thing',
        'ok    last',
    ]


def test_a_gpu_that_tensorflow_does_not_use_is_a_warning(monkeypatch):
    monkeypatch.setattr(doctor, '_output', lambda command: 'NVIDIA A100, 81920 MiB, 550.54')
    monkeypatch.setattr(engine, 'gpu_devices', lambda: [])
    assert 'ok GPU: NVIDIA A100, 81920 MiB, 550.54' in lines_of(doctor.check_hardware)
    (line,) = lines_of(doctor.check_devices)
    assert line.startswith('warn') and 'the CPU' in line and 'ENGINE=tf2' in line


def test_missing_compilers_and_packages_are_named(monkeypatch):
    monkeypatch.setattr(doctor, '_output', lambda command: None)
    assert [line.split(';')[0] for line in lines_of(doctor.check_compilers)] == [
        'ok g++: not found',
        'ok nvcc: not found',
    ]
    monkeypatch.setattr(doctor, 'PACKAGES', ['no_such_package'])
    (line,) = lines_of(doctor.check_packages)
    assert line.startswith('FAIL no_such_package cannot be imported')


def test_a_folder_that_downloads_cannot_be_kept_in_fails(monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv(download.CACHE_VARIABLE, str(tmp_path / 'new'))
    assert lines_of(doctor.check_caches)[0] == 'ok downloads are kept in %s' % (tmp_path / 'new')
    monkeypatch.setenv(download.CACHE_VARIABLE, str(tmp_path / 'file'))
    monkeypatch.setenv(native_build.CACHE_VARIABLE, str(tmp_path / 'file'))
    downloads, compiled = lines_of(doctor.check_caches)
    assert downloads.startswith('FAIL downloads') and compiled.startswith('warn compiled ops')
    assert all('is not a writable folder' in line for line in (downloads, compiled))


def test_ops_that_cannot_be_compiled_are_a_warning_with_the_reason(monkeypatch):
    monkeypatch.setattr(custom_ops, '_failures', {'native': 'there is no g++', 'cuda': 'no nvcc'})
    for line in lines_of(doctor.check_custom_ops):
        assert re.match(r'warn (FusedBiasAct|UpFirDn2D): ref \(.*there is no g', line), line
