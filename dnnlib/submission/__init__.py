"""Running a function in a numbered folder of its own, with its configuration and log beside it."""

from . import run_context, submit

__all__ = ['run_context', 'submit']
