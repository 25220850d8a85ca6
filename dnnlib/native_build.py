"""Libraries of C++ and CUDA, compiled once per user and machine and kept in a cache.

A build happens in a temporary folder and takes its place in the cache by being renamed, under a
name that says all it depends on. So processes need not wait for each other, nothing is ever out of
date, and what a build that was killed leaves behind is removed by the next one. At the end of each
file stands a digest of the rest, so that a damaged one is built again instead of ending every
program that loads it.
"""

import atexit
import contextlib
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Dict, List, NamedTuple, Optional

from dnnlib.files import make_temporary_folder, sweep, temporary_folder
from dnnlib.util import UserError, atomic_write

CACHE_VARIABLE = 'STYLEGAN2_OPS_CACHE'

_SHOWN_LINES = 5  # of a compiler's output
_TEMPORARY = 'stylegan2-ops'  # folders of builds


class Recipe(NamedTuple):
    """How to build a library."""

    name: str
    folder: str  # of the sources; the headers in it count too
    compile: Dict[str, List[str]]  # sources with the command for each
    link: List[str]
    libraries: List[str]  # what to link them with
    depends_on: str  # all else that the result depends on: versions, the processor


class BuildError(Exception):
    """There is no compiler, or it failed; the text says why, in at most a few lines."""


def cache_dir() -> str:
    """Folder of what was compiled: $STYLEGAN2_OPS_CACHE, else stylegan2-ops in the user's cache."""
    caches = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
    folder = os.environ.get(CACHE_VARIABLE) or os.path.join(caches, 'stylegan2-ops')
    return os.path.abspath(os.path.expanduser(folder))


def build(recipe: Recipe) -> str:
    """Path of a recipe's library, compiled where it is not in the cache; raises BuildError."""
    try:
        cached = os.path.join(cache_dir(), '%s-%s.so' % (recipe.name, key_of(recipe)))
        if _is_whole(cached):
            return cached
        with temporary_folder(_TEMPORARY) as folder:
            return _keep(_compile(recipe, folder), cached)
    except OSError as error:
        raise BuildError('a file is missing or cannot be written: %s' % error)


def key_of(recipe: Recipe) -> str:
    """Hash of the sources, headers and commands, and of what the recipe says besides."""
    parts = [recipe.depends_on, repr((recipe.link, recipe.libraries))]
    parts += ['%s %r' % item for item in sorted(recipe.compile.items())]
    digest = hashlib.sha256('\n'.join(parts).encode())
    for path in sorted(glob.glob(os.path.join(glob.escape(recipe.folder), '**'), recursive=True)):
        name = os.path.relpath(path, recipe.folder)
        if name in recipe.compile or name.endswith(('.h', '.cuh')):
            with open(path, 'rb') as file:
                digest.update(name.encode() + file.read())
    return digest.hexdigest()[:24]


def find_compiler(name: str) -> str:
    """Path of a compiler on the PATH; raises BuildError."""
    path = shutil.which(name)
    if path is None:
        raise BuildError('there is no %s on the PATH' % name)
    return path


def processor_of(compiler: str) -> str:
    """What g++ would be called with for -march=native here: with -### it prints all of it."""
    return output_of([compiler, '-###', '-march=native', '-E', '-x', 'c++', os.devnull])


class _Children:
    """Processes that end together."""

    def __init__(self) -> None:
        self._processes: List[subprocess.Popen] = []
        self._are_unwanted = False

    def add(self, process: subprocess.Popen) -> None:
        self._processes.append(process)
        if self._are_unwanted:
            process.kill()

    def kill(self) -> None:
        """End them, and those that other threads start from now on."""
        self._are_unwanted = True
        for process in self._processes:
            process.kill()


def output_of(command: List[str], children: Optional[_Children] = None) -> str:
    """What a command prints; raises BuildError if it fails.

    Args:
        children: its process is added to these.
    """
    env = dict(os.environ, LC_ALL='C')
    try:
        process = subprocess.Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=env)
    except OSError as error:
        raise BuildError('%s cannot be run: %s' % (command[0], error))
    if children is not None:
        children.add(process)
    with process:
        text = process.communicate()[0].decode('utf-8', 'replace')
    if process.returncode:
        raise BuildError('%s failed: %s' % (command[0], first_lines(text)))
    return text


def first_lines(text: str) -> str:
    """The beginning of a long message."""
    return '\n'.join(text.strip().splitlines()[:_SHOWN_LINES]) or 'no message'


def _compile(recipe, folder):
    """Compile and link in a folder, all sources at the same time; the path of the result."""
    text = 'Compiling the %s ops; this takes up to a minute, once.'
    print(text % recipe.name, file=sys.stderr, flush=True)
    objects = {name: os.path.join(folder, os.path.basename(name) + '.o') for name in recipe.compile}
    library = os.path.join(folder, 'ops.so')

    def compile_one(name):
        source = os.path.join(recipe.folder, name)
        command = recipe.compile[name] + ['-I' + recipe.folder, source, '-o', objects[name]]
        output_of(command, children)

    children = _Children()
    with ThreadPoolExecutor(max_workers=min(len(objects), os.cpu_count() or 1)) as pool:
        try:
            list(pool.map(compile_one, objects))
        except BaseException:  # SIGTERM or an error: the pool would wait for the others
            children.kill()
            raise
    output_of(recipe.link + ['-o', library] + list(objects.values()) + recipe.libraries)
    return library


def _is_whole(path):
    """Whether a file in the cache is as it was written; loaders ignore what follows a library."""
    content = b''
    with contextlib.suppress(OSError), open(path, 'rb') as file:
        content = file.read()
    size = hashlib.sha256().digest_size
    return hashlib.sha256(content[:-size]).digest() == content[-size:]


def _keep(library, cached):
    """Copy a build into the cache; where that is impossible, to where it stays until the end."""
    try:
        os.makedirs(os.path.dirname(cached), exist_ok=True)
        sweep(os.path.dirname(cached))
        with open(library, 'rb') as source, atomic_write(cached) as target:
            content = source.read()
            target.write(content + hashlib.sha256(content).digest())
        return cached
    except (OSError, UserError) as error:
        text = (
            'compiled ops cannot be kept in %s (%s), so that each program compiles them '
            'again; set %s to a folder that you may write to'
        ) % (os.path.dirname(cached), error, CACHE_VARIABLE)
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    folder = make_temporary_folder(_TEMPORARY)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return shutil.copy(library, folder)
