"""Progress of long work: time left, and lines where there is no terminal."""

import pytest

from dnnlib import bars
from dnnlib.bars import Bar, Phases, timed


class Clock:
    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bars, 'time', clock)
    return clock


def test_without_a_terminal_a_line_comes_now_and_then(clock, capsys):
    with Bar('distances', 100000, done=1000) as bar:
        for _ in range(99):
            clock.now += 10 if bar.done > 1000 else 25
            bar.update(1000)
    assert capsys.readouterr().err.splitlines() == [
        'distances: 3,000 of 100,000, 16m 10s left',
        'distances: 7,000 of 100,000, 15m 30s left',
        'distances: 15,000 of 100,000, 14m 10s left',
        'distances: 31,000 of 100,000, 11m 30s left',
        'distances: 63,000 of 100,000, 6m 10s left',
    ]


def run_phase(phases, clock, name, seconds):
    """Run a phase of four units; returns the time left of all in its middle."""
    with phases.bar(name, name, 4, ' units') as bar:
        for number in range(4):
            clock.now += seconds / 4
            bar.update()
            if number == 1:
                left = bar.left_in_all()
    return left


def test_the_time_left_is_that_of_all_phases(clock):
    """By guesses at first, by what was measured from then on; what was not needed takes 0 s."""
    phases = Phases()
    phases.plan(dict(a=1, b=1, c=2), rounds=2)
    assert run_phase(phases, clock, 'a', 8) == 4 + 3 * 8 + 4 * 8
    assert run_phase(phases, clock, 'b', 80) == 40 + 64 + (8 + 80 + 64)
    run_phase(phases, clock, 'c', 16)
    phases.plan(dict(a=1, b=1, c=2))
    assert run_phase(phases, clock, 'a', 8) == 4 + 80 + 16
    assert run_phase(phases, clock, 'c', 16) == 8  # b was not needed
    phases.plan(dict(a=1, b=1, c=2))
    assert run_phase(phases, clock, 'a', 8) == 4 + 16


def test_work_that_is_timed_says_how_long_it_took_or_that_it_failed(clock, capsys):
    with timed('Building'):
        clock.now += 61
    with pytest.raises(ValueError), timed('Loading'):
        raise ValueError
    assert capsys.readouterr().out == 'Building... 1m 01s\nLoading... failed\n'
