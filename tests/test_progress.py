"""What a user of training sees between ticks."""

import glob
import io
import json

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib import autosummary
from dnnlib.util import EasyDict
from training.progress import Progress


def test_a_line_tells_what_one_tick_did(session, tmp_path, capsys):
    progress = Progress(str(tmp_path), start_nimg=1000, total_nimg=5000)
    assert progress.ensure_tick(1000, tick_kimg=2) == 3000
    progress.update(1500)
    assert progress.ensure_tick(2500, tick_kimg=2) == 3000  # the tick goes on
    sched = EasyDict(lod=0.0, minibatch_size=8, tick_kimg=2)
    autosummary.autosummary('Loss/G', 0.5)
    progress.end_tick(4, 3000, sched, 2, lambda skipped: '%d steps were left out' % skipped)
    progress.close()
    *_, header, line, problem = capsys.readouterr().out.splitlines()
    assert line.startswith('tick 4     kimg 3.0      60%   ') and line.endswith('  0.5')
    assert header.split() == ['done', 'time', 'left', 's/kimg', 'maint', 'G']
    assert header.index('G') == line.index('0.5')
    assert problem == '2 steps were left out'


class Clock:
    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now


def test_the_time_left_is_that_of_training_and_of_snapshots_to_come(
    session, tmp_path, capsys, monkeypatch
):
    """0.5 s for 8 images, the first ones 60 s; a snapshot of 100 s every 2 ticks and at the end."""
    clock = Clock()
    monkeypatch.setattr('training.progress.time', clock)
    progress = Progress(str(tmp_path), start_nimg=0, total_nimg=4 * 16, snapshot_ticks=2)
    sched = EasyDict(lod=0.0, minibatch_size=8, tick_kimg=0.016)
    cur_nimg, left = 0, []
    for tick in range(4):
        progress.ensure_tick(cur_nimg, tick_kimg=0.016)
        for _ in range(2):
            clock.now += 0.5 if cur_nimg else 60
            cur_nimg += 8
            progress.update(8)
        progress.end_tick(tick, cur_nimg, sched, 0, lambda skipped: None)
        (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith('tick ')]
        left.append(line[38:47].strip())
        clock.now += 100 if tick % 2 == 0 else 0
    progress.close()
    assert left == ['3s', '3m 22s', '1m 41s', '1m 40s']


def test_metrics_of_a_snapshot_stand_at_its_own_tick(session, tmp_path):
    """In stats.jsonl and TensorBoard; what comes between does not move them to the next tick."""
    sched = EasyDict(lod=0.0, minibatch_size=8, tick_kimg=2)
    progress = Progress(str(tmp_path), start_nimg=0, total_nimg=4000)
    for tick, cur_nimg in enumerate([2000, 4000]):
        progress.ensure_tick(cur_nimg - 2000, tick_kimg=2)
        progress.end_tick(tick, cur_nimg, sched, 0, lambda skipped: None)
        for value in [10.0 + tick, float('nan')]:
            autosummary.autosummary('Metrics/%s' % value, value)
        progress.add_to_tick(cur_nimg)
    progress.close()
    stats = [json.loads(line) for line in open(str(tmp_path / 'stats.jsonl'))]
    assert [line['Progress/tick'] for line in stats] == [0, 1]
    metrics = [{k: v for k, v in line.items() if k.startswith('Metrics/')} for line in stats]
    assert metrics == [
        {'Metrics/10.0': 10.0, 'Metrics/nan/nonfinite': 1.0},
        {'Metrics/11.0': 11.0, 'Metrics/nan/nonfinite': 1.0},
    ]
    assert all('timestamp' in line and 'Timing/total_sec' in line for line in stats)
    (path,) = glob.glob(str(tmp_path / 'events.out.tfevents*'))
    steps = {
        value.tag: event.step
        for event in tf.train.summary_iterator(path)
        for value in event.summary.value
    }
    assert (steps['Metrics/10.0'], steps['Metrics/11.0']) == (2000, 4000)


def test_a_disk_that_is_away_for_a_while_costs_pictures_alone(session, tmp_path, capsys):
    sched = EasyDict(lod=0.0, minibatch_size=8, tick_kimg=2)
    run_dir, away = tmp_path / 'run', tmp_path / 'away'
    run_dir.mkdir()
    progress = Progress(str(run_dir), start_nimg=0, total_nimg=6000)
    images = np.zeros([1, 3, 8, 8], np.uint8)
    for tick in range(3):
        if tick == 1:
            run_dir.rename(away)
        progress.ensure_tick(2000 * tick, tick_kimg=2)
        progress.end_tick(tick, 2000 * (tick + 1), sched, 0, lambda skipped: None)
        progress.add_images('Images/fakes', images, [0, 255], (1, 1), 2000 * (tick + 1))
        progress.save_grid('fakes%d.png' % tick, images, [0, 255], (1, 1))
        autosummary.autosummary('Metrics/x', tick)
        progress.add_to_tick(2000 * (tick + 1))
        if tick == 1:
            away.rename(run_dir)
    progress.close()
    stats = [json.loads(line) for line in open(str(run_dir / 'stats.jsonl'))]
    assert [(line['Progress/tick'], line['Metrics/x']) for line in stats] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    assert sorted(path.name for path in run_dir.glob('*.png')) == ['fakes0.png', 'fakes2.png']
    (path,) = glob.glob(str(run_dir / 'events.out.tfevents*'))
    values = [
        (value.tag, event.step)
        for event in tf.train.summary_iterator(path)
        for value in event.summary.value
    ]
    for tag, steps in [('Metrics/x', [2000, 4000, 6000]), ('Progress/tick', [2000, 4000, 6000])]:
        assert [step for name, step in values if name == tag] == steps
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if 'written' in line]
    assert len(told) == 6 and all('No such file or directory' in line for line in told[:3])


@pytest.mark.parametrize(
    'channels, side, size', [(3, 8, (960, 512)), (1, 8, (960, 512)), (3, 400, (800, 800))]
)
def test_images_are_shown_in_tensorboard_without_loss(session, tmp_path, channels, side, size):
    """As many whole images as 1024x1024 pixels hold, small ones enlarged."""
    images = np.random.RandomState(0).randint(256, size=[120, channels, side, side])
    progress = Progress(str(tmp_path), start_nimg=0, total_nimg=4000)
    progress.add_images('Images/fakes', images.astype(np.uint8), [0, 255], (15, 8), 3000)
    progress.close()
    (path,) = glob.glob(str(tmp_path / 'events.out.tfevents*'))
    ((step, value),) = [
        (event.step, value)
        for event in tf.train.summary_iterator(path)
        for value in event.summary.value
    ]
    assert (step, value.tag) == (3000, 'Images/fakes')
    image = value.image
    assert (image.width, image.height, image.colorspace) == (*size, channels)
    picture = PIL.Image.open(io.BytesIO(image.encoded_image_string))
    assert picture.size == size
    pixels = np.asarray(picture).reshape(size[1], size[0], channels)
    cell = size[1] // (8 if side == 8 else 2)
    second = pixels[:cell, cell : 2 * cell]
    assert np.array_equal(second[:: cell // side, :: cell // side], images[1].transpose(1, 2, 0))
