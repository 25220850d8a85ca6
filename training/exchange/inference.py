"""Generators as graphs of plain TensorFlow, without variables: what leaves this project.

Inputs, by name:

    latents         z [N, latent_size]
    labels          [N, label_size], where the network has classes
    truncation_psi  [], 1 for none, where the network has W
    noise_seed      int64 [], which noise is drawn of, where the network has noise
    noise0, ...     in its place: the maps [N or 1, 1, H, W] of each layer

and the output 'images', [N, C, H, W], nominally in [-1, 1].
"""

import contextlib
from collections import OrderedDict
from typing import Dict, List, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import custom_ops, layout, precision
from dnnlib.tflib.network import Network
from training import anatomy

NOISE_SEED, IMAGES = 'noise_seed', 'images'
# Of nodes: where they were made, and what gradients and the runtime ask for.
_LEFT_OUT = ('_class', '_gradient_op_type', '_output_shapes', '_XlaMustCompile')


class Inference(NamedTuple):
    """A generator's graph from its inputs to images."""

    inputs: 'OrderedDict[str, tf.Tensor]'  # without the seed of the noise
    noise_seed: List[tf.Tensor]  # one, or none where there is no noise
    images: tf.Tensor

    def names(self, with_seed: bool) -> List[str]:
        """The inputs to be given, with a seed of the noise or with its maps."""
        if not with_seed or not self.noise_seed:
            return list(self.inputs)
        return [name for name in self.inputs if not is_noise(name)] + [NOISE_SEED]


def is_noise(name: str) -> bool:
    """Whether an input is a map of noise."""
    return name.startswith('noise') and name != NOISE_SEED


def build(Gs: Network, data_format: Optional[str] = 'NHWC') -> Inference:
    """The graph of a generator in the default graph.

    Args:
        data_format: 'NHWC', which runs everywhere, or 'NCHW'; None: as it runs here, with compiled
            ops, which is not to leave.
    """
    precision.use(Gs, 'float32')
    inputs = OrderedDict()
    inputs['latents'] = tf.placeholder(tf.float32, [None] + Gs.input_shapes[0][1:], 'latents')
    batch = tf.shape(inputs['latents'])[0]
    options: Dict = dict(randomize_noise=False)
    if anatomy.label_size(Gs):
        inputs['labels'] = tf.placeholder(tf.float32, [None, anatomy.label_size(Gs)], 'labels')
    if anatomy.has_w(Gs):
        options['truncation_psi'] = tf.placeholder(tf.float32, [], 'truncation_psi')
        inputs['truncation_psi'] = options['truncation_psi']
    if Gs.takes('structure'):
        options['structure'] = 'linear'  # no branches
    noise_seed = []
    if anatomy.takes_noise(Gs) and anatomy.injects_noise(Gs):
        noise_seed = [tf.placeholder(tf.int64, [], NOISE_SEED)]
        options['noise_values'] = []
        for index, var in enumerate(anatomy.noise_inputs(Gs)):
            size = var.shape.as_list()[1:]
            drawn = tf.random.stateless_normal([batch] + size, tf.stack([noise_seed[0], index]))
            given = tf.placeholder_with_default(drawn, [None] + size, 'noise%d' % index)
            inputs['noise%d' % index] = given
            options['noise_values'].append(given)
    labels = [inputs.get('labels')] * (Gs.num_inputs - 1)
    with contextlib.ExitStack() as stack:
        if data_format is not None:
            stack.enter_context(custom_ops.doing_without())
            stack.enter_context(layout.meant_for(data_format))
        images = Gs.get_output_for(inputs['latents'], *labels, **options)
    return Inference(inputs, noise_seed, tf.identity(images, IMAGES))


def frozen(inference: Inference) -> tf.GraphDef:
    """The graph alone, with the values of variables as constants. Needs the default session."""
    graph = inference.images.graph
    definition = graph.as_graph_def()
    for node in definition.node:
        # Order is kept by control inputs, which nothing but the level of detail has need of here.
        data_inputs = [name for name in node.input if not name.startswith('^')]
        del node.input[:]
        node.input.extend(data_inputs)
        node.device = ''
        for name in _LEFT_OUT:
            node.attr.pop(name, None)
    ends = [x.op.name for x in inference.noise_seed + list(inference.inputs.values())]
    part = tf.graph_util.extract_sub_graph(definition, [IMAGES] + ends)
    result = tf.GraphDef(versions=definition.versions)
    reads = [node.name for node in part.node if node.op == 'ReadVariableOp']
    values = dict(zip(reads, tflib.run([graph.get_tensor_by_name(name + ':0') for name in reads])))
    first_reads: Dict[str, str] = {}
    for node in part.node:
        if node.op == 'VarHandleOp':
            continue
        if node.op == 'ReadVariableOp':
            node = _constant(node.name, values[node.name], first_reads, node.input[0])
        result.node.add().CopyFrom(node)
    return result


def _constant(
    name: str, value: np.ndarray, first_reads: Dict[str, str], variable: str
) -> tf.NodeDef:
    """A node in place of one that reads a variable; a second one passes on what the first has."""
    node = tf.NodeDef(name=name)
    dtype = tf.as_dtype(value.dtype).as_datatype_enum
    if variable in first_reads:
        node.op = 'Identity'
        node.input.append(first_reads[variable])
        node.attr['T'].type = dtype
        return node
    first_reads[variable] = name
    node.op = 'Const'
    node.attr['dtype'].type = dtype
    node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


def settle(Gs: Network) -> None:
    """Give a growing synthesis network the generator's level of detail, as evaluating it does."""
    for component in Gs.components.values():
        own, given = anatomy.lod(component), anatomy.lod(Gs)
        if own is not None and given is not None:
            tflib.set_vars({own: tflib.run(given)})
