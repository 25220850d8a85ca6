"""network-best.pkl and best.json follow from what is recorded and what is there."""

import errno
import fcntl
import json
import multiprocessing
import os

import pytest

from dnnlib.util import UserError
from metrics import best as best_module
from metrics import recorded
from metrics.best import Best
from metrics.metric_names import choose
from training import misc
from training.snapshots import Snapshots

METRIC = 'fid50k'


class Run:
    """A run folder in which small files stand for networks, and figures are given."""

    def __init__(self, folder, metric=METRIC, keep=None):
        self.folder = str(folder)
        self.best = Best(self.folder, choose(None, [metric]))
        self.snapshots = Snapshots(self.folder, keep, self.best)

    def train_to(self, kimg, value, content=None):
        """Save a snapshot with a figure that is a number, None (not finite) or 'failed'."""
        path = self.save(kimg, content)
        self.record(path, value)
        self.snapshots.settle()

    def save(self, kimg, content=None):
        name = 'network-snapshot-%06d.pkl' % kimg
        return self.snapshots.save(content or 'network of %d kimg' % kimg, name)

    def record(self, path, value):
        if value == 'failed':
            return
        results = {self.best.choice.result: value}
        facts = dict(network=path, network_sha256=misc.file_sha256(path), results=results)
        with recorded.appending(recorded.path_of(self.folder, self.best.choice.metric)) as file:
            file.write((json.dumps(facts) + '\n').encode())

    def files(self):
        """{name: content} of networks, and best.json."""
        return {
            name: open(os.path.join(self.folder, name), 'rb').read()
            for name in os.listdir(self.folder)
            if name.startswith(('network', 'best'))
        }

    def snapshot_numbers(self):
        return sorted(int(name[17:-4]) for name in self.files() if name.startswith('network-snap'))

    def best_number(self):
        """Of the snapshot that network-best.pkl is, by its content; checked against best.json."""
        content = self.files()['network-best.pkl']
        facts = json.loads(self.files()['best.json'].decode())
        assert facts['network_sha256'] == misc.file_sha256(
            os.path.join(self.folder, 'network-best.pkl')
        )
        kimg = int(content.split(b'network of ')[1].split()[0])
        assert facts['snapshot'] == 'network-snapshot-%06d.pkl' % kimg and facts['kimg'] == kimg
        return kimg


