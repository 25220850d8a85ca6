#!/usr/bin/env python3
"""Times the steps of training on this machine, and says how near they are to its own peak.

GFLOP are counted from the layer shapes (`measure.forward_flops`), times the passes of each step: a
forward pass is 1, a gradient with respect to activations 1, to weights 1 more; a gradient of second
order goes through forward pass and gradient once more, 2 each. So

    G step           3 G + 2 D          D step       G + 6 D  (reals and fakes)
    G path lengths   6 G, on half the minibatch      D R1     6 D

per image. The training mix is G + D + path lengths / 4 + R1 / 16, as lazy regularization does it.
Peak: a plain 512-channel 3x3 convolution in float32 or, for mixed precision, in the device's half
precision, which takes turns with the steps. Busy: the part of a step's time in which a kernel runs
on the GPU (on CPUs: an op), and their number, from a trace of one run; a trace slows
small steps down. The last lines compare the training mix of the variants round by round, and tell
how long random numbers alone take, as many as all four steps draw.

Most of the time until the table goes into building the graphs and into the first run of each step,
in which TensorFlow optimises its graph; what it is at stands in stderr.
"""

import contextlib
import itertools
import os
import re
import sys
import time
from argparse import ArgumentTypeError
from functools import partial
from typing import Any, Dict, List

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import parse_name_list, run_cli  # first, see dnnlib/startup.py

# isort: split

from dnnlib import quiet

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

import numpy as np

from bench import measure
from dnnlib import tflib
from dnnlib.options import value_of
from dnnlib.tflib import cluster, engine, random
from dnnlib.tflib.precision import half_type
from dnnlib.util import EasyDict, UserError
from training import configs
from training.train_graph import TrainGraph
from training.training_loop import training_loop

_NAMES = dict(TrainG='G', RegG='G path lengths', UpdateGs='moving average', TrainD='D', RegD='D R1')
# Lazy regularization's intervals; see `TrainGraph`.
_SHARE_OF_ITERATIONS = {'G path lengths': 1 / 4, 'D R1': 1 / 16}

_DRAW_REPEATS = 100

# Options of the loop that the graph needs.
_LOOP_OPTIONS = (
    'G_loss_args D_loss_args G_opt_args D_opt_args lazy_regularization G_reg_interval '
    'D_reg_interval G_smoothing_kimg'
).split()


class _RandomImages:
    """Stands in for a data set."""

    label_size = 0

    def __init__(self, resolution, minibatch):
        self.shape = [3, resolution, resolution]
        self._minibatch = minibatch

    def get_minibatch_tf(self):
        size = [self._minibatch] + self.shape
        return tf.random_uniform(size, maxval=255), tf.zeros([self._minibatch, 0])

    def get_random_labels_tf(self, minibatch_size):
        return tf.zeros([minibatch_size, 0])

    def reading_errors(self):
        return tf.name_scope('Reading')


def _stateful_draw(kind, shape, dtype):
    """What training would draw by if a resumed run did not have to repeat it."""
    if kind == 'normal':
        return tf.random_normal(shape, dtype=dtype)
    return tf.random_uniform(shape, maxval=2 if kind == 'integer' else 1, dtype=dtype)


def _draw_again(draw, shape):
    """Random numbers of the type of others, of a known shape."""
    if 'Normal' in draw.op.type:
        return random.normal(shape.tolist(), 'again', draw.dtype)
    return random.uniform(shape.tolist(), 'again', 0, 2, draw.dtype)


