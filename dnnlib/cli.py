"""What all command-line programs share: one-line errors, exit status, types of flags, submitting.

A program ends in `sys.exit(run_cli(main))`; its `main(argv=None)` parses by `dnnlib.flags`.
"""

import argparse
import contextlib
import difflib
import io
import json
import math
import os
import re
import shutil
import sys
from typing import Any, Callable, Iterator, List, NoReturn, Optional, Sequence, Tuple

import dnnlib

from . import endings, plain_data, program, quiet
from .files import UserError
from .names import plain_name

EXIT_USER_ERROR = 2

MAX_SEED = (1 << 32) - 1  # the largest that NumPy takes
MAX_OUTPUTS = 1000000  # of one command: images, frames, pairs
_LONGEST_MESSAGE = 1000  # characters; a value in it may have megabytes
_LONGEST_DESC = 150  # characters of a run's description, which is part of a file name


class ArgumentParser(argparse.ArgumentParser):
    """An argparse parser that raises UserError, one line, and takes no shortened flags."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault('allow_abbrev', False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise `message` as a UserError."""
        message = re.sub(r'^argument (\S+): is ', r'\1 is ', message)
        unknown = re.match(r'unrecognized arguments: (--[\w-]+)', message)
        near = unknown and difflib.get_close_matches(unknown.group(1), self._flags(), n=1)
        if near:
            message += '; did you mean %s?' % near[0]
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + '...'
        raise UserError('%s (see --help)' % message)

    def _flags(self):
        """All flags, those of sub-commands too."""
        parsers = [self]
        for action in self._actions:
            if isinstance(action.choices, dict):
                parsers += action.choices.values()
        return [flag for parser in parsers for flag in parser._option_string_actions]


def run_cli(main: Callable, argv: Optional[Sequence[str]] = None) -> int:
    """Run a program's main function and return its exit status.

    Args:
        main: called as `main(argv)`, or as `main()` without `argv`; may return an exit status.
        argv: arguments without the program's name; None leaves them to `main` (sys.argv).

    Returns:
        What `main` returned (0 for None); 2 after a UserError, or its `exit_status`, and where a
        package is missing, with a line on stderr; 130 after Ctrl-C, 143 after SIGTERM. Other
        exceptions are not caught.
    """
    texts = _printing_any_text('stdout'), _printing_any_text('stderr')
    with quiet.without_noise(), texts[0], texts[1], endings.handling():
        try:
            return (main() if argv is None else main(argv)) or 0
        except UserError as error:
            print('Error: %s' % ' '.join(str(error).splitlines()), file=sys.stderr)
            return getattr(error, 'exit_status', EXIT_USER_ERROR)
        except ModuleNotFoundError as error:
            missing = program.missing_package(error)
            if not missing:
                raise
            print('Error: ' + missing, file=sys.stderr)
            return EXIT_USER_ERROR
        except BaseException as error:
            ending = endings.ending_in(error)
            if ending is None:
                raise
            endings.say_last_words()
            print(endings.line_of(ending), file=sys.stderr)
            return endings.status_of(ending)


@contextlib.contextmanager
def _printing_any_text(name: str) -> Iterator[None]:
    """Show as \\xe9 or \\udce9 what a console cannot, such as names of files in LANG=C."""
    stream = getattr(sys, name)
    if not isinstance(stream, io.TextIOWrapper):  # of a notebook, for instance
        yield
        return
    stream.flush()
    # Python 3.6 cannot change the stream itself.
    errors = 'backslashreplace'
    wrapper = io.TextIOWrapper(stream.buffer, stream.encoding, errors, line_buffering=True)
    setattr(sys, name, wrapper)
    try:
        yield
    finally:
        setattr(sys, name, stream)
        with contextlib.suppress(OSError, ValueError):  # nobody listens any more
            wrapper.detach()


def str_to_bool(text: str) -> bool:
    """Flag type: yes/true/t/y/1 or no/false/f/n/0, in any case; a bool passes through."""
    if isinstance(text, bool):
        return text
    if text.lower() in ('yes', 'true', 't', 'y', '1'):
        return True
    if text.lower() in ('no', 'false', 'f', 'n', '0'):
        return False
    raise argparse.ArgumentTypeError('%r is neither yes/true/t/y/1 nor no/false/f/n/0' % text)


class number:
    """Flag type: a number from `low` to `high`, neither nan nor infinite.

    Args:
        kind: int or float. above: `low` itself is left out.
    """

    def __init__(self, kind: Callable, low: float, high: float, above: bool = False):
        self.__name__ = kind.__name__  # argparse names the type in 'invalid int value'
        self._kind = kind
        self._range = low, high, above

    def __call__(self, text: str) -> Any:
        value = self._kind(text)
        problem = self.problem(value, text)
        if problem:
            raise argparse.ArgumentTypeError(problem)
        return value

    def problem(self, value: float, text: str = '') -> str:
        """What is wrong with a value, as the user wrote it, '' if nothing is."""
        low, high, above = self._range
        if self._kind is int and isinstance(value, float) and not value.is_integer():
            return 'is %.40s; it must be a whole number' % (text or value)
        if low <= value <= high and not (above and value == low):  # nan is neither
            return ''
        least = 'greater than' if above else 'at least'
        return 'is %.40s; it must be %s %s and at most %s' % (text or value, least, low, high)


