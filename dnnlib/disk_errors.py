"""What a run does when a disk is full, was taken away or cannot be written.

What it cannot do without it tries again until it works, `until_written`; what it can, costs a
warning, `Expendable`.
"""

import contextlib
import errno
import time
from typing import Any, Callable, Iterator, Optional

from . import endings
from .files import UserError, reason_of
from .util import format_time

_LATER = [
    getattr(errno, name)
    for name in 'ENOSPC EDQUOT EFBIG EROFS EACCES EPERM ENOENT ENOTDIR EIO ESTALE ENXIO ENODEV '
    'ETIMEDOUT EHOSTDOWN EHOSTUNREACH ENETDOWN ENETUNREACH ENOTCONN EBUSY EMFILE ENFILE'.split()
    if hasattr(errno, name)
]
_LOOK = 0.2  # seconds between looks whether the process is to end


def reason(error: BaseException) -> Optional[str]:
    """Why a disk does not take a file, in part of a line; None if another error is told.

    Either an OSError, or the UserError that `dnnlib.files.atomic_write` made of one.
    """
    if isinstance(error, UserError):
        error = error.__cause__  # type: ignore[assignment]  # None is none of them
    return reason_of(error) if isinstance(error, OSError) and error.errno in _LATER else None


def until_written(
    what: str,
    write: Callable[[], Any],
    first_wait: float = 1.0,
    longest_wait: float = 30.0,
    line_every: float = 180.0,
) -> Any:
    """Call `write` until the disk takes it; its result.

    A line says so at the first failure, every few minutes, and when it has worked.

    Args:
        what: what is written, for lines.
        first_wait, longest_wait: seconds from one try to the next, at first and at most.
        line_every: seconds between lines.

    Raises:
        The error of the last try, once the process is asked to end; any other at once.
    """
    start = last_line = None  # type: Optional[float]
    wait = first_wait
    while True:
        try:
            result = write()
            break
        except (OSError, UserError) as error:
            problem = reason(error)
            if problem is None or endings.pending():
                raise
            now = time.monotonic()
            if start is None or last_line is None:
                start = last_line = now
                text = 'Warning: %s cannot be written (%s); trying again until it works.'
                print(text % (what, problem), flush=True)
            elif now - last_line >= line_every:
                last_line = now
                text = 'Warning: %s cannot be written (%s); waiting for %s so far.'
                print(text % (what, problem, format_time(now - start)), flush=True)
            _wait(wait)
            wait = min(2 * wait, longest_wait)
    if start is not None:
        print(
            '%s was written after %s.' % (what, format_time(time.monotonic() - start)), flush=True
        )
    return result


def _wait(seconds):
    end = time.monotonic() + seconds
    while not endings.pending() and time.monotonic() < end:
        time.sleep(min(_LOOK, max(end - time.monotonic(), 0)))


class Expendable:
    """Something that is written now and then, and that a run can do without.

    Args:
        what: its name in lines.
    """

    def __init__(self, what: str):
        self._what = what
        self.is_failing = False  # at the last write

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around a write: what a disk does not take costs a warning.

        There is one line for many in a row, and one when it works again.
        """
        try:
            yield
        except (OSError, UserError) as error:
            problem = reason(error)
            if problem is None:
                raise
            if not self.is_failing:
                text = 'Warning: %s cannot be written (%s); the run goes on without.'
                print(text % (self._what, problem), flush=True)
            self.is_failing = True
            return
        if self.is_failing:
            print('%s can be written again.' % self._what, flush=True)
        self.is_failing = False
