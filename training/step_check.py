"""A step of a tiny generator with FR and its discriminator, against plain TensorFlow in float64.

`dnnlib.tflib.op_check` compares compiled ops one by one; this compares what networks make of them,
and the device's own convolutions and products too.
"""

import os
from typing import Any, Dict, List

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops, engine, op_check, tfutil
from dnnlib.tflib.network import Network
from training import networks_stylegan2

_SHAPE = dict(num_channels=3, resolution=8, fmap_max=16)
_SOURCES = ['networks_stylegan2.py', 'layers_stylegan2.py', 'discriminators_stylegan2.py']


def ensure() -> None:
    """Do without compiled ops, with a warning, if a step on the first device is wrong.

    Raises UserError in place of that where compiled ops are required.
    """
    problems = op_check.problems(findings(engine.device(0)))
    if problems:
        with tf.Graph().as_default(), tf.device(engine.device(0)):
            custom_ops.distrust(problems['step'])


def findings(device: str) -> List[op_check.Finding]:
    """What was found, now or before, for a device; see `op_check`."""
    with tf.Graph().as_default(), tf.device(device):
        kind, library = custom_ops.built()
    here = os.path.dirname(os.path.abspath(__file__))
    sources = [os.path.join(here, name) for name in _SOURCES] + [__file__]
    return op_check.kept(kind, library, sources, 'a small network', lambda: compare(device))


def compare(device: str) -> List[op_check.Finding]:
    """Evaluate a step on a device in float32, and on the CPU in float64."""
    want, got = evaluate('/cpu:0', 'float64'), evaluate(device, 'float32')
    orders = dict(zip(op_check.ORDERS, (['images', 'scores'], ['G', 'D'], ['R1'])))
    found = []
    for order, names in orders.items():
        worst, name = max((op_check.difference(got[name], want[name]), name) for name in names)
        found.append(op_check.Finding('step', 'float32', order, worst, name))
    return found


def evaluate(device: str, dtype: str) -> Dict[str, np.ndarray]:
    """Images and scores, and gradients of the losses of G and D and of R1, as one vector each.

    Args:
        device: where it runs, such as '/cpu:0'; the device decides on the layout of activations.
        dtype: 'float32' or 'float64'.
    """
    random = np.random.RandomState(1)
    graph = tf.Graph()
    with engine.full_float32(), graph.as_default(), tfutil.create_session() as session:
        return session.run(_build(random, device, dtype))


def _build(random, device, dtype):
    with tf.device(device):
        widths = ['latent_size', 'dlatent_size', 'mapping_fmaps']
        G = Network(
            'G',
            networks_stylegan2.G_main,
            **_SHAPE,
            **dict.fromkeys(widths, 16),
            mapping_layers=2,
            mapping_lrmul=1,
            noise_injection='fr',
            randomize_noise=False,
            truncation_psi=1,
        )
        D = Network('D', networks_stylegan2.D_stylegan2, **_SHAPE)
        variables = [net.vars[name] for net in (G, D) for name in sorted(net.vars)]
        tfutil.set_vars({var: random.randn(*var.shape.as_list()) for var in variables})
        latents = tf.constant(random.randn(2, 16), tf.float32)
        reals = tf.constant(random.randn(2, 3, 8, 8), dtype)
        fakes = G.get_output_for(latents, None, dtype=dtype)
        scores: List[Any] = [D.get_output_for(x, None, dtype=dtype) for x in (reals, fakes)]
        real_scores, fake_scores = scores
        (slopes,) = tf.gradients(tf.reduce_sum(real_scores), [reals])
        losses = dict(
            G=(G, tf.reduce_mean(tf.nn.softplus(-fake_scores))),
            D=(D, tf.reduce_mean(tf.nn.softplus(fake_scores) + tf.nn.softplus(-real_scores))),
            R1=(D, tf.reduce_sum(tf.square(slopes))),
        )
        results = dict(images=fakes, scores=tf.concat(scores, axis=0))
        for name, (net, loss) in losses.items():
            gradients = tf.gradients(loss, list(net.trainables.values()))
            flat = [tf.reshape(grad, [-1]) for grad in gradients if grad is not None]
            results[name] = tf.concat(flat, axis=0)
        return results
