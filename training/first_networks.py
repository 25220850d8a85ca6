"""The networks that a run begins with: new, those of a pickle, or new ones with its weights."""

from typing import Any, Callable, Dict, Optional, Tuple

import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.bars import timed
from dnnlib.tflib import precision
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from training import anatomy, misc, transfer

Networks = Tuple[Network, Network, Network]
_ROLES = ('G', 'D', 'Gs')
_SHAPE = ('num_channels', 'resolution', 'label_size')


def check(
    options: Dict[str, Any], training_set, is_named: bool, is_set: Callable[[str], bool]
) -> None:
    """Find what is wrong with init_from and freeze_d before a run makes a folder.

    Args:
        options: of `training_loop`. is_named: whether the user has named a configuration.
        is_set: whether the user set an option, by its dotted name.

    Raises:
        UserError: the file cannot be read, nothing of it fits, or the user, who named no
            configuration, would train networks of another structure by accident; freeze_d holds
            all layers, or such as are new.
    """
    init_from, freeze_d = options.get('init_from'), options.get('freeze_d') or 0
    resume_pkl = options.get('resume_pkl')
    if freeze_d and init_from is None and resume_pkl is None:
        raise UserError('--freeze-d holds layers that have learned; give it with --init-from')
    if init_from is None:
        return
    all_args, records = (options['G_args'], options['D_args']), transfer.load(init_from)
    for role, facts in _differences(records, all_args, training_set):
        facts = {name: text for name, text in facts.items() if name not in _SHAPE}
        facts = [text for name, text in facts.items() if not is_set('%s_args.%s' % (role, name))]
        if facts and not is_named:
            text = (
                '%s of %s is another one than that of the default configuration (%s); name '
                'yours by --config, or take that of a run by --config-file=RUN'
            )
            raise UserError(text % (role, init_from, ', '.join(facts)))
    # On a CPU: a session on GPUs would settle their options before the run's own does.
    with tf.Graph().as_default(), tflib.create_session({'device_count.GPU': 0}):
        nets = new_networks(training_set, *all_args)
        rows = transfer.plan(records, nets)
        held = anatomy.first_layers(nets[1], freeze_d)
        learned = transfer.TAKEN, transfer.ADAPTED
        taken = {row.variable for row in rows if row.network == 'D' and row.action in learned}
        new = [layer for layer, variables in held.items() if not taken.issuperset(variables)]
    if new:
        text = '--freeze-d=%d would hold what is new in the discriminator and learns nothing: %s'
        raise UserError(text % (freeze_d, ', '.join(new)))


def new_networks(training_set, G_args: Dict[str, Any], D_args: Dict[str, Any]) -> Networks:
    """G, D and Gs for a data set."""
    shape = _shape(training_set)
    G = tflib.Network('G', **shape, **G_args)
    D = tflib.Network('D', **shape, **D_args)
    return G, D, G.clone('Gs')


def _shape(training_set):
    channels, resolution, _ = training_set.shape
    return dict(zip(_SHAPE, [channels, resolution, training_set.label_size]))


def make_networks(
    training_set,
    G_args: Dict[str, Any],
    D_args: Dict[str, Any],
    resume_pkl: Optional[str] = None,
    resume_with_new_nets: bool = False,
    init_from: Optional[str] = None,
) -> Networks:
    """G, D and Gs to train.

    Args:
        resume_pkl: networks to train on, whatever G_args and D_args say; a line tells where these
            differ. resume_with_new_nets: new ones take all variables of equal name from it.
        init_from: network file or URL that new ones begin with, see `transfer`; what was taken is
            printed.

    Raises:
        UserError: networks that cannot be read, or do not fit.
    """
    if resume_pkl is not None and init_from is not None:
        raise UserError('both resume_pkl and init_from are given; choose one of them')
    source, lines = resume_pkl or init_from, []
    words = ', with those of "%s"' % source if source else ''
    with timed('Constructing networks' + words):
        if resume_pkl is not None and not resume_with_new_nets:
            nets = transfer.three_of(misc.load_pkl(resume_pkl), resume_pkl)
            lines = _notes(resume_pkl, _differences(nets, (G_args, D_args), training_set))
            for net, args in zip(nets, [G_args, D_args, G_args]):
                precision.use(net, args.get('precision', 'float32'))
        else:
            nets = new_networks(training_set, G_args, D_args)
            if resume_pkl is not None:
                _copy_all(resume_pkl, nets)
            if init_from is not None:
                records = transfer.load(init_from)
                rows = transfer.plan(records, nets)
                transfer.apply(rows)
                lines = _report(rows, _differences(records, (G_args, D_args), training_set))
    for line in lines:
        print(line)
    return nets


def _differences(sources, all_args, training_set):
    """Pairs ('G' or 'D', `transfer.differences`), where anything is configured."""
    shape = _shape(training_set)
    for role, source, args in zip('GD', sources, all_args):
        if args:
            yield role, transfer.differences(source, dict(args, **shape))


def _copy_all(path, nets):
    """As official code does: by name alone, so that another shape is an error."""
    for role, net, record in zip(_ROLES, nets, transfer.load(path)):
        source = transfer.values_of(record)
        common = {name: var for name, var in net.vars.items() if name in source}
        for name, var in common.items():
            here = tuple(var.shape.as_list())
            if source[name].shape != here:
                text = '%s of %s is %s in %s and %s here; --init-from takes what fits'
                raise UserError(text % (name, role, source[name].shape, path, here))
        tflib.set_vars({var: source[name] for name, var in common.items()})


def _notes(path, differences):
    """Lines where the networks of a pickle are not those that are configured."""
    notes = []
    for role, facts in differences:
        wrong = [facts[name] for name in _SHAPE if name in facts]
        if wrong:
            text = '%s of %s does not fit the data set: %s; --init-from makes new networks'
            raise UserError(text % (role, path, ', '.join(wrong)))
        if facts:
            text = 'Note: %s is trained as it is in the file, not as configured, where %s'
            notes.append(text % (role, ', '.join(facts.values())))
    return notes


def _report(rows, differences):
    """Lines: what the networks are, the table, and a warning if most is new."""
    for role, facts in differences:
        yield '  %-3s %s' % (role, ', '.join(facts.values()) or 'is built as in the source')
    yield from transfer.table(rows)
    shares = [transfer.share_taken(rows, role) for role in 'GD']
    yield 'Taken: %.1f%% of the weights of G, %.1f%% of D.' % tuple(100 * x for x in shares)
    by_intent = {row.network for row in rows if row.reason == transfer.BEGINS_ANEW}
    few = [role for role, share in zip('GD', shares) if share < 0.5 and role not in by_intent]
    if few:
        yield 'Warning: most of %s is new; is this the structure that you want?' % ' and '.join(few)
