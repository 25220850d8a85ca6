"""Completion of flags, values and paths in shells: `--print-completion bash`, made by shtab."""

import argparse

from . import program

SHELLS = ['bash', 'zsh', 'tcsh']
_PATHS = {'DIR': 'DIRECTORY', 'FILE': 'FILE', 'PKL': 'FILE', 'RUN': 'DIRECTORY'}  # by metavar


class PrintCompletion(argparse.Action):
    """Print the script that completes the console command of a program, and end.

    It is for the console command, since shells do not complete what follows `python`.
    """

    def __call__(self, parser, namespace, values, option_string=None):
        """Called where the flag stands; `values` is one of SHELLS."""
        import shtab

        parser.prog = program.COMMANDS.get(parser.prog, parser.prog)
        _mark_paths(parser, shtab)
        print(shtab.complete(parser, values))
        parser.exit()


def _mark_paths(parser, shtab):
    """Tell shtab which values are paths: those of some metavars, and what stands without a flag."""
    for action in parser._actions:
        if isinstance(action.choices, dict):  # sub-commands
            for command in action.choices.values():
                _mark_paths(command, shtab)
        elif action.metavar in _PATHS:
            action.complete = getattr(shtab, _PATHS[action.metavar])
        elif not action.option_strings and not action.choices:
            action.complete = shtab.FILE
