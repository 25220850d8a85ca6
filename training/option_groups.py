"""Stands in for the check of all options until that one is merged: only the losses' options."""

from typing import Any, Dict, Mapping

from dnnlib.options import accepted
from dnnlib.util import UserError, get_obj_by_name


def check(options: Dict[str, Any], flags: Mapping[str, str] = {}) -> None:
    """Raise UserError for an option that a loss does not take.

    Args:
        flags: path of an option to the flag that set it.
    """
    for name in ('G_loss_args', 'D_loss_args'):
        takes = accepted(get_obj_by_name(options[name]['func_name']), options[name])
        for key in options[name]:
            if key != 'func_name' and takes is not None and key not in takes:
                path = '%s.%s' % (name, key)
                raise UserError(
                    '%s sets an option that %s does not take; leave it out, or choose another '
                    '--config' % (flags.get(path, path), options[name]['func_name'])
                )
