"""What is known of a data set beside its files: how many images it was made with, its fingerprint.

A small JSON file next to the data set, hidden; all works without it. What it says of files that
have changed since is not believed.
"""

import json
import os
from typing import Any, Dict

from dnnlib.util import UserError, atomic_write, open_regular

_LARGEST = 1 << 20  # bytes


def read_side_file(data_path: str) -> Dict[str, Any]:
    """Return what is noted of a data set; {} if nothing is."""
    try:
        with open_regular(_path(data_path)) as file:
            facts = json.loads(file.read(_LARGEST).decode('utf-8'))
    except (UserError, OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def update_side_file(data_path: str, **facts) -> None:
    """Note facts of a data set, as far as the folder that it is in can be written."""
    try:
        with atomic_write(_path(data_path), 'w') as file:
            json.dump(dict(read_side_file(data_path), **facts), file, indent=1, sort_keys=True)
    except UserError:
        pass


def _path(data_path):
    folder, name = os.path.split(os.path.abspath(os.path.expanduser(data_path)))
    return os.path.join(folder, '.%s.dataset.json' % name)
