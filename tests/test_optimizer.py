"""Optimizer: the steps of NumPy's Adam on any number of devices; sharing, rounds, overflow."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib.tflib import tfutil
from dnnlib.tflib.autosummary import autosummary, collect
from dnnlib.tflib.ops import decisions
from dnnlib.tflib.optimizer import Optimizer, SimpleAdam

ADAM = dict(beta1=0.5, beta2=0.9, epsilon=1e-3)
START = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]], np.float32)
INPUTS = np.random.RandomState(5).randn(16, 2, 3).astype(np.float32)


class NumpyAdam:
    """The judge, in float64: epsilon joins the root of the uncorrected second moment."""

    def __init__(self, w, lr=0.1, beta1=0.5, beta2=0.9, epsilon=1e-3):
        self.w, self.m, self.v, self.t = np.array(w, np.float64), 0.0, 0.0, 0
        self.lr, self.beta1, self.beta2, self.epsilon = lr, beta1, beta2, epsilon

    def step(self, grad):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * grad
        self.v = self.beta2 * self.v + (1 - self.beta2) * grad**2
        rate = self.lr * np.sqrt(1 - self.beta2**self.t) / (1 - self.beta1**self.t)
        self.w = self.w - rate * self.m / (np.sqrt(self.v) + self.epsilon)
        return self.w


def grad_of(w, x):
    """Gradient of `make_loss` by hand, for inputs x [N, 2, 3]."""
    return np.mean(np.asarray(x, np.float64) * (2 * w), axis=0)


def make_loss(w, x):
    """Mean over the minibatch of sum(x w^2)."""
    return tf.reduce_mean(tf.reduce_sum(x * tf.square(w), axis=[1, 2]))


@pytest.fixture(autouse=True, params=[False, True], ids=['single', 'packed'])
def packed(request, monkeypatch):
    """Each test runs with gradients one by one, as on CPUs, and in one buffer, as on GPUs."""
    monkeypatch.setattr(decisions, 'packs_variables', lambda device: request.param)
    return request.param


class Problem:
    """A variable per device with `make_loss`, fed through `x` and trained by `opt`."""

    def __init__(self, devices=('/cpu:0',), **kwargs):
        self.x = tf.placeholder(tf.float32, [None, 2, 3])
        self.opt = Optimizer(name='Test', **dict(dict(learning_rate=0.1, **ADAM), **kwargs))
        self.devices = devices
        self.vars = []
        for i, part in enumerate(tf.split(self.x, len(devices))):
            with tf.device(devices[i]):
                self.vars.append(tf.Variable(START, name='w'))
                self.opt.register_gradients(make_loss(self.vars[-1], part), [self.vars[-1]])
        self.train_op = self.opt.apply_updates()
        tfutil.init_uninitialized_vars()

    def step(self, x):
        tfutil.run(self.train_op, {self.x: x})
        return tfutil.run(self.vars[0])


def assert_equal(got, want, tolerance=1e-5):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    'tf_optimizer', ['tf.train.AdamOptimizer', 'dnnlib.tflib.optimizer.SimpleAdam']
)
@pytest.mark.parametrize('beta1', [0.0, 0.5])
def test_steps_are_those_of_adam(session, tf_optimizer, beta1):
    problem = Problem(tf_optimizer=tf_optimizer, beta1=beta1)
    judge = NumpyAdam(START, beta1=beta1)
    for i in range(6):
        x = INPUTS[2 * i : 2 * i + 2]
        want = judge.step(grad_of(judge.w, x))
        assert_equal(problem.step(x), want)


def test_other_optimizers_can_be_named(session):
    x = INPUTS[:2]
    opt = Optimizer(tf_optimizer='tf.train.GradientDescentOptimizer', learning_rate=0.1)
    w = tf.Variable(START)
    opt.register_gradients(make_loss(w, x), {'w': w})
    train_op = opt.apply_updates()
    tfutil.init_uninitialized_vars()
    session.run(train_op)
    assert_equal(session.run(w), START - 0.1 * grad_of(START, x))


@pytest.mark.parametrize(
    'tf_optimizer', ['tf.train.AdamOptimizer', 'dnnlib.tflib.optimizer.SimpleAdam']
)
@pytest.mark.parametrize('options', [{}, dict(minibatch_multiplier=2, use_loss_scaling=True)])
def test_any_number_of_devices_gives_the_result_of_one(session, tf_optimizer, options):
    results = []
    for count in [1, 2, 4]:
        problem = Problem(
            ['/cpu:%d' % i for i in range(count)], tf_optimizer=tf_optimizer, **options
        )
        for i in range(6):
            problem.step(INPUTS[4 * (i % 4) : 4 * (i % 4) + 4])
        replicas = session.run(problem.vars)
        for replica in replicas:
            np.testing.assert_array_equal(replica, replicas[0])
        results.append(replicas[0])
    assert not np.allclose(results[0], START)
    assert_equal(results[1], results[0], 1e-6)
    assert_equal(results[2], results[0], 1e-6)


def test_training_is_the_same_to_the_bit_every_time(session):
    results = []
    for _ in range(3):
        problem = Problem(['/cpu:%d' % i for i in range(4)], minibatch_multiplier=2)
        for i in range(4):
            w = problem.step(INPUTS[4 * i : 4 * i + 4])
        results.append(w)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_device_names_are_compared_by_meaning(session):
    with tf.device('/device:CPU:1'):
        w = tf.Variable(START)
    with tf.device('/cpu:1'):
        loss = make_loss(w, INPUTS)
    optimizer = Optimizer()
    optimizer.register_gradients(loss, [w])
    train = optimizer.apply_updates()
    tfutil.run(tf.global_variables_initializer())
    tfutil.run(train)
    moved = np.abs(tfutil.run(w) - START)  # Adam's first step; the gradient at 0 is 0
    np.testing.assert_allclose(moved, 0.001 * (START != 0), rtol=1e-3)


def test_a_variable_elsewhere_than_the_loss_is_refused_by_name(session):
    with tf.device('/cpu:1'):
        w = tf.Variable(START, name='far')
    with tf.device('/cpu:0'):
        loss = make_loss(w, INPUTS)
    with pytest.raises(AssertionError, match='far.*CPU:1.*CPU:0'):
        Optimizer().register_gradients(loss, [w])


def test_several_losses_of_a_device_are_averaged(session):
    opt = Optimizer(learning_rate=0.1, **ADAM)
    w = tf.Variable(START)
    for part in [INPUTS[:4], INPUTS[4:8]]:
        opt.register_gradients(make_loss(w, part), [w])
    train_op = opt.apply_updates()
    tfutil.init_uninitialized_vars()
    session.run(train_op)
    assert_equal(session.run(w), NumpyAdam(START).step(grad_of(START, INPUTS[:8])))


def test_a_variable_that_no_loss_reaches_gets_a_zero_gradient(session):
    opt = Optimizer(learning_rate=0.1, **ADAM)
    used, unused = tf.Variable(START), tf.Variable([1.0, 2.0])
    on = tf.placeholder(tf.float32, [])
    opt.register_gradients(on * make_loss(used, INPUTS), [used, unused])
    train_op = opt.apply_updates()
    tfutil.init_uninitialized_vars()
    session.run(train_op, {on: 1})
    got_used, got_unused = session.run([used, unused])
    np.testing.assert_array_equal(got_unused, [1, 2])
    judge = NumpyAdam(START)
    judge.step(grad_of(START, INPUTS))
    session.run(train_op, {on: 0})  # a zero gradient still moves along the first moment
    assert not np.array_equal(session.run(used), got_used)
    assert_equal(session.run(used), judge.step(0))


@pytest.mark.parametrize('as_tensor', [False, True])
def test_accumulated_rounds_equal_one_step_with_their_mean_gradient(session, as_tensor):
    rounds = tf.constant(3) if as_tensor else 3
    problem = Problem(minibatch_multiplier=rounds)
    judge = NumpyAdam(START)
    for step in range(2):
        parts = [INPUTS[6 * step + 2 * i : 6 * step + 2 * i + 2] for i in range(3)]
        before = judge.w
        want = judge.step(np.mean([grad_of(before, x) for x in parts], axis=0))
        assert_equal(problem.step(parts[0]), before)
        assert_equal(problem.step(parts[1]), before)
        assert_equal(problem.step(parts[2]), want)


def test_the_number_of_rounds_may_change_between_steps(session):
    rounds = tf.placeholder(tf.int32, [])
    problem = Problem(minibatch_multiplier=rounds)
    judge = NumpyAdam(START)
    for count in [2, 1, 3]:
        parts = [INPUTS[2 * i : 2 * i + 2] for i in range(count)]
        want = judge.step(np.mean([grad_of(judge.w, x) for x in parts], axis=0))
        for x in parts:
            session.run(problem.train_op, {problem.x: x, rounds: count})
        assert_equal(session.run(problem.vars[0]), want)


def test_the_learning_rate_may_be_fed(session):
    rate = tf.placeholder(tf.float32, [])
    problem = Problem(learning_rate=rate)
    judge = NumpyAdam(START)
    for judge.lr in [0.1, 0.02]:
        want = judge.step(grad_of(judge.w, INPUTS))
        session.run(problem.train_op, {problem.x: INPUTS, rate: judge.lr})
        assert_equal(session.run(problem.vars[0]), want)
    assert collect()['Test/learning_rate'] == pytest.approx(0.06)


@pytest.mark.parametrize(
    'tf_optimizer', ['tf.train.AdamOptimizer', 'dnnlib.tflib.optimizer.SimpleAdam']
)
@pytest.mark.parametrize('count', [1, 2])
def test_main_and_regularization_steps_advance_the_same_moments(session, tf_optimizer, count):
    options = dict(tf_optimizer=tf_optimizer, learning_rate=0.1, **ADAM)
    main = Optimizer(name='TrainG', **options)
    reg = Optimizer(name='RegG', share=main, **options)
    for i in range(count):
        with tf.device('/cpu:%d' % i):
            w = tf.Variable(START)
            main.register_gradients(make_loss(w, INPUTS[:4]), [w])
            reg.register_gradients(make_loss(w, INPUTS[4:]), [w])
    main_op, reg_op = main.apply_updates(), reg.apply_updates()
    tfutil.init_uninitialized_vars()
    judge = NumpyAdam(START)
    for op in [main_op, reg_op, main_op, main_op, reg_op]:
        session.run(op)
        want = judge.step(grad_of(judge.w, INPUTS[:4] if op is main_op else INPUTS[4:]))
        assert_equal(session.run(w), want)
    state = [v for v in tf.global_variables() if 'TrainG_opt' in v.op.name or 'power' in v.op.name]
    assert len(state) == 4 * count  # m, v and two powers a device, for both optimizers together
    assert not [v for v in tf.global_variables() if 'RegG_opt' in v.op.name]


def test_sharing_needs_equal_options(session):
    rate = tf.constant(0.1)
    main = Optimizer(learning_rate=rate, beta1=0.5)
    Optimizer(learning_rate=rate, beta1=0.5, share=main)
    for options, text in [
        (dict(learning_rate=rate, beta1=0.4), 'options'),
        (dict(learning_rate=tf.constant(0.1), beta1=0.5), 'learning_rate'),
        (dict(learning_rate=rate, tf_optimizer='tf.train.RMSPropOptimizer'), 'tf_optimizer'),
    ]:
        with pytest.raises(AssertionError, match=text):
            Optimizer(share=main, **options)


def test_loss_scaling_does_not_change_the_result(session):
    problem = Problem(use_loss_scaling=True, loss_scaling_init=10.0)
    judge = NumpyAdam(START)
    for i in range(4):
        x = INPUTS[4 * i : 4 * i + 4]
        want = judge.step(grad_of(judge.w, x))
        assert_equal(problem.step(x), want)
    scale = problem.opt.get_loss_scaling_var('/cpu:0')
    assert session.run(scale) == pytest.approx(10 + 4 * 0.0005)
    assert collect()['Test/loss_scaling_log2'] == pytest.approx(10 + 1.5 * 0.0005)


def test_loss_scaling_rescues_gradients_too_small_for_float16(session):
    grads = []
    for use in [False, True]:
        opt = Optimizer(
            tf_optimizer='tf.train.GradientDescentOptimizer',
            learning_rate=1.0,
            use_loss_scaling=use,
            loss_scaling_init=16.0,
        )
        w = tf.Variable(0.0)
        opt.register_gradients(1e-6 * tf.cast(tf.cast(w, tf.float16) * 0.01, tf.float32), [w])
        train_op = opt.apply_updates()
        tfutil.init_uninitialized_vars()
        session.run(train_op)
        grads.append(-session.run(w))
    assert grads[0] == 0
    assert grads[1] == pytest.approx(1e-8, rel=1e-2)


def test_scaling_of_own_gradients(session):
    opt = Optimizer(use_loss_scaling=True, loss_scaling_init=3.0)
    x = opt.apply_loss_scaling(tf.constant(5.0))
    y = opt.undo_loss_scaling(x)
    tfutil.init_uninitialized_vars()
    assert_equal(session.run([x, y]), [40, 5])
    plain, value = Optimizer(), tf.constant(1.0)
    assert plain.apply_loss_scaling(value) is value and plain.undo_loss_scaling(value) is value
    assert plain.get_loss_scaling_var('/cpu:0') is None


@pytest.mark.parametrize('bad', [np.nan, np.inf])
@pytest.mark.parametrize('bad_round', [0, 2])
@pytest.mark.parametrize('count', [1, 2])
def test_a_nonfinite_round_skips_its_whole_step_and_is_counted(session, bad, bad_round, count):
    problem = Problem(
        ['/cpu:%d' % i for i in range(count)],
        minibatch_multiplier=3,
        use_loss_scaling=True,
        loss_scaling_init=10.0,
    )
    judge = NumpyAdam(START)
    for step in range(4):
        for i in range(3):
            x = INPUTS[4 * i : 4 * i + 4].copy()
            if step == 1 and i == bad_round:
                x[3, 1, 1] = bad  # on the last device only
            problem.step(x)
        if step != 1:
            judge.step(grad_of(judge.w, INPUTS[:12]))
        for w in session.run(problem.vars):
            assert_equal(w, judge.w)
    assert problem.opt.get_skipped_steps() == 1
    for device in problem.devices:
        scale = session.run(problem.opt.get_loss_scaling_var(device))
        assert scale == pytest.approx(10 + 3 * 0.0005 - 1)
    assert collect()['Test/overflow_frequency'] == 0.25  # of steps, not of rounds


@pytest.mark.parametrize('rounds', [None, 2])
def test_steps_skipped_in_a_row_are_counted_until_one_is_taken(session, rounds):
    problem = Problem(minibatch_multiplier=rounds)
    counts = []
    for factor in [np.nan, 1, np.inf, np.nan, 1]:
        for number in range(rounds or 1):
            if number:
                assert problem.opt.get_skipped_steps(in_row=True) == sum(counts[-1:])
            problem.step(INPUTS * (factor if number == 0 else 1))
        counts.append(problem.opt.get_skipped_steps(in_row=True))
    assert counts == [1, 0, 1, 2, 0]
    assert problem.opt.get_skipped_steps() == 3


def test_reset_forgets_moments_but_neither_weights_nor_the_count_of_skipped_steps(session):
    problem = Problem()
    problem.step(INPUTS * np.nan)
    w = problem.step(INPUTS)
    problem.opt.reset_optimizer_state()
    np.testing.assert_array_equal(session.run(problem.vars[0]), w)
    judge = NumpyAdam(w)
    for _ in range(2):
        want = judge.step(grad_of(judge.w, INPUTS))
        assert_equal(problem.step(INPUTS), want)
    assert problem.opt.get_skipped_steps() == 1


def test_reset_through_one_of_two_sharing_optimizers(session):
    main = Optimizer(name='Main', learning_rate=0.1, **ADAM)
    reg = Optimizer(name='Reg', share=main, learning_rate=0.1, **ADAM)
    w = tf.Variable(START)
    ops = []
    for opt in [main, reg]:
        opt.register_gradients(make_loss(w, INPUTS), [w])
        ops.append(opt.apply_updates())
    tfutil.init_uninitialized_vars()
    session.run(ops[0])
    reg.reset_optimizer_state()
    judge = NumpyAdam(session.run(w))
    want = judge.step(grad_of(judge.w, INPUTS))
    session.run(ops[1])
    assert_equal(session.run(w), want)


@pytest.mark.parametrize(
    'tf_optimizer', ['tf.train.AdamOptimizer', 'dnnlib.tflib.optimizer.SimpleAdam']
)
def test_a_restored_run_goes_on_exactly_as_if_it_had_not_stopped(session, tmpdir, tf_optimizer):
    problem = Problem(
        ['/cpu:0', '/cpu:1'],
        tf_optimizer=tf_optimizer,
        minibatch_multiplier=2,
        use_loss_scaling=True,
    )
    problem.step(INPUTS * np.nan)
    for i in range(4):  # ends between the rounds of a step
        problem.step(INPUTS[2 * i : 2 * i + 2])
    saver = tf.train.Saver()
    path = saver.save(session, str(tmpdir.join('model')))
    want = [problem.step(INPUTS[8:10]), problem.step(INPUTS[10:12])]
    session.run(tf.global_variables_initializer())
    saver.restore(session, path)
    np.testing.assert_array_equal(problem.step(INPUTS[8:10]), want[0])
    np.testing.assert_array_equal(problem.step(INPUTS[10:12]), want[1])
    assert problem.opt.get_skipped_steps() == 1


SHAPES = [[], [3], [16], [5, 7], [2, 16], [1, 1, 4, 3], [64]]  # alone, in rows of 16, and not


@pytest.mark.parametrize('beta1', [0.0, 0.5])
def test_variables_of_any_shapes_take_the_steps_of_numpys_adam(session, beta1):
    """Two rounds a step, lazy regularization with the same state, and a step that is skipped."""
    rng = np.random.RandomState(3)
    options = dict(ADAM, beta1=beta1, learning_rate=0.1, minibatch_multiplier=2)
    main = Optimizer(name='Main', **options)
    reg = Optimizer(name='Reg', share=main, use_loss_scaling=True, **options)
    start = [np.asarray(rng.randn(*shape), np.float32) for shape in SHAPES]
    w = [tf.Variable(value) for value in start]
    slopes = [tf.placeholder(tf.float32, shape) for shape in SHAPES]
    loss = tf.add_n([tf.reduce_sum(var * slope) for var, slope in zip(w, slopes)])
    main.register_gradients(loss, w)
    reg.register_gradients(2 * loss, w[:])
    ops = {main: main.apply_updates(), reg: reg.apply_updates()}
    tfutil.init_uninitialized_vars()
    judges = [NumpyAdam(value, beta1=beta1) for value in start]
    for index, opt in enumerate([main, reg, main, reg, reg]):
        rounds = [[np.asarray(rng.randn(*shape), np.float32) for shape in SHAPES] for _ in 'ab']
        if index == 2:
            rounds[0][3][4, 6] = np.inf
        for values in rounds:
            session.run(ops[opt], dict(zip(slopes, values)))
        for judge, a, b in zip(judges, *rounds):
            if index != 2:
                judge.step((a + b) / 2 * (2 if opt is reg else 1))
        for got, judge in zip(session.run(w), judges):
            assert_equal(got, judge.w)
    assert main.get_skipped_steps() == 1 and reg.get_skipped_steps() == 0


def test_all_state_is_reached_by_one_method(session):
    problem = Problem(minibatch_multiplier=2, use_loss_scaling=True)
    problem.step(INPUTS * np.nan)
    for i in range(4):  # ends between the rounds of a step
        problem.step(INPUTS[2 * i : 2 * i + 2])
    state = problem.opt.state_variables()
    values = session.run([problem.vars[0], *state.values()])
    want = [problem.step(INPUTS[8:10]), problem.step(INPUTS[10:12])]
    tfutil.set_vars(dict(zip([problem.vars[0], *state.values()], values)))
    np.testing.assert_array_equal(problem.step(INPUTS[8:10]), want[0])
    np.testing.assert_array_equal(problem.step(INPUTS[10:12]), want[1])
    trained = [v for v in tf.global_variables() if 'Autosummary' not in v.op.name]
    assert {v.op.name for v in trained} == set(state) | {problem.vars[0].op.name}


def test_names_in_checkpoints_do_not_depend_on_the_scopes_around(session):
    names = []
    for wrapped in [False, True]:
        with tf.Graph().as_default(), tf.Session():
            w = tf.Variable(START, name='w')
            with tf.name_scope('around' if wrapped else None):
                opt = Optimizer(name='Train/G', minibatch_multiplier=2, use_loss_scaling=True)
                opt.register_gradients(make_loss(w, INPUTS), [w])
                assert opt.apply_updates().name == 'Train.G/TrainingOp'
            names.append(sorted(v.op.name for v in tf.global_variables()))
    assert names[0] == names[1]
    assert names[0] == [
        'Autosummary/Train.G_learning_rate/total',
        'Autosummary/Train.G_loss_scaling_log2/total',
        'Autosummary/Train.G_overflow_frequency/total',
        'Train.G/Apply0/beta1_power',
        'Train.G/Apply0/beta2_power',
        'Train.G/grad_acc_count',
        'Train.G/grad_acc_var',
        'Train.G/loss_scaling_var',
        'Train.G/skipped_steps',
        'w',
        'w/Train.G_opt0',
        'w/Train.G_opt0_1',
    ]


def test_an_optimizer_without_losses_is_a_no_op_on_request_only(session):
    opt = Optimizer()
    session.run(opt.apply_updates(allow_no_op=True))
    assert opt.get_skipped_steps() == 0
    with pytest.raises(AssertionError, match='no gradients'):
        Optimizer().apply_updates()


def test_a_training_operation_is_made_once(session):
    problem = Problem()
    with pytest.raises(AssertionError, match='called before'):
        problem.opt.apply_updates()
    with pytest.raises(AssertionError, match='after apply_updates'):
        problem.opt.register_gradients(make_loss(problem.vars[0], INPUTS), problem.vars)


def test_replicas_of_other_shapes_are_refused(session):
    opt = Optimizer()
    for device, shape, error in [('/cpu:0', [2], None), ('/cpu:1', [3], 'other shapes')]:
        with tf.device(device):
            w = tf.Variable(tf.zeros(shape))
            loss = tf.reduce_sum(w)
        if error is None:
            opt.register_gradients(loss, [w])
        else:
            with pytest.raises(AssertionError, match=error):
                opt.register_gradients(loss, [w])


def test_a_summary_in_the_loss_is_counted_once_per_round(session):
    x = tf.placeholder(tf.float32, [])
    w = tf.Variable(2.0)
    opt = Optimizer(learning_rate=0.0)
    opt.register_gradients(autosummary('Loss/G', w * x), [w])
    train_op = opt.apply_updates()
    tfutil.init_uninitialized_vars()
    for value in [1, 2]:
        session.run(train_op, {x: value})
    assert collect()['Loss/G'] == 3


def test_gradients_of_gathered_rows_are_applied(session):
    w = tf.Variable(START)
    opt = Optimizer(tf_optimizer='tf.train.GradientDescentOptimizer', learning_rate=1.0)
    opt.register_gradients(tf.reduce_sum(tf.gather(w, [1, 1])), [w])
    train_op = opt.apply_updates()
    tfutil.init_uninitialized_vars()
    session.run(train_op)
    np.testing.assert_array_equal(session.run(w), START - [[0] * 3, [2] * 3])


def test_simple_adam_keeps_one_state_for_all_its_updates(session):
    adam = SimpleAdam(learning_rate=0.1, **ADAM)
    w = tf.Variable(START)
    ops = [
        adam.apply_gradients(adam.compute_gradients(make_loss(w, INPUTS[i : i + 8]), [w]))
        for i in [0, 8]
    ]
    assert len(adam.variables()) == 4
    tfutil.init_uninitialized_vars()
    judge = NumpyAdam(START)
    for i in [0, 1, 0]:
        session.run(ops[i])
        assert_equal(session.run(w), judge.step(grad_of(judge.w, INPUTS[8 * i : 8 * i + 8])))
