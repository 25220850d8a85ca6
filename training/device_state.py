"""The variables of a state by names that say the device's number among those of all workers.

Replicas of weights and of the optimizers' state are equal on all devices, so that those of the
first one stand for them all. What differs, such as averages that each device keeps of its own
samples, is gathered from all workers.
"""

import re
from typing import Any, Dict, List, Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import cluster


def _more(number):
    """What TensorFlow adds to a name that is taken."""
    return '_%d' % number if number else ''


def _shadow(number):
    """What is added to the name of a network on a device."""
    return '_shadow' + _more(number - 1) if number else ''


def _component(number):
    """What is added to the name of a part of a generator on a device; the second one is Gs's."""
    return _more(number + 1) if number else ''


# Names of what each device has of its own, around its number; how the number is written.
_FAMILIES = [
    (re.compile(r'^([GD])(_shadow(?:_\d+)?)?(?=/)'), _shadow),
    (re.compile(r'^(G_mapping|G_synthesis)(_(?!1/)\d+)?(?=/)'), _component),
    (re.compile(r'^(GPU)(\d+)(?=/)'), str),
    (re.compile(r'(/Apply)(\d+)(?=/)'), str),
    (re.compile(r'(_opt)(\d+)'), str),
    (re.compile(r'(/loss_scaling_var)(_\d+)?$'), _more),
    (re.compile(r'^(Augmentation/signs)(\d+)$'), str),
]
_OF_OPTIMIZER = re.compile(r'/Apply\d+/|_opt\d+')
# What may be left at its start: sums that each report begins anew, or that are zero whenever a
# state is taken.
_EXPENDABLE = re.compile(r'^Autosummary/|/grad_acc_')


def take(num_gpus: int) -> Dict[str, np.ndarray]:
    """Values of the variables by global names; only the chief's are complete.

    All workers call it at the same moment, each with the number of its devices.
    """
    variables = _variables()
    differing = set(_differing(variables))
    firsts = [n for n in variables if n in differing or renumbered(n, None) == n]
    values = tflib.run({name: variables[name] for name in firsts})
    arrays = {name: np.asarray(value) for name, value in values.items()}
    workers = cluster.current()
    if workers.size > 1:
        own = sorted(differing)
        rows = workers.gather(b''.join(arrays[name].tobytes() for name in own))
        for index, row in enumerate(rows[1:], 1):
            for name in own:
                array = np.frombuffer(row[: arrays[name].nbytes], arrays[name].dtype)
                arrays[renumbered(name, index * num_gpus)] = array.reshape(arrays[name].shape)
                row = row[arrays[name].nbytes :]
    return arrays


def put(arrays: Mapping[str, Any], num_gpus: int) -> List[str]:
    """Set the variables of this worker; returns what fits a state of other networks: problems.

    Devices that the state does not know take what the first one had.
    """
    first_device = cluster.current().index * num_gpus
    values, problems = {}, []
    variables = _variables()
    for name, var in variables.items():
        first = renumbered(name, None)
        if _EXPENDABLE.search(name):
            sources = [name] if cluster.current().is_chief else []
        else:
            sources = [renumbered(name, first_device), first]
        found = next((arrays[source] for source in sources if source in arrays), None)
        if found is not None and list(found.shape) == var.shape.as_list():
            values[var] = found
        elif not _EXPENDABLE.search(name):
            problems.append('has no variable %s %s' % (first, var.shape.as_list()))
    known = {renumbered(name, None) for name in variables}
    for name in arrays:
        if not _EXPENDABLE.search(name) and renumbered(name, None) not in known:
            problems.append('has a variable %s, which this run has not' % name)
    if not problems:
        tflib.set_vars(values)
    return problems


def renumbered(name: str, offset: Any) -> str:
    """Name of the same variable on the device whose number is greater; None: on the first one."""
    for pattern, write in _FAMILIES:

        def with_number(match, write=write):
            number = 0 if offset is None else _number(match.group(2), match.group(1)) + offset
            return match.group(1) + write(number)

        name = pattern.sub(with_number, name)
    return name


def _number(text, before):
    """Number of the device of a name."""
    digits = re.sub(r'\D', '', text or '')
    if before in ('G', 'D'):
        return (int(digits or 0) + 1) if text else 0
    if before in ('G_mapping', 'G_synthesis'):
        return int(digits) - 1 if text else 0
    return int(digits or 0)


def _variables():
    return {var.op.name: var for var in tf.global_variables()}


def _differing(variables):
    """Names of those of which each device has a value of its own."""
    equal = {var.op.name for var in tf.trainable_variables()}
    for name in variables:
        has_device = any(pattern.search(name) for pattern, _ in _FAMILIES)
        if has_device and name not in equal and not _OF_OPTIMIZER.search(name):
            yield name
