import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import doctor
from dnnlib import download, native_build
from dnnlib.tflib import custom_ops, engine, op_check
from training import step_check

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
        'FusedBiasAct on /cpu:0 against plain TensorFlow, float32: values ',
        'step on /cpu:0 against',
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


@pytest.mark.parametrize('error, level', [(1e-6, 'ok'), (1e-3, 'FAIL'), (np.inf, 'FAIL')])
def test_networks_and_ops_that_compute_wrong_numbers_fail(monkeypatch, error, level):
    rows = [('float32', order, value) for order, value in zip(op_check.ORDERS, (0.0, error, 0.0))]
    found = [op_check.Finding('step', dtype, order, value, 'G') for dtype, order, value in rows]
    monkeypatch.setattr(step_check, 'compare', lambda device: found)
    for line in lines_of(doctor.check_step):
        assert line.startswith(level + ' step on /') and 'gradients %.1e' % error in line


def test_gpus_that_tensorflow_1_does_not_know_are_named(monkeypatch):
    monkeypatch.setattr(engine, '_gpus', ['name: A card, compute capability: 9.0'])
    monkeypatch.setattr(doctor, '_gpu_cards', lambda: [])
    monkeypatch.setattr(engine, 'ENGINE', 'tf1')
    line, _ = lines_of(doctor.check_devices)
    assert line.startswith('warn CUDA 10') and 'has 9.0' in line and 'ENGINE=tf2' in line
    monkeypatch.setattr(engine, '_gpus', ['name: A card, compute capability: 7.5'])
    assert len(lines_of(doctor.check_devices)) == 1


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
    lines = lines_of(doctor.check_custom_ops)
    assert len(lines) == len(custom_ops.OP_NAMES)
    for line in lines:
        assert re.match(r'warn (FusedBiasAct|UpFirDn2D): ref \(.*(there is no g|no nvcc)', line)
