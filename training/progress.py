"""What a user sees of training: lines of ticks, progress bars, stats.jsonl and TensorBoard."""

import base64
import functools
import math
import os
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import psutil

from dnnlib import records, util
from dnnlib.bars import Bar
from dnnlib.disk_errors import Expendable
from dnnlib.growing_file import GrowingFile
from dnnlib.tflib import engine, tfutil
from dnnlib.tflib.autosummary import (
    autosummary,
    collect,
    save_summaries,
    write_picture,
    write_scalars,
)
from training import misc, validation
from training.augmentation.adaptation import R_V
from training.event_file import EventFile
from training.symptoms import Symptoms
from training.tick_lines import Tick, TickLines

_TENSORBOARD_PIXELS = 1024  # a side; event files of long runs hold thousands of pictures


class Progress:
    """Reports ticks of a run in its folder; every figure is an autosummary, named once.

    Args:
        run_dir: folder for stats.jsonl and the TensorBoard event file.
        start_nimg, total_nimg: images seen before the first tick and at the end.
        resume_time: seconds of earlier runs, added to the total.
        snapshot_ticks: ticks between snapshots, for the time left; None: there are none.
        symptoms: what looks at the figures of each tick; None: nothing does.
    """

    def __init__(
        self,
        run_dir: str,
        start_nimg: int,
        total_nimg: int,
        resume_time: float = 0.0,
        snapshot_ticks: Optional[int] = None,
        symptoms: Optional[Symptoms] = None,
    ):
        self._run_dir = run_dir
        self._total_nimg = total_nimg
        self._resume_time = resume_time
        self._stats: Dict[str, Any] = {}  # of the last tick
        self._lines_file = GrowingFile(os.path.join(run_dir, 'stats.jsonl'), 'stats.jsonl')
        self.writer = EventFile(run_dir)
        self._pictures = Expendable('pictures')
        self._peak_memory = engine.peak_gpu_memory(engine.device(0))
        self._start_time = self._tick_time = self._last_time = self._update_time = time.time()
        self._tick_nimg = start_nimg
        self._snapshot_ticks = snapshot_ticks
        self._snapshot_seconds: List[float] = []
        self._tick, self._tick_images = -1, 1  # the last one that ended
        # Without maintenance and the first iteration, which includes the engine's warm-up.
        self._training_seconds, self._training_images = 0.0, 0
        self._is_warm = False
        self._lines = TickLines()
        self._symptoms = symptoms
        self._bar: Optional[Bar] = None
        self._is_in_tick = False

    def state(self) -> Dict[str, Any]:
        """What a run that is resumed goes on from, in its figures too, as plain data."""
        self.writer.flush()
        self._lines_file.retry()
        waiting = [self._lines_file.waiting, self.writer.waiting]
        now = time.time()
        return dict(
            tick=self._tick,
            tick_images=self._tick_images,
            tick_nimg=self._tick_nimg,
            is_in_tick=self._is_in_tick,
            tick_seconds=now - self._tick_time,
            maintenance_seconds=self._tick_time - self._last_time,
            total_seconds=now - self._start_time + self._resume_time,
            training_seconds=self._training_seconds,
            training_images=self._training_images,
            snapshot_seconds=self._snapshot_seconds,
            symptoms=self._symptoms and self._symptoms.state(),
            waiting=[base64.b64encode(pieces).decode('ascii') for pieces in waiting],
        )

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a state."""
        now = time.time()
        self._resume_time = state['total_seconds']
        self._start_time = self._update_time = now
        self._tick_time = now - state['tick_seconds']
        self._last_time = self._tick_time - state['maintenance_seconds']
        for name in (
            'tick tick_images tick_nimg is_in_tick '
            'training_seconds training_images snapshot_seconds'
        ).split():
            setattr(self, '_' + name, state[name])
        if self._symptoms:
            self._symptoms.restore(state['symptoms'])
        lines, records = map(base64.b64decode, state['waiting'])
        if lines:
            self._lines_file.append(lines)
        if records:
            self.writer.add_records(records)

    def ensure_tick(self, cur_nimg: int, tick_kimg: float) -> int:
        """Start a tick, with a bar, if none is running; returns its last image."""
        tick_nimg = int(tick_kimg * 1000)
        if not self._is_in_tick:
            self._is_in_tick = True
            self._tick_nimg = cur_nimg
            self._tick_time = self._update_time = time.time()
            if self._is_snapshot(self._tick):
                self._snapshot_seconds.append(self._tick_time - self._last_time)
        if self._bar is None:
            end = self._tick_nimg + tick_nimg
            title = 'tick %d' % (self._tick + 1)
            left_after = functools.partial(self._seconds_left, end)
            done = min(cur_nimg - self._tick_nimg, tick_nimg)
            self._bar = Bar(title, tick_nimg, ' img', done, left_after)
        return self._tick_nimg + tick_nimg

    def update(self, num_images: int) -> None:
        """Count images of the current tick."""
        assert self._bar is not None, 'ensure_tick comes first'
        now = time.time()
        if self._is_warm:
            self._training_seconds += now - self._update_time
            self._training_images += num_images
        self._update_time, self._is_warm = now, True
        self._bar.update(min(num_images, self._bar.total - self._bar.done))  # a few may be too many

    def _is_snapshot(self, tick):
        return bool(self._snapshot_ticks) and tick >= 0 and tick % self._snapshot_ticks == 0

    def _seconds_left(self, cur_nimg):
        """From an image to the end, with snapshots, as measured so far; None: nothing is known."""
        images = max(self._total_nimg - cur_nimg, 0)
        if not self._training_images:
            return None if images else 0.0
        left = images * self._training_seconds / self._training_images
        if self._snapshot_seconds:
            ticks = math.ceil(images / self._tick_images)
            snapshots = sum(map(self._is_snapshot, range(self._tick + 1, self._tick + ticks)))
            left += (snapshots + 1) * float(
                np.mean(self._snapshot_seconds)
            )  # the last tick has one
        return left

    def close_bar(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def end_tick(
        self,
        tick: int,
        cur_nimg: int,
        sched: util.EasyDict,
        skipped_steps: int,
        examine: Callable[[int], Optional[str]],
    ) -> None:
        """Print the line of a tick and write its figures to all logs.

        Maintenance is the time between the end of the last tick and the start of this one.

        Args:
            examine: given skipped_steps, adds autosummaries and returns what is wrong, in one line.
        """
        self.close_bar()
        self._is_in_tick = False
        now = time.time()
        maintenance_seconds = self._tick_time - self._last_time
        self._last_time = now
        seconds, images = now - self._tick_time, cur_nimg - self._tick_nimg
        total_seconds = now - self._start_time + self._resume_time
        rate = images / max(seconds, 1e-9)
        self._tick, self._tick_images = tick, max(int(sched.tick_kimg * 1000), 1)

        problem = examine(skipped_steps)
        autosummary('Progress/tick', tick)
        autosummary('Progress/kimg', cur_nimg / 1000.0)
        autosummary('Progress/lod', sched.lod)
        autosummary('Progress/minibatch', sched.minibatch_size)
        autosummary('Progress/skipped_steps', skipped_steps)
        autosummary('Timing/total_sec', total_seconds)
        autosummary('Timing/total_hours', total_seconds / 3600.0)
        autosummary('Timing/total_days', total_seconds / 86400.0)
        autosummary('Timing/sec_per_tick', seconds)
        if images:
            autosummary('Timing/sec_per_kimg', seconds / images * 1000.0)
            autosummary('Timing/img_per_sec', rate)
        autosummary('Timing/maintenance_sec', maintenance_seconds)
        autosummary('Resources/process_mem_gb', psutil.Process().memory_info().rss / 2**30)
        autosummary('Resources/peak_gpu_mem_gb', tfutil.run(self._peak_memory) / 2**30)
        stats = save_summaries(self.writer, cur_nimg)
        r_v = validation.r_v(stats)
        if r_v is not None:
            stats[R_V] = r_v
            write_scalars(self.writer, {R_V: r_v}, cur_nimg)
        self._stats = dict(stats, timestamp=now)
        self._lines_file.append(self._stats_line())
        share = min(cur_nimg / max(self._total_nimg, 1), 1.0)
        print('\n'.join(self._lines.lines(Tick(stats, share, self._seconds_left(cur_nimg)))))
        if problem:
            print(problem)
        for line in self._symptoms.lines(self._stats) if self._symptoms else []:
            print(line)

    def add_to_tick(self, cur_nimg: int) -> None:
        """Add the autosummaries since the last tick ended to its figures: metrics of its snapshot.

        They take long, so the tick's line is written before them, and again with them.
        """
        figures = collect()
        write_scalars(self.writer, figures, cur_nimg)
        self._stats.update(figures)
        self._lines_file.replace_last(self._stats_line())

    def add_images(
        self,
        tag: str,
        images: np.ndarray,
        drange: Sequence[float],
        grid_size: Tuple[int, int],
        cur_nimg: int,
    ) -> None:
        """Show images [N, C, H, W] of a grid in TensorBoard, as many as 1024x1024 pixels hold."""
        few, size = misc.grid_corner(images, grid_size, _TENSORBOARD_PIXELS)
        scale = misc.automatic_scale(few.shape[-1], *size, page=_TENSORBOARD_PIXELS)
        write_picture(self.writer, tag, misc.grid_picture(few, drange, size, scale), cur_nimg)

    def save_grid(
        self,
        filename: str,
        images: np.ndarray,
        drange: Sequence[float],
        grid_size: Tuple[int, int],
    ) -> None:
        """Save images [N, C, H, W] of a grid in the run's folder; a full disk costs a warning."""
        with self._pictures.writing():
            path = os.path.join(self._run_dir, filename)
            misc.save_image_grid(images, path, drange, grid_size, scale=None)

    def _stats_line(self):
        """The last tick's line of stats.jsonl."""
        return (records.to_json(self._stats, self._lines_file.path) + '\n').encode('utf-8')

    def close(self) -> None:
        """Write what a full disk has not taken before, if it does now."""
        self.close_bar()
        self._lines_file.retry()
        self.writer.close()
