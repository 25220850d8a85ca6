"""Lines that TensorFlow itself writes to stderr, kept from the console where they say nothing.

Its C++ code writes them to file descriptor 2: while it is imported, with the first session, in the
first steps, with the profiler; no setting hides them all. So descriptor 2 of a program leads into a
pipe, and a child process passes on what comes through, but for NOISE. What Python prints takes the
old way. The child reads until nobody has the pipe open any more, so that the last words of a
program that crashes are shown too. STYLEGAN2_VERBOSE=1 shows everything.
"""

import contextlib
import io
import os
import re
import select
import signal
import sys
import time
import warnings
from typing import Iterator

VERBOSE_VARIABLE = 'STYLEGAN2_VERBOSE'

_LOG_LINE = r'%s\d{4} [\d:.]+ +\d+ \S+:\d+\] '  # severity, day, time, thread, place
_NO_GPU = r'failed call to cuInit: .*(UNKNOWN ERROR \(303\)|CUDA_ERROR_NO_DEVICE)'
NOISE = [
    r'WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$',
    _LOG_LINE % 'I',
    # TensorFlow 2 on a CPU without AVX-512, and its profiler without a GPU.
    _LOG_LINE % 'E' + r'oneDNN supports DT_\w+ only on platforms with AVX-512\.',
    _LOG_LINE % 'W' + r'GPU trace was not collected\.',
    # TensorFlow built for CUDA, on a machine without a GPU.
    _LOG_LINE % 'E' + _NO_GPU,
    r'[\d-]+ [\d:.]+: E \S+:\d+\] ' + _NO_GPU,
    # Its libraries name themselves twice, on all machines.
    _LOG_LINE % 'E' + r'Unable to register cu\w+ factory: Attempting to register factory',
    _LOG_LINE % 'W' + r'computation placer already registered\.',
    # Another worker has gone, which a line of ours tells.
    _LOG_LINE % 'E' + r'(Aborting Ring\w+ with|BaseCollectiveExecutor::StartAbort) UNAVAILABLE',
    r'Additional GRPC error information from remote target /job:worker',
    r':UNKNOWN:Error received from peer +\{',
    r'The error could be from a previous operation\. Restart your program to reset\.',
]
_NOISE = re.compile('|'.join(NOISE).encode())
# What terminals and schedulers send to all processes of a program.
_SIGNALS = [getattr(signal, 'SIG' + name) for name in 'INT TERM HUP QUIT USR1 USR2'.split()]
_PATIENCE = 0.1  # seconds until half a line is passed on
_LAST_WORDS = 1.0  # seconds that the end of a program waits for its child


def is_verbose() -> bool:
    """Whether the user wants to see all that TensorFlow writes."""
    return os.environ.get(VERBOSE_VARIABLE, '') not in ('', '0')


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Around a program's work: what is written to descriptor 2, but not by sys.stderr, is sieved.

    Nothing is changed where sys.stderr is no console stream (tests, notebooks) or is closed, and
    within another `without_noise`.
    """
    stream = sys.stderr
    if is_verbose() or not _writes_to_descriptor_2(stream):
        yield
        return
    stream.flush()
    console = os.dup(2)
    encoding, errors = stream.encoding, stream.errors
    own = open(console, 'w', 1, encoding=encoding, errors=errors, closefd=False)
    child = _start_sieve(console)
    sys.stderr = own
    try:
        yield
    finally:
        sys.stderr = stream
        with contextlib.suppress(OSError):  # nobody listens any more
            own.flush()
        os.dup2(console, 2)
        _wait_for(child)


def _writes_to_descriptor_2(stream):
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == 2
    except ValueError:  # it has none, or is closed
        return False


def _start_sieve(console):
    """Make descriptor 2 the way into a child process that writes to `console`."""
    source, sink = os.pipe()
    with warnings.catch_warnings():
        # The threads that there are belong to NumPy; the child does not need them.
        warnings.simplefilter('ignore', DeprecationWarning)
        former = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the child ignores them
        child = os.fork()
    if child == 0:
        try:
            os.close(sink)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # the end of the pipe is its end
            sieve(source, console)
        finally:
            os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, former)
    os.close(source)
    os.dup2(sink, 2)
    os.close(sink)
    return child


def sieve(source: int, target: int) -> None:
    """Copy from a file descriptor to another, to the end, without blank lines and NOISE."""
    partial, is_within_line = b'', False
    while True:
        if partial and not select.select([source], [], [], _PATIENCE)[0]:
            if not _NOISE.match(partial):
                _write(target, partial)
                partial, is_within_line = b'', True
                continue
        data = os.read(source, 1 << 16)
        *lines, partial = (partial + data).split(b'\n')
        for line in lines + ([] if data else [partial]):
            if is_within_line or not (_NOISE.match(line) or not line.strip()):
                _write(target, line + (b'\n' if data else b''))
            is_within_line = False
        if not data:
            return


def _write(target, data):
    while data:
        data = data[os.write(target, data) :]


def _wait_for(child):
    """Let the child show what is left; another program may hold the pipe open for longer."""
    deadline = time.time() + _LAST_WORDS
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(child, os.WNOHANG)[0] == 0 and time.time() < deadline:
            time.sleep(0.002)
