"""What to do next, as a command to copy and paste."""

import os
import shlex
import sys

_CONSOLE_PREFIX = 'stylegan2-'  # of the commands that installing the package brings
_CONSOLE_NAMES = {
    'run_training.py': 'train',
    'run_metrics.py': 'metrics',
    'run_generator.py': 'generate',
    'run_projector.py': 'project',
    'dataset_tool.py': 'dataset',
}


def command(program: str, *arguments: str) -> str:
    """A command line for a program such as run_metrics.py, in the way this one was started.

    Args:
        arguments: as the program is to get them; quoted here where the shell needs it.
    """
    started = os.path.basename(sys.argv[0])
    if started.startswith(_CONSOLE_PREFIX):
        words = [_CONSOLE_PREFIX + _CONSOLE_NAMES[program]]
    else:
        folder = os.path.dirname(sys.argv[0]) if started in _CONSOLE_NAMES else ''
        words = ['python', os.path.join(folder, program)]
    return ' '.join(shlex.quote(word) for word in words + list(arguments))


def next_command(program: str, *arguments: str) -> str:
    """The line 'next: ' and a `command`."""
    return 'next: ' + command(program, *arguments)
