"""Compiles the kernels of dnnlib/tflib/kernels for this engine and machine, once per user.

A build happens in a temporary folder and takes its place in the cache by being renamed, under a
name that says all it depends on. So processes need not wait for each other, nothing is ever out of
date, and a build that was interrupted leaves nothing behind that matters.
"""

import contextlib
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from dnnlib.util import UserError, atomic_write

CACHE_VARIABLE = 'STYLEGAN2_OPS_CACHE'
SOURCE_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'kernels')

_SHOWN_LINES = 5  # of a compiler's output

# compile: sources with the command for each. libraries: what to link them with. compiler_id: all
# that the result depends on besides.
Recipe = NamedTuple(
    'Recipe',
    [
        ('name', str),
        ('compile', Dict[str, List[str]]),
        ('link', List[str]),
        ('libraries', List[str]),
        ('compiler_id', str),
    ],
)


class BuildError(Exception):
    """There is no compiler, or it failed; the text says why, in at most a few lines."""


def cache_dir() -> str:
    """Folder of the compiled kernels: $STYLEGAN2_OPS_CACHE, else stylegan2-ops among the user's
    caches.
    """
    caches = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
    folder = os.environ.get(CACHE_VARIABLE) or os.path.join(caches, 'stylegan2-ops')
    return os.path.abspath(os.path.expanduser(folder))


def cpu_recipe() -> Recipe:
    """How to build the ops and their CPU kernels with g++."""
    compiler = _find('g++')
    # Kernels are made for this processor; what shares types with TensorFlow is made like it.
    kernel = [compiler, '-c', '-fPIC', '-O3', '-std=c++11', '-march=native']
    binding = [compiler, '-c', '-fPIC', '-O2', '-w'] + _engine_flags()
    compile_commands = {
        'binding/tf_cpu_ops.cc': binding,
        'cpu/bias_act_cpu.cc': kernel,
        'cpu/upfirdn_2d_cpu.cc': kernel,
        'cpu/winograd_cpu.cc': kernel,
    }
    # With -### it prints all that it would be called with, for -march=native as well.
    compiler_id = _output([compiler, '-###', '-march=native', '-E', '-x', 'c++', os.devnull])
    return Recipe(
        'cpu', compile_commands, [compiler, '-shared'], tf.sysconfig.get_link_flags(), compiler_id
    )


def cuda_recipe(architectures: List[str]) -> Recipe:
    """How to build the CUDA kernels with nvcc.

    architectures: compute capabilities such as '90'.
    """
    compiler = _find('nvcc')
    common = [compiler, '-c', '-Xcompiler', '-fPIC,-w', '-O3']
    targets = ['-gencode=arch=compute_%s,code=sm_%s' % (a, a) for a in architectures]
    kernel = common + ['-std=c++14'] + targets
    binding = common + ['-DGOOGLE_CUDA=1'] + _engine_flags()
    compile_commands = {
        'binding/tf_cuda_ops.cc': binding,
        'cuda/bias_act_cuda.cu': kernel,
        'cuda/upfirdn_2d_cuda.cu': kernel,
    }
    link = [compiler, '-shared', '-cudart=static'] + targets
    # nvcc has no -l:FILE, which TensorFlow's flags use.
    libraries = [text for flag in tf.sysconfig.get_link_flags() for text in ('-Xlinker', flag)]
    return Recipe('cuda', compile_commands, link, libraries, _output([compiler, '--version']))


def build_and_load(recipe: Recipe) -> object:
    """Load the ops of a recipe with `tf.load_op_library`, compiling them first where need be.

    Returns the module of the ops' functions. Raises BuildError.
    """
    try:
        cached = os.path.join(cache_dir(), '%s-%s.so' % (recipe.name, _key(recipe)))
        if os.path.isfile(cached):
            with contextlib.suppress(tf.errors.OpError):  # a damaged file is compiled again
                return tf.load_op_library(cached)
        with tempfile.TemporaryDirectory(prefix='stylegan2-ops-') as folder:
            library = _compile(recipe, folder)
            return tf.load_op_library(_put_into_cache(library, cached))
    except OSError as error:
        raise BuildError('a file is missing or cannot be written: %s' % error)
    except tf.errors.OpError as error:
        raise BuildError('the compiled ops cannot be loaded: %s' % _first_lines(error.message))


def _find(compiler):
    path = shutil.which(compiler)
    if path is None:
        raise BuildError('there is no %s on the PATH' % compiler)
    return path


def _engine_flags():
    flags = tf.sysconfig.get_compile_flags()
    return flags if any('-std=' in flag for flag in flags) else flags + ['-std=c++11']


def _output(command):
    """What a command prints; BuildError if it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, LC_ALL='C'),
        )
    except OSError as error:
        raise BuildError('%s cannot be run: %s' % (command[0], error))
    text = done.stdout.decode('utf-8', 'replace')
    if done.returncode:
        raise BuildError('%s failed: %s' % (command[0], _first_lines(text)))
    return text


def _first_lines(text):
    return '\n'.join(text.strip().splitlines()[:_SHOWN_LINES]) or 'no message'


def _key(recipe):
    """Hash of the sources, the commands, the compiler, the processor and the engine."""
    parts = [tf.__version__, tf.version.GIT_VERSION, recipe.compiler_id, repr(recipe[2:4])]
    parts += ['%s %r' % item for item in sorted(recipe.compile.items())]
    digest = hashlib.sha256('\n'.join(parts).encode())
    for path in sorted(glob.glob(os.path.join(glob.escape(SOURCE_DIR), '**'), recursive=True)):
        name = os.path.relpath(path, SOURCE_DIR)
        if name in recipe.compile or name.endswith(('.h', '.cuh')):
            with open(path, 'rb') as file:
                digest.update(name.encode() + file.read())
    return digest.hexdigest()[:24]


def _compile(recipe, folder):
    """Compile and link in a folder, all sources at the same time; the path of the result."""
    print(
        'Compiling the %s ops for TensorFlow %s; this takes up to a minute, once.'
        % (recipe.name, tf.__version__),
        file=sys.stderr,
        flush=True,
    )
    objects = {name: os.path.join(folder, os.path.basename(name) + '.o') for name in recipe.compile}
    library = os.path.join(folder, 'ops.so')

    def compile_one(name):
        source = os.path.join(SOURCE_DIR, name)
        _output(recipe.compile[name] + ['-I' + SOURCE_DIR, source, '-o', objects[name]])

    with ThreadPoolExecutor(max_workers=min(len(objects), os.cpu_count() or 1)) as pool:
        list(pool.map(compile_one, objects))
    _output(recipe.link + ['-o', library] + list(objects.values()) + recipe.libraries)
    return library


def _put_into_cache(library, cached):
    """Copy a build into the cache; return where it can be loaded from."""
    try:
        os.makedirs(os.path.dirname(cached), exist_ok=True)
        with open(library, 'rb') as source, atomic_write(cached) as target:
            shutil.copyfileobj(source, target)
        return cached
    except (OSError, UserError) as error:
        warnings.warn(
            'compiled ops cannot be kept in %s (%s), so that each program compiles them '
            'again; set %s to a folder that you may write to'
            % (os.path.dirname(cached), error, CACHE_VARIABLE),
            RuntimeWarning,
            stacklevel=2,
        )
        return library
