"""The program run_metrics.py, from flags to tables."""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import run_metrics
from bench import metric_toys
from dnnlib import cli
from dnnlib.util import UserError
from dnnlib.workers import tf_config
from metrics import paper_tables, protocol, sliced_wasserstein
from tests.test_metrics import IMAGES, export
from tests.test_runs import make_run
from training.perception import feature_nets

RUN = 'results/00003-stylegan2-reals-1gpu-config-e-fr'
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Runs the program, and dies by SIGKILL in the middle of it. The sources may be edited meanwhile.
KILLED = (
    """
import os, signal, sys
sys.path.insert(0, %r)
import run_metrics
from metrics import protocol, sample_store
protocol.code_hash = lambda: 'code'
add, count = sample_store.SampleStore.add, [0]
def add_some(store, arrays):
    add(store, arrays)
    count[0] += 1
    if count[0] == 4:
        os.kill(os.getpid(), signal.SIGKILL)
sample_store.SECONDS_BETWEEN_SAVES = 0
sample_store.SampleStore.add = add_some
run_metrics.main(sys.argv[1:])
"""
    % ROOT
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a training run, its data set, and feature networks that nobody named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(feature_nets.FOLDER_VARIABLE, raising=False)
    metric_toys.save_feature_nets('nets')
    os.mkdir('data')
    export(tmp_path / 'data' / 'reals', IMAGES)
    make_run(
        tmp_path / RUN,
        [],
        dataset_args=dict(tfrecord_dir='reals', seed=5),
        data_dir='data',
        mirror_augment=True,
    )
    for index in range(2):
        metric_toys.save_generator(RUN + '/network-snapshot-%06d.pkl' % index, seed=index)
    shutil.copy(RUN + '/network-snapshot-000001.pkl', RUN + '/network-final.pkl')
    return tmp_path


def run(*flags):
    """Run the program and return the JSON records of its run folder."""
    run_metrics.main(['--trust-network-code'] + list(flags))
    folder = sorted(glob.glob('results/*-run-metrics'))[-1]
    return {
        path.split('metric-')[1][:-6]: [json.loads(line) for line in open(path)]
        for path in glob.glob(folder + '/metric-*.jsonl')
    }


def test_without_flags_it_evaluates_the_newest_run_on_its_own_data(place, capsys):
    records = run('--feature-nets=nets', '--metrics=fid50k,ppl_wend,cond', '--num-samples=24')
    (fid,) = records['fid50k_n24']
    assert fid['network'] == RUN + '/network-final.pkl' and fid['mirror_augment'] is True
    assert fid['dataset']['name'] == 'reals' and fid['num_samples'] == 24
    out = capsys.readouterr().out
    assert 'Evaluating metrics "fid50k_n24,ppl_wend_n24,cond_n24" for' in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith('fid50k_n24 ')]
    assert row == ['fid50k_n24', '%.4f' % fid['results']['fid50k_n24'], '7.31']
    assert 'Warning: not to be compared with the paper: data set reals, not FFHQ; 16x16' in out
    assert '24 samples, not 50000' in out


def test_mirrored_reals_are_other_reals(place):
    """Dark on the left, and for a network that looks at the left half alone."""
    images = IMAGES // np.array([4] * 8 + [1] * 8, np.uint8)
    export(place / 'data' / 'sided', images)
    metric_toys.save_feature_nets(
        'left', **{'inception_v3_features.pkl': metric_toys.left_features}
    )
    found = {}
    for answer in ('no', 'yes'):
        flags = ['--dataset=sided', '--data-dir=data', '--mirror-augment=' + answer]
        flags += ['--feature-nets=left', '--metrics=fid50k', '--num-samples=24']
        (record,) = run(*flags)['fid50k_n24']
        assert record['mirror_augment'] == (answer == 'yes')
        found[answer] = record['results']['fid50k_n24']
    assert not np.isclose(found['no'], found['yes'], rtol=0.3), found


