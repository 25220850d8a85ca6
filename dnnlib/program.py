"""Which of this project's programs this process runs, if any, and how a user starts them.

Of the standard library alone: `dnnlib.startup` asks before anything else is imported.
"""

import os
import runpy
import sys
from types import TracebackType
from typing import Dict, List, Optional

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# The console commands of an installation, see setup.cfg.
COMMANDS = {
    'run_training.py': 'stylegan2-train',
    'run_metrics.py': 'stylegan2-metrics',
    'run_generator.py': 'stylegan2-generate',
    'run_projector.py': 'stylegan2-project',
    'run_paper.py': 'stylegan2-paper',
    'dataset_tool.py': 'stylegan2-dataset',
    'pretrained_networks.py': 'stylegan2-networks',
    'run_viewer.py': 'stylegan2-viewer',
    'doctor.py': 'stylegan2-doctor',
}
_ALIAS = 'dnnlib.doctor'  # python -m dnnlib.doctor

# What requirements/ names itself, by what it is imported as.
PACKAGES: Dict[str, str] = dict(
    {name: name for name in 'tensorflow numpy scipy matplotlib requests tqdm h5py psutil'.split()},
    PIL='pillow',
    google_crc32c='google-crc32c',
    sklearn='scikit-learn',
    lmdb='lmdb',
    imageio_ffmpeg='imageio-ffmpeg',
    tensorboard='tensorboard',
    shtab='shtab',
)


def _module_being_located() -> str:
    """What `python -m` names while its packages are imported, when there is no __main__ yet."""
    words: List[str] = getattr(sys, 'orig_argv', [])
    if not words:
        try:
            with open('/proc/self/cmdline', 'rb') as file:
                words = os.fsdecode(file.read()).split('\0')[:-1]
        except OSError:
            return ''
    # The last words are those of sys.argv; the module stands in the place of its '-m'.
    return words[-len(sys.argv)] if len(words) >= len(sys.argv) else ''


def _path() -> str:
    """The file that runs, where it is one of ours; '' for a user's script, a notebook or tests."""
    if sys.argv[:1] == ['-m'] and _module_being_located().endswith(_ALIAS):
        return os.path.join(ROOT, 'doctor.py')
    path = os.path.realpath(getattr(sys.modules['__main__'], '__file__', None) or '')
    folder, name = os.path.split(path)
    for file, command in COMMANDS.items():
        if (folder, name) == (ROOT, file) or name == command:
            return os.path.join(ROOT, file)
    if path == os.path.join(ROOT, 'dnnlib', 'doctor.py'):
        return os.path.join(ROOT, 'doctor.py')
    return path if folder in (os.path.join(ROOT, 'bench'), os.path.join(ROOT, 'tools')) else ''


PATH = _path()
_BY_CONSOLE = os.path.basename(getattr(sys.modules['__main__'], '__file__', None) or '') in set(
    COMMANDS.values()
)


def how_to_run(file: str) -> str:
    """What a user types to run a program as this one is: 'python doctor.py', 'stylegan2-doctor'."""
    return COMMANDS[file] if _BY_CONSOLE and file in COMMANDS else 'python ' + file


def console() -> None:
    """Run the program of the console command that this process is."""
    module = os.path.basename(PATH)[: -len('.py')]
    runpy.run_module(module, run_name='__main__', alter_sys=True)


def is_missing(package: str) -> bool:
    """Whether a package cannot be found; nothing of it is imported."""
    from importlib.util import find_spec

    spec = find_spec(package)
    return spec is None or spec.origin in (None, 'namespace')  # a mere folder of this name


def missing_package(error: BaseException) -> str:
    """One line for a package that our code imports and that is not installed, '' for other errors.

    An import that fails inside of a library is not told so: that is the library's own matter.
    """
    name = (getattr(error, 'name', None) or '').split('.')[0]
    if not isinstance(error, ModuleNotFoundError) or name not in PACKAGES or not is_missing(name):
        return ''
    return advice(name) if _importer(error.__traceback__).startswith(ROOT + os.sep) else ''


def _importer(trace: Optional[TracebackType]) -> str:
    """The file whose import statement failed."""
    path = ''
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith('<frozen importlib'):
            path = os.path.realpath(file)
        trace = trace.tb_next
    return path


def advice(name: str) -> str:
    """One line that a package is missing and which commands install it."""
    prefix = os.path.realpath(sys.prefix)
    if os.path.dirname(prefix) == os.path.join(ROOT, '.venvs'):
        command = '`rm -r %s` and `make env` in %s' % (prefix, ROOT)
    elif not os.path.exists(os.path.join(ROOT, 'tools', 'make_env.sh')):
        command = '`pip install .` again in the folder of its sources, without --no-deps'
    elif name == 'tensorflow':
        command = '`make env` in %s, which makes an environment with it' % ROOT
    else:
        command = '`%s -m pip install %s`, or `make env` in %s and the Python of .venv-tf1 or '
        command = command % (sys.executable, PACKAGES[name], ROOT) + '.venv-tf2'
    return 'the package %s is missing in %s; run %s' % (PACKAGES[name], sys.executable, command)
