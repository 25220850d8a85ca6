"""`python doctor.py`: is this machine ready? One verdict per line, for bug reports too.

`ok`, `warn` (works, but not as it could) or `FAIL`; the exit status is 1 if anything fails.
"""

import contextlib
import importlib
import os
import platform
import re
import subprocess
import sys
import warnings
from functools import partial
from typing import Callable, Iterator, List, NamedTuple, Optional

import dnnlib  # first, see dnnlib/startup.py

# isort: split

from dnnlib import flags, native_build
from dnnlib.cli import existing_parent, run_cli
from dnnlib.download import cache_dir
from dnnlib.util import TEXT

PACKAGES = ['numpy', 'scipy', 'PIL', 'requests', 'tqdm', 'google_crc32c', 'psutil']
PYTHONS = [(3, 6), (3, 7), (3, 10), (3, 11), (3, 12), (3, 13)]


class Verdict(NamedTuple):
    """What a check found."""

    level: str  # 'ok', 'warn' or 'FAIL'
    text: str


ok, warn, fail = [partial(Verdict, level) for level in ('ok', 'warn', 'FAIL')]


def check_python() -> Iterator[Verdict]:
    """The interpreter's version against those that the pinned packages exist for."""
    yield ok('version %s' % dnnlib.full_version())
    text = 'Python %s, %s' % (platform.python_version(), sys.executable)
    if sys.version_info[:2] in PYTHONS:
        yield ok(text)
    else:
        pinned = ', '.join('%d.%d' % version for version in PYTHONS)
        yield warn('%s: the packages are pinned for %s' % (text, pinned))


