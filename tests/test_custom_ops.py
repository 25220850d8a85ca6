"""Compiling the ops: what may go wrong, and what users are told then."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pytest
import tensorflow.compat.v1 as tf

import run_generator
import run_metrics
import run_training
from dnnlib.tflib import custom_ops, engine, kernel_build
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.util import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
needs_gxx = pytest.mark.skipif(shutil.which('g++') is None, reason='there is no g++')
needs_nvcc = pytest.mark.skipif(shutil.which('nvcc') is None, reason='there is no nvcc')

# A program that builds a tiny library from a folder with the compiler it is told.
BUILD = """
import sys
from dnnlib.tflib import kernel_build
kernel_build.SOURCE_DIR, compiler = sys.argv[1:]
kernel_build.build_and_load(kernel_build.Recipe(
    'tiny', {'tiny.cc': [compiler, '-c', '-fPIC']}, ['g++', '-shared'], [], 'id'))
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder with one source and an empty cache; a function that makes recipes for it."""
    monkeypatch.setenv(kernel_build.CACHE_VARIABLE, str(tmp_path / 'cache'))
    monkeypatch.setattr(kernel_build, 'SOURCE_DIR', str(tmp_path))
    (tmp_path / 'tiny.cc').write_text('int one() { return 1; }')

    def recipe(compiler='g++', flags=('-c', '-fPIC'), compiler_id='id'):
        return kernel_build.Recipe(
            'tiny', {'tiny.cc': [compiler, *flags]}, ['g++', '-shared'], [], compiler_id
        )

    return recipe


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    """A machine without compilers, on which nothing was compiled yet."""
    monkeypatch.setattr(custom_ops, '_failures', {})
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setenv(custom_ops.REQUIRE_VARIABLE, '0')


def start_build(source_dir, compiler):
    return subprocess.Popen(
        [sys.executable, '-c', BUILD, str(source_dir), compiler],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )


@needs_gxx
def test_a_build_is_announced_kept_and_used_again(tiny, tmp_path, capfd):
    for expected in (1, 0):
        kernel_build.build_and_load(tiny())
        assert capfd.readouterr().err.count('Compiling the tiny ops') == expected
    (name,) = os.listdir(str(tmp_path / 'cache'))
    assert name.startswith('tiny-') and name.endswith('.so')


def test_whatever_a_build_depends_on_gives_it_another_name(tiny, tmp_path, monkeypatch):
    keys = [
        kernel_build._key(recipe)
        for recipe in (
            tiny(),
            tiny(flags=['-c', '-O3']),
            tiny(compiler_id='another'),
            tiny(compiler='clang++'),
        )
    ]
    (tmp_path / 'some.h').write_text('')
    keys.append(kernel_build._key(tiny()))
    (tmp_path / 'tiny.cc').write_text('int one() { return 2; }')
    keys.append(kernel_build._key(tiny()))
    monkeypatch.setattr(tf, '__version__', '9.9')
    keys.append(kernel_build._key(tiny()))
    assert len(set(keys)) == len(keys)
    (tmp_path / 'notes.txt').write_text('')
    assert kernel_build._key(tiny()) == keys[-1]


@needs_gxx
def test_a_build_that_was_killed_half_way_does_not_block_the_next(tiny, tmp_path):
    compiler = tmp_path / 'slow-g++'
    compiler.write_text('#!/bin/sh\ntouch %s/started\nexec sleep 60\n' % tmp_path)
    compiler.chmod(0o755)
    process = start_build(tmp_path, str(compiler))
    while not (tmp_path / 'started').exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    compiler.write_text('#!/bin/sh\nexec g++ "$@"\n')
    kernel_build.build_and_load(tiny(str(compiler)))
    assert len(os.listdir(str(tmp_path / 'cache'))) == 1


@needs_gxx
def test_four_processes_may_build_at_once(tiny, tmp_path):
    processes = [start_build(tmp_path, 'g++') for _ in range(4)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert len(os.listdir(str(tmp_path / 'cache'))) == 1


@needs_gxx
def test_a_cache_that_cannot_be_written_is_a_warning_and_the_ops_work(tiny, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    for folder in (tmp_path / 'file', tmp_path / 'file' / 'deeper'):
        monkeypatch.setenv(kernel_build.CACHE_VARIABLE, str(folder))
        with pytest.warns(RuntimeWarning, match='cannot be kept in .*STYLEGAN2_OPS_CACHE'):
            kernel_build.build_and_load(tiny())


@needs_gxx
def test_a_damaged_file_in_the_cache_is_compiled_again(tiny, tmp_path, capfd):
    (tmp_path / 'cache').mkdir()
    path = tmp_path / 'cache' / ('tiny-%s.so' % kernel_build._key(tiny()))
    path.write_text('damaged')
    kernel_build.build_and_load(tiny())
    assert 'Compiling' in capfd.readouterr().err and path.stat().st_size > 100


@needs_gxx
def test_a_compilers_message_is_passed_on_shortened(tiny, tmp_path):
    (tmp_path / 'tiny.cc').write_text('this is no C++;\n' * 100)
    with pytest.raises(kernel_build.BuildError, match=r'g\+\+ failed: .*tiny.cc.*error') as caught:
        kernel_build.build_and_load(tiny())
    assert len(str(caught.value).splitlines()) <= 5
    assert not (tmp_path / 'cache').exists()


def test_ops_that_do_not_load_are_a_build_error(tiny, monkeypatch):
    monkeypatch.setattr(kernel_build, '_compile', lambda recipe, folder: __file__)
    with pytest.raises(kernel_build.BuildError, match='cannot be loaded'):
        kernel_build.build_and_load(tiny())


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    for name in (kernel_build.CACHE_VARIABLE, 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    assert kernel_build.cache_dir() == '/home/me/.cache/stylegan2-ops'
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert kernel_build.cache_dir() == '/caches/stylegan2-ops'
    monkeypatch.setenv(kernel_build.CACHE_VARIABLE, '~/ops')
    assert kernel_build.cache_dir() == '/home/me/ops'


def test_without_a_compiler_one_warning_says_why_and_plain_tensorflow_works(session, no_compiler):
    x = tf.constant([[-1.0, 2.0]])
    with pytest.warns(RuntimeWarning, match='there is no .* on the PATH') as caught:
        y = fused_bias_act(x, act='relu', gain=1)
        fused_bias_act(x, act='relu')
    assert len(caught) == 1
    assert session.run(y).tolist() == [[0, 2]]
    with pytest.raises(UserError, match='could not be compiled: there is no .*; use impl='):
        fused_bias_act(x, impl='cuda' if engine.gpu_devices() else 'native')


@pytest.mark.parametrize(
    'program, argv',
    [
        (run_training, ['--config=config-e-fr', '--require-native-ops']),
        (run_metrics, ['--network=missing.pkl', '--require-native-ops']),
        (run_generator, ['generate-images', '--seeds=1', '--require-native-ops']),
    ],
)
def test_required_ops_that_cannot_be_had_end_a_program_before_it_works(
    no_compiler, monkeypatch, tmp_path, program, argv
):
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(UserError, match='compiled ops are required.*there is no .* on the PATH'):
        program.main(argv)
    assert os.listdir(str(tmp_path)) == []


def test_the_environment_can_require_compiled_ops(no_compiler, monkeypatch):
    custom_ops.require_native_ops(False)
    monkeypatch.setenv(custom_ops.REQUIRE_VARIABLE, '1')
    for _ in range(2):
        with pytest.raises(UserError, match='compiled ops are required'):
            custom_ops.require_native_ops(False)


def test_required_ops_that_can_be_had_are_no_trouble(compiled, monkeypatch):
    monkeypatch.setenv(custom_ops.REQUIRE_VARIABLE, '0')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        custom_ops.require_native_ops()
    assert os.environ[custom_ops.REQUIRE_VARIABLE] == '1'
    assert custom_ops.resolve_impl('auto', 'UpFirDn2D') == compiled


@needs_nvcc
def test_cuda_kernels_compile_for_this_engine_and_load(tmp_path):
    library = kernel_build._compile(kernel_build.cuda_recipe(['80', '90']), str(tmp_path))
    tf.load_op_library(library)