@pytest.mark.parametrize(
    'metric, values, want',
    [
        ('fid50k', [30, 20, 25], [10, 20, 20]),  # lower is better
        ('is50k', [3, 2, 4], [10, 10, 30]),  # higher is
        ('kid50k', [-0.1, -0.2, 0.1], [10, 20, 20]),
        ('fid50k', [30, None, 'failed'], [10, 10, 10]),  # not finite; no result
        ('fid50k', [None, 30, None], [None, 20, 20]),
        ('fid50k', [30, 30, 30], [10, 10, 10]),
    ],
)
def test_the_best_network_is_that_of_the_best_figure_so_far(tmp_path, metric, values, want):
    run, found = Run(tmp_path, metric), []
    for index, value in enumerate(values):
        run.train_to(10 * (index + 1), value)
        found.append(run.best_number() if 'best.json' in run.files() else None)
    assert found == want
    if want[-1]:
        facts = json.loads(run.files()['best.json'].decode())
        value = values[want[-1] // 10 - 1]
        assert (facts['metric'], facts['value']) == (choose(None, [metric]).result, value)
        assert facts['better'] == ('higher' if metric == 'is50k' else 'lower')


def test_a_new_best_is_a_line_that_says_what_was_before(tmp_path, capsys):
    run = Run(tmp_path, 'swd16k')
    for kimg, value in [(40, 25.4), (50, 30), (60, 23.1)]:
        run.train_to(kimg, value)
    assert capsys.readouterr().out.splitlines() == [
        'new best: swd16k_avg 25.4, network-best.pkl',
        'new best: swd16k_avg 23.1 (was 25.4 at 40 kimg), network-best.pkl',
    ]


def test_without_results_nothing_is_written(tmp_path):
    run = Run(tmp_path)
    run.train_to(10, 'failed')
    without = Snapshots(run.folder, keep=1)
    without.save('x', 'network-snapshot-000020.pkl')
    without.settle()
    assert sorted(run.files()) == ['network-snapshot-000010.pkl', 'network-snapshot-000020.pkl']
    assert len(os.listdir(run.folder)) == 2


@pytest.mark.parametrize('has_links', [True, False])
def test_the_best_network_outlives_its_snapshot(tmp_path, monkeypatch, has_links):
    def no_link(source, target):
        raise OSError(errno.EPERM, 'no links here')

    if not has_links:
        monkeypatch.setattr(os, 'link', no_link)
    run = Run(tmp_path)
    run.train_to(10, 5)
    paths = [str(tmp_path / name) for name in ('network-snapshot-000010.pkl', 'network-best.pkl')]
    assert os.path.samefile(*paths) == has_links
    os.remove(paths[0])
    run.train_to(20, 6)
    assert run.best_number() == 10
    # Also one that has been written again, with other content.
    run.train_to(20, 4)
    run.save(20, 'other content')
    run.snapshots.settle()
    assert run.best_number() == 20
    assert not [name for name in os.listdir(run.folder) if name.endswith('tmp')]


def test_one_that_is_gone_before_it_is_found_to_be_the_best_leaves_it_to_the_next(tmp_path):
    run = Run(tmp_path)
    for kimg, value in [(10, 5), (20, 1), (30, 4)]:
        run.record(run.save(kimg), value)
    os.remove(str(tmp_path / 'network-snapshot-000020.pkl'))
    run.snapshots.settle()
    assert run.best_number() == 30


def test_a_process_that_dies_between_the_two_files_leaves_what_the_next_one_mends(
    tmp_path, monkeypatch
):
    run = Run(tmp_path)
    run.train_to(10, 5)

    def die(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(best_module, 'atomic_write', die)
        with pytest.raises(KeyboardInterrupt):
            run.train_to(20, 4)
    again = Run(tmp_path)
    again.train_to(20, 4)  # the snapshot and its metrics, once more
    assert again.best_number() == 20
    assert len(again.best._candidates()) == 2


def test_another_metric_takes_over_where_it_is_asked_to(tmp_path, capsys):
    run = Run(tmp_path)
    run.train_to(10, 5)
    other = Run(tmp_path, 'is50k')
    other.record(str(tmp_path / 'network-snapshot-000010.pkl'), 3)
    path = other.save(20)
    other.record(path, 4)
    assert Best(run.folder, other.best.choice, takes_over=False).update() is None
    assert run.best_number() == 10
    assert other.best.update() == 'new best: is50k_mean 4, network-best.pkl'
    assert other.best_number() == 20


@pytest.mark.parametrize(
    'content', ['', '{', '[]', '{"value": "x"}', '{"value": 1, "kimg": 1, "snapshot": "../x"}']
)
def test_a_broken_file_is_a_warning_and_stays(tmp_path, capsys, content):
    (tmp_path / 'best.json').write_text(content)
    run = Run(tmp_path, keep=1)
    run.train_to(10, 5)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith('Warning: ') and 'best.json' in line
    assert (tmp_path / 'best.json').read_text() == content
    with pytest.raises(UserError):
        run.best.update()


def test_others_wait_while_the_best_is_found(tmp_path, monkeypatch):
    run = Run(tmp_path)
    run.record(run.save(10), 5)
    ranked, held = Best._ranked, []

    def rank(best):
        with open(recorded.path_of(run.folder, METRIC), 'ab') as file:
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(True)
        return ranked(best)

    monkeypatch.setattr(Best, '_ranked', rank)
    assert run.best.update() and held


def figure(kimg):
    return (kimg * 77 + 13) % 211


def write(folder, numbers):
    run = Run(folder)
    for kimg in numbers:
        run.train_to(kimg, figure(kimg))


def test_two_processes_at_once_leave_whole_lines_and_the_best_of_all(tmp_path):
    context = multiprocessing.get_context('fork')
    numbers = [range(1, 101, 2), range(2, 101, 2)]
    children = [context.Process(target=write, args=(tmp_path, each)) for each in numbers]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    records = recorded.read_records(recorded.path_of(str(tmp_path), METRIC))
    assert len(records) == 100
    assert Run(tmp_path).best_number() == min(range(1, 101), key=figure)
