"""Means of named values, from graph and Python alike, for console, log files and TensorBoard.

    loss = autosummary('Loss/D', loss)          # a tensor: counted whenever the result is evaluated
    autosummary('Timing/sec_per_tick', 12.3)    # a number: counted at once
    figures = save_summaries(writer, cur_nimg)  # means since the last report, also in TensorBoard

The names and rules are those of StyleGAN2's module of this name, without its standard deviations
(`enable_custom_scalars`). All state belongs to a tf.Graph, so that several graphs do not mix.
"""

import io
from collections import OrderedDict
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import PIL.Image
import tensorflow.compat.v1 as tf

from dnnlib.names import plain_name
from dnnlib.tflib import cluster, tfutil
from dnnlib.tflib.placement import exactly_on, make_state_variable

_STATE_KEY = ('dnnlib_autosummary',)  # a tuple, so that tf.train.export_meta_graph passes it over


class _Accumulator:
    """What was counted under one name, in vectors [elements, their sum, dropped updates]."""

    def __init__(self):
        self.variables: List[tf.Variable] = []  # one for each tensor
        self.total = np.zeros(3)  # of numbers given from Python


class _State:
    """What the module keeps for one graph."""

    def __init__(self):
        self.accumulators: Dict[str, _Accumulator] = OrderedDict()
        self.fetches: Optional[List[Tuple]] = None  # value and reset of each variable, once final
        self.merged_summaries: Optional[List[tf.Tensor]] = None  # one or none, once asked for


def autosummary(name: str, value: Any, passthru: Any = None, condition: Any = True) -> Any:
    """Count all elements of `value` towards the mean that is reported as `name`.

    Returns `passthru`, or `value` if there is none. If `value` is a tensor or variable, the result
    is a tensor, and evaluating it does the counting; the value may come from inside tf.cond or
    tf.while_loop. A Python or NumPy value is counted at once, without a session.

    Nothing is counted while `condition` (a bool; for tensors also a bool tensor) is false. A value
    whose sum is not finite is left out of the mean, and reported as '<name>/nonfinite' instead.
    Several values may share a name: their elements form one mean.

    Raises RuntimeError for a tensor after `finalize_autosummaries`.
    """
    state = _get_state()
    if tfutil.is_tf_expression(value):
        return _count_tensor(state, name, value, passthru, condition)
    assert not tfutil.is_tf_expression(passthru) and not tfutil.is_tf_expression(condition), (
        'autosummary %r: a value from Python goes with passthru and condition from Python' % name
    )
    if condition:
        array = np.asarray(value, np.float64)
        total = array.sum()
        update = [array.size, total, 0] if np.isfinite(total) else [0, 0, 1]
        state.accumulators.setdefault(name, _Accumulator()).total += update
    return value if passthru is None else passthru


def finalize_autosummaries() -> None:
    """Close the list of tensors of this graph and initialise their accumulators.

    Accumulators that have a value, because training has begun or was resumed, keep it. The first
    report does the same; later calls do nothing.
    """
    state = _get_state()
    if state.fetches is not None:
        return
    variables = [v for a in state.accumulators.values() for v in a.variables]
    if variables:
        tfutil.init_uninitialized_vars(variables)
    fetches = []
    with tf.init_scope():
        for var in variables:
            with exactly_on(var.device), tfutil.absolute_name_scope(var.op.name + '/report'):
                total = var.read_value()
                with tf.control_dependencies([total]):
                    fetches.append((total, var.assign(tf.zeros_like(total)).op))
    state.fetches = fetches


def collect() -> Dict[str, float]:
    """Return the means since the last report, by name in the order of first use, and start anew.

    Names without values since then are left out. '<name>/nonfinite' is the number of updates that
    were dropped because they were not finite, present only if there were any.
    """
    finalize_autosummaries()
    state = _get_state()
    totals = iter([total for total, _ in tfutil.run(state.fetches)] if state.fetches else [])
    figures = OrderedDict()
    for name, accumulator in state.accumulators.items():
        total = accumulator.total + sum(next(totals) for _ in accumulator.variables)
        accumulator.total = np.zeros(3)
        if total[0]:
            figures[name] = float(total[1] / total[0])
        if total[2]:
            figures[name + '/nonfinite'] = float(total[2])
    return figures


