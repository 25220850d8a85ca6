"""Small helpers that every other module may use; names and behaviour of StyleGAN2's dnnlib.util.

The larger ones live in files of their own and are passed on here.
"""

import ctypes
import io
import pickle
from typing import Any, Iterable, Tuple

import numpy as np

from .download import is_url, open_url
from .files import (
    TEXT,
    UserError,
    atomic_write,
    check_not_same,
    copy_files_and_create_dirs,
    list_dir_recursively_with_ignore,
    open_regular,
    reading,
    reason_of,
)
from .logger import Logger
from .names import (
    call_func_by_name,
    get_module_dir_by_obj_name,
    get_module_from_obj_name,
    get_obj_by_name,
    get_obj_from_module,
    get_top_level_function_name,
    is_top_level_function,
)


class EasyDict(dict):
    """A dict whose items can also be read, set and deleted as attributes.

    Reading a missing attribute raises AttributeError, deleting one KeyError.
    """

    __delattr__ = dict.__delitem__

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def format_time(seconds: float) -> str:
    """Write a duration with its two or three largest units: 59s, 1m 00s, 1h 00m 00s, 1d 01h 01m."""
    minutes, s = divmod(int(round(float(seconds))), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return '%dd %02dh %02dm' % (days, h, m)
    if hours:
        return '%dh %02dm %02ds' % (h, m, s)
    if minutes:
        return '%dm %02ds' % (m, s)
    return '%ds' % s


def is_pickleable(obj: Any) -> bool:
    """Whether `obj` can be pickled."""
    try:
        pickle.dump(obj, io.BytesIO())
        return True
    except Exception:  # classes may raise anything from their hooks
        return False


# What follows is here for users' scripts of official StyleGAN2.

_YES = ('y', 'yes', 't', 'true', 'on', '1')
_NO = ('n', 'no', 'f', 'false', 'off', '0')

_INTEGERS = [sign + 'int%d' % bits for sign in ('u', '') for bits in (8, 16, 32, 64)]
_CTYPES = {name: getattr(ctypes, 'c_' + name) for name in _INTEGERS}
_CTYPES.update(float32=ctypes.c_float, float64=ctypes.c_double)


def ask_yes_no(question: str) -> int:
    """Ask on the console until the answer is yes (1) or no (0), in any usual spelling."""
    while True:
        answer = input('%s [y/n]\n' % question).strip().lower()
        if answer in _YES + _NO:
            return int(answer in _YES)


def tuple_product(t: Iterable) -> Any:
    """Product of all elements, 1 for none."""
    product = 1
    for factor in t:
        product *= factor
    return product


def get_dtype_and_ctype(type_obj: Any) -> Tuple[np.dtype, Any]:
    """Find the NumPy and the ctypes type of a number type.

    Args:
        type_obj: (u)int8 to (u)int64, float32 or float64, as text or as a NumPy or TensorFlow type.

    Raises:
        RuntimeError: `type_obj` has no name.
    """
    name = type_obj
    for attribute in ('__name__', 'name'):
        if not isinstance(name, str):
            name = getattr(type_obj, attribute, None)
    if not isinstance(name, str):
        raise RuntimeError('Cannot tell the name of the type %r' % (type_obj,))
    assert name in _CTYPES, name
    return np.dtype(name), _CTYPES[name]
