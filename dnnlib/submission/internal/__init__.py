"""Where a submitted function is run; there is only one place, this process."""

from . import local

__all__ = ['local']
