"""What a user sees of training: lines of ticks, progress bars, stats.jsonl and TensorBoard."""

import math
import os
import time
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np
import psutil
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from dnnlib import records, util
from dnnlib.tflib import engine, tfutil
from dnnlib.tflib.autosummary import (
    autosummary,
    collect,
    save_summaries,
    write_picture,
    write_scalars,
)
from training import health, misc

_TENSORBOARD_PIXELS = 1024  # a side; event files of long runs hold thousands of pictures


class Progress:
    """Reports ticks of a run in its folder; every figure is an autosummary, named once.

    Args:
        run_dir: folder for stats.jsonl and the TensorBoard event file.
        start_nimg, total_nimg: images seen before the first tick and at the end.
        resume_time: seconds of earlier runs, added to the total.
    """

    def __init__(self, run_dir: str, start_nimg: int, total_nimg: int, resume_time: float = 0.0):
        self._start_nimg = start_nimg
        self._total_nimg = total_nimg
        self._resume_time = resume_time
        self._stats_path = os.path.join(run_dir, 'stats.jsonl')
        self._stats: Dict[str, Any] = {}  # of the last tick
        self._stats_start = 0  # where its line begins
        open(self._stats_path, 'ab').close()
        self.writer = tf.summary.FileWriter(tfutil.folder_name(run_dir))
        self._peak_memory = engine.peak_gpu_memory(engine.device(0))
        self._start_time = self._tick_time = self._last_time = time.time()
        self._tick_nimg = start_nimg
        self._training_seconds = 0.0  # without maintenance
        self._bar: Optional[tqdm] = None

    def ensure_tick(self, cur_nimg: int, tick_kimg: float) -> int:
        """Start a tick, with a bar on a terminal, if none is running; returns its last image."""
        if self._bar is None:
            self._tick_nimg, self._tick_time = cur_nimg, time.time()
            self._bar = tqdm(total=int(tick_kimg * 1000), unit='img', leave=False, disable=None)
        return self._tick_nimg + int(tick_kimg * 1000)

    def update(self, num_images: int) -> None:
        """Count images of the current tick."""
        assert self._bar is not None, 'ensure_tick comes first'
        self._bar.update(num_images)

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
        ticks_to_snapshot: Optional[int],
        examine: Callable[[int], Optional[str]],
    ) -> None:
        """Print the line of a tick and write its figures to all logs.

        Maintenance is the time between the end of the last tick and the start of this one.

        Args:
            examine: given skipped_steps, adds autosummaries and returns what is wrong, in one line.
        """
        self.close_bar()
        now = time.time()
        maintenance_seconds = self._tick_time - self._last_time
        self._last_time = now
        seconds, images = now - self._tick_time, cur_nimg - self._tick_nimg
        self._training_seconds += seconds
        total_seconds = now - self._start_time + self._resume_time
        done = cur_nimg - self._start_nimg
        rate = images / max(seconds, 1e-9)
        # Too long at first, since the first tick includes the engine's warm-up.
        todo = max(self._total_nimg - cur_nimg, 0)
        left = todo * self._training_seconds / done if done else None

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
        self.writer.flush()
        self._stats = dict(stats, timestamp=now)
        self._stats_start = os.path.getsize(self._stats_path)
        self._write_line()

        def figure(name, template):
            return template % stats[name] if name in stats else ''

        parts = [
            'tick %-4d' % tick,
            'kimg %-7.1f' % (cur_nimg / 1000.0),
            '%5.1f%%' % min(100.0 * cur_nimg / max(self._total_nimg, 1), 100.0),
            'lod %.2f' % sched.lod if sched.lod else '',
            'minibatch %d' % sched.minibatch_size,
            'time %-8s' % util.format_time(total_seconds),
            'left %-8s' % ('?' if left is None else util.format_time(left)),
            'sec/kimg %.2f' % (seconds / images * 1000.0) if images else '',
            'img/s %.1f' % rate if images else '',
            'maintenance %.1f' % maintenance_seconds,
            figure('Loss/G', 'G %.3f'),
            figure('Loss/D', 'D %.3f'),
            figure('Loss/gradient_penalty', 'r1 %.3g'),
            figure('Loss/pl_lengths', 'pl %.3g'),
            _range_text('alpha', health.figures_of_layers(stats, 'alpha')),
            _range_text('r', health.figures_of_layers(stats, 'strength')),
            'skipped %d' % skipped_steps if skipped_steps else '',
            figure('Resources/process_mem_gb', 'mem %.1fG'),
            figure('Resources/peak_gpu_mem_gb', 'gpumem %.1fG'),
            _snapshot_text(ticks_to_snapshot),
        ]
        print('  '.join(part for part in parts if part))
        if problem:
            print(problem)

    def add_to_tick(self, cur_nimg: int) -> None:
        """Add the autosummaries since the last tick ended to its figures: metrics of its snapshot.

        They take long, so the tick's line is written before them, and again with them.
        """
        figures = collect()
        write_scalars(self.writer, figures, cur_nimg)
        self.writer.flush()
        self._stats.update(figures)
        self._write_line()

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
        self.writer.flush()

    def _write_line(self):
        """Write the last tick's line of stats.jsonl, in place of the one before with less in it."""
        with open(self._stats_path, 'r+b') as file:
            file.seek(self._stats_start)
            file.write((records.to_json(self._stats, self._stats_path) + '\n').encode('utf-8'))

    def close(self) -> None:
        """Finish the event file."""
        self.close_bar()
        self.writer.close()


def _range_text(label, values):
    """Smallest and largest figure over layers of fuzzy reparameterization."""
    return '%s %.2f..%.2f' % (label, min(values), max(values)) if values else ''


def _snapshot_text(ticks):
    if ticks is None:
        return ''
    if ticks == 0:
        return 'snapshot now'
    return 'snapshot in %d tick%s' % (ticks, '' if ticks == 1 else 's')


def ticks_until(tick: int, interval: Optional[int]) -> Optional[int]:
    """Ticks until the next multiple of an interval, 0 if it is one; None without interval."""
    return None if not interval else int(math.ceil(tick / interval)) * interval - tick
