"""Snapshots: those of either engine agree; which are kept; what going back leaves."""

import collections
import os
import shutil

import numpy as np
import pytest

from dnnlib import tflib
from dnnlib.util import UserError
from metrics import recorded
from tests import golden, toy_networks
from tests.test_best import METRIC, Run
from training import misc
from training.snapshots import FINAL, Snapshots


@pytest.mark.parametrize('engine', ['tf1', 'tf2'])
def test_snapshots_of_both_engines_load_and_agree(session, engine):
    path = os.path.join(golden.DATA_DIR, 'snapshot_%s.pkl' % engine)
    _, D, Gs = misc.load_pkl(path)
    want = np.load(path.replace('.pkl', '.npz'))
    images = Gs.run(want['z'], None, randomize_noise=False)
    np.testing.assert_allclose(images, want['images'], atol=1e-4)
    np.testing.assert_allclose(D.run(want['images'], None), want['scores'], atol=1e-4)


def test_a_disk_that_is_too_small_is_found_before_training(session, monkeypatch, capsys):
    usage = collections.namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage(1000, 940, 60))
    net = tflib.Network('G', toy_networks.affine)
    numbers = sum(np.size(value) for value in tflib.run(net.vars).values())
    assert numbers == 7
    snapshots = Snapshots('.')
    snapshots.check_disk([net], 2)
    assert capsys.readouterr().out == ''
    snapshots.check_disk([net], 1000)
    assert capsys.readouterr().out.startswith('Warning: 1000 snapshots need about 2.61e-05 GiB')
    with pytest.raises(UserError, match='2 snapshots need about 1.04e-07 GiB'):
        snapshots.check_disk([net, net], 1000)


def test_the_last_snapshots_are_kept_and_what_is_none_is_never_removed(tmp_path):
    (tmp_path / 'network-snapshot-000001.pkl').write_bytes(b'of somebody else')
    run, found = Run(tmp_path, keep=2), []
    for kimg, value in [(10, 5), (20, 3), (30, 4), (40, 6)]:
        run.train_to(kimg, value)
        found.append(run.snapshot_numbers())
    assert found == [[1, 10], [1, 10, 20], [1, 20, 30], [1, 30, 40]]
    run.snapshots.save('the last one', FINAL)
    run.snapshots.settle()
    assert run.snapshot_numbers() == [1, 30, 40] and run.best_number() == 20
    assert run.snapshots.describe().endswith(FINAL) and FINAL in run.files()
    lines = open(recorded.path_of(run.folder, METRIC)).readlines()
    assert len(lines) == 4  # the figures of removed snapshots stay


def test_a_snapshot_that_cannot_be_removed_is_a_warning(tmp_path, monkeypatch, capsys):
    def remove(path):
        raise PermissionError(1, 'not permitted', path)

    snapshots = Snapshots(str(tmp_path), keep=1)
    for kimg in (10, 20):
        snapshots.save('x', 'network-snapshot-%06d.pkl' % kimg)
    with monkeypatch.context() as patch:
        patch.setattr(os, 'remove', remove)
        snapshots.settle()
    assert capsys.readouterr().out.startswith('Warning: ')
    snapshots.settle()
    assert os.listdir(str(tmp_path)) == ['network-snapshot-000020.pkl']


def take_state(run, kimg):
    """What a training run saves before the snapshot of `kimg`; its last two states are kept."""
    path = recorded.path_of(run.folder, METRIC)
    length = os.path.getsize(path) if os.path.exists(path) else 0
    return dict(kimg=kimg, length=length, snapshots=run.snapshots.state())


def go_on(folder, keep, values, states, until=None, is_killed_after_metrics=False):
    """Train from the first of the states, or from the start, to the end or until killed."""
    run, first = Run(folder, keep=keep), 0
    if states:
        state = states[-2:][0]
        del states[states.index(state) + 1 :]
        path = recorded.path_of(run.folder, METRIC)
        if os.path.exists(path):
            os.truncate(path, state['length'])
        run.snapshots.restore(state['snapshots'])
        first = state['kimg'] // 10 - 1
    for index in range(first, len(values)):
        kimg = 10 * (index + 1)
        if not states or states[-1]['kimg'] != kimg:
            states.append(take_state(run, kimg))
        run.snapshots.oldest_state_kimg = states[-2:][0]['kimg']
        path = run.save(kimg)
        if kimg == until and not is_killed_after_metrics:
            return run
        run.record(path, values[index])
        if kimg == until:
            return run
        run.snapshots.settle()
    return run


@pytest.mark.parametrize('keep', [1, 2, None])
@pytest.mark.parametrize('is_killed_after_metrics', [False, True])
@pytest.mark.parametrize(
    'values', [[5, 6, 7, 4, 8, 3, 9], [5, 4, 3, 2, 1, 2, 3], [1, 2, None, 0.5, 3, 4, 0.1]]
)
def test_a_run_that_was_killed_anywhere_ends_in_the_same_files(
    tmp_path, keep, is_killed_after_metrics, values
):
    (tmp_path / 'whole').mkdir()
    want = go_on(tmp_path / 'whole', keep, values, [])
    for until in range(20, 80, 10):
        folder, states = tmp_path / str(until), []
        folder.mkdir()
        go_on(folder, keep, values, states, until, is_killed_after_metrics)
        run = go_on(folder, keep, values, states)
        assert run.files() == want.files()
        assert run.best_number() == want.best_number()


def test_going_back_finds_the_best_network_of_that_moment_again(tmp_path, capsys):
    values = [5, 6, 7, 4, 3, 9]
    states = []
    go_on(tmp_path, 1, values, states)
    assert Run(tmp_path).best_number() == 50
    # The run goes back to its oldest state, at 50 kimg, when 40 was the best.
    capsys.readouterr()
    run = go_on(tmp_path, 1, values, states, until=50)
    assert run.best_number() == 40
    line = 'best again: fid50k 4 (was 3 at 50 kimg), network-best.pkl'
    assert capsys.readouterr().out.splitlines() == [line]
    # No state leads back to what was the best before.
    assert 10 not in run.snapshot_numbers()


def test_a_best_network_whose_snapshot_was_removed_is_there_again_after_going_back(tmp_path):
    values, states = [5, 6, 7, 4, 8], []
    run = go_on(tmp_path, 1, values, states, until=50)  # 40 has taken the place of 10
    assert run.best_number() == 40 and run.snapshot_numbers() == [10, 40, 50]
    assert go_on(tmp_path, 1, values, states, until=40).best_number() == 10
    assert go_on(tmp_path, 1, values, states).snapshot_numbers() == [10, 50]


def test_where_an_earlier_best_network_is_gone_the_later_one_stays(tmp_path):
    run = Run(tmp_path, keep=1)
    for kimg, value in [(10, 5), (20, 4)]:
        run.train_to(kimg, value)  # no state: nothing is kept for going back
    path = recorded.path_of(run.folder, METRIC)
    os.truncate(path, os.path.getsize(path) // 2)
    again = Run(tmp_path, keep=1)
    again.snapshots.restore(dict(written=['network-snapshot-000010.pkl']))
    assert again.best_number() == 20
    again.train_to(20, 4)
    assert again.best_number() == 20
