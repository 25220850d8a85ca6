"""Ctrl-C while a program imports its modules ends as in `cli.run_cli`, without a traceback."""

import os
import sys


def _end_quietly(kind, error, trace):
    cause = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__  # compiled modules turn it into an ImportError
    if cause is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write('Interrupted.\n')
    sys.exit(130)


# The programs stand beside this package; others keep their tracebacks.
_program = os.path.abspath(getattr(sys.modules['__main__'], '__file__', ''))
if os.path.dirname(_program) == os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    sys.excepthook = _end_quietly
