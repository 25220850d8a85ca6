"""The iterations of a run: which one comes next, and what the schedule says about it."""

from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from dnnlib import EasyDict, tflib
from dnnlib.tflib import cluster
from training.train_graph import TrainGraph


class Iterations:
    """Runs the training graph, one iteration at a time.

    The schedule is looked at every so many iterations; those between are a block.

    Args:
        graph: what an iteration runs.
        schedule: gives the state of the schedule after a number of images.
        block_size: iterations between looks at the schedule.
        resets_optimizers: forget the optimizers' moments where another resolution begins.
        nimg: images seen before the first iteration.

    Attributes:
        nimg: images seen. count: iterations done here. sched: the schedule of the block.
        tick: number of the tick, for the caller to count.
    """

    def __init__(
        self,
        graph: TrainGraph,
        schedule: Callable[[int], EasyDict],
        block_size: int,
        resets_optimizers: bool,
        nimg: int,
    ):
        self.nimg = nimg
        self.count = 0
        self.tick = 0
        self.sched = schedule(nimg)
        self._graph = graph
        self._schedule = schedule
        self._block_size = block_size
        self._resets_optimizers = resets_optimizers
        self._block_nimg = nimg  # images before the block
        self._lod = -1.0  # of the block before
        self._stream: Optional[Tuple[int, int]] = None  # how images are being read

    def is_between_blocks(self) -> bool:
        """Whether the next iteration begins a block."""
        return self.count % self._block_size == 0

    def look_at_schedule(self) -> None:
        """Set `sched` for the next iteration."""
        if self.is_between_blocks():
            self._block_nimg, self.sched = self.nimg, self._schedule(self.nimg)
            if self._resets_optimizers and _is_other_level(self.sched.lod, self._lod):
                self._graph.reset_optimizer_state()
            self._lod = self.sched.lod

    def run(self) -> int:
        """Run the next iteration; returns its number of images."""
        stream = self.sched.minibatch_gpu * self._graph.num_gpus, int(self.sched.lod)
        if stream != self._stream:  # the order of images goes on from where it was
            workers = cluster.current()
            share = workers.index, workers.size
            self._graph.training_set.configure(*stream, position=self.nimg, share=share)
            self._stream = stream
        for step in self._graph.steps(self.sched, self.count):
            tflib.run(step.op, step.feed)
        self.count += 1
        self.nimg += self.sched.minibatch_size
        return self.sched.minibatch_size

    def state(self) -> Dict[str, Any]:
        """What a run that is resumed goes on from, as plain data."""
        return dict(
            nimg=self.nimg,
            count=self.count,
            tick=self.tick,
            block_nimg=self._block_nimg,
            lod=float(self._lod),
        )

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a state."""
        self.nimg, self.count, self.tick = state['nimg'], state['count'], state['tick']
        self._block_nimg, self._lod = state['block_nimg'], state['lod']
        self.sched = self._schedule(self._block_nimg)

    def __str__(self) -> str:
        return '%.1f kimg' % (self.nimg / 1000)


def _is_other_level(lod, before):
    return np.floor(lod) != np.floor(before) or np.ceil(lod) != np.ceil(before)
