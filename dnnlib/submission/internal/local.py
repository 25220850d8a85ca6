"""Runs a submitted function in this process."""

import contextlib
import functools
import inspect
import os
import time
import traceback
from typing import Any

import dnnlib

from ... import endings
from ...disk_errors import until_written
from ...files import UserError, atomic_write
from ...logger import Logger
from ...names import get_obj_by_name
from ...util import format_time
from ..run_context import RunContext

FINISHED = '_finished.txt'


class TargetOptions:
    """Options of local runs. The attribute is there for old scripts: no source is ever copied."""

    def __init__(self):
        self.do_not_copy_source_files = True


def run(submit_config: 'dnnlib.SubmitConfig', is_resumed: bool = False) -> Any:
    """Call the function that the configuration names and return its result.

    What it prints also goes into `log.txt` of the run folder. `_finished.txt` appears there if the
    function ends by itself, neither failed nor stopped by `abort.txt`. Exceptions pass through
    after their traceback (for a UserError: its line) has been added to the log, which goes on where
    the run is resumed.
    """
    path = os.path.join(submit_config.run_dir, 'log.txt')
    return _logged(path, 'a' if is_resumed else 'w', _run_logged, submit_config)


def follow(submit_config: 'dnnlib.SubmitConfig', index: int) -> Any:
    """Call the function as worker `index`, which is not the chief, and return its result.

    What it prints also goes into `log-worker<index>.txt` of the run folder, if that is on a disk of
    this machine; nothing else is written.
    """
    path = os.path.join(submit_config.run_dir, 'log-worker%d.txt' % index)
    has_folder = os.path.isdir(submit_config.run_dir)
    return _logged(path if has_folder else None, 'a', _call, submit_config)


def _logged(path, mode, call, submit_config):
    dnnlib.submit_config = submit_config
    try:
        with Logger(path, mode) as logger:
            try:
                return call(submit_config)
            except BaseException as error:
                logger.write_last_words(_last_words(error))
                raise
    finally:
        dnnlib.submit_config = None


def _run_logged(submit_config):
    name = submit_config.run_func_name
    print('dnnlib: Running %s() on %s...' % (name, submit_config.host_name))
    start_time = time.time()
    try:
        result = _call(submit_config)
    except BaseException:
        with contextlib.suppress(UserError):  # the error at hand matters more
            RunContext.get().close()
        raise
    context = RunContext.get()
    context.close()

    duration = format_time(time.time() - start_time)
    if context.should_stop():
        print('dnnlib: Stopped %s() by abort.txt after %s.' % (name, duration))
    else:
        print('dnnlib: Finished %s() in %s.' % (name, duration))
        until_written(FINISHED, functools.partial(_make_empty, submit_config.run_dir))
    return result


def _make_empty(run_dir):
    with atomic_write(os.path.join(run_dir, FINISHED)):
        pass


def _call(submit_config):
    """Call the function, with `submit_config=` where it has such a parameter."""
    func = get_obj_by_name(submit_config.run_func_name)
    kwargs = dict(submit_config.run_func_kwargs)
    if 'submit_config' in inspect.signature(func).parameters:
        kwargs['submit_config'] = submit_config
    return func(**kwargs)


def _last_words(error):
    """How a failed run's log ends."""
    if isinstance(error, UserError):
        return 'Error: %s\n' % error
    ending = endings.ending_in(error)
    if ending is not None:
        return endings.line_of(ending) + '\n'
    return traceback.format_exc()
