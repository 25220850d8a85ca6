"""Records of results as JSON: one object a line, without nan or infinity, which JSON lacks."""

import json
import math
from typing import Any, Dict, List, Optional, Tuple

from . import plain_data
from .files import UserError, open_regular


def to_json(record: Any, path: str, indent: Optional[int] = None) -> str:
    """Write a record as JSON, in one line unless `indent` is given.

    Numbers that are not finite become null, and a line on the console says so.

    Args:
        path: file that it will stand in.
    """
    missing = []  # type: List[str]
    text = json.dumps(_finite(record, '', missing), default=str, indent=indent)
    if missing:
        names = ', '.join(sorted(set(missing))[:20])
        print('Warning: not finite, so null in %s: %s' % (path, names))
    return text


def _finite(value, name, missing):
    """The value with None for what is not finite; appends the names of what was not."""
    if isinstance(value, dict):
        return {key: _finite(item, str(key), missing) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item, name, missing) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        missing.append('%s = %s' % (name, value))
        return None
    return value


def read_lines(path: str, skip_unfinished: bool = False) -> List[Tuple[int, Dict[str, Any]]]:
    """Read a file of objects, one a line.

    Args:
        skip_unfinished: leave a last line out that was cut off while it was written.

    Returns: (number of the line from 1, object) each.

    Raises:
        UserError: it cannot be read, or a line is no object; the message names file and line.
    """
    with open_regular(path) as file:
        lines = file.read().split(b'\n')
    if skip_unfinished:
        lines.pop()
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = plain_data.from_json(line.decode('utf-8'))
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise broken_line(path, number, 'it is no JSON object')
        found.append((number, record))
    return found


def is_figure(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    return type(value) is float or (type(value) is int and abs(value) < 1 << 63)


def broken_line(path: str, number: int, reason: str) -> UserError:
    """The error for a line that cannot be used."""
    return UserError('%r, line %d is broken: %s; take that line out' % (path, number, reason))
