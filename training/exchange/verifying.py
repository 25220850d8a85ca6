"""Comparing the images of an export with those of the network that it was made of."""

import contextlib
import os
from typing import Any, Dict, Iterator

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import network_state, weights
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, open_regular
from training import anatomy
from training.exchange import formats, inference, reading, saved_model

_NUM_IMAGES, _PSI, _SEED = 3, 0.7, 5


@contextlib.contextmanager
def generator(records: Any) -> Iterator[Network]:
    """The generator of records, the last network, built in a graph of its own with a session."""
    with tf.Graph().as_default(), tflib.create_session().as_default():
        yield network_state.build(list(weights.by_role(records).values())[-1])


def inputs_of(Gs: Network, built: inference.Inference) -> Dict[str, np.ndarray]:
    """Inputs by name: latents, classes one after the other, and the noise of a seed."""
    random = np.random.RandomState(_SEED)
    feed = dict(latents=np.float32(random.randn(_NUM_IMAGES, *Gs.input_shapes[0][1:])))
    label_size = anatomy.label_size(Gs)
    if label_size:
        classes = np.arange(_NUM_IMAGES) % label_size
        feed['labels'] = np.eye(label_size, dtype=np.float32)[classes]
    if 'truncation_psi' in built.inputs:
        feed['truncation_psi'] = np.array(_PSI, np.float32)
    if built.noise_seed:
        drawn = {name: x for name, x in built.inputs.items() if inference.is_noise(name)}
        given = {built.noise_seed[0]: _SEED, built.inputs['latents']: feed['latents']}
        feed.update(tflib.run(drawn, given))
        feed[inference.NOISE_SEED] = np.array(_SEED, np.int64)
    return feed


def images_of(built: inference.Inference, feed: Dict[str, np.ndarray]) -> np.ndarray:
    """Images by the graph of a network."""
    return tflib.run(built.images, {x: feed[name] for name, x in built.inputs.items()})


def compare(records: Any, path: str) -> float:
    """Largest difference between the images of a network and its export, of the largest value.

    Raises:
        UserError: the export cannot be read, or makes other images.
    """
    chosen = of_export(path)
    with generator(records) as Gs:
        built = inference.build(Gs, None)
        feed = inputs_of(Gs, built)
        want = images_of(built, feed)
    results: Dict[str, np.ndarray] = {}
    if chosen.evaluate:
        ways = {'with maps of noise': built.names(with_seed=False)}
        if chosen.takes_seed and built.noise_seed:
            ways['with a seed of the noise'] = built.names(with_seed=True)
        feeds = [{name: feed[name] for name in names} for names in ways.values()]
        results.update(zip(ways, chosen.function('evaluate')(path, feeds)))
    else:
        with open_regular(path) as file, generator(reading.load_records(file)) as Gs:
            results['as network'] = images_of(inference.build(Gs, None), feed)
    differences = []
    for what, images in results.items():
        if images.shape != want.shape:
            text = 'the images of %r have the shape %s; those of the network %s'
            raise UserError(text % (path, list(images.shape), list(want.shape)))
        difference = np.abs(images.astype(np.float64) - want).max()
        differences.append(float(difference / max(np.abs(want).max(), 1e-3)))
        print('%s: largest difference %.2g of the largest value' % (what, differences[-1]))
    worst = float(np.max(differences))
    if not worst <= chosen.tolerance:  # or no number
        text = 'the images of %r are others: they differ by %.2g, allowed are %.2g'
        raise UserError(text % (path, worst, chosen.tolerance))
    return worst


def of_export(path: str) -> formats.Format:
    """The format of an export."""
    if os.path.isdir(path):
        if not saved_model.is_one(path):
            raise UserError('the folder %r is no SavedModel' % path)
        return formats.FORMATS['saved-model']
    chosen = formats.choose(path)
    if chosen.package:
        formats.check_package('onnxruntime')
    return chosen
