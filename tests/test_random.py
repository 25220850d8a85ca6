"""Random numbers are a function: of seed, purpose, step, device and draw, and of nothing else."""

import collections
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.tflib import random
from dnnlib.util import UserError
from training import loss, train_graph

ROOT = Path(__file__).resolve().parent.parent


def in_graph(build, runs=1, seed=3, counters=None):
    """Values of what `build` makes in a graph of its own, for each run of the session."""
    with tf.Graph().as_default(), tflib.create_session().as_default() as session:
        tf.set_random_seed(seed)
        fetches = build()
        tflib.set_vars({random.counters()[name]: value for name, value in (counters or {}).items()})
        values = [session.run(fetches) for _ in range(runs)]
        return values, session.run(random.counters())


def test_each_run_draws_anew_and_goes_on_where_the_counter_was_put():
    def build():
        return random.normal([2, 3], 'latents')

    values, counters = in_graph(build, 4)
    assert counters == {'evaluations': 4}
    assert len(np.unique(values)) == 24
    rest, _ = in_graph(build, 2, counters={'evaluations': 2})
    np.testing.assert_array_equal(rest, values[2:])
    other_seed, _ = in_graph(build, 4, seed=4)
    assert not np.intersect1d(other_seed, values).size


def test_no_two_draws_of_a_graph_are_alike():
    def build():
        draws = []
        for device in range(2):
            with random.stream('training', random.counter('training'), device):
                for scope in ('G/8x8', 'G/16x16', 'D/8x8'):
                    with tf.variable_scope(scope):
                        draws += [random.normal([100], 'noise') for _ in range(2)]
                draws += [random.normal([100], purpose) for purpose in ('latents', 'path_noise')]
        with random.stream('reals', random.counter('training')):
            draws.append(random.normal([100], 'latents'))
        return draws + [random.normal([100], 'latents') for _ in range(2)]

    runs, _ = in_graph(build, 3)
    draws = np.array(runs).reshape(-1, 100)
    assert len(draws) == 3 * 19
    assert np.abs(np.corrcoef(draws) - np.eye(len(draws))).max() < 0.5  # 5 standard deviations


def test_draws_do_not_depend_on_what_else_is_in_the_graph_or_runs():
    def build(others):
        if others:
            with random.stream('others'), tf.variable_scope('net'):
                random.normal([3], 'noise')
            tflib.run(random.normal([3], 'latents'))
        with random.stream('training', random.counter('training')):
            if others:
                random.uniform([3], 'coin')
            with tf.variable_scope('net_1' if others else 'net'), tf.variable_scope('8x8'):
                return random.normal([3], 'noise'), random.uniform([3], 'crossover')

    (alone,), _ = in_graph(lambda: build(False))
    (among_others,), _ = in_graph(lambda: build(True))
    np.testing.assert_array_equal(among_others, alone)


def test_draws_inside_branches_and_behind_control_dependencies_are_drawn_once_a_run():
    def build():
        with tf.control_dependencies([tf.no_op()]):
            x = tf.cond(tf.constant(True), lambda: random.normal([2], 'x'), lambda: tf.zeros([2]))
            return x, random.normal([2], 'x')

    values, counters = in_graph(build, 2)
    assert len(np.unique(values)) == 8 and counters == {'evaluations': 2}


def test_a_draw_that_would_repeat_within_a_run_is_refused(session):
    def draw(i):
        return i + random.uniform([], 'in_loop', 0, 9, tf.int32)

    with pytest.raises(ValueError, match="'in_loop' inside a loop"):
        tf.while_loop(lambda i: i < 5, draw, [0])
    with pytest.raises(ValueError, match="'in_loop' inside a loop"):
        tf.data.Dataset.range(3).map(lambda i: draw(tf.cast(i, tf.int32)))


