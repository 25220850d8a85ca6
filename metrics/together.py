"""Metrics that several workers evaluate together, each a share of the samples.

All workers run the same code, and meet before anything is sent. A worker for which something fails
tells so at the next meeting, whichever that is for the others, and all of them give up the same
stage of the work. A process that is alone may make these calls, too.
"""

import contextlib
import io
import os
import struct
import zlib
from typing import Any, Dict, Iterator, List, Optional

import numpy as np

from dnnlib import endings, plain_data
from dnnlib.peers import WorkerLost
from dnnlib.temporary import temporary_folder
from dnnlib.tflib import cluster
from dnnlib.tflib.check_in import differences, shortened
from dnnlib.util import UserError, reason_of
from metrics.metric_names import REALS
from training import misc

_CHUNK = 1 << 24  # bytes of a file that are sent at a time
_LONGEST_REASON = 400  # bytes
_HEADER = struct.Struct('<Iq')  # of a meeting: hash of its purpose, number
_HAS_FAILED, _IS_ENDING = -1, -2  # in place of a number


class FailedElsewhere(UserError):
    """What ended a stage of the work at another worker, or at all of them."""


def meet(purpose: str, number: int = 0) -> List[int]:
    """Wait for all workers, which come for the same purpose; returns the number of each, 0 or more.

    Raises:
        FailedElsewhere: one of them has failed since the last meeting, or does something else.
        Terminated: one of them has been asked to end.
    """
    is_ending = endings.pending() and cluster.current().size > 1
    purposes, numbers = zip(*_exchange(purpose, _IS_ENDING if is_ending else number))
    if _HAS_FAILED in numbers:
        raise FailedElsewhere(_hear_reason(''))
    if len(set(purposes)) > 1:
        raise FailedElsewhere('workers went different ways; is a file missing on one of them?')
    return list(numbers)


@contextlib.contextmanager
def stage() -> Iterator[None]:
    """Work that all workers do, or that none of them has done."""
    try:
        yield
    except (FailedElsewhere, WorkerLost):
        raise
    except Exception as error:
        _exchange('', _HAS_FAILED)
        _hear_reason(reason_of(error))
        raise
    meet('end')


def first_problem(problem: str) -> str:
    """What the first worker says that has a problem at this point, '' if none has one."""
    if cluster.current().size == 1:
        return problem
    return _hear_reason(problem) if any(meet('problem', int(bool(problem)))) else ''


def _exchange(purpose, number):
    """Pairs of a hash and a number, of all workers."""
    rows = cluster.current().gather(_HEADER.pack(zlib.crc32(purpose.encode('utf-8')), number))
    found = [_HEADER.unpack(row) for row in rows]
    if any(number == _IS_ENDING for _, number in found):
        cluster.current().leave()
        raise endings.Terminated()
    return found


def _hear_reason(own: str) -> str:
    """What the first worker says that gives a reason; all that take part call this."""
    workers = cluster.current()
    if own and not workers.is_chief:
        own = 'worker %d: %s' % (workers.index, own)
    data = own.encode('utf-8', 'replace')[:_LONGEST_REASON]
    texts = [
        row.decode('utf-8', 'replace').strip()
        for row in workers.gather(data.ljust(_LONGEST_REASON))
    ]
    return next((text for text in texts if text), 'a worker has failed')


def gather(units: List[Dict[str, np.ndarray]]) -> List[Dict[str, np.ndarray]]:
    """Units of samples of all workers, those of the first one first."""
    workers = cluster.current()
    if workers.size == 1:
        return units
    data = _pack(units)
    lengths = meet('gather', len(data))
    rows = workers.gather(data.ljust(max(lengths), b'\0'))
    found = [_unpack(row[:length]) for row, length in zip(rows, lengths)]
    return [unit for part in found for unit in part]


def _pack(units):
    arrays = {'%d/%s' % (i, k): v for i, unit in enumerate(units) for k, v in unit.items()}
    stream = io.BytesIO()
    np.savez(stream, number=len(units), **arrays)
    return stream.getvalue()


def _unpack(data):
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        units: List[Dict[str, np.ndarray]] = [{} for _ in range(int(arrays['number']))]
        for full_name in arrays.files:
            index, _, name = full_name.partition('/')
            if name:
                units[int(index)][name] = arrays[full_name]
    return units


def share(purpose: str, value: Any) -> Any:
    """Plain data of the chief, whatever the others give."""
    workers = cluster.current()
    if workers.size == 1:
        return value
    data = plain_data.to_json(value).encode('utf-8')
    meet(purpose)
    return plain_data.from_json(workers.share(data).decode('utf-8'))


def check_alike(facts: Dict[str, Any]) -> None:
    """Raise FailedElsewhere at all workers unless they are about to do the same, plain data."""
    theirs = share('facts', facts)
    found = ['%s = %s, that of the chief %s' % each for each in _differences(theirs, facts)]
    problem = first_problem('; '.join(found))
    if problem:
        raise FailedElsewhere(problem)


def _differences(theirs, facts):
    for path, value, other in differences(theirs, facts):
        yield path, shortened(other), shortened(value)


@contextlib.contextmanager
def file_of_chief(file_or_url: str, is_trusted: bool) -> Iterator[str]:
    """The chief's file, of which the others get a copy for as long as this is open.

    REALS are no file; the others get to know that. is_trusted: see `misc.open_file_or_url`.
    """
    file_or_url = share('network', file_or_url)
    if cluster.current().size == 1 or file_or_url == REALS:
        yield file_or_url
        return
    if cluster.current().is_chief:
        with misc.open_file_or_url(file_or_url, is_trusted) as file:
            for chunk in iter(lambda: file.read(_CHUNK), b''):
                _share_chunk(chunk)
        _share_chunk(b'')
        yield file_or_url
        return
    with temporary_folder('network') as folder:
        path = os.path.join(folder, 'network.pkl')
        with open(path, 'wb') as file:
            for chunk in iter(lambda: _share_chunk(b''), b''):
                file.write(chunk)
        yield path


def _share_chunk(chunk):
    meet('file')
    return cluster.current().share(chunk)


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """What the chief does while the others `follow`; they are let go at its end."""
    error: Optional[UserError] = None
    try:
        yield
    except WorkerLost:
        raise
    except UserError as found:
        error = found
    with stage():
        share('order', None)
    cluster.current().leave()
    if error is not None:
        raise error
