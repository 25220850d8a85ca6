"""How a process is asked to end: Ctrl-C and SIGTERM as exceptions, at moments that suit it.

Within `handling()`, Ctrl-C raises KeyboardInterrupt and SIGTERM raises Terminated, at once, or
within `deferred()` at its end. While that exception ends the process, only another Ctrl-C after the
first is heard: it raises at once anywhere. Where it got lost it is raised again: libraries, and
TensorFlow 1.14 while it is imported, have places that drop any exception. SIGUSR1 asks for a state,
see `state_wanted`. All of it takes place in the main thread; C code holds it up until it returns.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from typing import Any, Iterator, Optional, Type

_REMINDER_SIGNAL = signal.SIGURG  # which does no harm where it is not handled
_REMINDER = 0.5  # seconds until a request that got lost is raised again


class Terminated(BaseException):
    """SIGTERM asked this process to end; like KeyboardInterrupt no mistake, so no Exception."""


class _Requests:
    """What this process was asked for."""

    def __init__(self) -> None:
        self.number = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.number += 1  # reminders of the former ones end
        self.pid = os.getpid()
        self.is_handling = False
        self.depth = 0  # of blocks that are not to be interrupted
        self.ending: Optional[Type[BaseException]] = None
        self.num_interrupts = 0
        self.is_state_wanted = False


_requests = _Requests()


@contextlib.contextmanager
def handling() -> Iterator[None]:
    """Handle signals as this module says; the former handlers come back in the end.

    Signals that are ignored, as Ctrl-C is in the background of a shell, stay ignored. Nothing
    happens outside of the main thread and within another `handling()`.
    """
    if not _is_main_thread() or _requests.is_handling:
        yield
        return
    former = {}
    if _requests.ending is not None:  # got lost after `begin`
        raise _requests.ending()
    _requests.forget()
    _requests.is_handling = True
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            handler = signal.getsignal(number)
            if handler not in (None, signal.SIG_IGN):
                former[number] = handler
                signal.signal(number, _handle)
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        _requests.forget()


def begin() -> None:
    """Let SIGTERM raise Terminated from now on, unless something else was made of it."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _handle)


class deferred:
    """Context manager whose body is not interrupted; what came meanwhile is raised at its end.

    An error that ends the body goes first. So does a second Ctrl-C. Blocks nest; outside of the
    main thread they do nothing.

    Args:
        raises: False: nothing is raised at its end; who has `pending` requests ends by himself.
    """

    def __init__(self, raises: bool = True):
        self._raises = raises

    def __enter__(self) -> 'deferred':
        self._counts = _is_main_thread()
        _requests.depth += self._counts
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        _requests.depth -= self._counts
        ending = _requests.ending if self._counts and not _requests.depth else None
        if ending is not None and kind is None and self._raises and not _is_ending():
            raise ending()


def pending() -> bool:
    """Whether this process has been asked to end; stays true from then on."""
    return _requests.ending is not None


def state_wanted() -> bool:
    """Whether SIGUSR1 has asked for a state since the last call."""
    is_wanted, _requests.is_state_wanted = _requests.is_state_wanted, False
    return is_wanted


def ending_in(error: Optional[BaseException]) -> Optional[BaseException]:
    """The Terminated or KeyboardInterrupt that an error is, or that some library has wrapped."""
    while error is not None and not isinstance(error, (KeyboardInterrupt, Terminated)):
        error = error.__cause__
    return error


def say_last_words() -> None:
    """Let nothing but a second Ctrl-C interrupt what still comes, until `handling` ends."""
    _requests.depth += 1


def line_of(ending: BaseException) -> str:
    """The last line of a program that was asked to end."""
    return 'Interrupted.' if isinstance(ending, KeyboardInterrupt) else 'Terminated.'


def status_of(ending: BaseException) -> int:
    """Exit status of a program that was asked to end: 130, or 143 for SIGTERM, as in shells."""
    number = signal.SIGINT if isinstance(ending, KeyboardInterrupt) else signal.SIGTERM
    return 128 + number


def _is_main_thread():
    return threading.current_thread() is threading.main_thread()


def _is_ending():
    """Whether the ending is under way: its exception is being handled somewhere above."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, (KeyboardInterrupt, Terminated)):
        error = error.__context__
    return error is not None


def _handle(number, frame):
    if os.getpid() != _requests.pid:  # a child process, which ends as it would without all this
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    if number == signal.SIGUSR1:
        _requests.is_state_wanted = True
        return
    ending = KeyboardInterrupt if number == signal.SIGINT else Terminated
    _requests.num_interrupts += number == signal.SIGINT
    is_insisting = number == signal.SIGINT and _requests.num_interrupts > 1
    is_first = _requests.ending is None
    if is_first or is_insisting:
        _requests.ending = ending
    if is_first:
        signal.signal(_REMINDER_SIGNAL, _handle_reminder)
        # Not by threading, one of whose locks this thread may hold.
        remind = (threading.get_ident(), _requests, _requests.number, _REMINDER_SIGNAL, _REMINDER)
        start_new_thread(_remind, remind)
    if is_insisting or (is_first and not _requests.depth):
        raise ending()
    _handle_reminder(number, frame)


def _handle_reminder(number, frame):
    if _requests.ending is not None and not (_requests.depth or _is_ending()):
        raise _requests.ending()


def _remind(
    main_thread,
    requests,
    number,
    signal_number,
    seconds,
    sleep=time.sleep,
    kill=signal.pthread_kill,
):
    """Has all that it needs: an interpreter that ends takes the module's names away."""
    sleep(seconds)
    while requests.number == number:
        kill(main_thread, signal_number)
        sleep(seconds)
