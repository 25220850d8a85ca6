"""What the networks stand on: helpers, submitted runs and, in `dnnlib.tflib`, TensorFlow.

Importing this package does not import TensorFlow, but quiets what TensorFlow would print while it
starts: import it first.
"""

import os
import warnings
from typing import Optional

from . import submission, util
from .submission.run_context import RunContext
from .submission.submit import (
    PathType,
    SubmitConfig,
    SubmitTarget,
    convert_path,
    get_path_from_template,
    make_run_dir_path,
    submit_run,
)
from .util import EasyDict

__all__ = [
    'EasyDict',
    'PathType',
    'RunContext',
    'SubmitConfig',
    'SubmitTarget',
    'convert_path',
    'get_path_from_template',
    'make_run_dir_path',
    'submission',
    'submit_run',
    'util',
]

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # its own errors still show
# TensorFlow 1.14 uses NumPy types in a way that newer NumPy versions announce to end.
warnings.filterwarnings('ignore', category=FutureWarning, module='tensor(flow|board)')

# The run that this process is in, None outside of one.
submit_config: Optional[SubmitConfig] = None
