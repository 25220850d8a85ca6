"""Compiling the ops: what may go wrong, and what users are told then."""

import ctypes
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
from dnnlib import native_build
from dnnlib.tflib import custom_ops, engine, kernel_build
from dnnlib.tflib.ops.fused_bias_act import fused_bias_act
from dnnlib.util import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
needs_gxx = pytest.mark.skipif(shutil.which('g++') is None, reason='there is no g++')
needs_nvcc = pytest.mark.skipif(shutil.which('nvcc') is None, reason='there is no nvcc')

# A program that builds a tiny library from a folder with the compiler it is told.
BUILD = """
import sys
from dnnlib import native_build
folder, compiler = sys.argv[1:]
native_build.build(native_build.Recipe(
    'tiny', folder, {'tiny.cc': [compiler, '-c', '-fPIC']}, ['g++', '-shared'], [], 'id'))
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder with one source and an empty cache; a function that makes recipes for it."""
    monkeypatch.setenv(native_build.CACHE_VARIABLE, str(tmp_path / 'cache'))
    (tmp_path / 'tiny.cc').write_text('int one() { return 1; }')

    def recipe(compiler='g++', flags=('-c', '-fPIC'), depends_on='id'):
        commands = {'tiny.cc': [compiler, *flags]}
        return native_build.Recipe(
            'tiny', str(tmp_path), commands, ['g++', '-shared'], [], depends_on
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
        native_build.build(tiny())
        assert capfd.readouterr().err.count('Compiling the tiny ops') == expected
    (name,) = os.listdir(str(tmp_path / 'cache'))
    assert name.startswith('tiny-') and name.endswith('.so')


def test_whatever_a_build_depends_on_gives_it_another_name(tiny, tmp_path):
    keys = [
        native_build.key_of(recipe)
        for recipe in (
            tiny(),
            tiny(flags=['-c', '-O3']),
            tiny(depends_on='another'),
            tiny(compiler='clang++'),
        )
    ]
    (tmp_path / 'some.h').write_text('')
    keys.append(native_build.key_of(tiny()))
    (tmp_path / 'tiny.cc').write_text('int one() { return 2; }')
    keys.append(native_build.key_of(tiny()))
    assert len(set(keys)) == len(keys)
    (tmp_path / 'notes.txt').write_text('')
    assert native_build.key_of(tiny()) == keys[-1]


@needs_gxx
def test_ops_of_another_engine_have_another_name(monkeypatch):
    keys = [native_build.key_of(kernel_build.cpu_recipe())]
    monkeypatch.setattr(tf, '__version__', '9.9')
    assert native_build.key_of(kernel_build.cpu_recipe()) not in keys


@needs_gxx
@needs_nvcc
def test_a_change_of_any_file_of_the_kernels_gives_ops_another_name(tmp_path):
    folder = tmp_path / 'kernels'
    shutil.copytree(kernel_build.SOURCE_DIR, str(folder))
    recipes = [
        recipe._replace(folder=str(folder))
        for recipe in (kernel_build.cpu_recipe(), kernel_build.cuda_recipe(['90']))
    ]
    seen = {tuple(native_build.key_of(recipe) for recipe in recipes)}
    files = [path for path in folder.rglob('*') if path.is_file()]
    for path in files:
        path.write_text(path.read_text() + ' ')
        seen.add(tuple(native_build.key_of(recipe) for recipe in recipes))
    assert len(seen) == 1 + len(files)


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
    native_build.build(tiny(str(compiler)))
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
        monkeypatch.setenv(native_build.CACHE_VARIABLE, str(folder))
        with pytest.warns(RuntimeWarning, match='cannot be kept in .*STYLEGAN2_OPS_CACHE'):
            assert os.path.isfile(native_build.build(tiny()))


@needs_gxx
@pytest.mark.parametrize('damage', ['truncated', 'empty', 'one bit', 'a folder'])
def test_a_damaged_library_in_the_cache_is_never_loaded_but_built_again(tiny, capfd, damage):
    path = native_build.build(tiny())
    with open(path, 'rb') as file:
        good = file.read()
    os.remove(path)
    if damage == 'a folder':
        os.mkdir(path)
    else:
        middle = len(good) // 2
        flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
        content = {'truncated': good[:middle], 'empty': b'', 'one bit': flipped}[damage]
        with open(path, 'wb') as file:
            file.write(content)
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # a folder is in the way of the cache, too
        assert ctypes.CDLL(native_build.build(tiny()))._Z3onev() == 1
    assert 'Compiling' in capfd.readouterr().err
    assert damage == 'a folder' or native_build.build(tiny()) == path


@needs_gxx
def test_a_compilers_message_is_passed_on_shortened(tiny, tmp_path):
    (tmp_path / 'tiny.cc').write_text('this is no C++;\n' * 100)
    with pytest.raises(native_build.BuildError, match=r'g\+\+ failed: .*tiny.cc.*error') as caught:
        native_build.build(tiny())
    assert len(str(caught.value).splitlines()) <= 5
    assert not (tmp_path / 'cache').exists()


@needs_gxx
def test_ops_that_do_not_load_are_a_build_error(tiny, tmp_path):
    (tmp_path / 'tiny.cc').write_text('int nowhere(); int one() { return nowhere(); }')
    with pytest.raises(native_build.BuildError, match='cannot be loaded'):
        kernel_build.build_and_load(tiny())


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    for name in (native_build.CACHE_VARIABLE, 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    assert native_build.cache_dir() == '/home/me/.cache/stylegan2-ops'
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert native_build.cache_dir() == '/caches/stylegan2-ops'
    monkeypatch.setenv(native_build.CACHE_VARIABLE, '~/ops')
    assert native_build.cache_dir() == '/home/me/ops'


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
        (run_metrics, ['--network=any.pkl', '--require-native-ops']),
        (
            run_generator,
            ['generate-images', '--network=any.pkl', '--seeds=1', '--require-native-ops'],
        ),
    ],
)
def test_required_ops_that_cannot_be_had_end_a_program_before_it_works(
    no_compiler, monkeypatch, tmp_path, program, argv
):
    monkeypatch.chdir(str(tmp_path))
    (tmp_path / 'any.pkl').write_text('')
    with pytest.raises(UserError, match='compiled ops are required.*there is no .* on the PATH'):
        program.main(argv)
    assert os.listdir(str(tmp_path)) == ['any.pkl']


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


def test_gpus_get_code_of_their_own_and_newer_ones_that_of_the_newest_known():
    help = "Allowed values: 'compute_75','compute_80','compute_90','compute_90a','sm_90','lto_90'"
    code = '-gencode=arch=compute_%s,code=%s'
    assert kernel_build.targets_for(['90', '75'], help) == [
        code % (75, 'sm_75'),
        code % (90, 'sm_90'),
    ]
    assert kernel_build.targets_for(['121'], help) == [code % (90, 'compute_90')]
    assert kernel_build.targets_for(['86'], help) == [code % (80, 'compute_80')]
    with pytest.raises(native_build.BuildError, match='capability 7.0, its oldest is 7.5'):
        kernel_build.targets_for(['70', '90'], help)


@needs_nvcc
def test_cuda_kernels_compile_for_this_engine_and_load():
    kernel_build.build_and_load(kernel_build.cuda_recipe(['80', '90']))
