"""What a running function knows about its run: how long it lasts and whether it should stop."""

import datetime
import os
import pprint
import time
from typing import Any, Optional

import dnnlib

from ..disk_errors import Expendable
from ..files import atomic_write


class RunContext:
    """Clock and stop signal of the run in this process; use `RunContext.get()` to reach it.

    Describes the run in `run.txt` of the run folder: host, task and start time, and the stop time
    once closed. The user stops a run early by making a file `abort.txt` there.

    Args:
        submit_config: configuration of the run.
        config_module: printed; has no other meaning.
    """

    _alive: 'Optional[RunContext]' = None

    def __init__(self, submit_config: 'Optional[dnnlib.SubmitConfig]', config_module: Any = None):
        assert RunContext._alive is None, 'there is a RunContext already'
        assert submit_config is not None, 'a RunContext needs a submitted run'
        if config_module is not None:
            print('RunContext: config_module %r is not used' % (config_module,))
        self._run_dir = submit_config.run_dir
        self._start_time = time.time()
        self._last_update_time = self._start_time
        self._last_update_interval = 0.0
        self._stop = False
        self._disk = Expendable('run.txt')
        self._description = {name: submit_config[name] for name in ('host_name', 'task_name')}
        self._description['start_time'] = _local_time()
        self._write_description()
        RunContext._alive = self

    @staticmethod
    def get() -> 'RunContext':
        """The open context; opens one for the active run if there is none."""
        return RunContext._alive or RunContext(dnnlib.submit_config)

    def update(
        self, loss: float = 0, cur_epoch: float = 0, max_epoch: Optional[float] = None
    ) -> None:
        """Note that the run makes progress and look for `abort.txt`; no argument is used."""
        assert RunContext._alive is self, 'this RunContext is closed'
        now = time.time()
        self._last_update_interval = now - self._last_update_time
        self._last_update_time = now
        self._stop = self._stop or os.path.isfile(os.path.join(self._run_dir, 'abort.txt'))

    def should_stop(self) -> bool:
        """Whether the user has asked to stop, as of the last update."""
        return self._stop

    def get_time_since_start(self) -> float:
        """Seconds since the context was opened."""
        return time.time() - self._start_time

    def close(self) -> None:
        """Note the stop time and let another run open a context; a second call does nothing."""
        if RunContext._alive is self:
            RunContext._alive = None
            self._description['stop_time'] = _local_time()
            self._write_description()

    # The next two are here for users' scripts of official StyleGAN2.

    def get_time_since_last_update(self) -> float:
        """Seconds since the last `update()`."""
        return time.time() - self._last_update_time

    def get_last_update_interval(self) -> float:
        """Seconds between the last two updates; 0 before the first."""
        return self._last_update_interval

    def _write_description(self):
        path = os.path.join(self._run_dir, 'run.txt')
        with self._disk.writing(), atomic_write(path, 'w') as file:
            pprint.pprint(self._description, stream=file)


def _local_time():
    return datetime.datetime.now().isoformat(' ')
