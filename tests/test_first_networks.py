"""The networks that a run begins with, from the command line to what is trained of them."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import dnnlib
import run_training
from dnnlib import EasyDict, tflib
from dnnlib.cli import run_cli
from dnnlib.util import UserError
from tests import network_files
from tests.test_run_training import dry_run, in_tmp, refuse  # noqa: F401 - a fixture
from tests.test_training_loop import TINY, data_dir, read_stats, train  # noqa: F401 - fixtures
from training import anatomy, configs, first_networks, misc, transfer


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A function that makes a file of new, tiny networks of a configuration, once; its path."""
    folder = tmp_path_factory.mktemp('networks')

    def path_of(config):
        path = str(folder / (config + '.pkl'))
        if not os.path.exists(path):
            save_networks(path, config)
        return path

    return path_of


def save_networks(path, config):
    with tf.Graph().as_default(), tflib.create_session().as_default():
        misc.save_pkl(make(config), path)


def load(run_dir):
    return misc.load_pkl(os.path.join(run_dir, 'network-final.pkl'))


def test_fr_that_began_as_additive_noise_learns_and_held_layers_do_not(
    train,  # noqa: F811
    files,
    capsys,
):
    path = files('config-e')
    loss = {'func_name': 'training.loss.G_logistic_ns'}  # whose graph is the smallest
    run_dir = train(
        'config-e-fr-noise', init_from=path, freeze_d=2, total_kimg=0.16, G_loss_args=loss
    )
    assert read_stats(run_dir)[-1]['Progress/kimg'] == 0.16  # 20 iterations
    out = capsys.readouterr().out
    assert 'G   noise_injection is fr-' in out and 'D   is built as in the source' in out
    assert 'Taken: 100.0% of the weights of G, 100.0% of D.' in out and '  Gs  as G\n' in out
    G, D, _ = load(run_dir)
    layers = anatomy.fr_values(G)
    assert list(layers) == ['4x4/Conv', '8x8/Conv0_up', '8x8/Conv1']
    for values in map(tflib.run, layers.values()):
        assert np.all(values['A'] != 0) and np.all(values['b'] != 1)
        assert values['alpha'] != 0.5 and abs(values['alpha'] - 0.5) < 0.1
        assert values['strength'] != 0
    _, source, _ = misc.load_pkl(path)
    held = {'8x8/FromRGB/weight', '8x8/FromRGB/bias', '8x8/Conv0/weight', '8x8/Conv0/bias'}
    for name in D.trainables:
        assert np.array_equal(D.get_var(name), source.get_var(name)) == (name in held)


@pytest.mark.parametrize(
    'config, layers',
    [
        ('config-e', '16x16/FromRGB 16x16/Conv0 16x16/Conv1_down 16x16/Skip 8x8/Conv0'),
        ('config-e-Gskip-Dskip', '16x16/FromRGB 16x16/Conv0 16x16/Conv1_down 8x8/FromRGB'),
        ('config-b', 'FromRGB_lod0 16x16/Conv0 16x16/Conv1_down FromRGB_lod1 8x8/Conv0'),
        ('config-a', 'FromRGB_lod0 16x16/Conv0 16x16/Conv1_down FromRGB_lod1 8x8/Conv0'),
        ('dcgan', '8x8 4x4'),
    ],
)
def test_layers_are_held_from_the_image_on(session, config, layers):
    options = configs.resolve(config)['D_args']
    options = dict(options, num_channels=3, resolution=16, fmap_base=64, fmap_max=8)
    D, layers = tflib.Network('D', **options), layers.split()
    held = anatomy.first_layers(D, len(layers))
    assert list(held) == layers
    assert all(name in D.trainables for own in held.values() for name in own)
    if config == 'dcgan':
        assert list(held['4x4']) == ['4x4/weight', '4x4/BatchNorm/gamma', '4x4/BatchNorm/beta']
        with pytest.raises(UserError, match=r'is 3, but .* has 3 layers \(8x8, 4x4, Output\)'):
            anatomy.first_layers(D, 3)


def make(config, resolution=8, resume_pkl=None, changes=(), **options):
    """Networks to train for a data set of that resolution."""
    resolved = configs.resolve(config, TINY, dict(changes))
    data = EasyDict(shape=[3, resolution, resolution], label_size=0)
    args = resolved['G_args'], resolved['D_args']
    return first_networks.make_networks(data, *args, resume_pkl=resume_pkl, **options)


def test_a_pickle_is_trained_as_it_is_and_a_line_says_so(session, files, capsys):
    path = files('config-e-fr')
    G, D, _ = make('config-e', resume_pkl=path)
    assert anatomy.fr_layers(G) and D.input_shape == [None, 3, 8, 8]
    note = 'Note: G is trained as it is in the file, not as configured, where noise_injection is '
    assert note + 'additive, in the source fr\n' in capsys.readouterr().out
    with pytest.raises(UserError, match='resolution is 16, in the source 8; --init-from makes'):
        make('config-e', 16, resume_pkl=path)
    with pytest.raises(UserError, match='both resume_pkl and init_from'):
        make('config-e', resume_pkl=path, init_from=path)