@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])
def test_numbers_have_their_distributions(dtype):
    def build():
        whole = random.uniform([20000], 'whole', 1, tf.constant(7), tf.int32)
        large = random.uniform([20000], 'large', 0, 1 << 40, tf.int64)
        real = random.uniform([20000], 'real', -2, 3, dtype=dtype)
        return random.normal([20000], 'normal', dtype), real, whole, large

    normal, real, whole, large = in_graph(build)[0][0]
    assert normal.dtype == real.dtype == dtype.as_numpy_dtype
    assert scipy.stats.kstest(normal, 'norm').pvalue > 0.001
    assert scipy.stats.kstest(real, 'uniform', [-2, 5]).pvalue > 0.001
    assert scipy.stats.chisquare(np.bincount(whole, minlength=7)[1:]).pvalue > 0.001
    assert scipy.stats.kstest(large, 'uniform', [0, 1 << 40]).pvalue > 0.001


def test_weights_depend_on_seed_and_name_alone():
    def build(others):
        if others:
            tf.get_variable('other', [5], initializer=random.normal_initializer())
        initializer = random.normal_initializer(mean=1, stddev=2)
        with tf.variable_scope('net'):
            names = ['weight', 'bias']
            variables = [tf.get_variable(n, [5000], initializer=initializer) for n in names]
        tflib.run(tf.global_variables_initializer())
        tflib.set_vars({variables[0]: np.zeros(5000)})
        tflib.run(variables[0].initializer)
        return variables

    (weights,), counters = in_graph(lambda: build(False))
    (among_others,), _ = in_graph(lambda: build(True))
    (of_another_seed,), _ = in_graph(lambda: build(False), seed=4)
    np.testing.assert_array_equal(among_others, weights)
    assert scipy.stats.kstest(weights[0], 'norm', [1, 2]).pvalue > 0.001
    assert np.abs(np.corrcoef(weights + of_another_seed) - np.eye(4)).max() < 0.07
    assert counters == {}


def test_a_graph_without_a_seed_draws_differently_each_time():
    def build():
        tf.get_default_graph().seed = None
        return random.normal([3], 'x')

    assert not np.intersect1d(in_graph(build)[0], in_graph(build)[0]).size


def test_recorded_numbers_take_the_place_of_draws(session):
    asked = []

    def source(kind, shape, dtype):
        asked.append((kind, shape, dtype))
        return tf.fill(shape, tf.cast(7, dtype))

    with random.use(source):
        draws = [random.normal([2], 'x'), random.uniform([1], 'x')]
        draws.append(random.uniform([1], 'x', 0, 5, tf.int32))
    assert asked == [
        ('normal', [2], tf.float32),
        ('uniform', [1], tf.float32),
        ('integer', [1], tf.int32),
    ]
    assert [value.tolist() for value in tflib.run(draws)] == [[7, 7], [7], [7]]
    assert random.counters() == {}


def test_random_ops_with_a_state_are_found_but_initializers_are_not(session):
    var = tf.get_variable('var', [2], initializer=tf.initializers.random_normal())
    x = var * random.normal([2], 'x')
    assert random.stateful_ops([x, {'y': tf.group(x)}]) == []
    with tf.control_dependencies([tf.random_normal([2], name='hidden')]):
        y = tf.nn.dropout(x, rate=0.5) + tf.cast(tf.multinomial([[0.0, 1.0]], 1), tf.float32)
    found = {op.type for op in random.stateful_ops(y)}
    assert found == {'RandomStandardNormal', 'RandomUniform', 'Multinomial'}
    assert random.stateful_ops(tf.random_shuffle(x))[0].name == 'RandomShuffle'


class Data:
    """A data set of one minibatch, for two devices."""

    shape = [3, 8, 8]
    label_size = 0

    def get_minibatch_tf(self):
        return tf.constant(np.arange(4 * 192) % 251, tf.float32, [4] + self.shape), tf.zeros([4, 0])

    def get_random_labels_tf(self, minibatch_size):
        return tf.zeros([minibatch_size, 0])

    def reading_errors(self):
        return tf.name_scope('nothing')


