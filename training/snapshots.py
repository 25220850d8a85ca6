"""The network pickles that a training run leaves in its folder."""

import contextlib
import os
from typing import Any, List, Optional

from dnnlib import cli
from dnnlib.disk_errors import until_written
from dnnlib.hints import next_command
from dnnlib.tflib import engine
from dnnlib.util import UserError, reason_of
from training import misc, runs
from training.runs import FINAL


class Snapshots:
    """The network pickles of a run.

    Args:
        run_dir: folder of the run.
        keep: how many snapshots are kept, beside the final and the best network; None: all.
        best: `metrics.best.Best`, which finds the best network; None: none is kept.

    Attributes:
        last: path of the last one that was written.
        oldest_state_kimg: thousands of images at the oldest state that the run may go back to; None
            if there is no state.
    """

    def __init__(self, run_dir: str, keep: Optional[int] = None, best: Any = None):
        self._run_dir = run_dir
        self._keep = keep and int(keep)  # JSON may have 2.0
        self._best = best
        self._written: List[str] = []
        self.last: Optional[str] = None
        self.oldest_state_kimg: Optional[float] = None

    def check_disk(self, networks, number: int) -> None:
        """Raise UserError if the disk does not hold two of `number` snapshots, warn if not all."""
        if self._keep is not None:
            number = min(number, self._keep + 3)  # the final, the best, and the one being written
        numbers = sum(var.shape.num_elements() for net in networks for var in net.vars.values())
        cli.check_space(self._run_dir, min(number, 2), min(number, 2) * 4 * numbers, 'snapshots')
        try:
            cli.check_space(self._run_dir, number, number * 4 * numbers, 'snapshots')
        except UserError as error:
            print('Warning: %s' % error)

    def save(self, networks, filename: str) -> str:
        """Write networks, once the disk takes them; returns the path."""
        path = os.path.join(self._run_dir, filename)
        until_written(filename, lambda: misc.save_pkl(networks, path))
        self.last = path
        if filename != FINAL:
            self._written = [name for name in self._written if name != filename] + [filename]
        return path

    def remove_final(self) -> None:
        """Remove the final networks of a run that has become longer."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path(FINAL))

    def settle(self) -> None:
        """After the metrics of a snapshot: name a new best network, and remove old snapshots.

        What cannot be written or removed is a warning; the next call tries again.
        """
        try:
            line = self._best and self._best.update(self.oldest_state_kimg is not None)
            if line:
                print(line)
            self._remove_old()
        except (OSError, UserError) as error:
            print('Warning: the best or old snapshots are not up to date: %s' % reason_of(error))

    def state(self) -> dict:
        """What `restore` needs, as JSON."""
        return dict(written=list(self._written))

    def restore(self, state: dict) -> None:
        """Go back to a state, once the files of metrics have been cut back to it.

        The best network is again the one that it was then. Snapshots that were removed since stay
        removed, and those that were written since stay, to be written again.
        """
        # From a file: nothing but snapshots is ever removed.
        self._written = [name for name in state['written'] if runs.is_snapshot(name)]
        there = [name for name in self._written if os.path.exists(self._path(name))]
        self.last = self._path(there[-1]) if there else None
        self.settle()

    def _remove_old(self):
        if self._keep is None:
            return
        needed = set()
        if self._best is not None and self.oldest_state_kimg is not None:
            needed = self._best.needed(self.oldest_state_kimg)
        for name in self._written[: -self._keep]:
            if name not in needed:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(self._path(name))

    def next_commands(self) -> List[str]:
        """Lines with commands for the networks of this run."""
        network = '--network=%s' % self.last
        few = [] if engine.gpu_devices() else ['--num-samples=1000']
        return [
            next_command('run_generator.py', 'generate-images', '--seeds=0-9', network),
            next_command('run_metrics.py', '--metrics=all-local', *few, network),
        ]

    def describe(self) -> str:
        """Where the last one is."""
        return 'last snapshot: %s' % self.last if self.last else 'there is no snapshot yet'

    def _path(self, name):
        return os.path.join(self._run_dir, name)
