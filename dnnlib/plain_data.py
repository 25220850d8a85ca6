"""Options from files: numbers, text and containers of them, of bounded size; and as JSON."""

import enum
import json
import re
from typing import Any

import numpy as np

_MAX_DEPTH = 16
_MAX_VALUES = 10000
_MAX_TEXT = 20000
_MAX_JSON = 16 << 20
_DIGITS = re.compile(r'-?(0|[1-9][0-9]{0,17})\Z')


def check(value: Any, what: str, arrays: bool = False) -> None:
    """See that a value is None, a number, text, or lists, tuples and dictionaries of those.

    Args:
        what: name of the value for the message.
        arrays: let arrays and numbers of NumPy pass too.

    Raises:
        ValueError: it is not, or is too deep or too large.
    """
    if _count(value, what, arrays, 0) > _MAX_VALUES:
        raise ValueError('%s holds more than %d values' % (what, _MAX_VALUES))


def _count(value, what, arrays, depth):
    kind = type(value)
    if kind in (float, bool, type(None)):
        return 1
    if kind is int and abs(value) < 1 << 63:
        return 1
    if kind is str and len(value) <= _MAX_TEXT:
        return 1
    if arrays and isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in 'fiub':
        return np.size(value)
    if isinstance(value, (dict, list, tuple)) and len(value) <= _MAX_VALUES:
        if depth == _MAX_DEPTH:
            raise ValueError('%s is nested more than %d deep' % (what, _MAX_DEPTH))
        if isinstance(value, dict):
            if not all(type(key) in (str, int, float) and len(str(key)) <= 256 for key in value):
                raise ValueError('a key in %s is neither short text nor a number' % what)
            value = value.values()
        return 1 + sum(_count(item, what, arrays, depth + 1) for item in value)
    raise ValueError('%s: no plain values of usual size, but %s' % (what, kind.__name__))


def to_json(value: Any) -> str:
    """Write a value as JSON; what JSON does not know is written as text."""
    return json.dumps(value, indent=1, skipkeys=True, default=_as_json)


def _as_json(value):
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in 'fiub':
        return value.tolist()
    if isinstance(value, enum.Enum):
        return value.name
    return vars(value) if hasattr(value, '__dict__') and not callable(value) else str(value)


def from_json(text: str, **parsers: Any) -> Any:
    """Read JSON. Objects whose keys are all whole numbers get numbers as keys, which JSON lacks.

    Args:
        **parsers: of `json.loads`, for floating-point numbers and constants.

    Raises:
        ValueError: no JSON, nested too deep, or too long.
    """
    if len(text) > _MAX_JSON:
        raise ValueError('it has more than %d characters' % _MAX_JSON)
    try:
        hooks = dict(parsers, object_pairs_hook=_with_numbers, parse_int=_whole_number)
        return json.loads(text, **hooks)
    except RecursionError:
        raise ValueError('it is nested too deep')


def _whole_number(digits):
    if len(digits) > 1000:
        raise ValueError('a number has more than 1000 digits')
    return int(digits)


def _with_numbers(pairs):
    if pairs and all(_DIGITS.match(key) for key, _ in pairs):
        pairs = [(int(key), value) for key, value in pairs]
    return dict(pairs)
