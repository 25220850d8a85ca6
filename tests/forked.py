"""Bad inputs tried in children of one process that has imported TensorFlow, each with limits.

    python -m tests.forked MODULE FOLDER [ARGUMENT ...]

`MODULE.attempts(folder, *arguments)` yields (name, function) pairs; a function is called in a child
of its own in `folder` and returns an exit status. One line of JSON per attempt tells how it ended.
"""

import contextlib
import importlib
import io
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import traceback

SECONDS = 120  # of real time, after which a child is a hang; the machine may be busy
CPU_SECONDS = 20
MEGABYTES = 600
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What programs import when their flags are checked; here once, for all children.
_IMPORTED_ONCE = ['dnnlib.tflib.weights', 'training.pictures.images', 'metrics.several_networks']
_IMPORTED_ONCE += ['projector', 'training.training_loop']
_RAN = 'RAN'  # a file that appears when anything of an input is run


def run(module, folder, *arguments):
    """Try all attempts of a module in a new process.

    Returns their outcomes, dictionaries of name, status, lines (of stderr), seconds, cpu_seconds,
    megabytes, ran.
    """
    command = [sys.executable, '-m', 'tests.forked', module, str(folder)]
    done = subprocess.run(
        command + [str(argument) for argument in arguments],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 0, done.stderr.decode()[-5000:]
    lines = done.stdout.decode().splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"')]


def assert_ended_well(outcome, statuses=(0, 2)):
    """Success or one line of a user's mistake, within bounds, and nothing of the input ran."""
    assert outcome['status'] in statuses, outcome
    assert outcome['status'] == 0 or len(outcome['lines']) == 1, outcome
    assert not outcome['ran'], outcome
    assert outcome['cpu_seconds'] < CPU_SECONDS and outcome['megabytes'] < MEGABYTES, outcome


def _try(function, folder):
    """Call a function in a child; returns its outcome."""
    path = os.path.join(folder, 'stderr.txt')
    start = time.time()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            with open(path, 'w', encoding='utf-8', errors='backslashreplace') as stderr:
                status = _in_child(function, folder, stderr)
        finally:
            os._exit(status)
    ended, status, usage = 0, 0, None
    while not ended and time.time() < start + SECONDS:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        time.sleep(0.002)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    with open(path, encoding='utf-8', errors='replace') as file:
        lines = file.read().splitlines()
    ran = os.path.exists(os.path.join(folder, _RAN))
    if ran:
        os.remove(os.path.join(folder, _RAN))
    return dict(
        status=os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status),
        lines=[line for line in lines if not _is_of_tensorflow(line)],
        seconds=round(time.time() - start, 3),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 3),
        megabytes=round(usage.ru_maxrss / 1024.0),
        ran=ran,
    )


def _in_child(function, folder, stderr):
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CPU, (2 * CPU_SECONDS, 2 * CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _watch()
    os.dup2(stderr.fileno(), 2)
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        try:
            return function() or 0
        except BaseException:
            traceback.print_exc()
            return 98


def _watch():
    """Leave a file where code of an input could come to life."""
    from dnnlib.tflib import network_code

    def ran(*_args, **_kwargs):
        open(_RAN, 'w').close()
        raise RuntimeError('an input has run')

    os.system = os.popen = pickle.loads = pickle.load = pickle.Unpickler = ran
    network_code._execute = ran


def _is_of_tensorflow(line):
    """Whether a line is not ours: TensorFlow logs to stderr, and warnings of packages go there."""
    return not line.strip() or not line.startswith(('Error', 'Traceback', ' ', 'Interrupted'))


def main(module, folder, *arguments):
    for name in _IMPORTED_ONCE:
        importlib.import_module(name)
    for name, function in importlib.import_module(module).attempts(folder, *arguments):
        outcome = _try(function, folder)
        print(json.dumps(dict(outcome, name=name)), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
