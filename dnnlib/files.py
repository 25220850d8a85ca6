"""Opening and writing files safely, folder listings, and the error that users get to read.

`dnnlib.util` passes everything here on: write `dnnlib.util.UserError`, `dnnlib.util.atomic_write`.
"""

import contextlib
import fnmatch
import os
import shutil
import stat
from typing import IO, Any, BinaryIO, Dict, Iterable, Iterator, List, Optional, Tuple

from .temporary import (  # noqa: F401
    make_temporary_folder,
    sweep,
    temporary_folder,
    temporary_path,
)

# How text is written: names of files may be bytes that are no text, which Python has as surrogates.
TEXT: Dict[str, Any] = {'encoding': 'utf-8', 'errors': 'backslashreplace'}
_LONGEST_REASON = 300  # characters of an error's own text


class UserError(Exception):
    """A mistake that the user can mend, told in one line: what is wrong, value seen, what to do.

    Programs run through `dnnlib.cli.run_cli` print that line and end with exit status 2.
    """


def open_regular(path: str) -> BinaryIO:
    """Open a file for reading bytes; pipes, devices and sockets, which may never end, are refused.

    Raises:
        UserError: it cannot be opened, or is no regular file.
    """
    try:
        file = open(path, 'rb', opener=_open_at_once)
    except (OSError, ValueError) as error:
        raise UserError('Cannot open %r: %s.' % (path, reason_of(error)))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UserError('Cannot open %r: it is no regular file, but a pipe or device.' % path)
    return file


def _open_at_once(path, flags):
    return os.open(path, flags | os.O_NONBLOCK)  # else a pipe waits for somebody to write into it


@contextlib.contextmanager
def reading(path: str, kind: str) -> Iterator[None]:
    """Around all that looks into a file: what its content makes fail becomes one UserError.

    Args:
        path: the file.
        kind: what it should be, such as 'an HDF5 file'.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # broken content makes readers raise nearly anything
        raise UserError('%r cannot be read as %s: %s.' % (path, kind, reason_of(error))) from error


def reason_of(error: Exception) -> str:
    """Say in part of one line what an error is about."""
    if isinstance(error, MemoryError):
        return 'it asks for more memory than there is'
    if isinstance(error, RecursionError):
        return 'it is nested too deeply'
    text = ' '.join(str(getattr(error, 'strerror', None) or error).split()).rstrip('.')
    return (text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + '...') or repr(error)


def check_not_same(source: str, target: str) -> None:
    """Raise UserError if an output would take the place of its own input."""
    paths = [os.path.expanduser(path) for path in (source, target)]
    if all(map(os.path.exists, paths)) and os.path.samefile(*paths):
        raise UserError('%r is both input and output; name another output.' % target)


@contextlib.contextmanager
def atomic_write(path: str, mode: str = 'wb') -> Iterator[IO]:
    """Open `path` for writing so that it appears complete or stays as it was.

    The body writes to a temporary file of the same folder, which takes the place of `path` when the
    body ends well and vanishes when it does not; `sweep` removes those of processes that were
    killed. Of a link, the file that it leads to is replaced.

    Args:
        path: file to write; its folder must exist.
        mode: 'wb' for bytes, 'w' for UTF-8 text, with escapes for what of a file's name is none.

    Raises:
        UserError: the file cannot be written (disk full, no permission, no such folder, ...), or
            something stands there that is no regular file.
    """
    path = os.path.realpath(os.fspath(path)) if os.path.islink(path) else os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        reason = 'Is a directory' if os.path.isdir(path) else 'it is no regular file'
        raise UserError('Cannot write %r: %s; choose another place.' % (path, reason))
    temp_path = temporary_path(path)
    try:
        try:
            with open(temp_path, mode.replace('w', 'x'), **({} if 'b' in mode else TEXT)) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temp_path, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(temp_path)
            raise
    except OSError as error:
        if error.errno is None or error.filename not in (None, temp_path):
            raise  # an error of the body, about some other file
        raise UserError(
            'Cannot write %r: %s; if the file existed before, it was left as it was. '
            'Free some space or choose a place you may write to.' % (path, os.strerror(error.errno))
        ) from error


# What follows is here for users' scripts of official StyleGAN2.


def list_dir_recursively_with_ignore(
    dir_path: str, ignores: Optional[Iterable[str]] = None, add_base_to_relative: bool = False
) -> List[Tuple[str, str]]:
    """List all files under a folder as (path, path relative to the folder), in a fixed order.

    Args:
        dir_path: folder to walk.
        ignores: fnmatch patterns; files and whole folders with such base names are left out.
        add_base_to_relative: start the relative paths with the base name of `dir_path`.
    """
    assert os.path.isdir(dir_path), dir_path
    patterns = list(ignores or [])
    prefix = os.path.basename(os.path.normpath(dir_path)) if add_base_to_relative else ''

    def wanted(names):
        return sorted(n for n in names if not any(fnmatch.fnmatch(n, p) for p in patterns))

    found = []
    for folder, subfolders, names in os.walk(dir_path):
        subfolders[:] = wanted(subfolders)
        for name in wanted(names):
            path = os.path.join(folder, name)
            found.append((path, os.path.join(prefix, os.path.relpath(path, dir_path))))
    return found


def copy_files_and_create_dirs(files: Iterable[Tuple[str, str]]) -> None:
    """Copy each (source, destination), making the folders of the destinations."""
    for source, destination in files:
        os.makedirs(os.path.dirname(destination) or '.', exist_ok=True)
        shutil.copyfile(source, destination)
