"""The command line of training: what it resolves, and how it refuses."""

import json
import os

import numpy as np
import pytest

import dnnlib
import run_training
from dnnlib.cli import run_cli
from dnnlib.tflib import engine
from tests.test_runs import make_run
from training import configs
from training.data.tfrecord_exporter import TFRecordExporter


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """Work in an empty folder with a data set of 16x16 in datasets/; nothing is trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dnnlib, 'submit_run', None)
    with TFRecordExporter('datasets/tiny', 8) as exporter:
        for _ in range(8):
            exporter.add_image(np.zeros([3, 16, 16], np.uint8))
    return tmp_path


def refuse(argv, capsys):
    """Run with bad input; return the one line."""
    capsys.readouterr()
    assert run_cli(run_training.main, argv) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().split('\n')
    assert len(lines) == 1 and lines[0].startswith('Error: ')
    assert not os.path.exists('results')
    return lines[0]


def test_a_deterministic_run_says_so_in_its_options(in_tmp, monkeypatch, capsys):
    runs = []
    monkeypatch.setattr(dnnlib, 'submit_run', lambda *args, **kwargs: runs.append(kwargs))
    for argv in ['--deterministic'], []:
        assert run_cli(run_training.main, ['--metrics=none', '--dataset=tiny', *argv]) == 0
    assert [run['tf_config'].get('math.deterministic') for run in runs] == [True, None]
    assert capsys.readouterr().out.count('On CPUs all runs are deterministic') == 1
    monkeypatch.setattr(engine, '_gpus', ['device: 0, name: A card, compute capability: 7.5'])
    monkeypatch.setattr(engine, 'ENGINE', 'tf1')
    error = refuse(['--metrics=none', '--dataset=tiny', '--deterministic'], capsys)
    assert 'takes TensorFlow 2' in error


@pytest.mark.parametrize('name', ['a [b] c', 'Käse*', '猫 1'])
def test_the_folder_of_a_data_set_may_have_any_name(in_tmp, monkeypatch, name):
    os.rename('datasets/tiny', os.path.join('datasets', name))
    runs = []
    monkeypatch.setattr(dnnlib, 'submit_run', lambda config, *args, **kwargs: runs.append(config))
    assert run_cli(run_training.main, ['--metrics=none', '--dataset=' + name]) == 0
    assert dnnlib.submission.submit._RUN_DESC_PATTERN.fullmatch(runs[0].run_desc)


@pytest.mark.parametrize(
    'argv, words',
    [
        (['--config=config-z', '--dataset=tiny'], ["'config-z'", 'config-e-fr']),
        (['--dataset=none-such'], ['none-such', 'dataset_tool.py']),
        (['--dataset=tiny', '--data-dir=nowhere'], ['nowhere']),
        (['--dataset=tiny', '--metrics=fid51k'], ["'fid51k'", 'fid50k']),
        (['--dataset=tiny', '--noise-injection=fuzzy'], ['fuzzy', 'additive']),
        (['--dataset=tiny', '--mirror-augment=perhaps'], ['perhaps', 'yes']),
        (['--dataset=tiny', '--total-kimg=many'], ['--total-kimg', 'many']),
        (['--dataset=tiny', '--total-kimg=-1'], ['--total-kimg', '-1', 'at least 0']),
        (['--dataset=tiny', '--num-gpus=0'], ['--num-gpus', 'at least 1']),
        (['--dataset=tiny', '--num-gpus=3'], ['32', '3 device(s)', '--minibatch-size, such as 36']),
        (
            ['--dataset=tiny', '--minibatch-gpu=6'],
            ['6', 'choose --minibatch-gpu from 2, 4, 8, 16, 32'],
        ),
        (
            ['--dataset=tiny', '--minibatch-size=12', '--minibatch-gpu=1'],
            ['--minibatch-gpu', '2, 3, 4, 12'],
        ),
        (['--datset=tiny'], ['--datset']),
        (['--dataset=tiny', '--config=dcgan', '--gamma=1'], ['--gamma', '--config', 'D_logistic']),
        (['--dataset=tiny', '--result-dir=datasets/tiny/tiny-r04.tfrecords'], ['cannot write to']),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(in_tmp, capsys, argv, words):
    line = refuse(['--metrics=none'] + argv, capsys)
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    'path, value, argv, words',
    [
        # Ten options that nobody takes: of a configuration's parts, ...
        ('G_args.noise_injecton', 'fr', [], ["'noise_injecton'", "'noise_injection'"]),
        ('G_args.fmap_bse', 8192, [], ["'fmap_bse'", 'G_main', "'fmap_base'"]),
        ('D_args.mbstd_groupsize', 4, [], ["'mbstd_groupsize'", "'mbstd_group_size'"]),
        ('G_loss_args.pl_wieght', 2, [], ["'pl_wieght'", "'pl_weight'"]),
        ('G_opt_args.beta_1', 0.0, [], ["'beta_1'", "'beta1'"]),
        ('sched_args.minibatch_base', 16, [], ["'minibatch_base'", 'training_schedule']),
        ('total_kimgs', 16, [], ["'total_kimgs'", "'total_kimg'"]),
        # ... and of flags, misspelt or without effect.
        (None, None, ['--fmap-bse=1024'], ['--fmap-bse']),
        (None, None, ['--config=dcgan', '--gamma=5'], ['--gamma', 'D_logistic']),
        (None, None, ['--config=dcgan', '--precision=mixed'], ['--precision', 'G_dcgan']),
    ],
)
def test_an_option_that_nobody_takes_is_one_line_and_leaves_nothing(
    in_tmp, capsys, monkeypatch, path, value, argv, words
):
    if path:
        monkeypatch.setitem(configs.CONFIGS, 'config-f', [{path: value}])
    for more in [['--dataset=tiny'], []]:  # without a data set, the demo's would be made
        line = refuse(['--metrics=none'] + argv + more, capsys)
        assert all(word in line for word in words)
    assert os.listdir('.') == ['datasets']
    assert sorted(os.listdir('datasets')) == ['.tiny.dataset.json', 'tiny']


def dry_run(argv, capsys):
    capsys.readouterr()
    assert run_cli(run_training.main, argv + ['--dry-run', '--metrics=none']) == 0
    return json.loads(capsys.readouterr().out)


def test_dry_run_prints_what_would_be_trained_and_writes_nothing(in_tmp, capsys):
    options = dry_run(
        [
            '--dataset=tiny',
            '--config=config-e-fr',
            '--fmap-base=1024',
            '--fmap-max=64',
            '--minibatch-size=64',
            '--minibatch-gpu=8',
            '--seed=7',
            '--gamma=3',
            '--total-kimg=5',
            '--snapshot-ticks=2',
        ],
        capsys,
    )
    assert options['G_args']['noise_injection'] == 'fr'
    assert options['G_args']['fmap_base'] == options['D_args']['fmap_base'] == 1024
    assert options['G_args']['fmap_max'] == options['D_args']['fmap_max'] == 64
    assert options['sched_args']['minibatch_size_base'] == 64
    assert options['sched_args']['minibatch_gpu_base'] == 8
    assert options['D_loss_args'] == {'func_name': 'training.loss.D_logistic_r1', 'gamma': 3}
    assert options['dataset_args'] == {'tfrecord_dir': 'tiny', 'seed': 7}
    assert options['tf_config'] == {'rnd.np_random_seed': 7}
    assert options['total_kimg'] == 5 and options['network_snapshot_ticks'] == 2
    assert not os.path.exists('results')


def test_defaults_are_those_of_the_official_program(in_tmp, capsys):
    options = dry_run(['--dataset=tiny'], capsys)
    assert options['total_kimg'] == 25000 and options['mirror_augment'] is False
    assert options['D_loss_args']['gamma'] == 10
    assert options['G_opt_args'] == {'beta1': 0.0, 'beta2': 0.99, 'epsilon': 1e-8}
    assert 'fmap_base' not in options['G_args']
    assert options['grid_args'] == {'size': '8k', 'layout': 'random'}


def test_without_a_data_set_the_demo_is_trained(in_tmp, capsys):
    options = dry_run(['--config=config-e-fr'], capsys)
    assert options['dataset_args']['tfrecord_dir'] == 'demo-people-32'
    assert options['total_kimg'] < 100 and options['G_args']['fmap_max'] <= 64


def test_the_demo_has_no_options_that_a_dcgan_lacks(in_tmp, capsys):
    options = dry_run(['--config=dcgan-fr'], capsys)
    assert options['D_loss_args'] == {'func_name': 'training.loss.D_logistic'}
    assert set(options['G_args']) == {'func_name', 'noise_injection', 'fmap_base', 'fmap_max'}


@pytest.mark.parametrize('config', ['config-f', 'dcgan'])
def test_noise_injection_can_be_put_on_any_configuration(in_tmp, capsys, config):
    options = dry_run(['--dataset=tiny', '--config=' + config, '--noise-injection=fr-cnn'], capsys)
    assert options['G_args']['noise_injection'] == 'fr-cnn'


def write_json(path, tree):
    with open(path, 'w') as file:
        json.dump(tree, file)


def test_flags_lie_over_set_over_config_file_over_config(in_tmp, capsys):
    tree = {'D_loss_args': {'gamma': 3}, 'total_kimg': 4, 'G_smoothing_kimg': 5.5}
    write_json('options.json', tree)
    argv = ['--dataset=tiny', '--config=config-e', '--config-file=options.json']
    assert dry_run(argv, capsys)['D_loss_args']['gamma'] == 3
    argv += [
        '--set=network_snapshot_ticks=null',
        '--set',
        'total_kimg=6',
        '--set=G_args.architecture=resnet',
        '--set',
        'D_loss_args.gamma=7',
    ]
    options = dry_run(argv, capsys)
    assert options['D_loss_args'] == {'func_name': 'training.loss.D_logistic_r1', 'gamma': 7}
    assert options['total_kimg'] == 6 and options['G_smoothing_kimg'] == 5.5
    assert options['network_snapshot_ticks'] is None and options['image_snapshot_ticks'] == 10
    assert options['G_args']['architecture'] == 'resnet' and options['G_args']['fmap_base'] == 8192
    assert run_cli(run_training.main, argv + ['--gamma=8', '--metrics=none', '--dry-run']) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)['D_loss_args']['gamma'] == 8
    assert captured.err == (
        'config-e, changed by the user: all of options.json, network_snapshot_ticks=null, '
        'total_kimg=6, '
        'G_args.architecture="resnet", D_loss_args.gamma=8.0, dataset_args.tfrecord_dir="tiny"\n'
    )


def test_a_group_with_another_function_is_taken_as_a_whole(in_tmp, capsys):
    write_json('options.json', {'D_loss_args': {'func_name': 'training.loss.D_logistic'}})
    options = dry_run(['--dataset=tiny', '--config-file=options.json'], capsys)
    assert options['D_loss_args'] == {'func_name': 'training.loss.D_logistic'}


def test_what_a_dry_run_prints_and_a_run_is_are_whole_configurations(in_tmp, capsys):
    argv = ['--dataset=tiny', '--config=config-a', '--total-kimg=9', '--cond=yes', '--seed=3']
    first = dry_run(argv, capsys)
    assert first['version'] == dnnlib.full_version() and first['config'] == 'config-a'
    write_json('printed.json', first)
    facts = ('version', 'config', 'num_gpus')
    kwargs = {name: value for name, value in first.items() if name not in facts}
    run_name = '00003-stylegan2-tiny-1gpu-config-a'
    write_json('submit_config.json', {'run_name': run_name, 'run_func_kwargs': kwargs})
    make_run(in_tmp / run_name, [], **kwargs)
    for path in ['printed.json', 'submit_config.json', run_name]:
        assert dry_run(['--config-file=' + path], capsys) == first
        changed = dry_run(['--config-file=' + path, '--mirror-augment=yes', '--seed=4'], capsys)
        assert changed['mirror_augment'] is True
        assert changed['dataset_args'] == dict(first['dataset_args'], seed=4)
    args = run_training.parse_args(['--config-file=printed.json'])
    sizes = run_training.resolve_options(args)['sched_args']['minibatch_size_dict']
    assert sizes == {8: 256, 16: 128, 32: 64, 64: 32}  # numbers, which JSON has as text


def test_precision_and_labels_of_a_file_can_be_taken_back(in_tmp, capsys):
    write_json('options.json', {'G_args': {'precision': 'mixed'}, 'D_args': {'precision': 'mixed'}})
    argv = ['--dataset=tiny', '--config-file=options.json', '--precision=float32', '--cond=no']
    options = dry_run(argv, capsys)
    assert 'precision' not in options['G_args'] and 'precision' not in options['D_args']
    assert options['dataset_args']['max_label_size'] == 0


@pytest.mark.parametrize(
    'tree',
    [
        {'G_args': {'func_name': 'payload.f'}},
        {'G_args.func_name': 'training.networks_stylegan2.np.load'},
        {'D_loss_args': {'func_name': 'os.system'}},
        {'G_opt_args': {'tf_optimizer': 'payload.f'}},
        {'dataset_args': {'tfrecord_dir': 'tiny', 'class_name': 'payload.f'}},
        {'metric_arg_list': [{'func_name': 'payload.f', 'name': 'x'}]},
        {'version': '1', 'G_args': {'func_name': ['payload.f']}},
    ],
)
def test_a_file_of_options_imports_and_calls_nothing_of_others(in_tmp, capsys, monkeypatch, tree):
    monkeypatch.syspath_prepend(str(in_tmp))
    (in_tmp / 'payload.py').write_text('open("ran", "w")\ndef f(**kwargs): pass\n')
    write_json('options.json', tree)
    line = refuse(['--metrics=none', '--dataset=tiny', '--config-file=options.json'], capsys)
    assert 'options.json' in line and 'none of this project' in line and '--set' in line
    assert not (in_tmp / 'ran').exists()


@pytest.mark.parametrize(
    'argv, words',
    [
        (['--config-file=none.json'], ['none.json', 'No such file']),
        (['--config-file=.'], ['no training run']),
        (['--config-file=broken.json'], ['broken.json', 'JSON']),
        (['--config-file=list.json'], ['list.json', 'options by name']),
        (['--config-file=whole.json', '--config=config-e'], ['whole', 'leave --config out']),
        (['--set', 'total_kimg=long'], ['total_kimg', '"long"', 'a number, such as 25000']),
        (['--set', 'total_kimg=null'], ['total_kimg is null', 'a number']),
        (['--set', 'total_kimg=true'], ['total_kimg is true', 'a number']),
        (['--set', 'sched_args=null'], ['sched_args is null', 'a group']),
        (['--set', 'G_args=5'], ['G_args', 'a group']),
        (['--set', 'lazy_regularization=3'], ['lazy_regularization', 'true or false']),
        (['--set', 'total_kimg.more=5'], ['total_kimg is no group']),
        (['--set', 'G_arg.fmap_base=8'], ["'G_arg'", "did you mean 'G_args'?"]),
        (['--set', 'total_kimgs=8'], ["'total_kimgs'", "did you mean 'total_kimg'?"]),
        (['--totl-kimg=8'], ['--totl-kimg', 'did you mean --total-kimg?']),
        (['--set', 'total_kimg=-1'], ['total_kimg is -1', 'at least 0']),
        (['--set', 'grid_args.size'], ['grid_args.size', 'D_loss_args.gamma=10']),
    ],
)
def test_wrong_options_are_one_line_and_leave_nothing(in_tmp, capsys, argv, words):
    write_json('whole.json', {'version': '1', 'total_kimg': 5})
    write_json('list.json', [])
    (in_tmp / 'broken.json').write_text('{"G_args": ')
    line = refuse(['--metrics=none', '--dataset=tiny'] + argv, capsys)
    for word in words:
        assert word in line


def test_resolving_a_configuration_leaves_the_table_as_it_was():
    first = configs.resolve('config-e')
    first['G_opt_args']['beta1'] = 0.5
    first['G_args']['fmap_base'] = 1
    assert configs.resolve('config-e')['G_opt_args']['beta1'] == 0.0
    assert configs.resolve('config-e')['G_args']['fmap_base'] == 8 << 10
