#!/usr/bin/env python3
"""Start a command as several workers on this machine: `tools/launch.py 2 -- python X.py ...`.

Each gets a TF_CONFIG with free ports. What they print is passed on with the worker's number before
each line. SIGTERM and Ctrl-C go to all of them; the exit status is the largest one.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Iterator, List, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, workers  # first, see dnnlib/startup.py

# isort: split

from dnnlib.util import UserError

_NUMBER = cli.number(int, 1, 64)
_USAGE = 'use it like this: tools/launch.py 2 -- python run_training.py --config=config-e-fr'


def main(argv: Optional[List[str]] = None) -> int:
    """Start the workers and wait for all of them."""
    argv = sys.argv[1:] if argv is None else argv
    if argv in (['-h'], ['--help']):
        print(__doc__)
        return 0
    if len(argv) < 3 or argv[1] != '--' or not argv[0].isdecimal():
        raise UserError('the arguments are %s; %s' % (' '.join(argv) or 'missing', _USAGE))
    problem = _NUMBER.problem(int(argv[0]))
    if problem:
        raise UserError('the number of workers %s' % problem)
    addresses = ['127.0.0.1:%d' % port for port in _free_ports(int(argv[0]))]
    processes: List[subprocess.Popen] = []
    with _passing_on_signals(processes):
        for index in range(len(addresses)):
            processes.append(_start(argv[2:], addresses, index))
        threads = [threading.Thread(target=_print, args=pair) for pair in enumerate(processes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(abs(process.wait()) for process in processes)


def _free_ports(number: int) -> List[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(number)]
        for each in sockets:
            each.bind(('127.0.0.1', 0))
        return [each.getsockname()[1] for each in sockets]


def _start(command, addresses, index):
    environ = dict(os.environ, TF_CONFIG=workers.tf_config(addresses, index), PYTHONUNBUFFERED='1')
    try:
        return subprocess.Popen(
            command,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # else Ctrl-C would reach it twice
        )
    except OSError as error:
        raise UserError('%s cannot be started: %s' % (command[0], error.strerror))


def _print(index, process):
    for line in process.stdout:
        sys.stdout.write('[%d] %s' % (index, line.decode('utf-8', 'backslashreplace')))
        sys.stdout.flush()


@contextlib.contextmanager
def _passing_on_signals(processes: List[subprocess.Popen]) -> Iterator[None]:
    def pass_on(number, _frame):
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    numbers = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1
    former = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
