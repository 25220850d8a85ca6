"""--config=auto chooses what its rules say, tells why, and gives way to the user."""

import itertools
import json

import pytest

import run_training
from training import automatic, configs
from training.automatic import Situation
from training.schedule import check_minibatches


def options(num_images=2000, resolution=256, num_devices=1, memory=16.0, **given):
    facts = Situation(num_images, resolution, num_devices, bool(memory), memory, **given)
    decisions = automatic.decide(facts)
    assert all(len(str(each)) <= 120 and each.reason for each in decisions)
    return configs.resolve('auto', automatic.part(decisions))


@pytest.mark.parametrize(
    'num_images, resolution, devices',
    itertools.product([300, 70000, 200000], [64, 1024], [(1, 0.0), (8, 16.0)]),
)
def test_every_choice_can_be_trained(num_images, resolution, devices):
    found = options(num_images, resolution, *devices)
    sched = found['sched_args']
    check_minibatches(
        sched, resolution, devices[0], lambda size: configs.is_legal_on_device(found, size)
    )
    size = sched['minibatch_size_base']
    rule = 0.0002 * resolution**2 / size
    assert found['D_loss_args']['gamma'] == pytest.approx(rule, rel=0.01)
    assert found['G_smoothing_kimg'] == pytest.approx(size * 10 / 32)
    assert ('augment_args' in found) == (num_images < 100000)


@pytest.mark.parametrize(
    'given, size, per_device',
    [
        (dict(resolution=128), 32, 32),
        (dict(resolution=1024), 16, 4),
        (dict(resolution=1024, memory=4.0), 16, 2),
        (dict(resolution=256, num_devices=8), 64, 8),
        (dict(resolution=64, memory=0.0), 16, 16),
        (dict(resolution=256, memory=0.0), 16, 4),
        (dict(minibatch_size=24), 24, 8),
        (dict(minibatch_gpu=2), 16, 2),
    ],
)
def test_minibatches_fit_devices_and_users(given, size, per_device):
    sched = options(**given)['sched_args']
    assert (sched['minibatch_size_base'], sched['minibatch_gpu_base']) == (size, per_device)


def test_weights_of_r1_for_large_images_are_noted_where_images_are_small():
    line = automatic.note_on_gamma(100.0, False, 128, 32)
    assert '--gamma=0.102' in line and '\n' not in line
    assert automatic.note_on_gamma(10.0, False, 64, 32).endswith('--gamma=0.0256')
    assert automatic.note_on_gamma(100.0, True, 128, 32) is None
    assert automatic.note_on_gamma(100.0, False, 256, 32) is None
    assert automatic.note_on_gamma(2.0, False, 32, 16) is None


def test_a_command_says_why_and_the_user_has_the_last_word(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ['--config=auto-fr', '--dry-run', '--metrics=none', '--subset=300', '--ema-kimg=3']
    run_training.main(command + ['--lr=0.003', '--map-depth=3', '--ada-target=0.5'])
    out, err = capsys.readouterr()
    found = json.loads(out[out.index('{') :])
    assert found['config'] == 'auto-fr' and found['G_args']['noise_injection'] == 'fr'
    assert found['D_loss_args']['gamma'] == 0.0128
    assert found['augment_args'] == {'mode': 'ada', 'target': 0.5}
    assert (found['G_smoothing_kimg'], found['G_args']['mapping_layers']) == (3, 3)
    assert found['sched_args']['G_lrate_base'] == found['sched_args']['D_lrate_base'] == 0.003
    assert found['dataset_args']['subset'] == 300
    assert 'adaptive, from p = 0: 300 images are fewer than 100000' in err
    assert '0.0002 * resolution^2 / minibatch' in err
