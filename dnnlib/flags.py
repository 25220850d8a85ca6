"""Flags and sub-commands as data, their parser, and the flags that several programs share.

TensorFlow is not imported.
"""

import argparse
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import dnnlib

from . import completion, program
from .cli import MAX_SEED, ArgumentParser, any_text, existing_dir, number, parse_int_list
from .files import UserError
from .names import get_obj_by_name


class Flag(NamedTuple):
    """A flag or positional argument; see `flag`."""

    name: str
    group: str  # what it stands under in --help
    settings: Dict[str, Any]  # of argparse's add_argument

    @property
    def dest(self) -> str:
        """Name of its value."""
        return self.settings.get('dest') or self.name.lstrip('-').replace('-', '_')


class Command(NamedTuple):
    """A sub-command; each program says what function and check are called with.

    Both may be dotted names, which are imported by `loaded`, when the flags have been checked.
    """

    name: str
    function: Union[str, Callable]
    summary: str
    flags: List[Flag]
    example: str  # its arguments
    check: Union[str, Callable, None] = None  # finds what would stop the function

    def loaded(self) -> Tuple[Callable, Optional[Callable]]:
        """Function and check themselves."""
        function, check = self.function, self.check
        function = get_obj_by_name(function) if isinstance(function, str) else function
        return function, get_obj_by_name(check) if isinstance(check, str) else check


# By the name of the type.
_METAVARS = dict(int='N', float='X', str_to_bool='BOOL', existing_dir='DIR', setting='PATH=VALUE')
_METAVARS.update(parse_int_list='LIST', parse_name_list='LIST')


def flag(name: str, kind: Any, help: str, default: Any = None, **settings: Any) -> Flag:
    """A flag, or a positional argument if the name does not begin with a dash.

    Args:
        kind: bool: a flag without a value. A list: the values to choose from. Text: what to call a
            value that is any text but an empty one, such as 'DIR'. Else a type such as those of
            `dnnlib.cli`.
        help: the default is added if it is not told here.
        settings: of argparse's add_argument.
    """
    if kind is bool:
        settings['action'] = 'store_true'
    elif isinstance(kind, (list, tuple)):
        settings['choices'] = list(kind)
    elif isinstance(kind, str):
        settings.update(metavar=kind, type=any_text)
    else:
        settings['type'] = any_text if kind is str else kind
        if name.startswith('-'):
            settings.setdefault('metavar', _METAVARS.get(kind.__name__))
    if default is not None:
        settings['default'] = default
    return Flag(name, 'arguments', dict(settings, help=help))


