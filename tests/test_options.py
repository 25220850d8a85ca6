"""Options that nobody takes: one line that names them, wherever they are given."""

import io
import pickle

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import options, tflib
from dnnlib.options import passes_options_to
from dnnlib.tflib import network_code, network_options, pickles
from dnnlib.util import UserError
from metrics.metric_defaults import metric_defaults
from tests import toy_networks
from training import configs, option_groups
from training.data.opening import load_dataset
from training.training_loop import training_loop

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def inner(x_in, width=2, depth=3):
    """A function that gets options from others."""


def other_inner(x_in, height=4):
    """Another one."""


@passes_options_to(lambda given: [other_inner if given.get('is_high') else inner], fills=['depth'])
def outer(z_in, is_high=False, **kwargs):
    """A function that hands its options on to one of two, and fills a parameter itself."""


def anything(x_in, width=2, **_kwargs):
    """A function that takes any option."""


@pytest.mark.parametrize(
    'func, given, names',
    [
        (inner, {}, {'x_in', 'width', 'depth'}),
        (outer, {}, {'z_in', 'is_high', 'width'}),
        (outer, {'is_high': True}, {'z_in', 'is_high', 'height'}),
        (anything, {}, None),
    ],
)
def test_a_function_takes_what_it_names_and_what_it_hands_on(func, given, names):
    assert options.accepted(func, given) == names


def test_a_function_that_hands_on_to_one_that_takes_anything_takes_anything():
    hands_on = passes_options_to(lambda given: [anything])(lambda **kwargs: kwargs)
    assert options.accepted(hands_on, {}) is None
    assert options.taken_by(hands_on, {'x': 1}) == {'x': 1}


def test_a_function_gets_the_options_that_it_takes():
    assert options.taken_by(inner, {'width': 5, 'height': 6}) == {'width': 5}


@pytest.mark.parametrize(
    'given, name, value',
    [({}, 'width', 2), ({'width': 7}, 'width', 7), ({}, 'z_in', None), ({}, 'colour', None)],
)
def test_the_value_of_an_option_is_that_given_or_the_default(given, name, value):
    assert options.value_of(outer, given, name) == value


@pytest.mark.parametrize(
    'given, line',
    [
        (
            {'widht': 1},
            "G_args has the option 'widht', which outer does not take; did you mean 'width'?",
        ),
        (
            {'zzzz': 1},
            "G_args has the option 'zzzz', which outer does not take; it takes is_high, width",
        ),
        ({'z_in': 1}, "G_args has the option 'z_in', which the program itself sets; leave it out"),
    ],
)
def test_an_option_that_nobody_takes_is_one_line_with_the_nearest_right_name(given, line):
    with pytest.raises(UserError) as caught:
        options.check('G_args', outer, given, reserved=['z_in'])
    assert str(caught.value) == line
    options.check('G_args', outer, {'width': 1}, reserved=['z_in'])
    options.check('G_args', anything, {'widht': 1}, reserved=['z_in'])


@pytest.fixture
def toys(monkeypatch, session):
    """Toy networks may stand in for saved code; a session is open."""
    monkeypatch.setattr(network_code, 'LOCAL_MODULES', ['tests.toy_networks'])
    return toy_networks


def refusal(function, *args, **kwargs):
    """Call it; return the one line of its error."""
    with pytest.raises(UserError) as caught:
        function(*args, **kwargs)
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    'func, kwargs, words',
    [
        ('affine', {'scal': 2.0}, ["'scal'", 'affine', "'scale'"]),
        ('pair', {'scal': 2.0}, ["'scal'", 'pair', "'scale'"]),
        ('pair', {'inner': 'bent', 'scale': 2.0}, ["'scale'"]),
        ('pair', {'truncation_psi': 0.5}, ["'truncation_psi'"]),
        ('pair', {'x_in': 1}, ["'x_in'", 'leave it out']),
        ('generous', {'components': 1}, ["'components'", 'leave it out']),
    ],
)
def test_a_network_refuses_an_option_before_it_builds_anything(toys, func, kwargs, words):
    line = refusal(tflib.Network, 'net', getattr(toys, func), **kwargs)
    assert all(word in line for word in ["network 'net'"] + words)
    assert not tf.get_default_graph().get_operations()


def test_options_of_a_component_are_options_of_the_network(toys):
    net = tflib.Network('net', toys.pair, inner='bent', power=3.0)
    assert net.components.inner.static_kwargs == {'power': 3.0}
    np.testing.assert_allclose(net.run(X)[0], X**3)
    assert net.takes('power') and not net.takes('scale')


