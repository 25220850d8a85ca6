#!/usr/bin/env python3
"""What augmentation costs: time of training with each pipe, as a ratio to training without.

Every transformation is used (p = 1). Steps of all pipes take turns; the training mix is that of
bench/train_step.py.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import parse_name_list, run_cli  # first, see dnnlib/startup.py

# isort: split

import numpy as np

from bench import measure, train_step
from dnnlib import tflib
from dnnlib.util import UserError
from training.augmentation.pipeline import PIPES


def main(argv=None) -> int:
    """Print a line for each pipe."""
    parser = measure.network_arguments('Time training with augmentation.', repeats=10)
    text = 'pipes, of %s (default: %s)'
    few = ['b', 'bg', 'bgc', 'bgcf', 'bgcfnc']
    parser.add_argument(
        '--pipes',
        type=parse_name_list,
        default=few,
        metavar='LIST',
        help=text % (', '.join(PIPES), ','.join(few)),
    )
    text = 'narrow networks, as in training without --dataset'
    parser.add_argument('--demo', action='store_true', help=text)
    args = parser.parse_args(argv)
    unknown = set(args.pipes).difference(PIPES)
    if unknown or not args.pipes:
        raise UserError('--pipes has %s; choose from %s' % (sorted(unknown), ', '.join(PIPES)))
    progress = train_step._Progress(None)
    tflib.init_tf({'rnd.np_random_seed': 0})
    trainings = {}
    for pipe in [None, *args.pipes]:
        progress.say('%s: building the graph' % (pipe or 'none'))
        options = dict(config=args.config, resolution=args.resolution, minibatch=args.minibatch)
        options.update(noise_injection=None, of_demo=args.demo)
        trainings[pipe or 'none'] = train_step._Training(pipe=pipe, **options)
    measured = train_step.measure_trainings(trainings, args.repeats, [], progress)
    seconds = [steps for steps, _ in measured]
    plain = min(train_step._mix({name: np.array(x) for name, x in seconds[0].items()}))
    sizes = args.config, args.resolution, args.resolution, args.minibatch, plain
    print('%s, %dx%d, minibatch %d: %.3f s without augmentation' % sizes)
    ratios = dict(zip(args.pipes, train_step.ratios(seconds)))
    for pipe, ratio in ratios.items():
        numbers = np.percentile(ratio, [50, 25, 75])
        line = '%-7s %.3f (half of %d rounds: %.3f to %.3f)'
        print(line % (pipe, numbers[0], len(ratio), *numbers[1:]))
    facts = {pipe: ratio.tolist() for pipe, ratio in ratios.items()}
    measure.write_json(args.json, [], ratios=facts, seconds=plain)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
