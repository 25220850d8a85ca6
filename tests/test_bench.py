"""The benchmarks count and report what they say."""

import json
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bench import generate, measure, spoiled_images, states, train_step
from dnnlib import tflib
from dnnlib.cli import run_cli
from dnnlib.tflib import random
from training import configs


def test_arithmetic_of_a_network_is_counted_by_hand(session):
    D = tflib.Network(
        'D',
        func_name='training.networks_stylegan2.D_stylegan2',
        num_channels=3,
        resolution=8,
        label_size=0,
        fmap_base=64,
        fmap_max=8,
    )
    from_rgb, conv0 = 64 * 3 * 8, 64 * 9 * 8 * 8
    conv1_down, skip = 16 * 9 * 8 * 8, 16 * 8 * 8
    conv, dense, output = 16 * 9 * 9 * 8, 16 * 8 * 8, 8
    assert measure.forward_flops(D) == 2 * (
        from_rgb + conv0 + conv1_down + skip + conv + dense + output
    )


def test_generation_is_reported_in_consistent_units(session, tmp_path, capsys):
    path = tmp_path / 'numbers.json'
    assert (
        generate.main(['--resolution=8', '--minibatch=2', '--repeats=1', '--json=%s' % path]) == 0
    )
    report = json.loads(path.read_text())
    (result,) = report['results']
    assert result['images_per_s'] == pytest.approx(2 / result['seconds'])
    assert result['share_of_peak'] == pytest.approx(
        result['images_per_s'] * result['gflop_per_image'] * 1e9 / report['peak']
    )
    assert '%10.2f' % result['images_per_s'] in capsys.readouterr().out


def test_a_state_has_the_weights_of_three_networks_and_a_moment_of_two(
    session, monkeypatch, tmp_path, capsys
):
    narrow = {'%s_args.fmap_max' % name: 128 for name in 'GD'}
    options = configs.resolve('config-e', narrow)
    monkeypatch.setattr(configs, 'resolve', lambda name: options)
    states.main(['--config=config-e', '--resolution=64', '--dir=%s' % tmp_path])
    out = capsys.readouterr().out
    gigabytes = float(re.match(r'config-e at 64x64: (.*) GB; copied in .* read in', out).group(1))
    # With beta1 = 0 Adam needs no first moment.
    sizes = {var.name: var.shape.num_elements() for var in tf.trainable_variables()}
    learned = sum(sizes[name] for name in sizes if not name.startswith('Gs/'))
    assert gigabytes == pytest.approx((sum(sizes.values()) + learned) * 4 / 1e9, rel=0.1)


def test_times_that_overlap_count_once():
    assert measure.covered([(5, 6), (0, 2), (1, 3), (1.5, 2)]) == 4
    assert measure.covered([]) == 0


def test_a_trace_counts_what_ran_and_for_how_long(session):
    x = tf.placeholder(tf.float32, [400, 400])
    feed = {x: np.ones([400, 400], np.float32)}
    products = [tf.matmul(x, x)]
    for _ in range(5):
        products.append(tf.matmul(products[-1], x))
    one, six = measure.trace(products[0].op, feed), measure.trace(products[-1].op, feed)
    assert six.kernels - one.kernels == 5
    assert one.busy > 0 and six.busy > 0


def test_late_rounds_are_left_out_and_said_so(capsys):
    progress = train_step._Progress(limit=0)
    assert progress.is_late() and not train_step._Progress(limit=None).is_late()

    class Training:
        is_deterministic = False

        def steps(self):
            return {'G': (tf.no_op(), {})}

    with tf.Graph().as_default(), tf.Session().as_default():
        ((seconds, traces),) = train_step.measure_trainings({'a': Training()}, 9, [], progress)
    assert len(seconds['G']) == 1 and traces['G'].kernels >= 1
    assert 'a: G, first run' in capsys.readouterr().err