class Training:
    """The training graph of a configuration, and its steps one by one."""

    def __init__(
        self,
        config,
        resolution,
        minibatch,
        noise_injection,
        precision='float32',
        draws='stateless',
        is_deterministic=False,
        pipe=None,
        of_demo=False,
    ):
        self.is_deterministic = is_deterministic
        self._draw = _stateful_draw if draws == 'stateful' else None
        flags = {'G_args.precision': precision, 'D_args.precision': precision}
        if noise_injection:
            flags['G_args.noise_injection'] = noise_injection
        options = configs.resolve(config, *(configs.demo_parts(config) if of_demo else []), flags)
        names = [options[network]['func_name'] for network in ('G_args', 'D_args')]
        if not (names[0].endswith('stylegan2.G_main') and names[1].endswith('D_stylegan2')):
            text = '--config is %r; allowed are config-e and config-f with their variants'
            raise UserError(text % config)
        shape = dict(num_channels=3, resolution=resolution, label_size=0)
        loop_options = {name: value_of(training_loop, options, name) for name in _LOOP_OPTIONS}
        reals = dict(mirror_augment=False, drange_data=[0, 255], drange_net=[-1, 1])
        images = _RandomImages(resolution, minibatch)
        augment_args = dict(mode='fixed', p=1.0, pipe=pipe) if pipe else {}
        loop_options.update(process_reals_args=reals, augment_args=augment_args)
        with contextlib.ExitStack() as opened:
            if self._draw is not None:
                opened.enter_context(random.use(self._draw))
            with tf.device(engine.device(0)):
                self.G = tflib.Network('G', **shape, **options['G_args'])
                self.D = tflib.Network('D', **shape, **options['D_args'])
                Gs = self.G.clone('Gs')
            before = len(tf.get_default_graph().get_operations())
            self._graph = TrainGraph(self.G, self.D, Gs, images, **loop_options)
        made = tf.get_default_graph().get_operations()[before:]
        ops = [op for op in made if re.search('Random.*(Normal|Uniform)', op.type)]
        ops = [op for op in ops if op.name.startswith('GPU')]
        self._draws = [op.outputs[0] for op in ops]
        self._minibatch = minibatch
        self.has_path_lengths = options['G_loss_args']['func_name'].endswith('pathreg')

    def steps(self):
        """name -> (operation of the step, what to feed it); also the moving average of G."""
        sched = EasyDict(lod=0, G_lrate=0.002, D_lrate=0.002)
        sched.minibatch_gpu = self._minibatch
        sched.minibatch_size = self._minibatch * cluster.current().size
        return {
            _NAMES[step.name]: (step.op, step.feed)
            for step in self._graph.steps(sched, 0)
            if self.has_path_lengths or step.name != 'RegG'
        }

    def draws(self):
        """Function that draws as many random numbers as all the steps, and does nothing else."""
        feed = self.steps()['G'][1]
        shapes = tflib.run([tf.shape(draw) for draw in self._draws], feed)
        with contextlib.ExitStack() as opened:
            if self._draw is not None:
                opened.enter_context(random.use(self._draw))
            again = [_draw_again(*pair) for pair in zip(self._draws, shapes)]
        return partial(tflib.run, tf.group(*again))

    def flops(self):
        """name -> FLOP of a step."""
        G, D = [self._minibatch * measure.forward_flops(net) for net in (self.G, self.D)]
        flops = {'G': 3 * G + 2 * D, 'D': G + 6 * D, 'G path lengths': 3 * G, 'D R1': 6 * D}
        return {**flops, 'moving average': 0}


class _Progress:
    """Says in stderr what is being done, and knows when the time for it is over."""

    def __init__(self, limit):
        self._start, self._limit = time.perf_counter(), limit

    def say(self, text):
        """A line with the seconds since the start."""
        seconds = time.perf_counter() - self._start
        print('%7.1f s  %s' % (seconds, text), file=sys.stderr, flush=True)

    def is_late(self):
        """Whether no further round is to begin."""
        return self._limit is not None and time.perf_counter() - self._start > self._limit


def measure_trainings(
    trainings: Dict[str, Training], repeats: int, peaks: list, progress: _Progress
) -> list:
    """For each training ({step: seconds in each round}, {step: trace}).

    All take turns, the samples of the peaks too, since what else goes on in a machine changes from
    second to second.
    """
    steps = {name: training.steps() for name, training in trainings.items()}
    results: Dict[str, tuple] = {name: ({}, {}) for name in trainings}
    for repeat in range(repeats):
        if repeat > 0 and progress.is_late():
            progress.say('the time is over; measured %d of %d rounds' % (repeat, repeats))
            break
        for what, calls in steps.items():
            seconds, traces = results[what]
            engine.make_deterministic(trainings[what].is_deterministic)
            for peak in peaks:
                peak.sample()
            for name, step in calls.items():
                if repeat == 0:
                    progress.say('%s: %s, first run' % (what, name))
                    tflib.run(*step)
                    traces[name] = measure.trace(*step)
                start = time.perf_counter()
                tflib.run(*step)
                seconds.setdefault(name, []).append(time.perf_counter() - start)
        progress.say('round %d of %d' % (repeat + 1, repeats))
    return list(results.values())


def mix(values: Dict[str, Any]) -> Any:
    """What training takes of {step: what the step takes}."""
    return sum(value * _SHARE_OF_ITERATIONS.get(name, 1) for name, value in values.items())


def ratios(measured: List[Dict[str, List[float]]]) -> List[np.ndarray]:
    """Times of training, {step: seconds in each round}, over the first's: [rounds] for each."""
    times = [mix({name: np.array(rounds) for name, rounds in steps.items()}) for steps in measured]
    return [time / times[0] for time in times[1:]]


def _records(training, minibatch, seconds, traces, peak):
    """A record per step by its best round, and one of the mix of them that training is."""
    flops = training.flops()
    seconds = {name: min(rounds) for name, rounds in seconds.items()}

    def record(step, seconds, flop, trace):
        r = dict(step=step, seconds=seconds, images_per_s=minibatch / seconds, gflop=flop / 1e9)
        r.update(gflop_per_s=flop / seconds / 1e9, share_of_peak=flop / seconds / peak)
        return dict(r, kernels=trace.kernels, busy=trace.busy, peak_memory_bytes=trace.memory)

    records = [record(name, seconds[name], flops[name], traces[name]) for name in seconds]
    kernels, busy = [{n: getattr(t, k) for n, t in traces.items()} for k in ('kernels', 'busy')]
    together = measure.Trace(round(mix(kernels)), mix(busy), None)
    flops = {name: flops[name] for name in seconds}
    return records + [record('training', mix(seconds), mix(flops), together)]


