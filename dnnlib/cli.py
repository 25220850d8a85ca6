"""What all command-line programs share: one-line errors, exit status, types of flags.

A program ends in `sys.exit(run_cli(main))`; its `main(argv=None)` parses with `ArgumentParser`.
"""

import argparse
import os
import sys
from typing import Callable, List, Optional, Sequence

from .files import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


class ArgumentParser(argparse.ArgumentParser):
    """An argparse parser that raises UserError, one line, and takes no shortened flags."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault('allow_abbrev', False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> None:
        """Raise `message` as a UserError."""
        raise UserError('%s (see --help)' % message)


def run_cli(main: Callable, argv: Optional[Sequence[str]] = None) -> int:
    """Run a program's main function and return its exit status.

    Args:
        main: called as `main(argv)`, or as `main()` without `argv`; may return an exit status.
        argv: arguments without the program's name; None leaves them to `main` (sys.argv).

    Returns:
        What `main` returned (0 for None); 2 after a UserError, whose line goes to stderr; 130 after
        Ctrl-C. Other exceptions are not caught.
    """
    try:
        return (main() if argv is None else main(argv)) or 0
    except UserError as error:
        print('Error: %s' % ' '.join(str(error).split('\n')), file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print('Interrupted.', file=sys.stderr)
        return EXIT_INTERRUPTED


def str_to_bool(text: str) -> bool:
    """Flag type: yes/true/t/y/1 or no/false/f/n/0, in any case; a bool passes through."""
    if isinstance(text, bool):
        return text
    if text.lower() in ('yes', 'true', 't', 'y', '1'):
        return True
    if text.lower() in ('no', 'false', 'f', 'n', '0'):
        return False
    raise argparse.ArgumentTypeError('%r is neither yes/true/t/y/1 nor no/false/f/n/0' % text)


def parse_int_list(text: str) -> List[int]:
    """Flag type: non-negative integers as a list with commas, '1,5,9', ranges included: '0-3,7'."""
    numbers = []
    for part in text.split(','):
        first, dash, last = part.strip().partition('-')
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise argparse.ArgumentTypeError('%r is no list of numbers such as 1,5,9 or 0-3' % text)
        start, stop = int(first), int(last or first)
        if stop < start:
            raise argparse.ArgumentTypeError('the range %r runs backwards' % part.strip())
        numbers.extend(range(start, stop + 1))
    return numbers


def parse_name_list(text: str) -> List[str]:
    """Flag type: names as a list with commas; 'none' and the empty text give an empty list."""
    if text.strip().lower() in ('', 'none'):
        return []
    names = [name.strip() for name in text.split(',')]
    if not all(names):
        raise argparse.ArgumentTypeError('%r has an empty name between its commas' % text)
    return names


def existing_dir(path: str) -> str:
    """Flag type: a folder that exists; a leading ~ is expanded."""
    expanded = os.path.expanduser(path)
    if not os.path.isdir(expanded):
        raise argparse.ArgumentTypeError('there is no folder %r' % expanded)
    return expanded


def check_writable_dir(path: str) -> None:
    """Raise UserError unless files can be made in a folder, or the folder itself can be made."""
    folder = os.path.abspath(os.path.expanduser(path))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
        raise UserError('cannot write to %s; choose a folder that you may write to' % path)
