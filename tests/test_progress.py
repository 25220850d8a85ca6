"""What a user of training sees between ticks."""

import pytest

from dnnlib.tflib import autosummary
from dnnlib.util import EasyDict
from training.progress import Progress, ticks_until


@pytest.mark.parametrize(
    'tick, interval, ticks',
    [(0, 10, 0), (1, 10, 9), (9, 10, 1), (10, 10, 0), (11, 10, 9), (7, 1, 0), (3, None, None)],
)
def test_the_next_snapshot_is_announced_for_the_tick_that_makes_it(tick, interval, ticks):
    assert ticks_until(tick, interval) == ticks
    if ticks is not None:
        assert (tick + ticks) % interval == 0


def test_a_line_tells_what_one_tick_did(session, tmp_path, capsys):
    progress = Progress(str(tmp_path), start_nimg=1000, total_nimg=5000)
    assert progress.ensure_tick(1000, tick_kimg=2) == 3000
    progress.update(1500)
    assert progress.ensure_tick(2500, tick_kimg=2) == 3000  # the tick goes on
    sched = EasyDict(lod=0.0, minibatch_size=8)
    autosummary.autosummary('Loss/G', 0.5)
    progress.end_tick(4, 3000, sched, 2, 1, lambda skipped: '%d steps were left out' % skipped)
    progress.close()
    line, problem = capsys.readouterr().out.splitlines()
    for part in ['tick 4', 'kimg 3.0', ' 60.0%', 'minibatch 8', 'G 0.500', 'skipped 2']:
        assert part in line
    assert line.endswith('snapshot in 1 tick') and 'lod' not in line and 'r1' not in line
    assert problem == '2 steps were left out'
