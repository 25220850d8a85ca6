"""What the networks stand on: helpers, submitted runs and, in `dnnlib.tflib`, TensorFlow.

Importing this package does not import TensorFlow, but quiets what TensorFlow would print while it
starts: import it first.
"""

import os
import re
import warnings
from typing import Optional

from . import startup  # first: it goes on in an environment that has what the others import

# isort: split

from . import quiet, submission, util
from .submission.run_context import RunContext
from .submission.submit import (
    PathType,
    SubmitConfig,
    SubmitTarget,
    convert_path,
    follow_run,
    get_path_from_template,
    make_run_dir_path,
    resume_run,
    submit_run,
)
from .util import EasyDict

__version__ = '0.9.0'

if not quiet.is_verbose():
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # its own errors still show
# TensorFlow 1.14 uses NumPy types in a way that newer NumPy versions announce to end.
warnings.filterwarnings('ignore', category=FutureWarning, module='tensor(flow|board)')

# The run that this process is in, None outside of one.
submit_config: Optional[SubmitConfig] = None


def full_version() -> str:
    """The version, with the commit if these sources are a git clone: '0.9.0 (1a2b3c4)'."""
    git = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), '.git')

    def read(name):
        try:
            with open(os.path.join(git, name), encoding='utf-8') as file:
                return file.read()
        except OSError:
            return ''

    commit = read('HEAD').strip()
    if commit.startswith('ref: '):
        name = commit[len('ref: ') :]
        packed = re.search(r'^(\w+) %s$' % re.escape(name), read('packed-refs'), re.MULTILINE)
        commit = read(name) or (packed.group(1) if packed else '')
    return '%s (%s)' % (__version__, commit[:7]) if commit else __version__
