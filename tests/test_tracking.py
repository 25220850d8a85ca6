"""Trackers get every point of a run once, however often it is killed."""

import glob
import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

import run_training
from dnnlib import cli, program
from dnnlib.util import UserError
from training import tracking

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Recorder:
    """Stands in for a library; keeps what it was given."""

    made = []  # type: list
    fails = False

    def __init__(self, run_dir, key, config):
        self.key, self.given_key = 'key', key
        self.last_step = max([-1] + [point[0] for each in self.made for point in each.points])
        self.points, self.pictures, self.ends = [], [], []
        self.made.append(self)

    def add(self, step, seconds, figures, pictures):
        if self.fails:
            raise OSError('no network')
        self.points.append((step, seconds, figures))
        self.pictures += [(step, name, os.path.basename(pictures[name])) for name in pictures]

    def close(self, has_finished):
        self.ends.append(has_finished)


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Recorder, 'made', [])
    monkeypatch.setattr(Recorder, 'fails', False)
    monkeypatch.setattr(program, 'is_missing', lambda name: False)
    monkeypatch.setitem(tracking.TRACKERS, 'wandb', Recorder)
    return Recorder


def add_lines(*kimg):
    """Lines of stats.jsonl; returns its size."""
    with open('stats.jsonl', 'a', encoding='utf-8') as file:
        for value in kimg:
            point = {'Progress/kimg': value, 'Loss/G': 10 * value, 'timestamp': 5.0, 'name': 'text'}
            file.write(json.dumps(point) + '\n')
    return os.path.getsize('stats.jsonl')


def steps():
    return [[step for step, _, _ in each.points] for each in Recorder.made]


def test_points_are_sent_up_to_a_state_and_each_once(recorder):
    trackers = tracking.Tracking('.', ['wandb'], {})
    size = add_lines(0.5, 1)
    add_lines(2)
    trackers.send(size)
    assert steps() == [[500, 1000]]
    assert recorder.made[0].points[1] == (1000, 5.0, {'Progress/kimg': 1, 'Loss/G': 10})

    os.truncate('stats.jsonl', size)  # killed, resumed from the state
    trackers = tracking.Tracking('.', ['wandb'], {})
    assert recorder.made[1].given_key == 'key' and steps()[1] == []
    add_lines(2, 3)
    trackers.send(os.path.getsize('stats.jsonl'))
    add_lines(4)
    trackers.close(has_finished=True)
    assert steps()[1] == [2000, 3000, 4000] and recorder.made[1].ends == [True]


def test_what_a_state_holds_and_was_not_sent_is_sent_when_the_run_goes_on(recorder):
    tracking.Tracking('.', ['wandb'], {})
    add_lines(1, 2)
    tracking.Tracking('.', ['wandb'], {}).close()
    assert steps() == [[], [1000, 2000]] and recorder.made[1].ends == [False]


def test_grids_come_with_the_point_of_their_images(recorder):
    for name in ('reals.png', 'fakes000001.png', 'fakes000007.png'):
        PIL.Image.new('RGB', (4, 4)).save(name)
    trackers = tracking.Tracking('.', ['wandb'], {})
    trackers.send(add_lines(0.5, 1.2))
    want = [(500, 'reals', 'reals.png'), (1200, 'fakes', 'fakes000001.png')]
    assert recorder.made[0].pictures == want


def test_a_tracker_that_fails_costs_a_warning_and_gets_the_points_later(recorder, capsys):
    trackers = tracking.Tracking('.', ['wandb'], {})
    recorder.fails = True
    for kimg in (1, 2):
        trackers.send(add_lines(kimg))
    out = capsys.readouterr().out
    assert out == 'Warning: wandb takes no points (no network); tried again with the next state\n'
    recorder.fails = False
    trackers.send(add_lines(3))
    assert steps() == [[1000, 2000, 3000]]


