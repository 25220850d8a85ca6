"""TensorBoard's event files, written here: TensorFlow's writer breaks them when a disk is full.

It leaves half a record, at which TensorBoard stops reading for good (TensorFlow 1.14 and 2.21).
"""

import os
import platform
import time
from typing import Optional, Union

import tensorflow.compat.v1 as tf

from dnnlib.growing_file import GrowingFile
from dnnlib.names import plain_name
from training.data.tfrecords import frame

_VERSION = 'brain.Event:2'
_SMALL = 1 << 16  # bytes of what waits for a full disk; pictures are left out


class EventFile:
    """Takes the place of tf.summary.FileWriter; all is in the file at once.

    Args:
        run_dir: folder of the new file.

    Attributes:
        path: the file.
    """

    def __init__(self, run_dir: str):
        name = 'events.out.tfevents.%010d.%s.%d'
        name = name % (time.time(), plain_name(platform.node())[:100], os.getpid())
        self.path = os.path.join(run_dir, name)
        self._file = GrowingFile(self.path, 'TensorBoard events')
        self._add(tf.Event(file_version=_VERSION))

    def add_summary(
        self, summary: Union[tf.Summary, bytes], global_step: Optional[int] = None
    ) -> None:
        """Add a summary, serialized or not."""
        if isinstance(summary, bytes):
            summary = tf.Summary.FromString(summary)
        self._add(tf.Event(summary=summary, step=int(global_step or 0)))

    def add_graph(self, graph: tf.Graph) -> None:
        """Add a graph."""
        graph_def = graph.as_graph_def(add_shapes=True)
        self._add(tf.Event(graph_def=graph_def.SerializeToString()))

    @property
    def waiting(self) -> bytes:
        """Records that are not written yet."""
        return self._file.waiting

    def add_records(self, records: bytes) -> None:
        """Add records of another event file."""
        self._file.append(records)

    def flush(self) -> None:
        """Write what a full disk has not taken before."""
        self._file.retry()

    def close(self) -> None:
        """The same; more may be added later."""
        self._file.retry()

    def _add(self, event):
        event.wall_time = time.time()
        record = frame(event.SerializeToString())
        if not self._file.is_failing or len(record) <= _SMALL:
            self._file.append(record)