def test_new_networks_take_all_of_equal_name_from_a_pickle(session, files):
    options = dict(resume_pkl=files('config-e-fr'), resume_with_new_nets=True)
    nets = make('config-e', **options)
    for net, source in zip(nets, misc.load_pkl(options['resume_pkl'])):
        assert not anatomy.fr_layers(net)
        for name in net.vars:
            if 'noise_strength' not in name:
                assert np.array_equal(net.get_var(name), source.get_var(name))
    with pytest.raises(UserError, match=r' of G is .* in .* and .* here; --init-from takes'):
        make('config-e', changes={'G_args.fmap_max': 4}, **options)


def test_no_code_of_a_file_runs(session, files, tmp_path):
    records = network_files.read_calls(files('config-e'))
    for record in records:
        for state in [record.state] + [each.state for each in record.state['components'].values()]:
            state['build_module_src'] = 'open("ran", "w")\n' + state['build_module_src']
            state['build_func_name'] = 'unknown_' + state['build_func_name']
    path = tmp_path / 'unknown.pkl'
    path.write_bytes(network_files.dumps(records))
    G, D, _ = make('config-e', init_from=str(path))
    for net, record in zip((G, D), transfer.load(files('config-e'))):
        values = transfer.values_of(record)
        assert all(np.array_equal(net.get_var(name), values[name]) for name in net.trainables)
    assert not os.path.exists('ran')


@pytest.mark.parametrize(
    'argv, words',
    [
        (['--init-from=none.pkl'], ['none.pkl']),
        (['--init-from=7'], ['no run number 7']),
        (['--init-from=gdrive:networks/stylegan2-fhq-config-f.pkl'], ['did you mean']),
        (['--init-from=.'], ['network-*.pkl']),
        (['--init-from=text.pkl'], ['text.pkl']),
        (['--init-from=one.pkl', '--config=config-e'], ['one.pkl', '(G, D, Gs)']),
        (['--init-from=e.pkl'], ['default configuration', 'fmap_base is 16384, in the source 64']),
        (['--init-from=e.pkl', '--config=dcgan'], ['nothing of G fits', 'G_main']),
        (['--set=init_from=3'], ['init_from is 3; it must be text']),
        (['--freeze-d=1'], ['--freeze-d', '--init-from']),
        (['--freeze-d=-1'], ['--freeze-d', 'at least 0']),
        (
            ['--init-from=e.pkl', '--freeze-d=2', '--config-file=tiny.json', '--config=config-e'],
            ['--freeze-d=2', 'new in the discriminator', ': 16x16/FromRGB, 16x16/Conv0'],
        ),
        (
            ['--init-from=e.pkl', '--freeze-d=10', '--config-file=tiny.json', '--config=config-e'],
            ['--freeze-d is 10', '10 layers (16x16/FromRGB, '],
        ),
    ],
)
def test_a_bad_start_is_one_line_and_leaves_nothing(
    in_tmp,  # noqa: F811
    files,
    capsys,
    argv,
    words,
):
    shutil.copy(files('config-e'), 'e.pkl')
    with open('one.pkl', 'wb') as file:
        file.write(network_files.dumps(network_files.read_calls()[2]))
    (in_tmp / 'text.pkl').write_text('hello')
    write_tiny('tiny.json')
    line = refuse(['--metrics=none', '--dataset=tiny'] + argv, capsys)
    assert all(word in line for word in words), line


def write_tiny(path):
    groups = {'G_args': {}, 'D_args': {}}
    for name, value in TINY.items():
        group, _, key = name.partition('.')
        if group in groups:
            groups[group][key] = value
    with open(path, 'w') as file:
        json.dump(groups, file)


def test_a_start_is_found_like_any_network_and_noted_whole(
    in_tmp,  # noqa: F811
    files,
    capsys,
    monkeypatch,
):
    os.makedirs('results/00003-x')
    path = shutil.copy(files('config-e'), 'results/00003-x/network-final.pkl')
    for name in ['3', 'results/00003-x', path]:
        options = dry_run(['--dataset=tiny', '--init-from=' + name, '--freeze-d=2'], capsys)
        assert options['init_from'] == os.path.abspath(path) and options['freeze_d'] == 2
    calls = []
    monkeypatch.setattr(dnnlib, 'submit_run', lambda *args, **kwargs: calls.append(kwargs))
    # What the user names himself is no accident.
    argv = ['--metrics=none', '--dataset=tiny', '--init-from=3', '--noise-injection=fr-noise']
    argv += ['--set=%s=%s' % item for item in TINY.items() if item[0][:6] in ('G_args', 'D_args')]
    assert run_cli(run_training.main, argv) == 0
    assert calls[0]['init_from'] == os.path.abspath(path)


def test_a_run_is_resumed_without_the_file_that_it_started_from(in_tmp, capsys):  # noqa: F811
    args = run_training.parse_args(['--dataset=tiny', '--config=config-e', '--set=init_from=gone'])
    options = run_training.resolve_options(args)
    with pytest.raises(UserError, match='gone'):
        args.choice.check(options, 1)
    args.choice.check(options, 1, is_resumed=True)
