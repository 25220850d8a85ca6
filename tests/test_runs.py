"""Finding runs and their networks."""

import pickle

import pytest

from dnnlib import SubmitConfig
from dnnlib.util import UserError
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


def test_the_options_of_a_run_are_found(tmp_path):
    run = make_run(tmp_path / '00000-run', [], mirror_augment=True)
    assert runs.training_options(run) == {'mirror_augment': True}
    assert runs.training_options(str(tmp_path)) is None
    (tmp_path / '00000-run' / 'submit_config.pkl').write_bytes(b'nonsense')
    with pytest.raises(UserError, match='submit_config.pkl'):
        runs.training_options(run)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match='nowhere.*run_training.py'):
        runs.newest_run(str(tmp_path / 'nowhere'))
    with pytest.raises(UserError, match='network-'):
        runs.last_snapshot(str(tmp_path))


class _Evil:
    def __reduce__(self):
        return pickle.loads, (pickle.dumps(0),)


def test_a_configuration_that_asks_for_more_than_data_is_refused(tmp_path):
    run = make_run(tmp_path / '00000-run', [], mirror_augment=_Evil())
    with pytest.raises(UserError, match='cannot be read'):
        runs.training_options(run)