def test_a_run_folder_stands_for_its_snapshots(place, capsys):
    records = run('--network=' + RUN, '--metrics=swd16k,cond', '--num-samples=16')['cond_n16']
    assert [os.path.basename(record['network']) for record in records] == [
        'network-snapshot-000000.pkl',
        'network-snapshot-000001.pkl',
    ]
    out = capsys.readouterr().out
    assert 'network-final.pkl" is the same as a network before' in out
    table = [line for line in out.splitlines() if line.startswith('network-snapshot-00000')]
    assert len([line for line in table if 'time' not in line]) == 2


def test_a_killed_evaluation_goes_on_to_the_same_result(place, monkeypatch):
    monkeypatch.setattr(protocol, 'code_hash', lambda: 'code')
    flags = [
        '--trust-network-code',
        '--feature-nets=nets',
        '--metrics=fid50k,cond',
        '--num-samples=48',
    ]
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL='3')
    child = subprocess.run(
        [sys.executable, '-c', KILLED] + flags,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert glob.glob('.stylegan2-cache/metrics-work/*/units-*.npz')
    resumed = run(*flags[1:])
    assert not os.listdir('.stylegan2-cache/metrics-work')
    shutil.rmtree('.stylegan2-cache')
    fresh = run(*flags[1:])
    for name in fresh:
        assert resumed[name][0]['results'] == fresh[name][0]['results']


def test_missing_feature_networks_are_one_line_and_status_2(place, capsys):
    os.remove('nets/vgg16_zhang_perceptual.pkl')
    argv = ['--trust-network-code', '--feature-nets=nets', '--metrics=ppl_wend,ppl2_wend']
    assert cli.run_cli(run_metrics.main, argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('Error: ') and 'https://' in line and 'nets/vgg16_zhang' in line
    assert not glob.glob('results/*run-metrics')


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--metrics=fid'], "unknown metric 'fid'"),
        (['--metrics=none'], 'names no metric'),
        (['--num-samples=0'], '--num-samples is 0'),
        (['--seed=-1'], '--seed is -1'),
        (['--network=missing.pkl'], 'missing.pkl'),
        (['--dataset=missing'], 'missing'),
        (['--result-dir=nowhere'], 'nowhere'),
        (['--feature-nets=nowhere'], 'nowhere'),
    ],
)
def test_mistakes_are_found_before_any_work(place, flags, message):
    with pytest.raises(UserError, match=message):
        run_metrics.main(['--metrics=swd16k'] + flags)
    assert not glob.glob('results/*run-metrics')


def test_networks_without_a_run_need_a_data_set_only_for_real_images(place):
    shutil.copy(RUN + '/network-final.pkl', 'alone.pkl')
    with pytest.raises(UserError, match='swd16k_n16 needs real images.*--dataset'):
        run('--network=alone.pkl', '--metrics=swd16k', '--num-samples=16')
    (record,) = run('--network=alone.pkl', '--metrics=cond', '--num-samples=16')['cond_n16']
    assert record['dataset'] is None
    (record,) = run(
        '--network=alone.pkl',
        '--metrics=swd16k',
        '--num-samples=16',
        '--dataset=reals',
        '--data-dir=data',
    )['swd16k_n16']
    assert np.isfinite(record['results']['swd16k_n16_avg'])


def test_what_can_be_had_is_written_and_the_line_names_what_cannot(place, monkeypatch, capsys):
    monkeypatch.setattr(sliced_wasserstein, 'MIN_RESOLUTION', 32)
    flags = ['--trust-network-code', '--network=' + RUN, '--num-samples=16']
    assert cli.run_cli(run_metrics.main, flags + ['--metrics=swd16k,cond']) == 2
    out, err = capsys.readouterr()
    assert err == 'Error: swd16k_n16 takes images of at least 32x32 pixels, not 16x16\n'
    (path,) = glob.glob('results/*-run-metrics/metric-*.jsonl')
    assert path.endswith('metric-cond_n16.jsonl') and len(open(path).readlines()) == 2
    assert len([line for line in out.splitlines() if line.startswith('network-snapshot')]) == 4
    # Where nothing can be had, no folder is made.
    assert cli.run_cli(run_metrics.main, flags + ['--metrics=swd16k']) == 2
    assert capsys.readouterr().err == err
    assert len(glob.glob('results/*-run-metrics')) == 1


