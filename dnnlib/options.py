"""Options by name: which of them a function takes, and the one line about one that nobody takes.

A misspelt option that is swallowed by a `**kwargs` trains the wrong network for days. So whoever
calls a function with options from a configuration asks here first.
"""

import copy
import difflib
import inspect
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Set, Tuple

from .files import UserError
from .names import get_obj_by_name

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class UnknownOption(UserError):
    """An option that its taker does not take, or that is not the user's to set.

    Attributes:
        what: where the option stands: 'G_args', for instance. name: its name.
        taker: name of the function that should take it.
    """

    def __init__(self, what: str, name: str, taker: str, text: str):
        super().__init__('%s has the option %r, %s' % (what, name, text))
        self.what, self.name, self.taker = what, name, taker


def passes_options_to(
    functions: Callable[[Mapping[str, Any]], List[Callable]], fills: Iterable[str] = ()
) -> Callable:
    """Decorator of a function that hands its `**kwargs` on, such as a generator of two networks.

    Args:
        functions: given the options, tells which functions get them. Options of these are options
            of the decorated function, except parameters without default, which it fills itself.
        fills: other parameters that it fills itself.
    """

    def decorate(func):
        func.passes_options_to = functions, frozenset(fills)
        return func

    return decorate


def named(func: Callable, options: Mapping[str, Any]) -> Tuple[Dict[str, inspect.Parameter], bool]:
    """The parameters that a function takes by keyword, and whether it takes any others too.

    Args:
        options: what it is to be called with, on which may depend whom it hands them on to.
    """
    parameters = inspect.signature(func).parameters.values()
    names = {p.name: p for p in parameters if p.kind in _BY_NAME}
    takes_any = any(p.kind == p.VAR_KEYWORD for p in parameters)
    declared = getattr(func, 'passes_options_to', None)
    if not takes_any or declared is None:
        return names, takes_any
    takes_any = False
    functions, fills = declared
    for other in functions(options):
        others, other_takes_any = named(other, options)
        takes_any = takes_any or other_takes_any
        for name, parameter in others.items():
            if parameter.default is not parameter.empty and name not in fills:
                names.setdefault(name, parameter)
    return names, takes_any


def accepted(
    func: Callable, options: Mapping[str, Any], also: Iterable[str] = ()
) -> Optional[Set[str]]:
    """Names that a function takes by keyword, and others; None for any, as its `**kwargs` say."""
    names, takes_any = named(func, options)
    return None if takes_any else set(names).union(also)


def taken_by(func: Callable, options: Mapping[str, Any]) -> Dict[str, Any]:
    """The options that a function takes."""
    names = accepted(func, options)
    return {name: value for name, value in options.items() if names is None or name in names}


def value_of(func: Callable, options: Mapping[str, Any], name: str) -> Any:
    """The value of a parameter in a call with these options: given, or default; None: not taken."""
    parameter = named(func, options)[0].get(name)
    default = inspect.Parameter.empty if parameter is None else parameter.default
    return options.get(name, None if default is inspect.Parameter.empty else default)


def check(
    what: str, func: Callable, options: Mapping[str, Any], reserved: Iterable[str] = ()
) -> None:
    """Raise UserError, one line, unless a function takes all options.

    Args:
        what: where the options stand, for the line: 'G_args', for instance.
        reserved: parameters that are no options, since the caller itself passes them.
    """
    check_names(what, options, accepted(func, options), func.__name__, reserved)


def check_names(
    what: str,
    given: Iterable[str],
    allowed: Optional[Iterable[str]],
    taker: str,
    reserved: Iterable[str] = (),
) -> None:
    """Raise UserError, one line with the nearest right name, if a name is none of those allowed.

    Args:
        what: where the names stand. given: the names. allowed: None: any. taker: who takes them.
        reserved: names that are no options, since the caller itself passes them.
    """
    for name in given:
        if name in reserved:
            raise UnknownOption(what, name, taker, 'which the program itself sets; leave it out')
        if allowed is not None and name not in allowed:
            advice = _advice(name, sorted(set(allowed).difference(reserved)))
            raise UnknownOption(what, name, taker, 'which %s does not take; %s' % (taker, advice))


def check_choice(what: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise UserError, one line, unless an option's value is one of those allowed."""
    if value not in allowed:
        raise UserError('unknown %s %r; choose one of %s' % (what, value, ', '.join(allowed)))


def function_of(what: str, name: str) -> Callable:
    """The function or class of a dotted name from a configuration.

    Args:
        what: where the name stands.

    Raises:
        UserError: there is none, one line.
    """
    try:
        func = get_obj_by_name(name)
    except (ImportError, AttributeError) as error:
        raise UserError('%s names %r, which cannot be had: %s' % (what, name, error))
    if not callable(func):
        raise UserError('%s names %r, which is no function' % (what, name))
    return func


def _advice(name, allowed):
    near = difflib.get_close_matches(str(name), allowed, n=1)
    if near:
        return 'did you mean %r?' % near[0]
    return 'it takes %s' % (', '.join(allowed) or 'none')


def nested(*parts: Dict[str, Any]) -> Dict[str, Any]:
    """Options by groups, from parts with dotted names; later ones override earlier ones.

    Raises:
        UserError: an option of a group, where there is none.
    """
    options = {}  # type: Dict[str, Any]
    for part in parts:
        for path, value in part.items():
            group, _, key = path.partition('.')
            value = copy.deepcopy(value)
            if not key:
                options[group] = value
            elif isinstance(options.setdefault(group, {}), dict):
                options[group][key] = value
            else:
                raise UserError('there is no option %r: %s is no group of options' % (path, group))
    return options
