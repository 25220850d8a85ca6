"""What made a result, beside its options: command, code, packages and machine."""

import functools
import glob
import hashlib
import os
import platform
import re
import sys
from typing import Any, Dict, List

import numpy as np
import PIL
import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib.tflib import cluster, custom_ops, engine
from dnnlib.util import TEXT

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_FOLDERS = ('dcgan', 'dnnlib', 'metrics', 'training')
_SOURCES = ('.py', '.cu', '.cc', '.h', '.cuh')
# On what the last bits of numbers depend, with the words for a change.
_TELLING = {
    'code': 'code',
    'python': 'Python',
    'packages': 'packages',
    'engine': 'engine',
    'devices': 'devices',
    'cpu': 'CPU',
    'threads': 'number of threads',
    'num_gpus': '--num-gpus',
    'workers': 'workers',
    'ops': 'ops',
}


@functools.lru_cache(maxsize=None)
def code_hash() -> str:
    """Hash of all sources that results may depend on: of metrics, networks and operations."""
    digest = hashlib.sha256()
    for folder in _FOLDERS:
        paths = glob.glob(os.path.join(glob.escape(_ROOT), folder, '**', '*.*'), recursive=True)
        for path in sorted(p for p in paths if p.endswith(_SOURCES)):
            with open(path, 'rb') as file:
                digest.update(file.read())
    return digest.hexdigest()[:12]


def facts(num_gpus: int) -> Dict[str, Any]:
    """Command line, code, packages, engine and machine of this process, as plain data.

    num_gpus: devices of all workers.
    """
    return dict(
        command_line=list(sys.argv),
        version=dnnlib.full_version(),
        code=code_hash(),
        python=platform.python_version(),
        packages=dict(tensorflow=tf.__version__, numpy=np.__version__, pillow=PIL.__version__),
        engine='gpu' if engine.gpu_devices() else 'cpu',
        devices=engine.gpu_names(),
        cpu=_cpu_model(),
        threads=_num_threads(),
        num_gpus=num_gpus,
        workers=cluster.current().size,
        ops='compiled' if _has_compiled_ops() else 'plain TensorFlow',
    )


def differences(before: Dict[str, Any], now: Dict[str, Any]) -> List[str]:
    """What has changed that numbers may depend on, a few words each; see `facts`."""
    return [
        '%s: %s, was %s' % (words, _in_words(now.get(name)), _in_words(before.get(name)))
        for name, words in _TELLING.items()
        if before.get(name) != now.get(name) and not (name == 'workers' and name not in before)
    ]


def _in_words(value):
    if isinstance(value, dict):
        return ' '.join('%s %s' % pair for pair in sorted(value.items()))
    return ' '.join(map(str, value)) if isinstance(value, list) else str(value)


def _cpu_model():
    """The CPU's name, with its number of cores where the system tells no name."""
    try:
        with open('/proc/cpuinfo', **TEXT) as file:
            names = re.findall(r'^model name\s*: (.*)$', file.read(), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _has_compiled_ops():
    with tf.Graph().as_default(), tf.device(engine.device(0)):
        return bool(custom_ops.built()[1])


def _num_threads():
    """Cores that this process may use, on which TensorFlow's number of threads depends."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count()
