"""Files that appear whole or not at all, folder listings, and the error that users get to read.

`dnnlib.util` passes everything here on: write `dnnlib.util.UserError`, `dnnlib.util.atomic_write`.
"""

import contextlib
import fnmatch
import os
import shutil
from typing import IO, Iterable, Iterator, List, Optional, Tuple


class UserError(Exception):
    """A mistake that the user can mend, told in one line: what is wrong, value seen, what to do.

    Programs run through `dnnlib.cli.run_cli` print that line and end with exit status 2.
    """


@contextlib.contextmanager
def atomic_write(path: str, mode: str = 'wb') -> Iterator[IO]:
    """Open `path` for writing so that it appears complete or stays as it was.

    The body writes to a temporary file of the same folder, which takes the place of `path` when the
    body ends well and vanishes when it does not.

    Args:
        path: file to write; its folder must exist.
        mode: 'wb' for bytes, 'w' for UTF-8 text.

    Raises:
        UserError: the file cannot be written (disk full, no permission, no such folder, ...).
    """
    path = os.fspath(path)
    folder, name = os.path.split(path)
    temp_path = os.path.join(folder, '.%s.%d.tmp' % (name, os.getpid()))
    try:
        try:
            with open(temp_path, mode, encoding=None if 'b' in mode else 'utf-8') as file:
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
