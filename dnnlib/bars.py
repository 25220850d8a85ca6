"""How far long work is: a bar on a terminal, elsewhere a line now and then; with the time left."""

import contextlib
import shutil
import sys
import time
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Optional

from tqdm import tqdm

from .util import format_time

_FIRST_LINE = 30.0  # seconds until the first line; the next ones come after twice the time each
_LONGEST_SILENCE = 600.0


class Bar:
    """Progress of one piece of work, to be used as a context manager.

    It is drawn on stderr if that is a terminal, and wiped off in the end. Elsewhere a line is
    written after half a minute, and after twice the time each from then on.

    Args:
        title: what is done. total: how many units of it. unit: what they are. done: those that are
            done already.
        left_after: gives the seconds of the work that follows, None if they are not known; the time
            left of all is then told too.
    """

    def __init__(
        self,
        title: str,
        total: int,
        unit: str = 'it',
        done: int = 0,
        left_after: Optional[Callable[[], Optional[float]]] = None,
    ):
        self.title = title
        self.total = total
        self.done = done
        self._left_after = left_after
        columns, rows = shutil.get_terminal_size()  # tqdm draws nothing where a size is 0
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=title,
            unit=unit,
            disable=None,
            leave=False,
            ncols=columns - 1,
            nrows=rows,
        )
        self._start = time.time()
        self._next_line = self._start + _FIRST_LINE
        self._first = (self._start, done)

    def __enter__(self) -> 'Bar':
        return self

    def __exit__(self, *_error) -> None:
        self.close()

    def update(self, number: int = 1) -> None:
        """Count units that were done."""
        if self._first[0] == self._start:  # the first ones include the engine's warm-up
            self._first = (time.time(), self.done + number)
        self.done += number
        if self._bar.disable:
            self._write_line()
            return
        left = self.left_in_all()
        if left is not None:
            self._bar.set_postfix_str(format_time(left) + ' left in all', refresh=False)
        self._bar.update(number)

    def left(self) -> Optional[float]:
        """Seconds that the rest takes at the pace since the first update; None before the next."""
        begin, first = self._first
        if self.done <= first:
            return None
        return (self.total - self.done) * (time.time() - begin) / (self.done - first)

    def left_in_all(self) -> Optional[float]:
        """Seconds of the rest and of the work that follows; None if they are not known."""
        if self._left_after is None:
            return None
        own, others = self.left(), self._left_after()
        return None if own is None or others is None else own + others

    def _write_line(self):
        now = time.time()
        if now < self._next_line or self.done >= self.total:
            return
        self._next_line = now + min(now - self._start, _LONGEST_SILENCE)
        parts = ['%s: {:,} of {:,}'.format(self.done, self.total) % self.title]
        for seconds, text in [(self.left(), 'left'), (self.left_in_all(), 'left in all')]:
            if seconds is not None:
                parts.append('%s %s' % (format_time(seconds), text))
        print(', '.join(parts), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar off the terminal."""
        self._bar.close()


def track(items: Iterable, title: str, total: int, unit: str = ' img') -> Iterator[Any]:
    """Pass items on, with a bar of so many of them."""
    with Bar(title, total, unit) as bar:
        for item in items:
            yield item
            bar.update()


@contextlib.contextmanager
def timed(title: str) -> Iterator[None]:
    """Print what is done, and the seconds that it took when it is done."""
    print(title + '...', end=' ', flush=True)
    start, time_taken = time.time(), 'failed'
    try:
        yield
        time_taken = format_time(time.time() - start)
    finally:
        print(time_taken, flush=True)


class Phases:
    """Bars of work that is done in phases; each tells the time left of all of them.

    How long phases took is kept for the next time that the same work is done.
    """

    def __init__(self) -> None:
        self._seconds: Dict[str, float] = {}
        self.plan({})

    def plan(self, costs: Mapping[str, float], rounds: int = 1) -> None:
        """Begin the work.

        Args:
            costs: {phase: about how long it takes, in any unit}, in the order of the phases; the
                time that one took when the work was done before is taken in place of that.
            rounds: how many times all is done, this one included.
        """
        self._costs = dict(costs)
        self._to_come = list(costs)
        self._rounds = rounds

    @contextlib.contextmanager
    def bar(self, phase: str, title: str, total: int, unit: str, done: int = 0) -> Iterator[Bar]:
        """The bar of a phase; those planned before it are over, or were not needed."""
        while phase in self._to_come:
            self._seconds[self._to_come.pop(0)] = 0.0
        self._seconds.pop(phase, None)
        start = time.time()

        def left_after():
            share = bar.done / max(bar.total, 1)
            return self._left_after(phase, time.time() - start, share)

        with Bar(title, total, unit, done, left_after) as bar:
            yield bar
        if not done:
            self._seconds[phase] = time.time() - start

    def _left_after(self, phase, seconds, share):
        """Seconds of all phases to come, by the pace of those that took place."""
        known = {name: self._seconds[name] for name in self._costs if self._seconds.get(name)}
        cost = sum(self._costs[name] for name in known) + self._costs.get(phase, 0.0) * share
        if not cost:
            return None
        pace = (sum(known.values()) + seconds) / cost

        def expected(name):
            return self._seconds.get(name, self._costs[name] * pace)

        own = (seconds / share if share else 0.0) if phase in self._costs else 0.0
        others = sum(expected(name) for name in self._costs if name != phase)
        return sum(map(expected, self._to_come)) + (self._rounds - 1) * (own + others)
