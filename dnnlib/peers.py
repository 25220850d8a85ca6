"""Whether the other workers are still there: a thread asks their ports.

TensorFlow 2's collectives end with an error soon after a worker has died, those of TensorFlow 1.14
wait for ever. The system of a dead process closes its port, so that a connection is refused; a
machine that is gone answers nothing at all. A process that has stopped, but lives, is not noticed.
"""

import errno
import os
import socket
import sys
import threading
import time
from typing import Callable, List, Optional

from .submission import run_lock
from .util import UserError
from .workers import Workers, split_address

STATUS = 143  # as after SIGTERM, which schedulers take for worth another try
_INTERVAL = 2.0  # seconds between rounds
_PATIENCE = 5.0  # seconds for an answer
_MOST_FAILURES = 4  # in a row; a refusal counts twice
_TIME_TO_END = 10.0  # seconds for the main thread to end the process by itself


class WorkerLost(UserError):
    """Another worker has ended, and so must this one."""

    exit_status = STATUS


def answers(address: str, patience: float = _PATIENCE) -> Optional[OSError]:
    """None if somebody listens there, else what is in the way."""
    try:
        socket.create_connection(split_address(address), patience).close()
    except OSError as error:  # socket.timeout, too
        return error
    return None


class Watch:
    """Watches the other workers until `close`.

    Once one is lost, `lost` says so in a line. A main thread that does not `acknowledge` it soon
    is taken for waiting in TensorFlow: the process ends with that line.

    Args:
        workers: all of them. describe: makes the line of the name of a worker.
    """

    def __init__(self, workers: Workers, describe: Callable[[str], str]):
        self._workers = workers
        self._describe = describe
        self._failures: List[int] = [0] * len(workers.addresses)
        self._end = threading.Event()
        self._found = threading.Event()
        self._line = ''
        self._thread = threading.Thread(target=self._watch, name='workers', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more: from now on workers may end."""
        self._end.set()

    def lost(self, patience: float) -> Optional[WorkerLost]:
        """What to raise if a worker is lost, or found so within some seconds; else None."""
        if not self._found.wait(patience):
            return None
        self._end.set()
        return WorkerLost(self._line)

    def _watch(self):
        others = [i for i in range(len(self._failures)) if i != self._workers.rank]
        while not self._end.wait(_INTERVAL):
            for index in others:
                error = answers(self._workers.addresses[index])
                if error is None:
                    self._failures[index] = 0
                elif not self._end.is_set():
                    self._failures[index] += 2 if error.errno == errno.ECONNREFUSED else 1
                if self._failures[index] >= _MOST_FAILURES:
                    self._give_up(index)
                    return

    def _give_up(self, index):
        self._line = self._describe(self._workers.name(index))
        self._found.set()
        if not self._end.wait(_TIME_TO_END):
            end_now(self._line)


def end_now(line: str) -> None:
    """End the process from another thread, with its last line, whatever the main thread does."""
    print('Error: ' + line, file=sys.stderr)
    for stream in (sys.stderr, sys.stdout):
        stream.flush()
    run_lock.give_back_all()
    time.sleep(0.1)  # for whoever reads what was printed
    os._exit(STATUS)
