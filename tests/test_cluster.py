"""Several processes train as one, and end together."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import peers
from dnnlib.tflib import check_in, cluster, tfutil
from dnnlib.workers import Workers
from tests import golden
from training.data.tfrecord_exporter import TFRecordExporter

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORKER = [sys.executable, os.path.join(ROOT, 'tests', 'cluster_worker.py')]
TRAINER = [sys.executable, os.path.join(ROOT, 'tests', 'training_worker.py')]
LAUNCH = [sys.executable, os.path.join(ROOT, 'tools', 'launch.py')]


def run(command):
    """Its exit status and what it printed."""
    both = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = subprocess.run(command, cwd=ROOT, timeout=600, **both)
    return found.returncode, found.stdout.decode()


def test_two_workers_step_as_four_devices_and_do_not_outlive_each_other():
    status, out = run(LAUNCH + ['2', '--'] + WORKER + ['together'])
    facts = [json.loads(line[4:]) for line in out.splitlines() if re.match(r'\[.\] \{', line)]
    want = dict(
        shared='efchief',
        gathered=['chief', 'other'],
        agreed=dict(a=True, b=False),
        after_a_step=[-2.5],  # the mean of 1, 2, 3 and 4
        after_nan_on_worker_1=[-2.5],
    )
    assert facts == [want, want], out
    assert status == peers.STATUS, out
    assert re.search(r'\[0\] Error: worker 1 \(127.0.0.1:\d+\) has ended, so training ends', out)


@pytest.fixture
def trained(tmp_path):
    """A function that trains as training_worker.py does, and returns what it wrote."""
    with TFRecordExporter(str(tmp_path / 'labelled'), 32) as exporter:
        for _ in range(32):
            exporter.add_image(np.random.randint(256, size=[3, 4, 4]).astype(np.uint8))
        exporter.add_labels(np.eye(3, dtype=np.float32)[np.random.randint(3, size=32)])

    def train(num_workers, num_devices, num_iterations):
        out = str(tmp_path / ('%dx%d.npz' % (num_workers, num_devices)))
        command = TRAINER + [str(tmp_path), out, str(num_devices), str(num_iterations)]
        status, said = run((LAUNCH + [str(num_workers), '--'] if num_workers > 1 else []) + command)
        assert status == 0, said
        return dict(np.load(out))

    return train


def test_four_devices_are_the_same_run_in_one_process_and_in_two(trained):
    want, found = trained(1, 4, 5), trained(2, 2, 5)
    assert names_in(want) == names_in(found)
    assert want['p'][-1, 0] != want['p'][0, 0]
    np.testing.assert_array_equal(found['p'], np.repeat(want['p'], 2, axis=1))
    compare_trained(want, found)


def names_in(arrays):
    """All but those of sums, of which each device has its own."""
    return sorted(name for name in arrays if not re.search('/Autosummary/|/grad_acc_', name))


def compare_trained(want, found):
    """Gradients to 1e-6 of their largest entry; the rest as golden data allows it."""
    for name in want:
        if name.startswith('gradient/'):
            largest = np.max(np.abs(want[name]))
            np.testing.assert_allclose(found[name], want[name], rtol=0, atol=1e-6 * largest)
    # Adam divides by the gradient's size, so a few entries may react to rounding.
    weights = [n for n in want if re.match(r'after/(G|D)', n) and '/Train' not in n]
    errors = np.concatenate([np.ravel(np.abs(found[n] - want[n])) for n in weights])
    limits = [np.full(want[n].size, 1e-4 + 2e-6 * np.max(np.abs(want[n]))) for n in weights]
    assert np.mean(errors > np.concatenate(limits)) <= 0.001
    for name in want:
        if re.search(r'dlatent_avg|pl_mean', name):
            golden.assert_close(found[name], want[name], 1e-4, name)


def test_a_run_that_tensorflow_takes_for_another_is_repeated(monkeypatch):
    errors = ['The same RunGraph (Worker) request was received twice.', 'other']

    class Session:
        def run(self, fetches, feed_dict):
            if errors:
                raise tf.errors.AbortedError(None, None, errors.pop(0))
            return fetches

    found = object.__new__(cluster.Cluster)
    found._watch = None
    monkeypatch.setattr(cluster, '_current', found)
    session = Session()
    monkeypatch.setattr(tfutil, '_default_session', lambda: session)
    with pytest.raises(tf.errors.AbortedError, match='other'):
        tfutil.run(5)
    assert tfutil.run(5) == 5


def test_mistakes_are_told_before_the_first_step():
    status, out = run(WORKER + ['alone'])
    lines = [line for line in out.splitlines() if re.match(r'\d: ', line)]
    taken, no_chief, nobody, *unlike = lines
    assert status == 0 and 'another process may be the same task' in taken, out
    assert 'the chief, worker 0 (127.0.0.1:1), does not answer' in no_chief
    assert re.search(r'worker 1 \(.*\) did not come within 2 s', nobody)
    text = 'has flags.gamma = 2, the chief 1; start all of them alike'
    assert len(unlike) == 2 and all(text in line for line in unlike)


@pytest.mark.parametrize(
    'letters, message',
    [
        ([dict(index=1), dict(index=1)], 'worker 1 (b:1) has come twice (once from h)'),
        ([dict(index=0)], 'worker 0 (a:1) has come twice'),
        ([dict(index=1, facts=dict(code=2))], 'worker 1 (b:1) has code = 2, the chief 1'),
        ([dict(index=1, facts=dict(workers=['a:1']))], 'knows of the workers a:1, the chief of'),
        ([dict(index=1)], 'has come from h, but its address does not answer'),
    ],
)
def test_who_comes_is_compared_with_the_chief(letters, message, monkeypatch):
    workers = Workers(('a:1', 'b:1', 'c:1'), 0)
    facts = dict(code=1, workers=list(workers.addresses))
    letters = [dict(each, host='h', facts=dict(facts, **each.get('facts', {}))) for each in letters]
    monkeypatch.setattr(peers, 'answers', lambda address: OSError('no'))
    assert message in check_in._problem(workers, facts, letters)
    monkeypatch.setattr(peers, 'answers', lambda address: None)
    good = dict(index=2, host='h', facts=facts)
    assert check_in._problem(workers, facts, [good]) == ''
