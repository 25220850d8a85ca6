"""The files of a run that results are recorded in, metric-<name>.jsonl and .txt.

TensorFlow is not imported.
"""

import contextlib
import fcntl
import io
import os
import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

from dnnlib import records
from training import misc, runs

_hashes: Dict[Tuple[int, ...], str] = {}


def path_of(run_dir: str, metric: str) -> str:
    """The .jsonl file of a metric, by its name."""
    return os.path.join(run_dir, 'metric-%s.jsonl' % metric)


@contextlib.contextmanager
def appending(path: str) -> Iterator[io.FileIO]:
    """Open a file to append to it, in whole lines, while all others that do so wait.

    Some network disks have no locks; then nobody waits.
    """
    with open(path, 'ab', buffering=0) as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        yield file


def read_records(path: str) -> List[Dict[str, Any]]:
    """Records of a .jsonl file, as `protocol.record` makes them, without a line that was cut off.

    Raises:
        UserError: it cannot be read, or a line is no such record.
    """
    found = records.read_lines(path, skip_unfinished=True)
    for number, record in found:
        network = record.get('network')
        if not isinstance(network, str) or '\0' in network:
            raise records.broken_line(path, number, 'it names no network')
        results = record.get('results')
        if not isinstance(results, dict) or not all(
            value is None or records.is_figure(value) for value in results.values()
        ):
            raise records.broken_line(path, number, 'its results are no figures by name')
        if not all(isinstance(record.get(key, ''), str) for key in ('time', 'network_sha256')):
            raise records.broken_line(path, number, 'its time or hash is no text')
    return [record for _, record in found]


def network_sha256(path: str) -> Optional[str]:
    """Hash of a network's file, found once for each content; None if there is no such file."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    key = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns  # hard links have the same
    if key not in _hashes:
        _hashes[key] = misc.file_sha256(path)
    return _hashes[key]


def kimg_of(network: str, run_dir: str) -> Optional[float]:
    """Thousands of images that a snapshot had seen; None if its name does not tell."""
    match = re.search(r'network-snapshot-(\d{1,12})(?:\.pkl)?$', network)
    if match:
        return float(match.group(1))
    return runs.trained_kimg(run_dir) if re.search(r'network-final(?:\.pkl)?$', network) else None
