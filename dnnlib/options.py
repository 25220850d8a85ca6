"""Options by name: which of them a function takes, and the one line about one that nobody takes.

A misspelt option that is swallowed by a `**kwargs` trains the wrong network for days. So whoever
calls a function with options from a configuration asks here first.
"""

import difflib
import inspect
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Set

from .files import UserError

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def passes_options_to(functions: Callable[[Mapping[str, Any]], List[Callable]]) -> Callable:
    """Decorator of a function that hands its `**kwargs` on, such as a generator of two networks.

    Args:
        functions: given the options, tells which functions get them; options that one of these
            takes are options of the decorated function.
    """

    def decorate(func):
        func.passes_options_to = functions
        return func

    return decorate


def accepted(func: Callable, options: Mapping[str, Any]) -> Optional[Set[str]]:
    """Names that a function takes by keyword; None for any, as its `**kwargs` say.

    Args:
        options: what it is to be called with, on which may depend whom it hands them on to.
    """
    parameters = inspect.signature(func).parameters.values()
    names = {p.name for p in parameters if p.kind in _BY_NAME}
    if not any(p.kind == p.VAR_KEYWORD for p in parameters):
        return names
    if not hasattr(func, 'passes_options_to'):
        return None
    for other in func.passes_options_to(options):
        others = accepted(other, options)
        if others is None:
            return None
        names |= others
    return names


def taken_by(func: Callable, options: Mapping[str, Any]) -> Dict[str, Any]:
    """The options that a function takes."""
    names = accepted(func, options)
    return {name: value for name, value in options.items() if names is None or name in names}


def check(
    what: str, func: Callable, options: Mapping[str, Any], reserved: Iterable[str] = ()
) -> None:
    """Raise UserError, one line, unless a function takes all options.

    Args:
        what: where the options stand, for the line: 'G_args', for instance.
        reserved: parameters that are no options, since the caller itself passes them.
    """
    names = accepted(func, options)
    if names is not None:
        check_names(what, options, names - set(reserved), getattr(func, '__name__', None))


def check_names(
    what: str, given: Iterable[str], allowed: Iterable[str], taker: Optional[str] = None
) -> None:
    """Raise UserError, one line with the nearest right name, if a name is none of those allowed."""
    allowed = sorted(allowed)
    for name in given:
        if name in allowed:
            continue
        near = difflib.get_close_matches(str(name), allowed, n=1)
        advice = 'did you mean %r?' % near[0] if near else 'it takes %s' % ', '.join(allowed)
        if not allowed:
            advice = 'it takes none'
        raise UserError(
            '%s has the option %r, which %s does not take; %s' % (what, name, taker or 'it', advice)
        )