def test_metrics_without_their_network_do_not_stop_the_others(place, capsys):
    os.remove('nets/inception_v3_features.pkl')
    with pytest.raises(UserError, match='nets/inception_v3_features.pkl.*https://'):
        run('--feature-nets=nets', '--metrics=fid50k,cond', '--num-samples=16')
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if line.startswith('Without fid50k_n16: ')]
    (record,) = glob.glob('results/*-run-metrics/metric-*.jsonl')
    assert record.endswith('metric-cond_n16.jsonl')


def test_too_few_real_images_are_found_before_any_work(place, capsys):
    export(place / 'data' / 'one', IMAGES[:1])
    flags = ['--trust-network-code', '--dataset=one', '--metrics=fid50k,kid50k,pr50k3']
    assert cli.run_cli(run_metrics.main, flags + ['--num-samples=24', '--feature-nets=nets']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('Error: fid50k_n24 of 1 real images says nothing; it takes at least 2; ')
    assert not glob.glob('results/*run-metrics')


def test_the_cache_is_where_the_flag_says(place):
    flags = ['--feature-nets=nets', '--metrics=fid50k', '--num-samples=24', '--cache-dir=mine']
    run(*flags)
    assert glob.glob('mine/reals-*.npz') and not os.path.exists('.stylegan2-cache')
    with pytest.raises(UserError, match='cannot write to alone.pkl/x'):
        open('alone.pkl', 'w').close()
        run('--cache-dir=alone.pkl/x')


@pytest.fixture
def labelled(place):
    """A network of three classes beside data sets in which something is missing."""
    metric_toys.save_generator('class.pkl', metric_toys.G_without_w, label_size=3)
    numbers = np.arange(len(IMAGES))
    export(place / 'data' / 'two', IMAGES, np.eye(3)[numbers % 2])
    export(place / 'data' / 'attributes', IMAGES, np.tile([1, 1, 0], [len(IMAGES), 1]))


@pytest.mark.parametrize(
    'network, dataset, index, message',
    [
        (RUN, 'reals', 0, '--class is 0, .* without labels'),
        ('class.pkl', 'two', 3, '--class is 3; it must be from 0 to 2'),
        ('class.pkl', 'two', -1, '--class is -1'),
        ('class.pkl', 'reals', 0, "'data/reals' has no labels"),
        ('class.pkl', 'attributes', 0, "labels of the data set 'attributes' are not one-hot"),
        ('class.pkl', 'two', 2, "'two' has no images of class 2"),
    ],
)
def test_classes_that_are_not_there_are_found_before_any_work(
    labelled, network, dataset, index, message
):
    with pytest.raises(UserError, match=message):
        run(
            '--network=' + network,
            '--dataset=' + dataset,
            '--data-dir=data',
            '--metrics=swd16k',
            '--num-samples=16',
            '--class=%d' % index,
        )
    assert not glob.glob('results/*run-metrics')


def test_figures_of_one_class_say_so(labelled, capsys):
    flags = ['--network=class.pkl', '--dataset=two', '--data-dir=data', '--num-samples=16']
    names = run(*flags, '--metrics=swd16k,cond', '--class=1')
    assert sorted(names) == ['cond_class1_n16', 'swd16k_class1_n16']
    assert 'swd16k_class1_n16_avg' in capsys.readouterr().out
    # What looks at no real images needs none of the class.
    (record,) = run(*flags, '--metrics=cond', '--class=2')['cond_class2_n16']
    assert record['class_index'] == 2


def test_the_paper_is_compared_with_where_it_has_a_row():
    assert paper_tables.config_of_run('00002-stylegan2-my-set-8gpu-config-e-fr') == 'config-e-fr'
    assert paper_tables.config_of_run('00002-run-metrics') is None
    lines = paper_tables.comparison(
        'config-e',
        'lsun-church-128',
        128,
        {'fid50k': 7.0, 'ppl_wend': 130.0, 'cond_mc': 0.9, 'cond_max': 3.0},
    )
    assert [line.split() for line in lines[2:]] == [
        ['fid50k', '7.0000', '6.8'],
        ['ppl_wend', '130.0000', '123.6'],
        ['cond_mc', '0.9000', '0.883'],
    ]
    assert paper_tables.comparison('config-f', 'ffhq', 1024, {'fid50k': 3.0}) == []
    assert paper_tables.comparison('config-e', 'ffhq', 128, {'kid50k': 3.0}) == []
    assert '32x32' not in paper_tables.comparison('dcgan', 'cifar10', 32, {'fid50k': 80.0})[-1]


def test_figures_over_seeds_have_mean_and_deviation(place, capsys):
    flags = '--feature-nets=nets', '--metrics=is50k', '--num-samples=24', '--seed=3'
    records = run(*flags, '--repeats=3', '--network=3')['is50k_n24']
    assert [record['seed'] for record in records] == [3, 4, 5] * 2
    text = capsys.readouterr().out
    with open(glob.glob('results/*-run-metrics/repeats.jsonl')[0], encoding='utf-8') as file:
        summaries = [json.loads(line) for line in file]
    for index, summary in enumerate(summaries):
        values = [r['results']['is50k_n24_mean'] for r in records[3 * index : 3 * index + 3]]
        figure = summary['results']['is50k_n24_mean']
        assert summary['seeds'] == [3, 4, 5] and figure['values'] == values
        assert len(set(values)) == 3
        assert figure['mean'] == pytest.approx(np.mean(values))
        assert figure['std'] == pytest.approx(np.std(values, ddof=1))
        assert '%.4f ± %.4f' % (figure['mean'], figure['std']) in text
    assert [summary['network'] for summary in summaries] == [r['network'] for r in records[::3]]
    assert 'of the seeds 3 to 5' in text
    assert run(*flags, '--network=3')['is50k_n24'][0]['results'] == records[0]['results']


def test_the_data_set_alone_tells_what_a_metric_is_worth(place, capsys):
    flags = '--feature-nets=nets', '--network=reals', '--metrics=swd16k,cond,fid50k'
    assert cli.run_cli(run_metrics.main, ['--trust-network-code', *flags]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err
        == 'Error: cond: it takes a generator; leave it out, or choose another --network\n'
    )
    (path,) = glob.glob('results/*-run-metrics/metric-fid50k.jsonl')
    with open(path, encoding='utf-8') as file:
        (record,) = [json.loads(line) for line in file]
    assert record['network'] == 'reals' and record['dataset']['name'] == 'reals'
    assert record['num_reals'] == record['num_samples'] == 20
    assert 'next: python run_metrics.py --metrics=fid50k,swd16k\n' in captured.out
    shutil.rmtree('results')
    argv = ['--network=reals', '--metrics=is50k', '--feature-nets=nets']
    assert cli.run_cli(run_metrics.main, argv) == 2
    assert 'is50k needs real images' in capsys.readouterr().err
    assert cli.run_cli(run_metrics.main, ['--seed=4294967295', '--repeats=2']) == 2
    assert 'beyond the largest seed' in capsys.readouterr().err


def test_a_watch_is_no_work_for_several_workers(monkeypatch, capsys):
    monkeypatch.setenv('TF_CONFIG', tf_config(['127.0.0.1:1', '127.0.0.1:2'], 1))
    assert cli.run_cli(run_metrics.main, ['--watch=1']) == 2
    assert '--watch does not go with several workers' in capsys.readouterr().err