def any_text(text: str) -> str:
    """Flag type: a name or path, which cannot be empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError('is empty; give it a value or leave it out')
    if '\0' in text:
        raise argparse.ArgumentTypeError('%r has a NUL character' % text)
    return text


def parse_int_list(text: str) -> List[int]:
    """Flag type: numbers from 0 to MAX_SEED as a list with commas and ranges: '1,5,9', '0-3,7'."""
    numbers = []  # type: List[int]
    for part in text.split(','):
        first, dash, last = part.strip().partition('-')
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise argparse.ArgumentTypeError('%r is no list of numbers such as 1,5,9 or 0-3' % text)
        if max(len(first.lstrip('0')), len(last.lstrip('0'))) > len(str(MAX_SEED)):
            raise argparse.ArgumentTypeError('%.40s is more than %d' % (part.strip(), MAX_SEED))
        start, stop = int(first), int(last or first)
        if stop < start:
            raise argparse.ArgumentTypeError('the range %r runs backwards' % part.strip())
        if stop > MAX_SEED:
            raise argparse.ArgumentTypeError('%d is more than %d' % (stop, MAX_SEED))
        count = len(numbers) + stop - start + 1
        if count > MAX_OUTPUTS:
            problem = 'is %s, at least %d numbers; there may be %d' % (text, count, MAX_OUTPUTS)
            raise argparse.ArgumentTypeError(problem)
        numbers.extend(range(start, stop + 1))
    return numbers


def parse_name_list(text: str) -> List[str]:
    """Flag type: names as a list with commas; 'none' and the empty text give an empty list."""
    if text.strip().lower() in ('', 'none'):
        return []
    names = [name.strip() for name in text.split(',')]
    if not all(names):
        raise argparse.ArgumentTypeError('%r has an empty name between its commas' % text)
    return [any_text(name) for name in names]


def existing_dir(path: str) -> str:
    """Flag type: a folder that exists; a leading ~ is expanded."""
    expanded = os.path.expanduser(path)
    if not os.path.isdir(expanded):
        raise argparse.ArgumentTypeError('there is no folder %r' % expanded)
    return expanded


def check_writable_dir(path: str) -> None:
    """Raise UserError unless files can be made in a folder, or the folder itself can be made."""
    folder = existing_parent(path)
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
        raise UserError('cannot write to %s; choose a folder that you may write to' % path)


def check_space(
    folder: str, number: int, num_bytes: float, what: str = 'images', most: int = MAX_OUTPUTS
) -> None:
    """Raise UserError if outputs are more than `most`, or than a disk has free space for.

    Args:
        folder: where they will be; it need not exist yet. number, num_bytes: of all outputs.
        what: their name in the plural.
    """
    if number > most:
        raise UserError('these are %d %s; there may be %d at a time' % (number, what, most))
    folder = existing_parent(folder)
    total, _, free = shutil.disk_usage(folder)
    if num_bytes > free and total:  # some network disks tell nothing
        text = '%d %s need about %.3g GiB; %s has %.3g GiB free; make fewer, or choose another disk'
        raise UserError(text % (number, what, num_bytes / 2**30, folder, free / 2**30))


def existing_parent(path: str) -> str:
    """The folder itself, or the nearest one above it that exists."""
    folder = os.path.abspath(os.path.expanduser(path))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return folder


def parse_json(text: str) -> Any:
    """Plain data of JSON, see `plain_data.from_json`; ValueError if a number is not finite."""

    def finite(literal):
        if math.isfinite(float(literal)):
            return float(literal)
        raise ValueError('%s is no finite number' % literal)

    return plain_data.from_json(text, parse_float=finite, parse_constant=finite)


def setting(text: str) -> Tuple[str, Any]:
    """Flag type: PATH=VALUE, an option by its dotted name; a VALUE that is no JSON is text."""
    path, equals, value = text.partition('=')
    if not (equals and re.match(r'\w+(\.\w+)*$', path)):
        raise argparse.ArgumentTypeError('%r is not like D_loss_args.gamma=10' % text)
    try:
        return path, parse_json(value)
    except json.JSONDecodeError:
        return path, value
    except ValueError as error:
        raise argparse.ArgumentTypeError('%r: %s' % (text, error))


def submit(
    result_dir: str,
    run_desc: str,
    run_func_name: str,
    devices: int = 1,
    facts: Any = None,
    **run_func_kwargs: Any,
) -> None:
    """Run a function in a new folder of `result_dir`; see `submit_run`, `SubmitConfig`."""
    config = dnnlib.SubmitConfig()
    config.num_gpus = devices
    config.run_dir_root = dnnlib.submission.submit.get_template_from_path(result_dir)
    config.run_desc = plain_name(run_desc)[:_LONGEST_DESC]
    config.facts = facts
    dnnlib.submit_run(config, run_func_name, **run_func_kwargs)
