"""Which options of a network reach its build function, and which are mistakes."""

import inspect
import sys
from typing import Any, Callable, Dict, Iterable, List, Optional

from dnnlib.options import accepted, check_names
from dnnlib.util import UserError

# How a generator is evaluated, as official StyleGAN2 names it. Losses, metrics and programs pass
# these to any network; a build function that does not name one does without.
EVALUATION_OPTIONS = (
    'truncation_psi truncation_cutoff truncation_psi_val truncation_cutoff_val dlatent_avg_beta '
    'style_mixing_prob is_training is_validation return_dlatents randomize_noise dtype '
    'mapping_dtype'
).split()

# What Network itself passes, to build functions that name it.
OWN_PARAMETERS = ('is_template_graph', 'components')


def input_names(func: Callable) -> List[str]:
    """The inputs of a build function: its parameters without default."""
    parameters = inspect.signature(func).parameters.values()
    positional = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
    return [p.name for p in positional if p.default is p.empty]


def check_static(
    what: str,
    func: Callable,
    static_kwargs: Dict[str, Any],
    reserved: Iterable[str] = (),
    kept: Optional[Dict[str, Any]] = None,
) -> None:
    """Raise UserError, one line, for an option that a build function does not take.

    Args:
        what: where the options stand. reserved: options that the caller itself passes.
        kept: options of the network that these are laid over.
    """
    names = accepted(func, dict(kept or {}, **static_kwargs))
    own = [*input_names(func), *OWN_PARAMETERS, *reserved]
    check_names(what, static_kwargs, names, func.__name__, own)


def check_dynamic(
    what: str,
    func: Callable,
    static_kwargs: Dict[str, Any],
    dynamic_kwargs: Dict[str, Any],
    others: Iterable[str] = (),
) -> None:
    """Raise UserError, one line, for an option of an evaluation that means nothing.

    Args:
        what: whose options they are. others: names that are taken by the caller.
    """
    options = dict(static_kwargs, **dynamic_kwargs)
    names = accepted(func, options)
    allowed = accepted(func, options, also=[*EVALUATION_OPTIONS, *others])
    own = [*input_names(func), *OWN_PARAMETERS]
    check_names(what, dynamic_kwargs, allowed, func.__name__, own)
    gives_w = names is None or 'return_dlatents' in names
    if dynamic_kwargs.get('return_dlatents') and not gives_w:
        raise UserError(
            '%s returns no intermediate latents w, which path length regularization, for instance, '
            'needs: %s has no option return_dlatents' % (what, func.__name__)
        )


def for_call(
    func: Callable, static_kwargs: Dict[str, Any], dynamic_kwargs: Dict[str, Any], **own: Any
) -> Dict[str, Any]:
    """Keyword arguments for a build function: those of its options that it takes.

    Old networks have static ones that it does not know; they are saved with the network all the
    same.

    Args:
        own: values of OWN_PARAMETERS.
    """
    kwargs = dict(static_kwargs, **dynamic_kwargs)
    names = accepted(func, kwargs)
    if names is not None:
        kwargs = {name: value for name, value in kwargs.items() if name in names}
    parameters = inspect.signature(func).parameters
    kwargs.update((name, value) for name, value in own.items() if name in parameters)
    return kwargs


def interned(value: Any) -> Any:
    """Equal options with equal texts as one object, so that equal networks have equal pickles."""
    if isinstance(value, dict):
        return {interned(key): interned(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(interned, value))
    return sys.intern(value) if type(value) is str else value