def check_tensorflow() -> Iterator[Verdict]:
    """TensorFlow can be imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            tf = importlib.import_module('tensorflow')
            engine = importlib.import_module('dnnlib.tflib.engine')
    except Exception as error:  # a broken installation raises anything
        advice = 'run `make env`, then use the Python of .venv-tf1 or .venv-tf2'
        yield fail('TensorFlow cannot be imported (%s): %s' % (_describe(error), advice))
        return
    yield ok('TensorFlow %s, engine %s' % (tf.__version__, engine.ENGINE))


def check_packages() -> Iterator[Verdict]:
    """The other packages can be imported."""
    found = []
    for name in PACKAGES:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            yield fail('%s cannot be imported (%s): run `make env`' % (name, _describe(error)))
        else:
            found.append(' '.join([name, getattr(module, '__version__', '')]).strip())
    if found:
        yield ok(', '.join(found))


def check_hardware() -> Iterator[Verdict]:
    """CPU, and the GPUs that the driver knows."""
    yield ok('CPU: %s, %d cores for this process' % (_cpu_model(), len(os.sched_getaffinity(0))))
    cards = _gpu_cards()
    for card in cards:
        yield ok('GPU: ' + card)
    if not cards:
        yield ok('GPU: none, the CPU does all work')


def check_compilers() -> Iterator[Verdict]:
    """The compilers that build custom ops."""
    compilers = [('g++', r'\d+\.\d+[.\d]*$', 'C++'), ('nvcc', r'V\d+[.\d]*', 'CUDA')]
    for command, pattern, language in compilers:
        output = _output([command, '--version'])
        if output is None:
            yield ok('%s: not found; only needed to build %s kernels' % (command, language))
            continue
        version = re.search(pattern, output, re.MULTILINE)
        yield ok('%s %s' % (command, version.group(0).lstrip('V') if version else '(no version)'))


def check_devices() -> Iterator[Verdict]:
    """The devices that TensorFlow uses, which are all that there are."""
    from dnnlib.tflib import engine

    usable = engine.gpu_devices()
    if engine.too_new_gpus():
        yield warn(engine.too_new_gpus())
    text = 'TensorFlow uses %s' % (', '.join(usable) or 'the CPU')
    if len(usable) >= len(_gpu_cards()):
        yield ok(text)
    else:
        advice = '`make env ENGINE=tf2` installs CUDA along'
        if engine.ENGINE == 'tf1':
            advice = 'this version needs CUDA 10.0 and cuDNN 7, newer GPUs `make env ENGINE=tf2`'
        yield warn('%s, and not all GPUs; %s' % (text, advice))


def check_custom_ops() -> Iterator[Verdict]:
    """Which implementation each custom op has here, and how it differs from plain TensorFlow."""
    import tensorflow.compat.v1 as tf

    from dnnlib.tflib import custom_ops, engine, op_check

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the reason says it all
        for name in custom_ops.OP_NAMES:
            implementation, reason = custom_ops.implementation_of(name)
            verdict = warn if implementation == 'ref' else ok
            yield verdict('%s: %s (%s)' % (name, implementation, reason))
        for device in sorted({engine.device(0), '/cpu:0'}):
            with tf.device(device):
                kind, library = custom_ops.built()
                yield from _table(op_check.of_library(kind, library) if library else [], device)


def _table(findings, device):
    """Findings of `op_check` as verdicts, one for each op and type."""
    from dnnlib.tflib.op_check import TOLERANCES

    for op, dtype in sorted({(each.op, each.dtype) for each in findings}):
        rows = [each for each in findings if (each.op, each.dtype) == (op, dtype)]
        figures = ', '.join('%s %.1e' % (each.order, each.difference) for each in rows)
        text = '%s on %s against plain TensorFlow, %s: %s' % (op, device, dtype, figures)
        if all(each.is_fine() for each in rows):
            yield ok(text)
        else:
            text += '; more than %g; please report it with all of this output'
            yield fail(text % TOLERANCES[dtype])


def check_caches() -> Iterator[Verdict]:
    """Where downloads and compiled ops are kept, and whether they can be."""
    caches = [('downloads', cache_dir(), fail), ('compiled ops', native_build.cache_dir(), warn)]
    for what, folder, verdict in caches:
        path, nearest = os.path.abspath(folder), existing_parent(folder)
        if os.path.isdir(nearest) and os.access(nearest, os.W_OK | os.X_OK):
            yield ok('%s are kept in %s' % (what, path))
        else:
            text = '%s cannot be kept in %s: %s is not a writable folder'
            yield verdict(text % (what, path, nearest))


def check_step() -> Iterator[Verdict]:
    """A training step of small networks with FR on each kind of device, against float64."""
    from dnnlib.tflib import engine
    from training import step_check

    for device in sorted({engine.device(0), '/cpu:0'}):
        yield from _table(step_check.compare(device), device)


CHECKS = [check_python, check_packages, check_hardware, check_compilers]
TENSORFLOW_CHECKS = [check_devices, check_custom_ops, check_caches, check_step]


def report(checks: List[Callable[[], Iterator[Verdict]]]) -> bool:
    """Print the verdicts of some checks, an unforeseen error as one more; False if any is FAIL."""
    fine = True
    for check in checks:
        try:
            for verdict in check():
                fine &= _show(verdict)
        except Exception as error:
            fine = _show(fail('%s stopped: %s' % (check.__name__, _describe(error))))
    return fine


def main(argv: Optional[List[str]] = None) -> int:
    """Print all verdicts; return 1 if anything fails, else 0."""
    flags.parse('doctor.py', __doc__, [], argv)
    fine = report(CHECKS)
    fine &= report([check_tensorflow]) and report(TENSORFLOW_CHECKS)
    return 0 if fine else 1


def _show(verdict):
    print('%-4s  %s' % verdict, flush=True)
    return verdict.level != 'FAIL'


def _describe(error):
    lines = str(error).strip().splitlines()
    return '%s: %s' % (type(error).__name__, lines[-1] if lines else 'no message')


def _output(command):
    """What a command prints, or None where there is none that works."""
    try:
        output = subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=60)
        return output.decode('utf-8', 'replace').strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _gpu_cards():
    """Lines such as 'NVIDIA A100, 81920 MiB, 550.54' of nvidia-smi."""
    query = '--query-gpu=name,memory.total,driver_version'
    listed = _output(['nvidia-smi', query, '--format=csv,noheader'])
    return listed.splitlines() if listed else []


def _cpu_model():
    models = []
    with contextlib.suppress(OSError), open('/proc/cpuinfo', **TEXT) as file:
        models = re.findall(r'^model name\s*: (.*)$', file.read(), re.MULTILINE)
    return models[0] if models else platform.machine()


if __name__ == '__main__':
    sys.exit(run_cli(main))