def _print_table(records):
    kernels = 'kernels' if engine.gpu_devices() else 'ops'
    titles = 'step', 'seconds', 'images/s', 'GFLOP', 'GFLOP/s', 'of peak', 'busy s', kernels
    print('%-16s %10s %10s %10s %10s %8s %8s %8s %10s' % (titles + ('memory MB',)))
    row = '%(step)-16s %(seconds)10.3f %(images_per_s)10.2f %(gflop)10.0f %(gflop_per_s)10.0f'
    for r in records:
        share, memory = 100 * r['share_of_peak'], measure.megabytes(r['peak_memory_bytes'])
        more = share, r['busy'], r['kernels'], memory
        print(row % r + ' %7.0f%% %8.4f %8d %10s' % more, flush=True)


def _variants(args):
    """Options of Training by what to call it, for all that is to be compared."""
    for form, precision, draws, is_deterministic in itertools.product(
        args.noise_injection, args.precision, args.draws, [False, True][: 1 + args.deterministic]
    ):
        words = [args.config, precision] + (['noise injection ' + form] if form else [])
        words += ['%s draws' % draws] if len(args.draws) > 1 else []
        words += ['deterministic'] if is_deterministic else []
        options = dict(config=args.config, noise_injection=form, precision=precision, draws=draws)
        yield ', '.join(words), dict(options, is_deterministic=is_deterministic)


def _parse(argv):
    text = 'Time training steps, and compare with the peak of plain convolutions on this machine.'
    parser = measure.network_arguments(text, repeats=3)
    add, text = parser.add_argument, 'forms of the noise, each in turn (default: by --config)'
    add('--noise-injection', type=parse_name_list, default=[None], metavar='LIST', help=text)
    text = 'stateless, as training draws, stateful, as TensorFlow does by itself, or both'
    add('--draws', type=_draws, default=['stateless'], metavar='LIST', help=text)
    text = 'with and without deterministic ops, on GPUs'
    add('--deterministic', action='store_true', help=text)
    text = 'begin no further round after so many seconds (default: all rounds)'
    add('--time-limit', type=measure.positive_int, metavar='SECONDS', help=text)
    args = parser.parse_args(argv)
    if args.deterministic:
        engine.check_deterministic()
        if not engine.gpu_devices():
            raise UserError('--deterministic costs nothing on CPUs; it takes a GPU to measure')
    return args


def _draws(text):
    names = parse_name_list(text)
    if not names or not {'stateless', 'stateful'}.issuperset(names):
        raise ArgumentTypeError('%r is not stateless, stateful or both' % text)
    return names


def main(argv=None) -> int:
    """Print the tables; write them as JSON too where asked."""
    args = _parse(argv)
    progress = _Progress(args.time_limit)
    tflib.init_tf({'rnd.np_random_seed': 0})
    samplers = {dtype: measure.ConvolutionPeak(dtype) for dtype in _dtypes()}
    trainings, variants = {}, dict(_variants(args))
    for what, options in variants.items():
        progress.say('%s: building the graph' % what)
        sizes = dict(resolution=args.resolution, minibatch=args.minibatch)
        trainings[what] = Training(**sizes, **options)
    measured = measure_trainings(trainings, args.repeats, list(samplers.values()), progress)
    peaks = {dtype: sampler.flops_per_s for dtype, sampler in samplers.items()}
    speeds = ['%.0f GFLOP/s in %s' % (peak / 1e9, dtype) for dtype, peak in peaks.items()]
    where = ', '.join(engine.gpu_names()) or 'CPU'
    line = tf.__version__, where, ', '.join(speeds)
    print('TensorFlow %s on %s; peak of convolutions: %s' % line)
    results = []
    for (what, training), (seconds, traces) in zip(trainings.items(), measured):
        peak = list(peaks.values())[-1 if variants[what]['precision'] == 'mixed' else 0]
        records = _records(training, args.minibatch, seconds, traces, peak)
        print('\n%s, %dx%d, minibatch %d' % (what, *[args.resolution] * 2, args.minibatch))
        _print_table(records)
        results += [dict(variants[what], **r) for r in records]
    first, *others = trainings
    for what, ratio in zip(others, ratios([seconds for seconds, _ in measured])):
        numbers = np.percentile(ratio, [50, 25, 75])
        text = '\ntime of training, %s / %s: %.3f (half of %d rounds: %.3f to %.3f)'
        print(text % (what, first, numbers[0], len(ratio), *numbers[1:]))
    draw_times = measure.best_times([each.draws() for each in trainings.values()], _DRAW_REPEATS)
    for what, seconds in zip(trainings, draw_times):
        print('random numbers alone, %s: %.2f ms' % (what, 1e3 * seconds))
    facts = dict(device=where, seconds_of_random_numbers=draw_times.tolist())
    measure.write_json(args.json, results, peaks=peaks, **facts)
    return 0


def _dtypes():
    """float32, and the half precision of the device if there is one."""
    with tf.device(engine.device(0)):
        half = half_type()
    return ['float32'] + ([half.name] if half else [])


if __name__ == '__main__':
    sys.exit(run_cli(main))
