"""Finding runs and their networks."""

import os
import pickle
import re

import numpy as np
import pytest

from dnnlib import EasyDict, SubmitConfig
from dnnlib.submission import submit
from dnnlib.submission.submit import SubmitTarget
from dnnlib.util import UserError, get_obj_by_name
from training import runs


def make_run(folder, networks, **options):
    folder.mkdir(parents=True)
    for name in networks:
        (folder / name).write_bytes(b'')
    config = SubmitConfig()
    config.run_func_kwargs = options
    (folder / 'submit_config.pkl').write_bytes(pickle.dumps(config, 4))
    return str(folder)


def test_the_newest_run_is_the_last_one_that_saved_a_network(tmp_path):
    make_run(tmp_path / '00009-old', ['network-snapshot-000001.pkl'])
    want = make_run(tmp_path / '00010-new', ['network-snapshot-000000.pkl'])
    make_run(tmp_path / '00011-run-metrics', [])
    (tmp_path / 'notes').mkdir()
    assert runs.newest_run(str(tmp_path)) == want
    assert runs.last_snapshot(want).endswith('network-snapshot-000000.pkl')


def test_snapshots_come_in_the_order_of_training(tmp_path):
    names = [
        'network-snapshot-1000000.pkl',
        'network-final.pkl',
        'network-snapshot-000010.pkl',
        'network-snapshot-999999.pkl',
        'network-snapshot-x.pkl',
        'fakes000010.png',
    ]
    run = make_run(tmp_path / '00000-run', names)
    assert [path.rsplit('/', 1)[1] for path in runs.snapshots(run)] == [
        'network-snapshot-000010.pkl',
        'network-snapshot-999999.pkl',
        'network-snapshot-1000000.pkl',
        'network-final.pkl',
    ]


def test_a_run_is_named_by_its_folder_or_its_number(tmp_path):
    for name in ['00000-a', '00012-b', '3']:
        (tmp_path / name).mkdir()
    (tmp_path / '00007-c').write_text('')
    assert runs.folder('12', str(tmp_path)) == str(tmp_path / '00012-b')
    assert runs.folder('00000', str(tmp_path)) == str(tmp_path / '00000-a')
    assert runs.folder('00012-b', str(tmp_path)) == '00012-b'
    assert runs.folder(str(tmp_path / '3'), 'results') == str(tmp_path / '3')
    for run in ['7', '3', '1']:
        with pytest.raises(UserError, match='no run number %s in' % run):
            runs.folder(run, str(tmp_path))


def test_the_options_of_a_run_are_found(tmp_path):
    run = make_run(tmp_path / '00000-run', [], mirror_augment=True)
    assert runs.training_options(run) == {'mirror_augment': True}
    assert runs.training_options(str(tmp_path)) is None
    (tmp_path / '00000-run' / 'submit_config.pkl').write_bytes(b'nonsense')
    with pytest.raises(UserError, match='submit_config.pkl.*--dataset'):
        runs.training_options(run)
    assert runs.training_options(run, is_needed=False) is None


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match='nowhere.*run_training.py'):
        runs.newest_run(str(tmp_path / 'nowhere'))
    with pytest.raises(UserError, match='network-'):
        runs.last_snapshot(str(tmp_path))


class _Evil:
    def __reduce__(self):
        return os.mkdir, ('ran',)


