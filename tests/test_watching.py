"""run_metrics.py --watch: snapshots are evaluated as they appear, into the folder of their run."""

import json
import os
import shutil
import signal

import pytest

import run_metrics
from bench import metric_toys
from dnnlib import cli
from metrics import metric_base, recorded, watching
from tests.test_metrics import IMAGES, export
from tests.test_runs import make_run

RUN = 'results/00003-stylegan2-reals-1gpu-config-e-fr'
FLAGS = ['--trust-network-code', '--num-samples=16', '--watch=3']


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A run that has saved two networks and goes on; three more are at hand."""
    monkeypatch.chdir(tmp_path)
    export(tmp_path / 'data' / 'reals', IMAGES)
    options = dict(dataset_args=dict(tfrecord_dir='reals'), data_dir='data', G_args={})
    make_run(tmp_path / RUN, [], metric_arg_list=[], **options)
    for index in range(5):
        metric_toys.save_generator('%d.pkl' % index, seed=index)
    for index in range(2):
        snapshot(index)
    return tmp_path


def snapshot(index):
    shutil.copy('%d.pkl' % index, RUN + '/network-snapshot-%06d.pkl' % index)


def finish():
    open(RUN + '/_finished.txt', 'w').close()


def while_waiting(monkeypatch, *steps):
    """What happens at each look that finds nothing to do."""
    left = list(steps)
    monkeypatch.setattr(watching.time, 'sleep', lambda seconds: left.pop(0)())
    return left


def names_with_result(metric='cond_n16'):
    """Snapshots in the order in which they were evaluated."""
    records = recorded.read_records(recorded.path_of(RUN, metric))
    return [int(record['network'].split('-')[-1][:-4]) for record in records]


def best():
    with open(RUN + '/best.json') as file:
        return json.load(file)


def test_snapshots_are_evaluated_as_they_appear_until_the_run_has_finished(
    place, monkeypatch, capsys
):
    def more():
        assert names_with_result() == [0, 1]
        snapshot(3)
        snapshot(2)

    def last():
        snapshot(4)
        shutil.copy('4.pkl', RUN + '/network-final.pkl')
        finish()

    left = while_waiting(monkeypatch, more, lambda: None, last)
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond,swd16k', '--best=cond_max']) == 0
    assert not left and names_with_result() == names_with_result('swd16k_n16') == [0, 1, 2, 3, 4]
    assert os.listdir('results') == [os.path.basename(RUN)]  # no folder of its own
    records = recorded.read_records(recorded.path_of(RUN, 'cond_n16'))
    want = min(records, key=lambda record: record['results']['cond_n16_max'])
    assert best()['metric'] == 'cond_n16_max' and best()['network_sha256'] == want['network_sha256']
    lines = capsys.readouterr().out.splitlines()
    waiting = [line for line in lines if line.startswith('Waiting for the next snapshot')]
    assert len(waiting) == 2  # one after each time in which there was something to do
    assert len([line for line in lines if line.startswith('new best: cond_n16_max')]) >= 1

    # Once more: all is there.
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond,swd16k']) == 0
    assert 'Evaluating' not in capsys.readouterr().out


def test_only_what_has_no_result_is_evaluated(place, capsys):
    finish()
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond']) == 0
    snapshot(2)
    shutil.copy('3.pkl', RUN + '/network-snapshot-000001.pkl')  # as a run that went back makes it
    capsys.readouterr()
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond,cond_z']) == 0
    assert names_with_result() == [0, 1, 1, 2] and names_with_result('cond_z_n16') == [0, 1, 2]
    lines = capsys.readouterr().out.splitlines()
    groups = [line.split('"')[1] for line in lines if line.startswith('Evaluating metrics')]
    assert groups == ['cond_z_n16', 'cond_n16,cond_z_n16', 'cond_n16,cond_z_n16']


def test_snapshots_that_were_removed_are_passed_over(place, monkeypatch, capsys):
    run = metric_base.MetricGroup.run

    def remove_next(group, network, *args, **kwargs):
        run(group, network, *args, **kwargs)
        if os.path.exists(RUN + '/network-snapshot-000001.pkl'):
            os.remove(RUN + '/network-snapshot-000001.pkl')
            finish()

    monkeypatch.setattr(metric_base.MetricGroup, 'run', remove_next)
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond']) == 0
    assert names_with_result() == [0]
    out = capsys.readouterr().out
    assert 'network-snapshot-000001.pkl was removed before it was evaluated.' in out


def test_a_snapshot_that_cannot_be_evaluated_does_not_stop_the_others(place, capsys):
    with open(RUN + '/network-snapshot-000000.pkl', 'wb') as file:
        file.write(b'nothing')
    finish()
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond']) == 2
    out, err = capsys.readouterr()
    assert names_with_result() == [1] and best()['kimg'] == 1
    assert 'Warning: metric cond_n16 failed' in out
    assert err.count('\n') == 1 and 'cond_n16 of network-snapshot-000000.pkl' in err


def test_an_interrupted_run_is_waited_for_and_signals_end_the_watch(place, monkeypatch, capsys):
    with open(RUN + '/run.txt', 'w') as file:
        file.write("{'stop_time': '2020-01-01'}")

    def terminate():
        os.kill(os.getpid(), signal.SIGTERM)

    while_waiting(monkeypatch, lambda: None, lambda: None, terminate)
    with pytest.raises(SystemExit) as end:
        run_metrics.main(FLAGS + ['--metrics=cond'])
    assert end.value.code == 143
    lines = [
        line for line in capsys.readouterr().out.splitlines() if 'interrupted; waiting' in line
    ]
    assert len(lines) == 1


def test_a_best_network_by_another_metric_is_left_alone_unless_asked(place):
    finish()
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond']) == 0
    assert best()['metric'] == 'cond_n16_mc'
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond_z']) == 0
    assert best()['metric'] == 'cond_n16_mc' and names_with_result('cond_z_n16') == [0, 1]
    assert cli.run_cli(run_metrics.main, FLAGS + ['--metrics=cond_z', '--best=cond_z']) == 0
    assert best()['metric'] == 'cond_z_n16_mc'


def test_a_run_that_finds_its_best_itself_is_left_to_do_so(place, capsys):
    finish()
    shutil.rmtree(RUN)
    metric = dict(func_name='metrics.metric_base.DummyMetric', name='fid50k')
    options = dict(dataset_args=dict(tfrecord_dir='reals'), data_dir='data', G_args={})
    make_run(place / RUN, [], metric_arg_list=[metric], **options)
    snapshot(0)
    finish()
    argv = FLAGS + ['--metrics=cond']
    assert cli.run_cli(run_metrics.main, argv + ['--best=cond_max']) == 2
    assert 'the run finds its best network itself, by fid50k' in capsys.readouterr().err
    assert cli.run_cli(run_metrics.main, argv) == 0
    assert names_with_result() == [0] and not os.path.exists(RUN + '/best.json')


@pytest.mark.parametrize(
    'flags, words',
    [
        (['--watch=7'], ['no run number 7']),
        (['--watch=data'], ['no training run', '--watch=data']),
        (['--watch=3', '--network=0.pkl'], ['--network']),
        (['--best=cond'], ['--watch']),
        (['--watch=3', '--best=fid50k'], ['--best=fid50k', 'cond_mc, cond_ttmc, cond_max']),
    ],
)
def test_mistakes_are_one_line_before_any_work(place, capsys, flags, words):
    before = sorted(os.listdir(RUN))
    assert cli.run_cli(run_metrics.main, ['--metrics=cond'] + flags) == 2
    err = capsys.readouterr().err
    assert err.startswith('Error: ') and err.count('\n') == 1 and all(w in err for w in words)
    assert sorted(os.listdir(RUN)) == before and len(os.listdir('results')) == 1
