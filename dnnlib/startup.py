"""What happens before one of our programs imports a package: the first import of `dnnlib`.

Where there is no TensorFlow, the program goes on in the environment that `make env` made, the one
that `make` would take. Ctrl-C, SIGTERM and a missing package while modules are imported end in one
line, as in `cli.run_cli`. Nothing happens in a user's script, a notebook or a test.
"""

import os
import sys

from . import endings, program

_GUARD = 'STYLEGAN2_WENT_ON_IN'  # set for the process that goes on, so that it does so once


def _environment():
    """Name of the environment: that of $ENGINE, else .venv-tf1 where there is one; '' for none."""
    for engine in [os.environ['ENGINE']] if os.environ.get('ENGINE') else ['tf1', 'tf2']:
        name = '.venv-' + engine
        if os.access(os.path.join(program.ROOT, name, 'bin', 'python'), os.X_OK):
            return name
    return ''


def _go_on_in_environment():
    went_on = os.environ.pop(_GUARD, None)
    if not program.is_missing('tensorflow'):
        return
    name = '' if went_on else _environment()
    if not name:
        sys.stderr.write('Error: %s\n' % program.advice('tensorflow'))
        sys.exit(2)
    text = '%s has no TensorFlow: going on in %s (ENGINE=tf1 or ENGINE=tf2 chooses).\n'
    sys.stderr.write(text % (sys.executable, name))
    sys.stderr.flush()
    os.environ[_GUARD] = name
    python = os.path.join(program.ROOT, name, 'bin', 'python')
    # Kept as the user typed it, since commands are named in the same way.
    path = sys.argv[0] if os.path.realpath(sys.argv[0]) == program.PATH else program.PATH
    os.execv(python, [python, path] + sys.argv[1:])


def _end_quietly(kind, error, trace):
    missing = program.missing_package(error)
    if missing:
        sys.stderr.write('Error: %s\n' % missing)
        sys.exit(2)
    ending = endings.ending_in(error)  # compiled modules turn it into an ImportError
    if ending is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write(endings.line_of(ending) + '\n')
    sys.exit(endings.status_of(ending))


if program.PATH:
    sys.excepthook = _end_quietly
    endings.begin()
    _go_on_in_environment()