@pytest.mark.parametrize('names', [[], ['tensorboard']])
def test_without_trackers_of_other_libraries_there_is_no_file(names, tmp_path, monkeypatch):
    monkeypatch.setattr(program, 'is_missing', lambda name: True)  # nothing more is needed
    tracking.Tracking(str(tmp_path), names, {}).close(has_finished=True)
    assert os.listdir(str(tmp_path)) == []


def test_tensorboard_may_be_named_beside_others(recorder):
    tracking.Tracking('.', ['tensorboard', 'wandb'], {}).send(add_lines(1))
    assert steps() == [[1000]]


def test_unknown_and_missing_trackers_are_one_line_before_a_run_folder(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, 'is_missing', lambda name: name == 'mlflow')
    for flag, reason in [
        ('--track=comet', "--track names 'comet'; there are wandb, mlflow and tensorboard"),
        ('--track=mlflow', 'requirements/tracking.txt'),
    ]:
        assert cli.run_cli(run_training.main, [flag, '--metrics=none']) == 2
        assert reason in capsys.readouterr().err and not os.path.exists('results')


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from tests.test_tracking import add_lines
from training import tracking
trackers = tracking.Tracking('.', ['wandb', 'mlflow'], dict(total_kimg=4, G_args=dict(fmap_max=8)))
trackers.send(add_lines(*map(float, sys.argv[2].split(','))))
if sys.argv[3] == 'kill':
    add_lines(99)
    os.kill(os.getpid(), 9)
trackers.close(has_finished=True)
"""


@pytest.mark.skipif(
    program.is_missing('wandb') or program.is_missing('mlflow'), reason='requirements/tracking.txt'
)
def test_the_libraries_themselves_have_each_point_of_a_killed_run_once(tmp_path, monkeypatch):
    folder = tmp_path / '00000-run'
    folder.mkdir()
    PIL.Image.fromarray(np.zeros([8, 8, 3], np.uint8)).save(str(folder / 'fakes000002.png'))
    place = (tmp_path / 'mlruns').as_uri()
    for name, value in [
        ('WANDB_MODE', 'offline'),
        ('MLFLOW_TRACKING_URI', place),
        ('MLFLOW_ALLOW_FILE_STORE', 'true'),
    ]:
        monkeypatch.setenv(name, value)

    def go_on(kimg, end, status):
        command = [sys.executable, '-c', KILLED, ROOT, kimg, end]
        assert subprocess.call(command, cwd=str(folder)) == status

    go_on('1,2', 'kill', -9)
    lines = (folder / 'stats.jsonl').read_bytes().splitlines(True)
    (folder / 'stats.jsonl').write_bytes(b''.join(lines[:2]))  # cut back to the state
    go_on('3,4', 'end', 0)

    from mlflow.tracking import MlflowClient

    client = MlflowClient(place)
    key = json.loads((folder / 'tracking.json').read_text())['mlflow']
    history = client.get_metric_history(key, 'Loss/G')
    assert [(point.step, point.value) for point in history] == [
        (1000, 10), (2000, 20), (3000, 30), (4000, 40)
    ]  # fmt: skip
    assert client.get_run(key).data.params['G_args.fmap_max'] == '8'
    assert client.get_run(key).info.status == 'FINISHED'
    assert [each.path for each in client.list_artifacts(key, 'fakes')] == ['fakes/fakes000002.png']

    starts = sorted(glob.glob(str(folder / 'wandb' / 'offline-run-*')))
    found, keys = [], {os.path.basename(start).split('-')[-1] for start in starts}
    for start in starts:
        found += tracking._steps_in(glob.glob(start + '/run-*.wandb')[0])
    assert found == [1000, 2000, 3000, 4000]
    assert len(starts) == 2 and len(keys) == 1


def test_a_broken_answer_of_a_library_at_the_start_is_one_line(recorder, monkeypatch):
    def refuse(*args):
        raise ValueError('no key')

    monkeypatch.setitem(tracking.TRACKERS, 'wandb', refuse)
    with pytest.raises(UserError, match='--track=wandb cannot begin: no key; WANDB_MODE=offline'):
        tracking.Tracking('.', ['wandb'], {})