def gather() -> None:
    """Let the chief have what tensors of all workers have counted; the others forget it.

    All workers call it at the same moment, before the chief's report.
    """
    workers = cluster.current()
    if workers.size == 1:
        return
    finalize_autosummaries()
    state = _get_state()
    counted = iter([total for total, _ in tfutil.run(state.fetches)] if state.fetches else [])
    own = {
        name: sum(next(counted) for _ in accumulator.variables)
        for name, accumulator in state.accumulators.items()
        if accumulator.variables
    }
    names = sorted(own)
    rows = workers.gather(np.array([own[name] for name in names], np.float64).tobytes())
    totals = sum(np.frombuffer(row, np.float64).reshape(-1, 3) for row in rows)
    if workers.is_chief:
        for name, total in zip(names, totals):
            state.accumulators[name].total += total


def python_totals() -> Dict[str, List[float]]:
    """What Python has counted since the last report: all state that is not in variables."""
    return {name: a.total.tolist() for name, a in _get_state().accumulators.items()}


def set_python_totals(totals: Dict[str, List[float]]) -> None:
    """Put back what `python_totals` gave, names in their order; before the first report."""
    assert _get_state().fetches is None, 'there was a report already'
    accumulators = _get_state().accumulators
    for name, total in totals.items():
        accumulators.setdefault(name, _Accumulator()).total = np.array(total)
        accumulators.move_to_end(name)


def save_summaries(file_writer: Any, global_step: Optional[int] = None) -> Dict[str, float]:
    """Report to TensorBoard: the figures of `collect`, and the graph's own summaries (histograms).

    Returns the figures, so that the caller can print and log the same. The graph's own summaries
    are those that exist at the first call. A writer is a tf.summary.FileWriter or has its methods.
    """
    figures = collect()
    write_scalars(file_writer, figures, global_step)
    state = _get_state()
    if state.merged_summaries is None:
        merged = tf.summary.merge_all()
        state.merged_summaries = [] if merged is None else [merged]
    for serialized in tfutil.run(state.merged_summaries) if state.merged_summaries else []:
        file_writer.add_summary(serialized, global_step)
    return figures


def write_scalars(file_writer: Any, figures: Dict[str, float], global_step: Optional[int]) -> None:
    """Write figures, such as `collect` gives, to TensorBoard."""
    scalars = [tf.Summary.Value(tag=tag, simple_value=x) for tag, x in figures.items()]
    file_writer.add_summary(tf.Summary(value=scalars), global_step)


def write_picture(
    file_writer: Any,
    tag: str,
    picture: PIL.Image.Image,
    global_step: Optional[int],
) -> None:
    """Write a picture to TensorBoard, without loss."""
    file = io.BytesIO()
    picture.save(file, 'PNG')
    image = tf.Summary.Image(
        width=picture.width,
        height=picture.height,
        colorspace=len(picture.getbands()),
        encoded_image_string=file.getvalue(),
    )
    value = tf.Summary.Value(tag=tag, image=image)
    file_writer.add_summary(tf.Summary(value=[value]), global_step)


def _get_state():
    """The state of the default graph."""
    holder = tf.get_default_graph().get_collection_ref(_STATE_KEY)
    if not holder:
        holder.append(_State())
    return holder[0]


def _count_tensor(state, name, value, passthru, condition):
    """Count a tensor; the result has the update as a control dependency."""
    if state.fetches is not None:
        late = 'no tensors can be added after the first report or finalize_autosummaries()'
        raise RuntimeError('autosummary %r: %s. Build the whole graph first.' % (name, late))
    scope = plain_name(name)
    with tf.name_scope('summary_' + scope):
        value = tf.convert_to_tensor(value)
        var = make_state_variable('Autosummary/' + scope, 'total', value.device, [3], tf.float64)
        state.accumulators.setdefault(name, _Accumulator()).variables.append(var)
        with exactly_on(value.device):
            update = var.assign_add(_update_of(value, tf.convert_to_tensor(condition, tf.bool)))
        result = value if passthru is None else tf.convert_to_tensor(passthru)
        with tf.control_dependencies([update]), exactly_on(result.device):
            return tf.identity(result)


def _update_of(value, condition):
    """What a tensor adds to its accumulator, float64 [3]."""
    value = tf.cast(value, tf.float64)
    total = tf.reduce_sum(value)
    finite = tf.is_finite(total)
    zero = tf.zeros_like(total)
    size = tf.cast(tf.size(value, out_type=tf.int64), tf.float64)
    counted = tf.logical_and(condition, finite)
    dropped = tf.logical_and(condition, tf.logical_not(finite))
    sums = [tf.where(counted, number, zero) for number in (size, total)]
    return tf.stack([*sums, tf.cast(dropped, tf.float64)])
