"""Runs that were interrupted go on as if they had not been."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import dnnlib
import run_training
from bench import kills
from dnnlib import endings, tflib
from dnnlib.util import UserError
from tests.test_training_loop import TINY, TINY_DCGAN, data_dir  # noqa: F401 - a fixture
from training import checkpoints, configs, resume, state, train_graph
from training.snapshots import Snapshots

DUMMY = dict(func_name='metrics.metric_base.DummyMetric', name='dummy')
LOOP = 'training.training_loop.training_loop'


class Killed(Exception):
    """Stands in for SIGKILL: nothing is saved for it."""


@pytest.fixture
def loop(data_dir, tmp_path):  # noqa: F811
    """Trains in a folder: anew, or on with what is there; returns the folder."""

    def run(name, config='dcgan-fr', dataset='tiny', num_gpus=1, seed=1, **changes):
        tiny = TINY_DCGAN if config.startswith('dcgan') else TINY
        options = configs.resolve(
            config,
            tiny,
            {'total_kimg': 0.128, 'minibatch_repeats': 2, 'checkpoint_minutes': 1e-9},
            {key.replace('__', '.'): value for key, value in changes.items()},
        )
        options.update(metric_arg_list=[DUMMY], data_dir=data_dir)
        options['dataset_args'] = dict(
            options.get('dataset_args', {}), tfrecord_dir=dataset, seed=0
        )
        submit_config = dnnlib.SubmitConfig()
        submit_config.num_gpus = num_gpus
        submit_config.run_dir_root = str(tmp_path / name)
        submit_config.run_desc = 'test'
        run_dir = str(tmp_path / name / '00000-test')
        device_count = {'device_count.CPU': num_gpus}
        with tf.Graph().as_default() as graph, tflib.create_session(device_count).as_default():
            graph.seed = seed
            if os.path.exists(run_dir):
                dnnlib.resume_run(run_dir, LOOP, num_gpus, **options)
            else:
                dnnlib.submit_run(submit_config, LOOP, **options)
        return run_dir

    return run


@pytest.fixture
def stop_before(monkeypatch):
    """Lets iterations raise errors before they begin, each once: {number: error}."""
    original = train_graph.TrainGraph.steps

    def plan(errors):
        def steps(self, sched, counter):
            if counter in errors:
                raise errors.pop(counter)
            return original(self, sched, counter)

        monkeypatch.setattr(train_graph.TrainGraph, 'steps', steps)

    return plan


def train_and_stop(loop, stop_before, errors, name='stopped', **options):
    """Train with interruptions to the end; returns the folder."""
    kinds = tuple(type(error) for error in errors.values())
    stop_before(errors)
    while errors:
        with pytest.raises(kinds):
            loop(name, **options)
    return loop(name, **options)


FR = dict(config='config-e-fr')
GROWING = dict(
    config='config-b',
    dataset='tiny16',
    sched_args__minibatch_size_dict={8: 16},
    sched_args__minibatch_gpu_dict={8: 8},
    sched_args__lod_training_kimg=0.032,
    sched_args__lod_transition_kimg=0.064,
)


@pytest.mark.parametrize('options', [FR, GROWING], ids=['config-e-fr', 'growing'])
def test_a_run_that_was_killed_is_that_which_was_not(loop, stop_before, options, capsys):
    whole = loop('whole', **options)
    killed = train_and_stop(loop, stop_before, {7: Killed()}, **options)
    assert kills.compare(whole, killed)[0] == []
    assert 'Going on after' in capsys.readouterr().out


def test_a_log_goes_on_after_each_kill_and_batch_statistics_do(loop, stop_before):
    whole = loop('whole')
    killed = train_and_stop(loop, stop_before, {3: Killed(), 7: Killed()})
    assert kills.compare(whole, killed)[0] == []
    with open(os.path.join(killed, 'log.txt')) as file:
        log = file.read()
    assert log.count('Going on after 0.') == 2 and log.count('dnnlib: Running') == 3


def test_with_another_seed_all_is_other(loop):
    first, other = (loop(str(seed), seed=seed, total_kimg=0.03) for seed in (1, 2))
    assert any('variables' in problem for problem in kills.compare(first, other)[0])


def test_two_devices_go_on_and_one_takes_over_with_a_warning(loop, stop_before, capsys):
    options = dict(num_gpus=2, total_kimg=0.064)
    whole = loop('whole', **options)
    killed = train_and_stop(loop, stop_before, {5: Killed()}, **options)
    assert kills.compare(whole, killed)[0] == []
    capsys.readouterr()
    loop('stopped', num_gpus=1, total_kimg=0.128)
    out = capsys.readouterr().out
    assert '--num-gpus: 1, was 2' in out and 'Going on after 0.1 kimg' in out


@pytest.mark.parametrize('kind', [KeyboardInterrupt, endings.Terminated])
def test_who_asks_the_run_to_end_gets_a_state_of_that_iteration(
    loop, stop_before, kind, monkeypatch, capsys
):
    # As if the signal came during iteration 6; states are written at snapshots alone.
    options = dict(checkpoint_minutes=60, image_snapshot_ticks=None, network_snapshot_ticks=None)
    original = train_graph.TrainGraph.steps
    whole = loop('whole', **options)

    def steps(self, sched, counter):
        if counter == 6:
            endings._requests.ending = kind
        return original(self, sched, counter)

    with endings.handling():
        monkeypatch.setattr(train_graph.TrainGraph, 'steps', steps)
        with pytest.raises(kind):
            loop('stopped', **options)
    out = capsys.readouterr().out
    assert {KeyboardInterrupt: 'Interrupted', endings.Terminated: 'Terminated'}[kind] in out
    assert 'run_training.py --resume=' in out
    monkeypatch.setattr(train_graph.TrainGraph, 'steps', original)
    stopped = loop('stopped', **options)
    assert kills.compare(whole, stopped)[0] == []


def test_a_run_that_has_a_state_tells_how_to_go_on_wherever_it_is_ended(
    loop, stop_before, monkeypatch, capsys
):
    def end(self):
        raise endings.Terminated()

    with monkeypatch.context() as patch:  # in set-up: first nothing is there to go on from
        patch.setattr(train_graph.TrainGraph, 'refuse_stateful_randomness', end)
        with pytest.raises(endings.Terminated):
            loop('new')
        assert '--resume=' not in capsys.readouterr().out
    stop_before({3: Killed()})
    with pytest.raises(Killed):
        loop('new')
    assert '--resume=' not in capsys.readouterr().out
    monkeypatch.setattr(train_graph.TrainGraph, 'refuse_stateful_randomness', end)
    with pytest.raises(endings.Terminated):
        loop('new')
    assert 'run_training.py --resume=' in capsys.readouterr().out


def test_a_longer_run_is_what_it_had_been_from_the_start(loop):
    options = dict(image_snapshot_ticks=None, network_snapshot_ticks=None)
    whole = loop('whole', total_kimg=0.128, **options)
    longer = loop('longer', total_kimg=0.064, **options)
    loop('longer', total_kimg=0.128, **options)
    os.remove(os.path.join(whole, 'submit_config.txt'))
    os.remove(os.path.join(longer, 'submit_config.txt'))
    assert [p for p in kills.compare(whole, longer)[0] if p != 'files'] == []


def damage(path, how):
    size = os.path.getsize(path)
    with open(path, 'r+b') as file:
        if how == 'truncated':
            file.truncate(size - 1000)
        else:
            file.seek(size // 2)
            byte = file.read(1)
            file.seek(size // 2)
            file.write(bytes([byte[0] ^ 4]))


@pytest.mark.parametrize('how', ['truncated', 'flipped'])
def test_a_broken_state_makes_way_for_the_one_before(loop, stop_before, how, capsys):
    whole = loop('whole')
    stop_before({7: Killed()})
    with pytest.raises(Killed):
        loop('stopped')
    run_dir = os.path.join(os.path.dirname(os.path.dirname(whole)), 'stopped', '00000-test')
    newest, before = state.paths(run_dir)
    damage(newest, how)
    loop('stopped')
    out = capsys.readouterr().out
    assert 'Warning: ' in out and os.path.basename(newest) in out
    assert 'Going on from the state before, %s' % os.path.basename(before) in out
    assert [p for p in kills.compare(whole, run_dir)[0] if p != 'files'] == []

    for path in state.paths(run_dir):
        damage(path, how)
    with pytest.raises(UserError, match='no whole state is left in .*--init-from='):
        loop('stopped')


def test_a_state_of_other_options_is_refused(loop, tmp_path):
    first = loop('first', total_kimg=0.03)
    other = str(tmp_path / 'other' / '00000-test')
    shutil.copytree(first, other)
    with pytest.raises(UserError, match='are of a run with other options'):
        loop('other', total_kimg=0.03, G_repeats=3)


def test_states_hold_what_they_were_given(tmp_path):
    path = str(tmp_path / 'state.bin')
    arrays = {
        'a': np.arange(6, dtype=np.float32).reshape(2, 3),
        'b': np.array(7, np.int64),
        'c': np.zeros([0, 4], np.float16),
        'd': np.array([True, False]),
    }
    facts = {'number': 0.1, 'text': 'x', 'list': [1, None]}
    state.write(path, state.State(facts, arrays))
    found = state.read(path)
    assert found.facts == facts and list(found.arrays) == list(arrays)
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype and found.arrays[name].shape == array.shape
        np.testing.assert_array_equal(found.arrays[name], array)
    with open(path, 'rb') as file:
        data = file.read()
    for broken in [b'', b'x' * 100, data[:-1], data + b'x', data[:20], b'y' + data[1:]]:
        with open(path, 'wb') as file:
            file.write(broken)
        with pytest.raises(UserError, match='state of a run'):
            state.read(path)


@pytest.fixture
def folder_of_run(tmp_path):
    """A run folder of the tiny configuration that never began, in `results`."""

    def make(number=0, data='abc', is_finished=False, has_network=False, **changes):
        options = configs.resolve('config-e-fr', TINY)
        options.update(data_dir='d', dataset_args=dict(tfrecord_dir='t', seed=0), **changes)
        run_dir = tmp_path / 'results' / ('%05d-test' % number)
        run_dir.mkdir(parents=True)
        config = dict(run_func_name=LOOP, run_func_kwargs=options, num_gpus=1)
        config['facts'] = dict(data=data)
        (run_dir / 'submit_config.json').write_text(json.dumps(config))
        if is_finished:
            (run_dir / '_finished.txt').write_text('')
        if has_network:
            (run_dir / 'network-snapshot-000000.pkl').write_text('')
        return str(run_dir)

    return make


def test_runs_are_found_by_number_folder_latest_and_options(folder_of_run, tmp_path):
    results = str(tmp_path / 'results')
    first, second = folder_of_run(0, total_kimg=1), folder_of_run(1, total_kimg=2, data='other')
    assert resume.find('latest', results).run_dir == second
    assert resume.find('0', results).run_dir == resume.find(first, results).run_dir == first
    options = resume.find('0', results).options
    assert resume.find_equal(dict(options, total_kimg=7), 'abc', results).run_dir == first
    assert resume.find_equal(options, 'other', results).run_dir == second
    assert resume.find_equal(options, 'third', results) is None
    assert resume.find_equal(dict(options, G_repeats=2), 'abc', results) is None


def test_what_cannot_go_on_is_told_in_a_line(folder_of_run, tmp_path):
    results = str(tmp_path / 'results')
    with pytest.raises(UserError, match='no training run in'):
        resume.find('latest', results)
    folder_of_run(has_network=True)
    with pytest.raises(UserError, match='no state in .* to go on from; .*--init-from='):
        resume.check_states(resume.find('0', results))
    stopped = folder_of_run(1)
    open(os.path.join(stopped, 'abort.txt'), 'w').close()
    with pytest.raises(UserError, match='stopped by its abort.txt'):
        resume.find('1', results)


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--gamma=3'], 'D_loss_args.gamma is 3.0, but 100.0 of the run'),
        (['--config=config-e'], 'D_args.fmap_base is [0-9]+, but 64 of the run'),
        (['--seed=7'], 'dataset_args.seed is 7, but 0'),
        (['--precision=mixed'], '--precision=mixed is not that of the run|precision is'),
        (['--set=lazy_regularization=false'], 'lazy_regularization is false, but null of the run'),
        (['--set=G_loss_args.pl_weight=0'], 'G_loss_args.pl_weight is 0, but null'),
    ],
)
def test_other_options_are_refused_by_name(folder_of_run, tmp_path, flags, message):
    folder_of_run()
    command = ['--resume=0', '--result-dir=%s' % (tmp_path / 'results')] + flags
    args = run_training.parse_args(command)
    with pytest.raises(UserError, match=message):
        run_training.options_of_run(args, resume.find('0', args.result_dir))


def test_what_may_change_is_taken_from_the_command_line(folder_of_run, tmp_path):
    folder_of_run()
    command = ['--resume=0', '--total-kimg=9', '--snapshot-ticks=3', '--gamma=100', '--cond=no']
    command += ['--augment=none', '--validation=0']
    args = run_training.parse_args(command + ['--result-dir=%s' % (tmp_path / 'results')])
    run = resume.find('0', args.result_dir)
    options = run_training.options_of_run(args, run)
    assert (options['total_kimg'], options['network_snapshot_ticks']) == (9, 3)
    assert options['G_args'] == run.options['G_args']


def test_functions_of_strangers_need_the_command_line(folder_of_run, tmp_path):
    stranger = {'func_name': 'os.system', 'command': 'true'}
    folder_of_run(G_args=stranger)
    args = run_training.parse_args(['--resume=0', '--result-dir=%s' % (tmp_path / 'results')])
    with pytest.raises(UserError, match='os.system.*none of this project; it goes on only with'):
        run_training.options_of_run(args, resume.find('0', args.result_dir))


def test_what_a_strangers_run_says_reaches_no_other_file_and_no_environment(
    folder_of_run, tmp_path
):
    victim = tmp_path / 'thesis.tex'
    victim.write_text('x')
    run_dir = folder_of_run(tf_config={'env.PATH': '/tmp'})
    snapshots = Snapshots(run_dir, keep=1)
    names = [str(victim), '../../thesis.tex', 'network-snapshot-000001.pkl', 7]
    snapshots.restore(dict(written=names))
    assert victim.exists()
    run = resume.find('0', str(tmp_path / 'results'))
    assert 'env.PATH' in resume.check_names(run, ())
    os.symlink(str(victim), os.path.join(run_dir, 'metric-fid50k.txt'))
    with pytest.raises(UserError, match='metric-fid50k.txt is a link'):
        dnnlib.resume_run(run_dir, LOOP, 1)
    assert victim.read_text() == 'x'


def test_options_are_the_same_however_they_are_written():
    first = dict(b={'x': 5, 'y': [1]}, a=1.5)
    again = dict(a=1.5, b={'y': (1,), 'x': 5.0})
    assert checkpoints.identity(first, 'd') == checkpoints.identity(again, 'd')
    assert checkpoints.identity(first, 'd') != checkpoints.identity(dict(first, a=2), 'd')


def test_networks_that_a_run_began_with_may_have_gone_on(folder_of_run, tmp_path):
    run_dir = folder_of_run(init_from='/runs/3/network-snapshot-000001.pkl')
    run = resume.find('0', str(tmp_path / 'results'))
    later = dict(run.options, init_from='/runs/3/network-final.pkl')
    assert resume.find_equal(later, 'abc', str(tmp_path / 'results')).run_dir == run_dir
    other = dict(run.options, init_from='/runs/4/network-final.pkl')
    assert resume.find_equal(other, 'abc', str(tmp_path / 'results')) is None