def test_a_function_of_any_options_gets_them_all(toys):
    net = tflib.Network('net', toys.generous, a=2.0)
    np.testing.assert_allclose(net.run(X, b=3.0), X * 6)
    assert not net.takes('noise_values')


def test_a_function_learns_of_the_template_graph_only_if_it_asks(toys):
    net = tflib.Network('net', toys.aware)
    assert net.output_names == ['template']
    assert net.get_output_for(tf.constant(X)).op.name.split('/')[-1] == 'use'


@pytest.mark.parametrize(
    'use, words',
    [
        (lambda net: net.get_output_for(tf.constant(X), None, scal=2.0), ["'scal'", "'scale'"]),
        (lambda net: net.run(X, None, scal=2.0), ["'scal'", "'scale'"]),
        (lambda net: net.run(X, None, minibatch_sise=2), ["'minibatch_size'"]),
        (lambda net: net.run(X, None, truncation_pis=2), ["'truncation_psi'"]),
        (lambda net: net.clone('copy', scal=2.0), ["network 'copy'", "'scal'", "'scale'"]),
        (lambda net: net.convert('tests.toy_networks.bent', scale=2.0), ['bent', "'scale'"]),
        (lambda net: net.run(X, None, x_in=2.0), ["'x_in'", 'leave it out']),
        (lambda net: net.run(X, None, return_dlatents=True), ['no intermediate latents w']),
    ],
)
def test_an_evaluation_or_a_copy_refuses_what_means_nothing(toys, use, words):
    line = refusal(use, tflib.Network('net', toys.affine))
    assert all(word in line for word in ["network '"] + words)


def test_every_network_can_be_evaluated_as_a_generator_is(toys):
    net = tflib.Network('net', toys.affine)
    given = dict.fromkeys(network_options.EVALUATION_OPTIONS, 0)
    np.testing.assert_allclose(net.run(X, None, **given), X)


@pytest.fixture
def old(toys):
    """Networks from a file whose options are not known here, such as those of official code."""
    net = tflib.Network('net', toys.pair, scale=2.0)
    strange = dict(net.static_kwargs, mapping_dtype='float32', structure='auto')
    for each in [net, net.components.inner]:
        each.static_kwargs.update(strange)
    return pickles.load(io.BytesIO(pickle.dumps(net)))


def test_a_file_with_options_unknown_here_still_loads_and_keeps_them(old):
    np.testing.assert_allclose(old.run(X)[1], 2 * X)
    for net in [old, old.clone('copy'), pickles.load(io.BytesIO(pickle.dumps(old)))]:
        assert net.static_kwargs['structure'] == 'auto'
        np.testing.assert_allclose(net.run(X)[1], 2 * X)
    assert old.__getstate__()['static_kwargs']['mapping_dtype'] == 'float32'
    assert "'scale'" in refusal(old.clone, 'copy', scal=1.0)


def test_an_option_of_the_underlying_optimizer_is_checked(session):
    line = refusal(tflib.Optimizer, beta3=0.5)
    assert "'beta3'" in line and 'AdamOptimizer' in line and "'beta" in line.split('mean')[1]
    assert "'use_loss_scaling'" in refusal(tflib.Optimizer, use_los_scaling=True)
    assert "'tf.train.AdmOptimizer'" in refusal(
        tflib.Optimizer, tf_optimizer='tf.train.AdmOptimizer'
    )
    tflib.Optimizer(tf_optimizer='tf.train.MomentumOptimizer', momentum=0.9)


@pytest.mark.parametrize(
    'config, words',
    [
        ({'rnd.np_random_sed': 1}, ["'rnd.np_random_seed'"]),
        ({'gpu_optons.allow_growth': True}, ["'gpu_options.allow_growth'"]),
        ({'gpu_options.alow_growth': True}, ["'gpu_options.allow_growth'"]),
        ({'allow_soft_placement.x': 1}, ["'allow_soft_placement.x'"]),
        ({'gpu_options': 1}, ['gpu_options = 1', 'TensorFlow refuses']),
        ({'intra_op_parallelism_threads': 'two'}, ["= 'two'", 'TensorFlow refuses']),
    ],
)
def test_a_session_refuses_what_it_does_not_know(config, words):
    line = refusal(tflib.create_session, config)
    assert all(word in line for word in words)


def test_a_session_takes_all_kinds_of_options():
    tflib.tfutil.check_config(
        'tf_config',
        {
            'rnd.tf_random_seed': 1,
            'env.ANY_NAME': '1',
            'device_count.CPU': 2,
            'graph_options.rewrite_options.memory_optimization': 1,
        },
    )


