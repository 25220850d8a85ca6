"""Temporary files and folders, which say whose they are, and the removal of those left behind.

`dnnlib.files` passes everything here on.
"""

import contextlib
import itertools
import os
import re
import shutil
import tempfile
import time
from typing import Iterator, Optional

from . import owner

DAY = 24 * 3600.0  # seconds without a change until what nobody can be asked about is removed

_LONGEST_NAME = 255  # bytes
_NEW = re.compile(r'\.(?P<name>.*)\.of-(?P<owner>[\w.-]+)\.\d+\.(?P<kind>tmp|old)', re.DOTALL)
# What earlier versions left: of atomic_write, of data sets, of numbers of runs, of compiled ops.
_FORMER = [
    re.compile(r'\.(?P<name>.+)\.\d+\.(?P<kind>tmp)', re.DOTALL),
    re.compile(r'\.(?P<name>.+)\.[0-9a-f]{12}\.(?P<kind>tmp|old)', re.DOTALL),
    re.compile(r'\.claim-\d+(?P<name>)(?P<kind>)'),
    re.compile(r'(?P<name>stylegan2-ops)-\w{8}(?P<kind>)'),
]
_BEGINNINGS = ('.', 'stylegan2-ops-')
_ENDINGS = ('.tmp', '.old')
_numbers = itertools.count()


def temporary_path(path: str, kind: str = 'tmp') -> str:
    """A new hidden name beside `path` that says which process uses it.

    Args:
        kind: 'tmp', or 'old' for what is moved out of the way and comes back if the process dies
            before there is something new.
    """
    folder, name = os.path.split(path)
    ending = '.of-%s.%d.%s' % (owner.current().text(), next(_numbers), kind)
    room = _LONGEST_NAME - len(ending) - 1
    return os.path.join(folder, '.%s%s' % (os.fsdecode(os.fsencode(name)[:room]), ending))


def make_temporary_folder(name: str, parent: Optional[str] = None) -> str:
    """Make a folder for this user alone, by default among the system's temporary files.

    It is the caller's to remove; `sweep(parent, name)` does so when this process has ended.
    """
    parent = parent or tempfile.gettempdir()
    sweep(parent, name)
    path = temporary_path(os.path.join(parent, name))
    os.mkdir(path, 0o700)
    return path


@contextlib.contextmanager
def temporary_folder(name: str, parent: Optional[str] = None) -> Iterator[str]:
    """A folder of `make_temporary_folder` that vanishes in the end."""
    path = make_temporary_folder(name, parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(folder: str, beginning: str = '', now: Optional[float] = None) -> None:
    """Remove what processes that died have left in a folder, itself only, not folders in it.

    That is: what `temporary_path` named for a process of this machine that is gone; and after 24
    hours without a change what it named elsewhere, and what earlier versions left.

    Args:
        folder: need not exist. beginning: of the names for which the paths were made.
        now: seconds since the epoch; default: the clock's.
    """
    limit = (time.time() if now is None else now) - DAY
    try:
        with os.scandir(folder or '.') as entries:
            found = [e for e in entries if e.name.startswith(_BEGINNINGS)]
    except OSError:
        return
    for entry in found:
        match = _match(entry.name)
        if match is None or not match.group('name').startswith(beginning):
            continue
        with contextlib.suppress(OSError):
            if _is_left_behind(entry, match, limit):
                _remove(entry, match)


def _match(name):
    if name.endswith(_ENDINGS):
        match = _NEW.fullmatch(name)
        if match:
            return match
    return next(filter(None, (pattern.fullmatch(name) for pattern in _FORMER)), None)


def _is_left_behind(entry, match, limit):
    whose = owner.from_text(match.groupdict().get('owner') or '')
    is_dead = owner.is_dead(whose) if whose else None
    return not _has_changed_since(entry.path, limit) if is_dead is None else is_dead


def _has_changed_since(path, limit):
    """Whether a file, or anything in a folder, was changed after a time."""
    state = os.lstat(path)
    if max(state.st_mtime, state.st_ctime) > limit:
        return True
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    with os.scandir(path) as entries:
        return any(_has_changed_since(entry.path, limit) for entry in entries)


def _remove(entry, match):
    name, kind = match.group('name'), match.group('kind')
    if match.group().startswith('.claim-'):
        os.rmdir(entry.path)
    elif kind == 'old' and not os.path.lexists(os.path.join(os.path.dirname(entry.path), name)):
        _put_back(entry, name)
    elif entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    elif entry.is_file(follow_symlinks=False):
        os.remove(entry.path)


def _put_back(entry, name):
    """Give what was to be replaced its name again, unless that was cut off."""
    path = os.path.join(os.path.dirname(entry.path), name)
    if len(os.fsencode(entry.name)) < _LONGEST_NAME:
        os.rename(entry.path, path)
        print('%s is back: a process died while it replaced it.' % path)
