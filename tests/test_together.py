"""Workers share the samples of metrics; what fails for one ends a stage for all of them."""

import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import endings, tflib
from dnnlib.peers import WorkerLost
from dnnlib.tflib import cluster
from dnnlib.util import UserError
from dnnlib.workers import Workers
from metrics import metric_base, several_networks, together
from metrics.metric_base import DummyMetric, MetricGroup
from tests.test_training_loop import data_dir  # noqa: F401 - a fixture
from training import misc

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAUNCH = [sys.executable, os.path.join(ROOT, 'tools', 'launch.py'), '2', '--']


class Thread(cluster.Alone):
    """A worker that is a thread of this process."""

    def __init__(self, index, size, barrier, rows):
        self.index, self.size = index, size
        self.workers = Workers(tuple('h:%d' % i for i in range(1, size + 1)), index)
        self._barrier, self._rows = barrier, rows

    def gather(self, data):
        self._rows[self.index] = data
        self._barrier.wait(60)
        found = list(self._rows)
        self._barrier.wait(60)
        assert len({len(row) for row in found}) == 1
        return found

    def share(self, data):
        self._rows[self.index] = data
        self._barrier.wait(60)
        found = self._rows[0]
        self._barrier.wait(60)
        return found


@pytest.fixture
def run_workers(monkeypatch):
    """A function that runs another one in each of some workers; returns what came of each."""
    local = threading.local()
    monkeypatch.setattr(cluster, 'current', lambda: local.worker)

    def run(function, size=3):
        barrier, rows, found = threading.Barrier(size), [b''] * size, [None] * size

        def work(index):
            local.worker = Thread(index, size, barrier, rows)
            try:
                found[index] = function(index)
            except BaseException as error:
                found[index] = error

        threads = [threading.Thread(target=work, args=(index,)) for index in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    return run


def test_units_of_all_workers_are_gathered_in_their_order(run_workers):
    def work(index):
        own = [dict(x=np.arange(i), y=np.float32([index])) for i in range(index)]
        units = together.gather(own)
        return [(len(unit['x']), unit['y'].dtype.name, unit['y'].tolist()) for unit in units]

    want = [(0, 'float32', [1]), (0, 'float32', [2]), (1, 'float32', [2])]
    assert run_workers(work) == [want] * 3


@pytest.mark.parametrize('place', ['before', 'between', 'after'])
def test_what_fails_for_one_ends_the_stage_for_all_and_the_next_stage_begins(place, run_workers):
    def work(index):
        try:
            with together.stage():
                for step in ['before', 'between', 'after']:
                    if index == 1 and step == place:
                        raise OSError('no space')
                    if step != 'after':
                        together.meet(step)
        except Exception as error:
            first = '%s: %s' % (type(error).__name__, error)
        with together.stage():
            return first, together.share('x', index)

    elsewhere = 'FailedElsewhere: worker 1: no space'
    assert run_workers(work) == [(elsewhere, 0), ('OSError: no space', 0), (elsewhere, 0)]


def test_workers_that_are_about_to_do_something_else_are_named(run_workers):
    def work(index):
        with together.stage():
            together.check_alike(dict(seed=1, data=dict(fingerprint='ab'[index == 2])))

    errors = run_workers(work)
    text = 'worker 2: data.fingerprint = "b", that of the chief "a"'
    assert [str(error) for error in errors] == [text] * 3


def test_workers_that_went_different_ways_give_up_together(run_workers):
    def work(index):
        with together.stage():
            together.meet('here' if index else 'there')

    errors = run_workers(work)
    assert [type(error) for error in errors] == [together.FailedElsewhere] * 3


def test_a_problem_of_one_is_one_of_all(run_workers):
    def work(index):
        problems = ['', 'no space', 'no file'], ['', '', '']
        return [together.first_problem(each[index]) for each in problems]

    assert run_workers(work) == [['worker 1: no space', '']] * 3


def test_all_end_when_one_is_asked_to(run_workers, monkeypatch):
    monkeypatch.setattr(endings, 'pending', lambda: cluster.current().index == 1)
    found = run_workers(lambda index: together.meet('end'))
    assert [type(error) for error in found] == [endings.Terminated] * 3


def test_the_chiefs_file_is_copied_for_as_long_as_it_is_needed(run_workers, tmp_path):
    content = np.random.RandomState(1).bytes(together._CHUNK + 5)
    (tmp_path / 'network.pkl').write_bytes(content)
    paths = {}

    def work(index):
        name = str(tmp_path / 'network.pkl') if index == 0 else ''
        with together.file_of_chief(name, False) as path:
            paths[index] = path
            with open(path, 'rb') as file:
                return file.read() == content

    assert run_workers(work) == [True] * 3
    assert paths[0] == str(tmp_path / 'network.pkl')
    assert not os.path.exists(paths[1]) and not os.path.exists(paths[2])


class FailsElsewhere(DummyMetric):
    """A metric that fails for worker 1, by no mistake of a user's."""

    def _compute(self, evaluation):
        if cluster.current().index == 1:
            raise RuntimeError('broken')
        together.meet('work')
        super()._compute(evaluation)


@pytest.mark.parametrize('raise_errors', [False, True])
def test_a_metric_that_fails_for_one_worker_leaves_the_others_alone(
    raise_errors, run_workers, tmp_path
):
    (tmp_path / 'network.pkl').write_bytes(b'a network')
    names = [FailsElsewhere.__name__, DummyMetric.__name__]
    kwargs = [dict(func_name='tests.test_together.' + name, name=name) for name in names]

    def work(index):
        if index:
            return [metric_base.follow_metrics(None, 1) for _ in range(3)]
        group = MetricGroup(kwargs)
        with together.leading():
            for _ in range(2):
                try:
                    group.run(str(tmp_path / 'network.pkl'), raise_errors=raise_errors)
                except UserError as error:
                    assert raise_errors and str(error) == 'FailsElsewhere: worker 1: broken'
                assert group.get_results() == dict(DummyMetric=0.0)

    assert run_workers(work) == [None, [True, True, False], [True, True, False]]


def test_a_lost_worker_ends_the_evaluation_of_several_networks(monkeypatch, tmp_path):
    (tmp_path / 'network.pkl').write_bytes(b'a network')

    def lose(*_args, **_kwargs):
        raise WorkerLost('worker 1 has ended')

    monkeypatch.setattr(MetricGroup, 'run', lose)
    with pytest.raises(WorkerLost):
        several_networks.run([str(tmp_path / 'network.pkl')] * 2, [], None)


@pytest.fixture
def network(tmp_path):
    """A small generator for the data set `tiny16`."""
    size = dict(num_channels=3, resolution=16, label_size=0, latent_size=8)
    narrow = dict(fmap_base=64, fmap_max=8, dlatent_size=8, mapping_fmaps=8, mapping_layers=1)
    func_name = 'training.networks_stylegan2.G_main'
    with tf.Graph().as_default(), tflib.create_session().as_default():
        misc.save_pkl(
            tflib.Network('Gs', func_name=func_name, **size, **narrow), str(tmp_path / 'g.pkl')
        )
    return str(tmp_path / 'g.pkl')


def evaluate(arguments, tmp_path, launch):
    """What run_metrics.py says, its status and the results that it recorded."""
    results = str(tmp_path / ('together' if launch else 'alone'))
    command = launch + [sys.executable, os.path.join(ROOT, 'run_metrics.py')] + arguments
    command += ['--result-dir=' + results, '--cache-dir=%s-cache' % results]
    both = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    done = subprocess.run(command, cwd=ROOT, timeout=600, **both)
    found = {}
    for folder, _, names in os.walk(results):
        for name in names:
            if re.fullmatch(r'metric-.*\.jsonl', name):
                with open(os.path.join(folder, name)) as file:
                    found[name] = json.loads(file.readline())['results']
    return done.stdout.decode(), done.returncode, found


def test_two_workers_have_the_figures_of_one(data_dir, network, tmp_path):  # noqa: F811
    arguments = ['--network=' + network, '--data-dir=' + data_dir, '--dataset=tiny16']
    arguments += ['--metrics=swd16k,cond', '--num-samples=40']
    said, status, want = evaluate(arguments, tmp_path, [])
    assert status == 0 and sorted(want) == ['metric-cond_n40.jsonl', 'metric-swd16k_n40.jsonl'], (
        said
    )
    said, status, found = evaluate(arguments, tmp_path, LAUNCH)
    assert status == 0 and found == want, said