def test_variants_are_compared_round_by_round():
    first, other = {'G': [1.0, 2.0], 'D R1': [16.0, 16.0]}, {'G': [2.0, 5.0], 'D R1': [16.0, 32.0]}
    (ratio,) = train_step.ratios([first, other])
    assert ratio.tolist() == [3 / 2, 7 / 3]


def test_draws_that_have_a_state_take_turns_with_those_that_have_none(monkeypatch, capsys):
    made = []

    class Training:
        is_deterministic = False

        def __init__(self, **options):
            made.append(options['draws'])

        def steps(self):
            return {'G': (tf.no_op(), {})}

        def draws(self):
            return lambda: None

    class Peak:
        flops_per_s = 1.0

        def sample(self):
            pass

    monkeypatch.setattr(train_step, 'Training', Training)
    monkeypatch.setattr(measure, 'ConvolutionPeak', lambda _: Peak())
    monkeypatch.setattr(train_step, '_records', lambda *_: [])
    monkeypatch.setattr(train_step, '_print_table', lambda _: None)
    assert train_step.main(['--repeats=2', '--draws=stateless,stateful']) == 0
    what = 'config-e, float32, %s draws'
    line = 'time of training, %s / %s: ' % (what % 'stateful', what % 'stateless')
    printed = capsys.readouterr().out
    assert made == ['stateless', 'stateful'] and line in printed
    assert 'random numbers alone, %s: 0.00 ms' % what % 'stateful' in printed
    with random.use(train_step._stateful_draw):
        draws = [random.normal([2], 'x'), random.uniform([2], 'x', 1, 5, tf.int32)]
        ops = random.stateful_ops(draws)
        again = [train_step._draw_again(op.outputs[0], np.array([3])) for op in ops]
    types = [op.type for op in random.stateful_ops(again)]
    assert sorted(types) == ['RandomStandardNormal', 'RandomUniformInt']
    assert [draw.shape.as_list() for draw in again] == [[3], [3]]


def test_columns_that_do_not_grow_with_the_strength_are_named():
    found = {'none': [dict(a=0.0, b=5.0)]}
    for what, _, strengths in spoiled_images.SPOILERS:
        for place, strength in enumerate(strengths, 1):
            found['%s: %g' % (what, strength)] = [
                dict(a=place, b=4 + place),
                dict(a=2, b=5 + place),
            ]
    assert spoiled_images.wrong(found) == []
    found['noisy, of 255: 16'] = [dict(a=9, b=0)]
    found['blurred, pixels: 0.5'][0].update(b=4)
    assert spoiled_images.wrong(found) == [
        'b: blurred, pixels',
        'a: noisy, of 255',
        'b: noisy, of 255',
    ]


def test_images_are_spoiled_by_their_strength():
    images = np.random.RandomState(0).randint(256, size=[6, 3, 16, 16]).astype(np.uint8)
    for _, spoiler, strengths in spoiled_images.SPOILERS:
        assert np.array_equal(spoiled_images.spoil(spoiler, images, 0, seed=1), images)
        weak, strong = [
            np.abs(spoiled_images.spoil(spoiler, images, x, seed=1) - images.astype(float)).mean()
            for x in (strengths[0], strengths[-1])
        ]
        assert 0 < weak < strong
    mixed = spoiled_images.spoil(spoiled_images.mixed, images, 1, seed=1)
    assert sorted(mixed.tolist()) == sorted(images.tolist())


@pytest.mark.parametrize(
    'flag,reason',
    [
        ('--resolution=63', 'power of two'),
        ('--resolution=2', 'power of two'),
        ('--minibatch=0', 'whole number'),
        ('--repeats=x', 'whole number'),
    ],
)
def test_wrong_numbers_are_one_line_and_exit_status_2(flag, reason, capsys):
    assert run_cli(generate.main, [flag]) == 2
    error = capsys.readouterr().err
    assert flag.split('=')[0] in error and reason in error and error.count('\n') == 1
