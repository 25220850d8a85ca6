"""Training that begins with the weights of earlier networks: what of them fits, and what is new.

What has the same name and shape in both networks is taken, whatever else differs: resolution,
channels of images, labels, widths, the form of the noise. Weights are read as numbers; no code of
the file runs, and of networks whose code is not here the weights fit as well.
"""

import textwrap
from collections import OrderedDict
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.options import function_of, named
from dnnlib.tflib import network_code, weights
from dnnlib.tflib.network import Network
from dnnlib.tflib.network_options import EVALUATION_OPTIONS, OWN_PARAMETERS
from dnnlib.tflib.network_state import NetworkRecord
from dnnlib.util import UserError
from training import anatomy, misc
from training.exchange import reading
from training.networks_stylegan2 import NOISE_INJECTION_FORMS, scale_all, scale_noise

Source = Union[NetworkRecord, Network]

TAKEN, ADAPTED, NEW, STARTED, LEFT = 'taken', 'adapted', 'new', 'started', 'left'
_PART = 'part'  # of a layer of which some is taken
_ORDER = (TAKEN, ADAPTED, STARTED, _PART, NEW, LEFT)

_ROLES = ('G', 'D', 'Gs')
# How a network computes, not what it is.
_NO_STRUCTURE = (*EVALUATION_OPTIONS, *OWN_PARAMETERS, 'name', 'precision', 'fused_modconv')

_NOT_THERE = 'not in the source'
_ANOTHER_SHAPE = 'of another shape in the source'
_NO_PLACE = 'has no place here'
_BY_SCHEDULE = 'set by the schedule'
_OTHER_W = 'since w is another one'
_SIGMA_1 = 'A = 0, b = 1 (sigma = 1), '
_SAME_IMAGES = _SIGMA_1 + 'r = the noise strength of the source: the same images'
_LIKE_IMAGES = _SIGMA_1 + 'r = the mean of the strengths of channels in the source'
_OTHER_IMAGES = _SIGMA_1 + 'r keeps the variance; it scales the signal, too: other images'
BEGINS_ANEW = 'begins anew: one that is trained would be too strong for the other images of G'
# (to gray images, to RGB) of a layer next to images
_COLOURS_OF_G = "draws the mean of the source's colours", "draws the source's gray in each colour"
_COLOURS_OF_D = 'sees gray as it saw three equal colours', 'sees the mean of colours as it saw gray'
_WIDTH = 100  # of lines, in characters


class Row(NamedTuple):
    """What becomes of one variable.

    network: 'G', 'D' or 'Gs'. action: TAKEN; ADAPTED: to colours; NEW: keeps its initial value;
    STARTED: of FR, which has a start of its own; LEFT: of the source, without a place here.
    reason: '' if TAKEN.
    target: None if LEFT. value: to be assigned; None if NEW or LEFT.
    """

    network: str
    variable: str
    action: str
    reason: str = ''
    target: Optional[tf.Variable] = None
    value: Optional[np.ndarray] = None


