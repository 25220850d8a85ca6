"""Generators in the format ONNX, for onnxruntime and others; takes the package onnx.

What does not depend on an input is computed here. The inputs are those of `inference`, with maps of
noise; where there is a batch of images, it is the first axis, of any length.
"""

from typing import Any, Dict, List, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, atomic_write
from training.exchange import inference
from training.exchange.onnx_ops import CONVERTERS

OPSET, IR_VERSION = 17, 8  # of 2022
_ALIASES = ('Identity', 'IdentityN')


class Writer:
    """Collects the nodes of an ONNX graph for a graph of TensorFlow; see `onnx_ops`."""

    def __init__(self, graph: tf.Graph, values: Dict[str, np.ndarray]):
        import onnx

        self._onnx = onnx
        self._graph = graph
        self._values = values  # of tensors that are the same always
        self._names: Dict[str, str] = {}  # of tensors here -> there
        self.nodes: List[Any] = []
        self.initializers: List[Any] = []

    def name(self, tensor: tf.Tensor) -> str:
        """What a tensor is called there."""
        if tensor.name not in self._names:
            self._names[tensor.name] = self.constant(self.value(tensor))
        return self._names[tensor.name]

    def inputs(self, op: tf.Operation) -> List[str]:
        """What the inputs of an op are called there."""
        return [self.name(x) for x in op.inputs]

    def value(self, tensor: tf.Tensor) -> np.ndarray:
        """Value of a tensor that depends on no input.

        Raises:
            UserError: it does.
        """
        if tensor.name not in self._values:
            text = 'the graph cannot be written as ONNX: %s is not the same for all images'
            raise UserError(text % tensor.name)
        return self._values[tensor.name]

    def constant(self, value: np.ndarray) -> str:
        """Name of a constant there."""
        value = np.array(value, np.int64 if value.dtype.kind == 'i' else value.dtype, order='C')
        name = 'constant%d' % len(self.initializers)
        self.initializers.append(self._onnx.numpy_helper.from_array(value, name))
        return name

    def type_of(self, tensor: tf.Tensor) -> int:
        """Number of the type of a tensor there."""
        dtype = np.dtype(np.int64 if tensor.dtype.is_integer else tensor.dtype.as_numpy_dtype)
        return self._onnx.helper.np_dtype_to_tensor_dtype(dtype)

    def add(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one result, which is returned by its name."""
        return self.add_many(op_type, inputs, 1, **attributes)[0]

    def add_many(
        self, op_type: str, inputs: Sequence[str], number: int, **attributes: Any
    ) -> List[str]:
        """Add a node with several results."""
        outputs = ['x%d_%d' % (len(self.nodes), index) for index in range(number)]
        node = self._onnx.helper.make_node(op_type, list(inputs), outputs, **attributes)
        self.nodes.append(node)
        return outputs

    def convert(self, op: tf.Operation) -> None:
        """Add what computes the results of an op."""
        if op.type not in CONVERTERS:
            raise UserError('the op %s (%s) has no translation to ONNX' % (op.type, op.name))
        for tensor, name in zip(op.outputs, CONVERTERS[op.type](self, op)):
            self._names[tensor.name] = name

    def add_input(self, tensor: tf.Tensor, name: str) -> Any:
        """Description of an input."""
        self._names[tensor.name] = name
        first = 'noise_batch' if inference.is_noise(name) else 'batch'
        shape = [first if size is None else size for size in tensor.shape.as_list()]
        make = self._onnx.helper.make_tensor_value_info
        return make(name, self._onnx.TensorProto.FLOAT, shape)


def save(Gs: Network, path: str) -> None:
    """Write a generator; needs the default session.

    Raises:
        UserError: its graph has ops without a translation, or the file cannot be written.
    """
    import onnx

    inference.settle(Gs)
    built = inference.build(Gs, 'NCHW')
    definition = inference.frozen(built)
    with tf.Graph().as_default() as graph, tflib.create_session().as_default():
        tf.import_graph_def(definition, name='')
        inputs = [graph.get_tensor_by_name(name + ':0') for name in built.inputs]
        images = graph.get_tensor_by_name(inference.IMAGES + ':0')
        moving, fixed = _sorted_ops(images, inputs)
        writer = Writer(graph, tflib.run({x.name: x for x in fixed}))
        described = [writer.add_input(*pair) for pair in zip(inputs, built.inputs)]
        for op in moving:
            writer.convert(op)
        output = onnx.helper.make_node('Identity', [writer.name(images)], [inference.IMAGES])
        shape = ['batch'] + images.shape.as_list()[1:]
    make = onnx.helper.make_tensor_value_info
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            writer.nodes + [output],
            Gs.name,
            described,
            [make(inference.IMAGES, onnx.TensorProto.FLOAT, shape)],
            writer.initializers,
        ),
        opset_imports=[onnx.helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='fuzzy-stylegan2',
    )
    onnx.checker.check_model(model, full_check=True)
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def _sorted_ops(images, inputs):
    """Ops that depend on the inputs, each after what it needs; and what they need of the others."""
    given = {x.op for x in inputs}
    depends: Dict[tf.Operation, bool] = dict.fromkeys(given, True)
    moving: List[tf.Operation] = []
    fixed: Dict[str, tf.Tensor] = {}
    pending = [images.op]
    while pending:
        op = pending[-1]
        unknown = [x.op for x in op.inputs if x.op not in depends]
        if op not in depends and unknown:
            pending.extend(unknown)
            continue
        pending.pop()
        if op in depends:
            continue
        depends[op] = any(depends[x.op] for x in op.inputs)
        if depends[op]:
            moving.append(op)
            fixed.update((x.name, x) for x in op.inputs if not depends[x.op])
    return moving, list(fixed.values())


def evaluate(path: str, feeds: Sequence[Dict[str, np.ndarray]]) -> List[np.ndarray]:
    """Images of a model for inputs by name, by onnxruntime.

    Raises:
        UserError: it cannot be read or evaluated.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        return [session.run([inference.IMAGES], feed)[0] for feed in feeds]
    except Exception as error:  # it has a type of its own for each mistake
        raise UserError('onnxruntime cannot evaluate %r: %s' % (path, str(error)[:300]))
