"""What to do next, as a command to copy and paste."""

import os
import shlex
import sys

from .program import COMMANDS, how_to_run


def next_command(program: str, *arguments: str) -> str:
    """The line 'next: ' and a command for a program, in the way in which this one was started.

    Args:
        program: such as run_metrics.py. arguments: as it is to get them; quoted here where the
            shell needs it.
    """
    start = how_to_run(program)
    folder, started = os.path.split(sys.argv[0])
    if started in COMMANDS and start.endswith(program):
        start = 'python ' + shlex.quote(os.path.join(folder, program))
    return ' '.join(['next:', start] + [shlex.quote(word) for word in arguments])
