#!/usr/bin/env python3
"""Times 3x3 convolutions and their gradients in each way that there is, all in turns.

What dnnlib/tflib/ops/decisions.py rests on. Milliseconds for a minibatch of 4, on CPUs in NHWC:
TensorFlow's own way, those put together from products and convolutions, Winograd's, and what this
engine's decisions take. A size is that of the result or, of gradients, of what they start from.
"""

import os
import sys
from functools import partial
from typing import Dict, List, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import run_cli  # first, see dnnlib/startup.py

# isort: split

import numpy as np

from dnnlib import quiet

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

from bench import measure
from dnnlib.tflib import engine
from dnnlib.tflib.ops.conv2d import conv2d
from dnnlib.tflib.ops.decisions import ANY, BEST, Decisions

_SIZES = [(64, 128), (64, 256), (32, 512), (16, 512), (8, 512), (4, 512)]  # pixels, channels
_MAPS = ('conv2d', 'input_gradient', 'weight_gradient')
_WAYS = {
    'TensorFlow': Decisions(),
    'products': Decisions(ANY, ANY, True, True, {1: ANY, 2: ANY}),
    'Winograd': Decisions(
        winograd_pixels={1: 0, 2: 0}, winograd_channels=dict.fromkeys(_MAPS, {1: 0, 2: 0})
    ),
    'decided': BEST,
}


def _measure(size, channels, stride, dtype, repeats):
    """Yield one record per map."""
    large = size if stride == 1 else 2 * size + 1
    padding = 'SAME' if stride == 1 else 'VALID'
    with tf.Graph().as_default(), tf.device('/cpu:0'), tf.Session() as session:
        shapes = [4, large, large, channels], [3, 3, channels, channels], [4, size, size, channels]
        x, w, dy = [
            tf.get_variable(name, dtype=dtype, initializer=tf.cast(tf.random_normal(shape), dtype))
            for name, shape in zip(['x', 'w', 'dy'], shapes)
        ]
        runs: Dict[str, list] = {name: [] for name in _MAPS}
        for decisions in _WAYS.values():
            y = conv2d(x, w, stride, padding, 'NHWC', decisions)
            for name, result in zip(_MAPS, [y] + tf.gradients(y, [x, w], dy)):
                runs[name].append(partial(session.run, result.op))
        session.run(tf.global_variables_initializer())
        for name in _MAPS:
            milliseconds = 1e3 * measure.best_times(runs[name], repeats)
            facts = dict(map=name, stride=stride, size=size, channels=channels, dtype=dtype.name)
            yield dict(facts, **dict(zip(_WAYS, np.round(milliseconds, 2))))


def main(argv: Optional[List[str]] = None) -> int:
    """Print the table; write it as JSON too where asked."""
    parser = measure.arguments('Time convolutions on CPUs in each way that there is.', repeats=10)
    args = parser.parse_args(argv)
    print('TensorFlow %s\n%-48s' % (tf.__version__, '') + ''.join('%12s' % way for way in _WAYS))
    records = []
    for dtype in [tf.float32] + [tf.bfloat16] * engine.uses_bfloat16():
        for stride in (1, 2):
            for size, channels in _SIZES:
                for r in _measure(size, channels, stride, dtype, args.repeats):
                    what = '%(map)s / %(stride)d, %(size)dx%(size)d, %(channels)d %(dtype)s' % r
                    print('%-48s' % what + ''.join('%12.1f' % r[way] for way in _WAYS), flush=True)
                    records.append(r)
    measure.write_json(args.json, records)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