@pytest.mark.parametrize(
    'options, reason',
    [
        (dict(mirror_augment=_Evil()), 'mirror_augment is neither true nor false'),
        (dict(mirror_augment='yes'), 'mirror_augment is neither true nor false'),
        (dict(data_dir=_Evil()), 'data_dir is no path'),
        (dict(dataset_args=_Evil()), 'dataset_args is no dictionary'),
        (dict(dataset_args=[1]), 'dataset_args is no dictionary'),
        (dict(dataset_args=b'bytes'), 'dataset_args is no dictionary'),
        (dict(dataset_args=dict(seed=1)), 'tfrecord_dir is no path'),
        (dict(dataset_args=dict(tfrecord_dir=3)), 'tfrecord_dir is no path'),
        (dict(dataset_args=dict(tfrecord_dir='a\0b')), 'tfrecord_dir is no path'),
        (
            dict(dataset_args=dict(tfrecord_dir='x', class_name='results.00050-evil.payload.f')),
            "'results.00050-evil.payload.f' is no class of data sets",
        ),
        (
            dict(dataset_args=dict(tfrecord_dir='x', class_name=['os.mkdir'])),
            'is no class of data sets',
        ),
        (dict(dataset_args=dict(tfrecord_dir='x', strange=1)), "'strange' is no option"),
        (dict(dataset_args=dict(tfrecord_dir='x', num_threads=10**9)), "'num_threads' is no"),
        (dict(dataset_args=dict(tfrecord_dir='x', repeat=_Evil())), "'repeat' is no option"),
        ([1, 2], 'the options of the run are no dictionary'),
        (b'bytes', 'the options of the run are no dictionary'),
        (_Evil(), 'the options of the run are no dictionary'),
    ],
)
def test_options_that_no_run_has_are_refused_and_nothing_runs(
    options, reason, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = SubmitConfig()
    config.run_func_kwargs = options
    for content in [config, {'run_func_kwargs': options}]:
        with open('submit_config.pkl', 'wb') as file:
            pickle.dump(content, file, 2)
        with pytest.raises(UserError, match='cannot be used: .*%s.*--dataset' % re.escape(reason)):
            runs.training_options('.')
    assert os.listdir('.') == ['submit_config.pkl']


@pytest.mark.parametrize('content', [[1], b'bytes', None, {}, 'text', SubmitTarget.LOCAL, _Evil()])
def test_files_that_hold_no_configuration_are_refused(content, tmp_path):
    (tmp_path / 'submit_config.pkl').write_bytes(pickle.dumps(content, 2))
    with pytest.raises(UserError, match='submit_config.pkl holds no configuration.*--dataset'):
        runs.training_options(str(tmp_path))


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_runs_of_official_code_are_understood(protocol, tmp_path):
    config = SubmitConfig()
    config.run_func_kwargs = EasyDict(
        dataset_args=EasyDict(tfrecord_dir='ffhq', class_name='training.dataset.TFRecordDataset'),
        mirror_augment=True,
        sched_args=EasyDict(minibatch_size_dict={4: 512}),
    )
    (tmp_path / 'submit_config.pkl').write_bytes(pickle.dumps(config, protocol))
    assert runs.training_options(str(tmp_path)) == config.run_func_kwargs


@pytest.mark.parametrize(
    'name',
    [
        'training.image_folder.ImageFolderDataset',
        'training.data.image_folder.ImageFolderDataset',
        'training.dataset.TFRecordDataset',
        'training.data.tfrecord_dataset.TFRecordDataset',
    ],
)
def test_classes_of_data_sets_have_their_old_and_new_names(name, tmp_path):
    run = make_run(tmp_path / 'run', [], dataset_args=dict(tfrecord_dir='x', class_name=name))
    class_name = runs.training_options(run)['dataset_args']['class_name']
    assert get_obj_by_name(class_name).__name__ == name.split('.')[-1]


def test_new_runs_are_read_from_their_json_alone(tmp_path):
    options = dict(
        dataset_args=dict(tfrecord_dir='x', max_label_size='full'),
        sched_args=dict(minibatch_size_dict={4: 512, 1024: 32}, lod=np.float32(0.5)),
        layers=(1, 2),
        func=make_run,
    )
    config = SubmitConfig()
    config.run_dir_root = str(tmp_path)
    run = submit.submit_run(config, __name__ + '.do_nothing', **options).run_dir
    assert runs.training_options(run) == dict(options, layers=[1, 2], func=str(make_run))
    with open(os.path.join(run, 'submit_config.pkl'), 'rb') as file:
        assert pickle.load(file).run_func_kwargs == options
    os.remove(os.path.join(run, 'submit_config.pkl'))
    assert runs.training_options(run)['dataset_args'] == options['dataset_args']
    for text in [
        '',
        '[1]',
        '{"run_func_kwargs": ',
        '[' * 100000,
        '{"run_func_kwargs": [1]}',
        '1' * 9999,
    ]:
        with open(os.path.join(run, 'submit_config.json'), 'w') as file:
            file.write(text)
        with pytest.raises(UserError, match='00000-.*--dataset'):
            runs.training_options(run)


def do_nothing(**_options):
    pass