def make_training(num_gpus, G_loss):
    """A generator with noise, and its training graph."""
    module = 'training.networks_stylegan2.'
    widths = dict(fmap_base=16, fmap_max=8)
    sizes = dict(latent_size=4, dlatent_size=4, mapping_layers=1, mapping_fmaps=4)
    with tf.device('/cpu:0'):
        G = tflib.Network('G', module + 'G_main', resolution=8, **widths, **sizes)
        D = tflib.Network('D', module + 'D_stylegan2', resolution=8, **widths)
        Gs = G.clone('Gs')
    graph = train_graph.TrainGraph(
        G,
        D,
        Gs,
        Data(),
        G_loss_args=dict(func_name='training.loss.' + G_loss),
        D_loss_args=dict(func_name='training.loss.D_logistic'),
        G_opt_args={},
        D_opt_args={},
        lazy_regularization=True,
        G_reg_interval=2,
        D_reg_interval=2,
        G_smoothing_kimg=10,
        process_reals_args=dict(mirror_augment=True, drange_data=[0, 255], drange_net=[-1, 1]),
        num_gpus=num_gpus,
    )
    return graph, Gs


def iterate(graph, Gs, begin, end):
    """Run iterations; returns images as those of a snapshot, with noise of their own."""
    sizes = dict(minibatch_size=8, minibatch_gpu=2)
    sched = EasyDict(lod=0, G_lrate=0.01, D_lrate=0.01, **sizes)
    for index in range(begin, end):
        for step in graph.steps(sched, index):
            tflib.run(step.op, step.feed)
    return Gs.run(np.ones([1, 4]), None)


def test_training_that_goes_on_from_its_variables_is_the_same_to_the_last_bit(session):
    """With rounds, two devices, path lengths, mixed styles, mirroring and a snapshot between."""
    graph, Gs = make_training(2, 'G_logistic_ns_pathreg')
    graph.refuse_stateful_randomness()
    iterate(graph, Gs, 0, 1)
    variables = {var.name: var for var in tf.global_variables()}
    middle = session.run(variables)
    assert {'Random/training:0', 'Random/evaluations:0'} <= set(variables)
    images = iterate(graph, Gs, 1, 3)
    want = session.run(variables)
    tflib.set_vars({var: middle[name] for name, var in variables.items()})
    np.testing.assert_array_equal(iterate(graph, Gs, 1, 3), images)
    got = session.run(variables)
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, name)
    # Another step draws other numbers, which end elsewhere.
    tflib.set_vars({var: middle[name] for name, var in variables.items()})
    tflib.set_vars({random.counters()['training']: 99})
    iterate(graph, Gs, 1, 3)
    weight = 'G_synthesis/8x8/Conv1/weight:0'
    assert not np.array_equal(session.run(variables[weight]), want[weight])


def test_training_names_an_op_that_no_resume_can_repeat(session, monkeypatch):
    scores = loss._scores

    def noisy_scores(*args):
        x = scores(*args)
        return x + tf.random_normal(tf.shape(x), name='own_noise')

    monkeypatch.setattr(loss, '_scores', noisy_scores)
    graph, _ = make_training(1, 'G_logistic_ns')
    with pytest.raises(UserError, match=r'own_noise/RandomStandardNormal .RandomStandardNormal'):
        graph.refuse_stateful_randomness()


# NumPy's generator, which `tflib.init_tf` seeds: it draws further seeds, and for two functions of
# official StyleGAN2.
USES_OF_NUMPY = {'dnnlib/tflib/tfutil.py': 2, 'training/misc.py': 1, 'training/data/base.py': 2}


def test_all_random_numbers_come_from_one_module():
    found = collections.Counter()
    packages = 'dnnlib', 'training', 'metrics', 'dcgan'
    # What draws: the module, and graphs that leave this project, which hold plain TensorFlow alone.
    drawing = 'dnnlib/tflib/random.py', 'training/exchange/inference.py'
    for path in [path for package in packages for path in (ROOT / package).glob('**/*.py')]:
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding='utf-8')
        assert name in drawing or not re.search(
            r'tf\.(random|initializers\.random|multinomial)', text
        ), name
        found[name] += len(re.findall(r'np\.random\.(?!RandomState|SeedSequence)\w+\(', text))
    assert +found == USES_OF_NUMPY
