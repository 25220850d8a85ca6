"""Generators as TensorFlow SavedModels: one file with graph and numbers, for any TensorFlow.

Signatures: 'serving_default' takes a seed of the noise, 'noise_maps' its maps; see `inference`.
"""

import os
import shutil
import subprocess
import sys
from typing import Dict, List, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.files import temporary_folder, temporary_path
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from training.exchange import inference

_FILE = 'saved_model.pb'
_TAGS = ['serve']


def is_one(path: str) -> bool:
    """Whether a folder is a SavedModel."""
    return os.path.isfile(os.path.join(path, _FILE))


def save(Gs: Network, path: str) -> None:
    """Write a generator to a new folder, which appears whole or not at all.

    Raises:
        UserError: something is there already, or it cannot be written.
    """
    if os.path.lexists(path):
        raise UserError('%r is there already; remove it, or choose another folder' % path)
    inference.settle(Gs)
    built = inference.build(Gs)
    definition = inference.frozen(built)
    draft = temporary_path(os.path.abspath(path))
    try:
        with tf.Graph().as_default() as graph, tflib.create_session() as session:
            tf.import_graph_def(definition, name='')
            signatures = {
                key: _signature(graph, built.names(with_seed))
                for key, with_seed in [('serving_default', True), ('noise_maps', False)]
            }
            builder = tf.saved_model.Builder(draft)
            builder.add_meta_graph_and_variables(
                session, _TAGS, signature_def_map=signatures, strip_default_attrs=True
            )
            builder.save()
        os.rename(draft, path)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, 'strerror', None) or str(error).splitlines()[0]
        raise UserError('cannot write %r: %s' % (path, reason))
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _signature(graph, names):
    tensors = {name: graph.get_tensor_by_name(name + ':0') for name in names}
    outputs = {inference.IMAGES: graph.get_tensor_by_name(inference.IMAGES + ':0')}
    return tf.saved_model.predict_signature_def(tensors, outputs)


# What a user of the file does, with TensorFlow and NumPy alone.
_PROGRAM = """
import sys
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
for arrays in sys.argv[2:]:
    feed = dict(np.load(arrays))
    key = 'serving_default' if 'noise0' not in feed else 'noise_maps'
    if tf.__version__.startswith('1.'):
        with tf.Session(graph=tf.Graph()) as session:
            model = tf.saved_model.loader.load(session, ['serve'], folder)
            signature = model.signature_def[key]
            values = {signature.inputs[name].name: feed[name] for name in feed}
            images = session.run(signature.outputs['images'].name, values)
    else:
        function = tf.saved_model.load(folder).signatures[key]
        values = {name: tf.constant(value) for name, value in feed.items()}
        images = function(**values)['images'].numpy()
    np.save(arrays + '.npy', images)
"""


def evaluate(path: str, feeds: Sequence[Dict[str, np.ndarray]]) -> List[np.ndarray]:
    """Images of a SavedModel for inputs by name, in a process that knows nothing of this project.

    Raises:
        UserError: it cannot be read or evaluated.
    """
    with temporary_folder('stylegan2-saved-model') as folder:
        paths = [os.path.join(folder, 'feed%d.npz' % index) for index in range(len(feeds))]
        for each, feed in zip(paths, feeds):
            np.savez(each, **feed)
        command = [sys.executable, '-I', '-c', _PROGRAM, os.path.abspath(path), *paths]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder)
        if done.returncode:
            said = done.stderr.decode('utf-8', 'replace').strip().splitlines()[-1:]
            text = 'TensorFlow alone cannot evaluate %r: %s'
            raise UserError(text % (path, ''.join(said)[:300]))
        return [np.load(each + '.npy') for each in paths]
