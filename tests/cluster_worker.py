"""What processes of test_cluster.py do: `cluster_worker.py together` by each worker, `alone`."""

import contextlib
import json
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, tflib, workers  # isort: split

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import check_in, cluster, engine, placement
from dnnlib.util import UserError
from training.joining import TRAINING_ENDS

SHAPES = [[3], [1200000], [2, 5]]  # more numbers than a buffer holds


def together() -> None:
    """Two workers with two devices each; worker 1 dies in the end."""
    found = workers.find()
    options = dict(engine.logical_devices(2), allow_soft_placement=True)
    cluster.join(found, dict(code='abc'), options, TRAINING_ENDS)
    here = cluster.current()
    own = b'chief' if here.is_chief else b'other'
    facts = dict(
        shared=here.share(own * 500000 if here.is_chief else b'').decode()[-7:],
        gathered=[row.decode() for row in here.gather(own)],
        agreed=here.agree(a=here.index == 1, b=False),
    )
    tflib.init_tf(options)
    step, factor, variables = build(here.index)
    tflib.run(step, {factor: 1})
    facts['after_a_step'] = values(variables)
    tflib.run(step, {factor: np.nan if here.index else 1})
    facts['after_nan_on_worker_1'] = values(variables)
    print(json.dumps(facts), flush=True)
    here.agree()
    if here.index:
        os._exit(9)
    while True:
        tflib.run(step, {factor: 1})


def build(index):
    """A training step on both devices: the gradient of device i of all is factor * (i + 1)."""
    factor = tf.placeholder(tf.float32, [])
    optimizer = tflib.Optimizer(tf_optimizer='tf.train.GradientDescentOptimizer', learning_rate=1)
    variables = []
    for device in range(2):
        with placement.exactly_on('/cpu:%d' % device):
            here = [tf.Variable(tf.zeros(shape), use_resource=True) for shape in SHAPES]
            total = tf.add_n([tf.reduce_sum(x) for x in here])
            loss = total * factor * (2 * index + device + 1)
        optimizer.register_gradients(loss, here)
        variables += here
    step = optimizer.apply_updates()
    tflib.init_uninitialized_vars()
    return step, factor, variables


def values(variables):
    """The values that are in the variables."""
    return sorted({float(x) for array in tflib.run(variables) for x in np.unique(array)})


def alone() -> None:
    """Mistakes that are told before the first step."""
    check_in.PATIENCE = 2.0
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen(1)
        mistake(('127.0.0.1:1', '127.0.0.1:%d' % taken.getsockname()[1]), 1)
    mistake(('127.0.0.1:1', '127.0.0.1:%d' % port()), 1)
    mistake(('127.0.0.1:%d' % port(), '127.0.0.1:%d' % port()), 0)
    check_in.PATIENCE = 40.0
    addresses = '127.0.0.1:%d' % port(), '127.0.0.1:%d' % port()
    other = threading.Thread(target=mistake, args=(addresses, 1, dict(flags=dict(gamma=2))))
    other.start()
    mistake(addresses, 0, dict(flags=dict(gamma=1)))
    other.join()


def port():
    """A free one."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def mistake(addresses, rank, facts=None):
    """Print what joining says."""
    try:
        cluster.join(workers.Workers(addresses, rank), facts or {}, {}, '')
    except UserError as error:
        print('%d: %s' % (rank, error), flush=True)


if __name__ == '__main__':
    sys.exit(cli.run_cli({'together': together, 'alone': alone}[sys.argv[1]]))