def test_a_data_set_names_its_class_and_the_right_option(tmp_path):
    args = dict(tfrecord_dir=str(tmp_path))
    line = refusal(load_dataset, max_label_sise='full', **args)
    assert 'TFRecordDataset' in line and "'max_label_size'" in line
    line = refusal(load_dataset, class_name='training.dataset.TFRecordDataSet', **args)
    assert "'training.dataset.TFRecordDataSet'" in line
    assert 'tfrecord_dir' in refusal(load_dataset, tfrecord_dri='x')


TOY = {'func_name': 'tests.toy_networks.pair'}  # stands for both networks


@pytest.mark.parametrize(
    'path, value, words',
    [
        ('total_kimgs', 5, ["'total_kimgs'", 'training_loop', "'total_kimg'"]),
        ('G_arg.scale', 2.0, ["'G_arg'", 'training_loop', "'G_args'"]),
        ('G_args.scal', 2.0, ["G_args has the option 'scal'", 'pair', "'scale'"]),
        ('G_args.resolution', 64, ["'resolution'", 'leave it out']),
        (
            'G_args.func_name',
            'training.loss.G_mian',
            ['func_name of G_args', "'training.loss.G_mian'"],
        ),
        ('D_args', {'scale': 2.0}, ['D_args has no func_name']),
        ('G_loss_args.pl_wieght', 1.0, ["'pl_wieght'", 'G_logistic_ns_pathreg', "'pl_weight'"]),
        ('D_loss_args.reals', 1.0, ["'reals'", 'leave it out']),
        ('G_opt_args.bta1', 0.0, ["'bta1'", 'AdamOptimizer', "'beta1'"]),
        ('D_opt_args.learning_rate', 0.1, ["'learning_rate'", 'leave it out']),
        ('sched_args.G_lrate_bse', 0.1, ["'G_lrate_bse'", 'training_schedule', "'G_lrate_base'"]),
        ('sched_args.G_lrate_dict.128', 0.1, ["'G_lrate_dict.128'", "'G_lrate_dict'"]),
        ('sched_args', 5, ['sched_args is 5', 'a group of options']),
        ('grid_args.sise', '4k', ["'sise'", 'setup_snapshot_image_grid', "'size'"]),
        ('dataset_args.sed', 1, ["'sed'", 'TFRecordDataset', "'seed'"]),
        ('dataset_args.verbose', True, ["'verbose'", 'leave it out']),
        ('tf_config.rnd.np_random_sed', 1, ['tf_config', "'rnd.np_random_seed'"]),
        ('mirror_augment.x', True, ['mirror_augment', 'no group of options']),
        (
            'metric_arg_list',
            [dict(metric_defaults['fid50k'], num_image=5)],
            ["the metric 'fid50k'", "'num_image'", "'num_images'"],
        ),
    ],
)
def test_training_refuses_an_option_that_no_part_takes(path, value, words, tmp_path):
    common = {'G_args': TOY, 'D_args': TOY, 'dataset_args.tfrecord_dir': str(tmp_path)}
    option_groups.check(configs.resolve('config-f', common))
    given = configs.resolve('config-f', common, {path: value})
    line = refusal(option_groups.check, given)
    assert all(word in line for word in words)


def test_the_training_loop_itself_refuses_before_it_makes_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = configs.resolve('config-f', {'G_args': TOY, 'D_loss_args.gama': 5})
    assert "'gamma'" in refusal(training_loop, **given)
    assert tf.get_default_session() is None and not list(tmp_path.iterdir())


def test_a_flag_without_effect_is_named():
    given = configs.resolve('dcgan', {'G_args': TOY, 'D_args': TOY, 'D_loss_args.gamma': 5})
    line = refusal(option_groups.check, given, {'D_loss_args.gamma': '--gamma'})
    assert line.startswith("--gamma sets the option 'gamma' of D_loss_args, which D_logistic does")


def test_a_path_into_what_is_no_group_is_refused():
    line = refusal(configs.resolve, 'config-f', {'total_kimg.x': 5})
    assert line == "there is no option 'total_kimg.x': total_kimg is no group of options"


@pytest.mark.parametrize('name', ['config-a', 'config-b', 'config-f'])
def test_what_a_generator_tells_its_sub_networks_is_no_option_of_it(name):
    for option in ['dlatent_broadcast', 'force_clean_graph', 'dlatents_in', 'is_template_graph']:
        given = configs.resolve(name, {'G_args.' + option: 1})
        assert repr(option) in refusal(option_groups.check, given)


@pytest.mark.parametrize('name', configs.CONFIGS)
def test_all_options_of_every_configuration_are_taken(name):
    option_groups.check(configs.resolve(name))
    option_groups.check(configs.resolve(name, *configs.demo_parts(name)))
