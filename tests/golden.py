"""Numbers recorded once with the official StyleGAN2 code, and how to compare with them."""

import json
import os

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib

DATA_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')


def load(name):
    """(arrays, meta) of tests/data/<name>.npz: an npz file object and the decoded description."""
    arrays = np.load(os.path.join(DATA_DIR, name + '.npz'), allow_pickle=False)
    return arrays, json.loads(str(arrays['meta']))


def assert_close(got, want, tolerance, what=''):
    """Assert max|got - want| <= tolerance * max(1e-3, max|want|), as the data were measured."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, '%s: shape %s, want %s' % (what, got.shape, want.shape)
    scale = max(1e-3, float(np.max(np.abs(want), initial=0)))
    error = float(np.max(np.abs(got.astype(np.float64) - want), initial=0))
    assert error <= tolerance * scale, '%s: error %.3g of %.3g' % (what, error / scale, tolerance)


def make_network(arrays, prefix, func_name, description):
    """Build a described network, check its variables, and give it the recorded values."""
    net = tflib.Network('net', func_name, **description['static_kwargs'])
    want = [(v['name'], v['shape'], v['trainable']) for v in description['variables']]
    assert [
        (name, var.shape.as_list(), name in net.trainables) for name, var in net.vars.items()
    ] == want
    tflib.set_vars(
        {var: arrays['%s.%s' % (prefix, name.replace('/', '|'))] for name, var in net.vars.items()}
    )
    return net


def check_generator(arrays, func_name, case):
    """Compare images, and dlatents where recorded, of all runs of a described generator."""
    net = make_network(arrays, case['net'] + '.var', func_name, case)
    inputs = [tf.constant(arrays['%s.%s' % (case['net'], name)]) for name in ['z', 'labels']]
    for kwargs, runs in _runs_by_graph(case['runs']):
        outputs = net.get_output_for(*inputs, return_dlatents=True, **kwargs)
        for run in runs:
            set_lod(net, run.get('lod', 0))
            for value, name in zip(tflib.run(outputs), ['.images', '.dlatents']):
                if name == '.images' or run['run'] + name in arrays:
                    assert_close(value, arrays[run['run'] + name], 2e-5, run['run'] + name)
    return net


def check_discriminator(arrays, func_name, case):
    """Compare the scores of all runs of a described discriminator."""
    net = make_network(arrays, case['net'] + '.var', func_name, case)
    images, labels = arrays[case['images']], arrays['labels3'][:, : net.input_shapes[1][1]]
    inputs = [tf.placeholder(tf.float32, [None] + shape[1:]) for shape in net.input_shapes]
    for kwargs, runs in _runs_by_graph(case['runs']):
        scores = net.get_output_for(*inputs, **kwargs)
        for run in runs:
            set_lod(net, run.get('lod', 0))
            n = run['minibatch']
            got = tflib.run(scores, dict(zip(inputs, [images[:n], labels[:n]])))
            assert_close(got, arrays[run['run'] + '.scores'], 2e-5, run['run'])


def _runs_by_graph(runs):
    """Group runs that one graph can evaluate: [(kwargs, [run, ...]), ...]."""
    groups = []
    for run in runs:
        group = next((g for kwargs, g in groups if kwargs == run['kwargs']), None)
        if group is None:
            group = []
            groups.append((run['kwargs'], group))
        group.append(run)
    return groups


def set_lod(net, lod):
    """Set the level of detail of a network and of its components, if they have any."""
    variables = [var for name, var in net.vars.items() if name.split('/')[-1] == 'lod']
    tflib.set_vars(dict.fromkeys(variables, lod))


def count_trainables(net):
    """Number of trainable parameters."""
    return sum(int(np.prod(var.shape.as_list())) for var in net.trainables.values())