def group(title: str, *flags: Flag) -> List[Flag]:
    """Flags that stand together in --help."""
    return [each._replace(group=title) for each in flags]


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wraps the help of flags and adds their defaults; examples stay as they are."""

    def _get_help_string(self, action):
        told = action.default is None or action.nargs == 0 or '(default' in action.help
        return action.help + ('' if told else ' (default: %(default)s)')


def _add(parser, flags):
    groups = {}  # type: Dict[str, Any]
    for each in flags:
        if each.group not in groups:
            groups[each.group] = parser.add_argument_group(each.group)
        groups[each.group].add_argument(each.name, **each.settings)


def _parser(prog, description, examples, more):
    lines = ['examples:'] if examples else []
    command = program.how_to_run(prog)
    lines += ['  # %s\n  %s %s' % (text, command, line) for text, line in examples]
    epilog = '\n'.join(lines) + more + '\n '
    prog = command.split()[-1]
    parser = ArgumentParser(prog, description=description, epilog=epilog, formatter_class=_Help)
    parser.add_argument('--version', action='version', version='%(prog)s ' + dnnlib.full_version())
    parser.add_argument(
        '--print-completion',
        action=completion.PrintCompletion,
        choices=completion.SHELLS,
        dest=argparse.SUPPRESS,
        help='print a script that completes the console command %s'
        % program.COMMANDS.get(prog, prog),
    )
    return parser


def parse(
    prog: str,
    description: str,
    flags: Sequence[Flag],
    argv: Optional[Sequence[str]],
    examples: Sequence[Tuple[str, str]] = (),
    more: str = '',
) -> argparse.Namespace:
    """Parse the command line of a program without sub-commands.

    Args:
        examples: (comment, arguments) of commands for --help. more: what --help ends with.
    """
    parser = _parser(prog, description, examples, more)
    _add(parser, flags)
    return parser.parse_args(argv)


def parse_command(
    prog: str,
    description: str,
    commands: Sequence[Command],
    argv: Optional[Sequence[str]],
    more: str = '',
) -> Tuple[Command, Dict[str, Any]]:
    """Parse the command line of a program with sub-commands.

    Returns: (the sub-command, values of its flags by name).
    """
    examples = [(each.summary, '%s %s' % (each.name, each.example)) for each in commands]
    parser = _parser(prog, description, examples, more)
    choices = parser.add_subparsers(metavar='<command>', title='commands')
    for each in commands:
        command = choices.add_parser(
            each.name,
            help=each.summary,
            description=each.summary,
            epilog='example:\n  %s %s %s' % (program.how_to_run(prog), each.name, each.example),
            formatter_class=_Help,
        )
        command.set_defaults(command=each)
        _add(command, each.flags)
    options = vars(parser.parse_args(argv))
    if 'command' not in options:
        names = ', '.join(each.name for each in commands)
        raise UserError('missing sub-command; choose from %s (see --help)' % names)
    return options.pop('command'), options


def table(title: str, summaries: Dict[str, str]) -> str:
    """Lines of names with a line of explanation each, for the end of --help."""
    width = max(map(len, summaries))
    return '\n\n%s:\n' % title + '\n'.join('  %-*s  %s' % (width, *p) for p in summaries.items())


RESULT_DIR = flag('--result-dir', 'DIR', 'folder of all runs', 'results')
REQUIRE_NATIVE_OPS = flag(
    '--require-native-ops', bool, 'end with an error if ops cannot be compiled'
)
NUM_GPUS = flag('--num-gpus', number(int, 1, 64), 'number of devices', 1)
MINIBATCH_SIZE = flag('--minibatch-size', number(int, 1, 1 << 20), 'images at a time', 4)
TRUST_NETWORK_CODE = flag(
    '--trust-network-code', bool, 'run code that is in the network file, if you trust its source'
)

_INDEX = number(int, 0, 1 << 20)
CLASS = flag('--class', _INDEX, 'class of all images (networks of --cond)', dest='class_index')
FEATURE_NETS = flag(
    '--feature-nets',
    existing_dir,
    'folder of pretrained networks that look at images, for machines without internet; code in '
    'their files runs (default: $STYLEGAN2_FEATURE_NETS)',
    dest='feature_nets_dir',
)
CACHE_DIR = flag(
    '--cache-dir',
    'DIR',
    'folder of downloads and of what was found of real images (default: $STYLEGAN2_CACHE_DIR, or '
    '~/.cache/stylegan2)',
)
RUN_DATASET = flag('--dataset', 'NAME', "data set in --data-dir (default: the run's)")
RUN_DATA_DIR = flag('--data-dir', 'DIR', "folder of data sets (default: the run's, or datasets)")

PRECISIONS = ('float32', 'tf32', 'mixed')  # of runs, see `dnnlib.tflib.precision`
NETWORK_PRECISIONS = ('float32', 'mixed')

SCALE = flag(
    '--scale',
    number(int, 1, 64),
    'times that pixels are enlarged (default: so that small images are seen well; 1 for files of '
    'one image)',
)
FIGURE = [  # flags of all that writes a figure
    flag('--format', ['png', 'pdf', 'svg'], 'format of the file', 'png'),
    flag('--dpi', number(int, 20, 1200), 'pixels an inch of a figure', 100),
]


def seed(help: str, default: Any) -> Flag:
    """The seed of all that is random."""
    return flag('--seed', number(int, 0, MAX_SEED), help, default)


def seeds(default: Optional[str], help: str = 'seeds of the images', name: str = '--seeds') -> Flag:
    """Seeds of images; without a default they must be given."""
    return flag(name, parse_int_list, help + ', such as 0-9 or 1,5', default, required=not default)


def network(snapshots: str = 'its last snapshot') -> Flag:
    """The network; what the folder of a run stands for."""
    help = 'network pickle, URL, published network, or a run (its folder or number), for %s '
    return flag('--network', 'PKL', help % snapshots + '(default: last snapshot of the newest run)')


def truncation_psi(default: float) -> Flag:
    """Strength of truncation."""
    kind = number(float, -100, 100)
    return flag('--truncation-psi', kind, 'strength of truncation, 1 for none', default)
