"""Running averages of a network's variables."""

from typing import List, Sequence

import tensorflow.compat.v1 as tf

from dnnlib.tflib.ops import decisions
from dnnlib.tflib.packing import Packing

# Variables of up to so many numbers are averaged in a buffer; larger ones alone, since to copy them
# there takes longer than another kernel. Chosen, not measured on a GPU.
_SMALL = 1 << 18


def network_updates(net, src_net, beta, beta_nontrainable) -> List[tf.Operation]:
    """Ops that move the variables of `net` to those of the same name, each kind by its own beta."""
    updates = []
    common = [name for name in net.vars if name in src_net.vars]
    for decay, is_trainable in [(beta, True), (beta_nontrainable, False)]:
        names = [name for name in common if (name in net.trainables) == is_trainable]
        averages, sources = [[each.vars[name] for name in names] for each in (net, src_net)]
        updates += average_updates(averages, sources, decay)
    return updates


def average_updates(
    averages: Sequence[tf.Variable], sources: Sequence[tf.Variable], decay
) -> List[tf.Operation]:
    """Ops that move each average to source + (average - source) * decay; decay 0 copies exactly."""
    if isinstance(decay, (int, float)) and decay == 0:
        return [var.assign(tf.identity(source)) for var, source in zip(averages, sources)]
    small = [i for i, var in enumerate(averages) if _is_small(var)]
    gaps = {i: averages[i] - sources[i] for i in range(len(averages)) if i not in small}
    if small:
        packing = Packing([averages[i].shape.as_list() for i in small])
        (new,), (old,) = [packing.pack([vs[i] for i in small]) for vs in (averages, sources)]
        gaps.update(zip(small, packing.unpack([new - old])))
    updates = []
    for i, var in enumerate(averages):
        rate = tf.cast(1 - decay, var.dtype.base_dtype)
        apply = tf.raw_ops.ResourceApplyGradientDescent
        updates.append(apply(var=var.handle, alpha=rate, delta=gaps[i]))
    return updates


def _is_small(var):
    """Whether it is averaged together with others."""
    is_small = var.dtype.base_dtype == tf.float32 and var.shape.num_elements() <= _SMALL
    return is_small and decisions.packs_variables(var.device)
