"""Sums of gradients over all devices of all workers.

On CPUs a worker adds up its own devices first, then all workers pass buffers of 4 MiB around in a
ring: docs/cluster.md has what other sizes take. They are made in the order in which gradients are
ready, from the last variable to the first, so that the first buffers are on their way while the
others are computed. On GPUs NCCL sums over all devices of all workers at once.
"""

from typing import List, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import cluster, engine

_BUFFER = 1 << 20  # numbers
_NUM_UNDER_WAY = 4  # buffers


def all_sum(replicas: Sequence[Sequence[tf.Tensor]]) -> List[List[tf.Tensor]]:
    """Sum tensors over all devices of all workers.

    Args:
        replicas: for each device of this worker, tensors of equal shapes in equal order, float32.

    Returns:
        For each device the sums, which lie on it.
    """
    here = [list(same) for same in zip(*replicas)]
    workers = cluster.current()
    if workers.size > 1 and engine.are_gpus(here[0]):
        sums = [workers.all_sum(same) for same in here]
    elif workers.size > 1:
        totals = sum_in_buffers([tf.add_n(same) if len(same) > 1 else same[0] for same in here])
        sums = [engine.copies(total, same) for total, same in zip(totals, here)]
    else:
        sums = [engine.all_sum(same) for same in here]
    return [list(device) for device in zip(*sums)]


def sum_in_buffers(tensors: List[tf.Tensor], size: int = _BUFFER) -> List[tf.Tensor]:
    """Sums of tensors over all workers, in buffers of `size` numbers: several, or a part of one."""
    sizes = [int(np.prod(tensor.shape.as_list())) for tensor in tensors]
    sums: List[tf.Tensor] = []
    pieces: List[List[tf.Tensor]] = [[] for _ in tensors]
    for parts in _split(sizes, size):
        flat = [tf.reshape(tensors[i], [-1])[begin:stop] for i, begin, stop in parts]
        with tf.control_dependencies(sums[-_NUM_UNDER_WAY : 1 - _NUM_UNDER_WAY]):
            buffer = tf.concat(flat, axis=0) if len(flat) > 1 else tf.identity(flat[0])
        sums += cluster.current().all_sum([buffer])
        lengths = [stop - begin for _, begin, stop in parts]
        for (i, _, _), piece in zip(parts, tf.split(sums[-1], lengths)):
            pieces[i].append(piece)
    totals = [tf.concat(parts, axis=0) if len(parts) > 1 else parts[0] for parts in pieces]
    return [tf.reshape(total, x.shape) for total, x in zip(totals, tensors)]


def _split(sizes: List[int], size: int) -> List[List[tuple]]:
    """Contents of the buffers: (number of a tensor, begin, stop), the last tensor first."""
    buffers: List[List[tuple]] = []
    room = 0
    for i in reversed(range(len(sizes))):
        begin = 0
        while begin < sizes[i]:
            if not room:
                buffers.append([])
                room = size
            stop = min(begin + room, sizes[i])
            buffers[-1].append((i, begin, stop))
            room -= stop - begin
            begin = stop
    return buffers
