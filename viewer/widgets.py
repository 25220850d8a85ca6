"""What the parts of the page share: messages in place of errors, places for commands."""

import functools
import inspect
import traceback
from typing import Any, Callable, Dict, Optional

import gradio as gr

from dnnlib.util import UserError

PRIVATE: Dict[str, Any] = dict(api_visibility='private')
QUIET: Dict[str, Any] = dict(PRIVATE, show_progress='hidden')
SHOWN: Dict[str, Any] = dict(buttons=['download', 'fullscreen'], interactive=False)


def told(function: Callable) -> Callable:
    """An event handler whose errors are messages in the page."""

    def as_message(error):
        if isinstance(error, UserError):
            return gr.Error(str(error), duration=None, print_exception=False)
        traceback.print_exception(type(error), error, error.__traceback__)
        text = 'an error of the viewer (%s: %s); more is in its console'
        return gr.Error(text % (type(error).__name__, error), duration=None, print_exception=False)

    @functools.wraps(function)
    def handler(*args):
        try:
            return function(*args)
        except Exception as error:
            raise as_message(error)

    @functools.wraps(function)
    def generator(*args):
        try:
            yield from function(*args)
        except Exception as error:
            raise as_message(error)

    return generator if inspect.isgeneratorfunction(function) else handler


def whole(value: Optional[float], what: str) -> int:
    """A whole number of a field; UserError if it is empty or is none."""
    if value is None or value != int(value):
        raise UserError('%s must be a whole number' % what)
    return int(value)


def command_box(label: str = 'Command that makes it again') -> gr.Textbox:
    """A place for a command line."""
    options = dict(elem_classes='command', buttons=['copy'], interactive=False)
    return gr.Textbox(label=label, lines=2, max_lines=6, **options)