def load(file_or_url: str) -> Tuple[NetworkRecord, NetworkRecord, NetworkRecord]:
    """G, D and Gs of a network file as records; nothing of it is run.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    with misc.open_file_or_url(file_or_url) as file:
        return three_of(reading.load_records(file), file_or_url)


def three_of(loaded: Any, path: str) -> Any:
    """G, D and Gs, as networks or records, if a file holds them; else UserError."""
    try:
        found = weights.by_role(loaded)
        return tuple(found[role] for role in _ROLES)
    except (KeyError, UserError):
        raise UserError('%s does not hold (G, D, Gs), which training begins with' % path)


def record_of(source: Source) -> NetworkRecord:
    """A network as a file describes it."""
    if isinstance(source, NetworkRecord):
        return source
    components = [(key, record_of(each)) for key, each in source.components.items()]
    return NetworkRecord(source.__getstate__(), OrderedDict(components))


def values_of(record: NetworkRecord) -> Dict[str, np.ndarray]:
    """All variables of a network with those of its components, by their local names."""
    values = OrderedDict(record.variables)
    for component in record.components.values():
        for name, value in values_of(component).items():
            values['%s/%s' % (component.name, name)] = value
    return values


def plan(sources: Sequence[Source], targets: Sequence[Network]) -> List[Row]:
    """What becomes of each variable when new networks begin with the weights of others.

    Args:
        sources, targets: (G, D, Gs) each.

    Raises:
        UserError: no weight of G or D fits.
    """
    rows: List[Row] = []
    for role, source, target in zip(_ROLES, map(record_of, sources), targets):
        own = _plan_network(role, values_of(source), target)
        weights_taken = [
            row.variable
            for row in own
            if row.action == TAKEN
            and row.variable in target.trainables
            and np.ndim(row.value) > 1  # single numbers and biases fit by chance
        ]
        if role != 'Gs' and not weights_taken:
            text = (
                "nothing of %s fits: the source's, %s, has no weight of the same name and shape; "
                'choose a --config like that of the source'
            )
            raise UserError(text % (role, source.build_func_name))
        rows += own
    if any(row.reason == _OTHER_IMAGES for row in rows):
        rows = [_begun_anew(row) if row.network == 'D' else row for row in rows]
    return rows


def _begun_anew(row):
    return row if row.target is None else row._replace(action=NEW, reason=BEGINS_ANEW, value=None)


def _plan_network(role, source, target):
    starts, scaled_noise = _starts_of_noise(source, target)
    there = anatomy.places(source)
    rows, used = [], set(scaled_noise)
    for place, name in anatomy.places(target.vars).items():
        found, var = there.get(place), target.vars[name]
        used.add(found)
        row = Row(role, name, NEW, _NOT_THERE, target=var)
        if name in starts:
            reason, value = starts[name]
            row = row._replace(action=STARTED, reason=reason, value=value)
        elif anatomy.is_lod(name):
            row = row._replace(reason=_BY_SCHEDULE)
        elif found is not None:
            value = source[found]
            row = row._replace(reason=_ANOTHER_SHAPE)
            shape = tuple(var.shape.as_list())
            if value.shape == shape:
                row = row._replace(action=TAKEN, reason='', value=value)
            elif _colours_differ(name, value.shape, shape):
                reasons = _COLOURS_OF_D if role == 'D' else _COLOURS_OF_G
                reason = reasons[int(np.prod(shape) > value.size)]
                has_wscale = target.static_kwargs.get('use_wscale', True)
                value = _in_other_colours(value, shape, has_wscale)
                row = row._replace(action=ADAPTED, reason=reason, value=value)
        rows.append(row)
    rows += [Row(role, x, LEFT, _NO_PLACE) for x in source if x not in used]
    if not all(row.action == TAKEN for row in rows if anatomy.is_of_mapping(row.variable)):
        for index, row in enumerate(rows):
            if row.variable == anatomy.DLATENT_AVG and row.action == TAKEN:
                rows[index] = row._replace(action=NEW, reason=_OTHER_W, value=None)
    return rows


def _colours_differ(name, old, new):
    """Whether these are the shapes of a layer next to RGB images, and to gray ones."""
    layer, _, what = name.rpartition('/')
    axis = {'ToRGB': -1, 'FromRGB': -2}.get(layer.split('/')[-1].partition('_')[0])
    if axis is None or what not in ('weight', 'bias') or len(old) != len(new):
        return False
    different = [i - len(old) for i in range(len(old)) if old[i] != new[i]]
    return different == [axis] and {old[axis], new[axis]} == {1, 3}


def _in_other_colours(value, shape, has_wscale):
    """A weight or bias for gray images in place of RGB, or back.

    G draws the mean of its colours, or three equal ones; D sees a gray image as it did that of
    three equal colours, and of RGB the mean. What an equalized learning rate divides by, the root
    of the number of inputs, is another one.
    """
    (axis,) = [i for i in range(len(shape)) if shape[i] != value.shape[i]]
    is_of_G = axis == len(shape) - 1
    if shape[axis] == 1:
        adapted = value.mean(axis, keepdims=True) * (1 if is_of_G else 3)
    else:
        adapted = np.repeat(value, 3, axis) / (1 if is_of_G else 3)
    if has_wscale and not is_of_G:
        adapted = adapted * np.sqrt(shape[axis] / value.shape[axis])
    return adapted.astype(np.float32)


def _starts_of_noise(source, target):
    """Where additive noise becomes FR: {variable: (reason, value)}, and the strengths it had.

    sigma is 1 at any alpha. At alpha = 0 it would be, too, but then A and b have no gradient.
    """
    form = NOISE_INJECTION_FORMS.get(target.static_kwargs.get('noise_injection'))
    additive = {anatomy.additive_layer(name): name for name in source}
    starts, strengths = {}, []
    for layer, variables in anatomy.fr_layers(target).items():
        if layer not in additive or not {'A', 'b'} <= set(variables):
            continue
        strength, reason = source[additive[layer]], _OTHER_IMAGES
        height = variables['A'].shape.as_list()[0]
        values = {'A': 0.0, 'b': np.sqrt(height)}  # `networks_stylegan2.trainable_map` divides
        if form is not None and form.output is scale_noise:
            reason = _LIKE_IMAGES if strength.ndim else _SAME_IMAGES
            values['strength'] = strength.mean()
        elif form is not None and form.output is scale_all:
            # The signal has about variance 1 (demodulated weights), its noise as much now.
            values['strength'] = np.sqrt((1 + np.square(strength).mean()) / 2)
        strengths.append(additive[layer])
        for what, var in variables.items():
            value = values.get(what)
            if value is not None:
                value = np.full(var.shape.as_list(), value, np.float32)
            starts[target.var_global_to_local[var.name.split(':')[0]]] = reason, value
    return starts, strengths


def apply(rows: Iterable[Row]) -> None:
    """Assign what a plan says to the new networks."""
    tflib.set_vars({row.target: row.value for row in rows if row.value is not None})


def share_taken(rows: Iterable[Row], role: str) -> float:
    """Which part of the weights that 'G', 'D' or 'Gs' has is taken, without what is STARTED."""
    sizes = {TAKEN: 0, ADAPTED: 0, NEW: 0, STARTED: 0}
    for row in rows:
        if row.network == role and row.target is not None and row.target.trainable:
            sizes[row.action] += row.target.shape.num_elements()
    num_taken = sizes[TAKEN] + sizes[ADAPTED]
    return num_taken / max(num_taken + sizes[NEW], 1)


def table(rows: Sequence[Row]) -> List[str]:
    """Lines for people: which layers are taken, new, started in a way of their own, and why."""
    tables = {role: _verdicts([row for row in rows if row.network == role]) for role in _ROLES}
    lines = []
    for role, verdicts in tables.items():
        if role == 'Gs' and verdicts == tables['G']:
            lines.append('  Gs  as G')
            continue
        for (verdict, why), layers in verdicts.items():
            what = _few(layers) if len(verdicts) > 1 else 'all %d layers' % len(layers)
            line, more = '  %-3s %-8s %s' % (role, verdict, what), why and ': ' + why
            if len(line + more) <= _WIDTH:
                lines.append(line + more)
            else:
                lines += [line + ':'] + [' ' * 15 + x for x in textwrap.wrap(why, _WIDTH - 15)]
    return lines


def _verdicts(rows):
    """{(verdict, why): layers}; variables outside of layers only if they are new by a reason."""
    by_layer: Dict[str, List[Row]] = OrderedDict()
    for row in rows:
        layer = anatomy.layer_of(row.variable)
        if layer is None and row.reason == _OTHER_W:
            layer = row.variable
        if layer is not None:
            by_layer.setdefault(layer, []).append(row)
    verdicts: Dict[Tuple[str, str], List[str]] = OrderedDict()
    for layer, own in by_layer.items():
        verdicts.setdefault(_verdict(own), []).append(layer)
    return OrderedDict(sorted(verdicts.items(), key=lambda item: _ORDER.index(item[0][0])))


def _verdict(rows):
    """(verdict, why) of one layer."""
    actions = {row.action for row in rows}
    reasons: Dict[Tuple[str, str], List[str]] = OrderedDict()
    for row in rows:
        if row.action != TAKEN:
            reasons.setdefault((row.action, row.reason), []).append(row.variable.split('/')[-1])
    if len(actions) == 1 and len(reasons) <= 1:
        return actions.pop(), ''.join(reason for _, reason in reasons)
    whys = []
    for (action, reason), names in reasons.items():
        what = 'FR' if action == STARTED else '%s %s' % (', '.join(names), action)
        whys.append('%s: %s' % (what, reason))
    for action in (STARTED, ADAPTED):
        if action in actions and not actions & {NEW, LEFT}:
            return action, '; '.join(whys)
    return STARTED if STARTED in actions else _PART, '; '.join(whys)


def _few(names):
    shown = names if len(names) < 5 else names[:2] + ['...'] + names[-1:]
    count = '' if len(names) < 5 else ' (%d layers)' % len(names)
    return ', '.join(shown) + count


def differences(source: Source, args: Dict[str, Any]) -> Dict[str, str]:
    """In words, by their names, the options that a new network has otherwise than a source.

    Args:
        args: dict(func_name=..., **kwargs) of the new one, with its shape.
    """
    record, func = record_of(source), args['func_name']
    func = func if callable(func) else function_of('func_name', func)
    if record.build_func_name != func.__name__:
        return {'func_name': '%s, in the source %s' % (func.__name__, record.build_func_name)}
    module = network_code.local_namesake(record.source, record.build_func_name)
    old = _structure(getattr(module, func.__name__, None), record.static_kwargs)
    new = _structure(func, args)
    return OrderedDict(
        (name, '%s is %s, in the source %s' % (name, new[name], old[name]))
        for name in new
        if name in old and old[name] != new[name]
    )


def _structure(func, options):
    """What a build function makes of options: {name: value in words}, defaults included."""
    defaults = named(func, options)[0].items() if func else ()
    values = {name: p.default for name, p in defaults if p.default is not p.empty}
    values.update(options)
    values = {name: getattr(value, '__name__', value) for name, value in values.items()}
    for name, value in values.items():
        if isinstance(value, (list, tuple, np.ndarray)):
            values[name] = list(value)
    return {name: str(value) for name, value in values.items() if name not in _NO_STRUCTURE}
