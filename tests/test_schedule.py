"""The schedule is the official one, and impossible minibatches are found before training."""

import numpy as np
import pytest

from dnnlib import EasyDict
from dnnlib.util import UserError
from tests import golden
from training import configs
from training.schedule import check_minibatches, training_schedule

ARRAYS, META = golden.load('schedule')
EXACT = ['resolution', 'minibatch_size', 'minibatch_gpu', 'tick_kimg']
CLOSE = ['kimg', 'lod', 'G_lrate', 'D_lrate']


def data_set(resolution):
    return EasyDict(resolution_log2=int(np.log2(resolution)))


@pytest.mark.parametrize('case', META['cases'], ids=lambda case: case['case'])
def test_the_schedule_is_the_official_one(case):
    kwargs = {
        key: dict(value) if key.endswith('_dict') else value
        for key, value in case['kwargs'].items()
    }
    training_set = data_set(case['dataset_resolution'])
    for index, cur_nimg in enumerate(ARRAYS[case['case'] + '.cur_nimg']):
        sched = training_schedule(int(cur_nimg), training_set, **kwargs)
        assert sorted(sched) == sorted(EXACT + CLOSE)
        for key in EXACT:
            assert sched[key] == ARRAYS['%s.%s' % (case['case'], key)][index], (key, cur_nimg)
        for key in CLOSE:
            want = ARRAYS['%s.%s' % (case['case'], key)][index]
            assert sched[key] == pytest.approx(want, rel=1e-9, abs=1e-9), (key, cur_nimg)


@pytest.mark.parametrize(
    'names, case',
    [
        (['config-a', 'config-b', 'config-c', 'config-d'], META['cases'][0]),
        (['config-e', 'config-f'], META['cases'][3]),
    ],
)
def test_configs_have_the_official_schedule(names, case):
    official = {
        key: dict(value) if key.endswith('_dict') else value
        for key, value in case['kwargs'].items()
    }
    for name in names:
        ours = configs.resolve(name)['sched_args']
        assert dict({'minibatch_size_base': 32, 'minibatch_gpu_base': 4}, **ours) == official


def test_a_minibatch_that_cannot_be_spread_names_those_that_can():
    args = dict(minibatch_size_base=12, minibatch_gpu_base=5)
    with pytest.raises(UserError, match='12 at 32x32 .* 2 device.* 5 images.* 1, 2, 3, 6$'):
        check_minibatches(args, 32, num_gpus=2)
    with pytest.raises(UserError, match='choose --minibatch-gpu from 2, 6$'):
        check_minibatches(args, 32, num_gpus=2, is_legal_on_device=lambda size: size % 2 == 0)
    with pytest.raises(UserError, match='choose another --minibatch-size, such as 16$'):
        check_minibatches(args, 32, num_gpus=8)
    check_minibatches(dict(args, minibatch_gpu_base=3), 32, num_gpus=2)


def test_minibatches_of_every_resolution_are_checked():
    args = configs.resolve('config-d')['sched_args']
    check_minibatches(args, 1024, num_gpus=8)
    with pytest.raises(UserError, match='256 at 8x8 .* 16 device'):
        check_minibatches(args, 1024, num_gpus=16)
    args = dict(args, minibatch_size_dict={64: 30})
    with pytest.raises(UserError, match='30 at 64x64'):
        check_minibatches(args, 1024, num_gpus=1)
