"""The table of a network's layers, read off the scopes of its template graph."""

from collections import OrderedDict
from typing import Dict, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from dnnlib.tflib import tfutil

Layer = Tuple[str, tf.Tensor, List[tf.Variable]]

# Scopes that hold TensorFlow's bookkeeping rather than layers.
_BOOKKEEPING = ('/Shape', '/strided_slice', '/Cast', '/concat', '/Assign')
# Op types that may stand beside sub-scopes without making their scope one layer.
_TRANSPARENT = ('Identity', 'Cast', 'Transpose', 'Placeholder')


def list_ops(net) -> List[tf.Operation]:
    """Ops of a network's template graph, without those of scopes such as `_Run`."""
    prefix, ops = net.scope + '/', tf.get_default_graph().get_operations()
    inside = [op for op in ops if op.name.startswith(prefix)]
    return [op for op in inside if not op.name.startswith(prefix + '_')]


def list_layers(net) -> List[Layer]:
    """Layers in order of creation: (name, output, trainable variables).

    A scope with ops of its own is a layer; one that holds scopes alone is searched for layers.
    """
    own = tuple(name + '/' for name in net.own_vars)
    items = []  # (local name, op or None, variable or None)
    for op in list_ops(net):
        name = op.name[len(net.scope) + 1 :]
        if name in net.own_vars:
            items.append((name, None, net.own_vars[name]))
        elif op.outputs and not name.startswith(own):
            items.append((name, op, None))
    seen = {name for name, _, var in items if var is not None}
    items += [(name, None, var) for name, var in net.vars.items() if name not in seen]
    layers: List[Layer] = []
    _split('', items, layers)
    return layers


def _split(scope, items, layers):
    """Append the layers among items, whose names are relative to a scope."""
    children: Dict[str, list] = OrderedDict()
    for name, op, var in items:
        first, _, rest = name.partition('/')
        children.setdefault(first, []).append((rest, op, var))
    own_ops = [(name, op) for name, op, _ in items if op is not None and '/' not in name]
    has_own_ops = any(
        op.type not in _TRANSPARENT and not _is_bookkeeping(name) for name, op in own_ops
    )
    if scope == '' or len(children) > 1 and not has_own_ops:
        for first, content in children.items():
            if not _is_bookkeeping(first):
                _split(scope + '/' + first if scope else first, content, layers)
        return
    ops = [op for _, op, _ in items if op is not None]
    variables = [var for _, _, var in items if var is not None]
    output = ops[-1].outputs[0] if ops else variables[-1]
    layers.append((scope, output, [var for var in variables if var.trainable]))


def _is_bookkeeping(name):
    return any(word in '/' + name for word in _BOOKKEEPING)


def format_layers(
    net, title: Optional[str] = None, hide_layers_with_no_params: bool = False
) -> str:
    """The table that `Network.print_layers` shows, with a blank line before and after."""
    rule, total = ['---'] * 4, 0
    rows = [[net.name if title is None else title, 'Params', 'OutputShape', 'WeightShape'], rule]
    for name, output, trainables in list_layers(net):
        num_params = sum(var.shape.num_elements() for var in trainables)
        total += num_params
        if num_params or not hide_layers_with_no_params:
            rows.append([name, str(num_params or '-'), _shape(output), _weight_shape(trainables)])
    rows += [rule, ['Total', str(total), '', '']]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows]
    return '\n'.join([''] + lines + [''])


def _shape(tensor):
    sizes = ['?' if size is None else str(size) for size in tfutil.shape_to_list(tensor.shape)]
    return '(%s%s)' % (', '.join(sizes), ',' if len(sizes) == 1 else '')


def _weight_shape(trainables):
    weights = [var for var in trainables if var.name.split(':')[0].endswith('/weight')]
    if weights:
        return _shape(min(weights, key=lambda var: len(var.name)))
    return _shape(trainables[0]) if len(trainables) == 1 else '-'
