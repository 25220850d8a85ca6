"""The best network of a run: network-best.pkl, and best.json that says by what it is.

Both follow from the results that are recorded in the run's folder and from the snapshots that are
there. So it does not matter who records them, how many do, or how often one is recorded; and when
the records are cut back, as by a run that goes on from an earlier state, so is the best.

TensorFlow is not imported.
"""

import contextlib
import os
import shutil
from typing import Any, Dict, List, NamedTuple, Optional, Set

from dnnlib import plain_data, records
from dnnlib.files import temporary_path
from dnnlib.util import atomic_write, open_regular, reading
from metrics import recorded
from metrics.metric_names import HIGHER, Choice

NETWORK, FACTS = 'network-best.pkl', 'best.json'


class _Candidate(NamedTuple):
    value: float
    kimg: float
    snapshot: str  # name of its file
    sha256: str


class Best:
    """Keeps the two files up to date; several processes may do so for one run.

    Args:
        run_dir: folder of the run. choice: the result that counts.
        takes_over: also where the best was found by another result up to now.
    """

    def __init__(self, run_dir: str, choice: Choice, takes_over: bool = True):
        self.choice = choice
        self._run_dir = run_dir
        self._takes_over = takes_over

    def update(self, keep_last: bool = False) -> Optional[str]:
        """Look at what is recorded; returns a line for the console if another network is the best.

        Of equal ones the earliest is; what is not finite never is, nor what is no longer there. If
        nothing of what is recorded is there, all stays as it is.

        Args:
            keep_last: if the last best one was removed as a snapshot, put it back: who goes back to
                a state before this moment needs it.

        Raises:
            UserError: a file is broken or cannot be written. OSError: likewise.
        """
        path = recorded.path_of(self._run_dir, self.choice.metric)
        if not os.path.exists(path):
            return None
        with recorded.appending(path):  # nothing is written: the lock is for both files
            last = self.facts()
            if last and last.get('metric') != self.choice.result and not self._takes_over:
                return None
            held = recorded.network_sha256(self._path(NETWORK))
            for candidate in self._ranked():
                if candidate.sha256 == held or self._take(candidate, last if keep_last else {}):
                    return self._note(candidate, held, last)
        return None

    def facts(self) -> Dict[str, Any]:
        """Content of best.json; empty if there is none."""
        path = self._path(FACTS)
        if not os.path.exists(path):
            return {}
        with open_regular(path) as file, reading(path, 'facts about the best network'):
            facts = plain_data.from_json(file.read().decode('utf-8'))
            figures, name = (facts['value'], facts['kimg']), facts['snapshot']
            if not all(map(records.is_figure, figures)) or name != os.path.basename(name):
                raise ValueError('value, kimg or snapshot is none')
        return facts

    def needed(self, kimg: float) -> Set[str]:
        """Snapshots that were the best, up to now, at `kimg` or later, but for the best one."""
        names: List[str] = []
        best = None
        for candidate in sorted(self._candidates(), key=lambda each: each.kimg):
            if best is None or self._rank(candidate) < self._rank(best):
                if candidate.kimg < int(kimg):
                    names.clear()
                best = candidate
                names.append(candidate.snapshot)
        return set(names[:-1])

    def _candidates(self):
        path = recorded.path_of(self._run_dir, self.choice.metric)
        found = {}
        for record in recorded.read_records(path) if os.path.exists(path) else ():
            value, sha256 = record['results'].get(self.choice.result), record.get('network_sha256')
            snapshot = os.path.basename(record['network'])
            kimg = recorded.kimg_of(snapshot, self._run_dir)
            if value is not None and sha256 and kimg is not None:
                found[snapshot, sha256] = _Candidate(value, kimg, snapshot, sha256)
        return list(found.values())

    def _ranked(self):
        return sorted(self._candidates(), key=self._rank)

    def _rank(self, candidate):
        sign = -1 if self.choice.better == HIGHER else 1
        return sign * candidate.value, candidate.kimg

    def _take(self, candidate, last):
        """Make a snapshot network-best.pkl; whether it is there, and still the one evaluated."""
        with self._copy_of(candidate.snapshot) as copy:
            if copy is None or recorded.network_sha256(copy) != candidate.sha256:
                return False
            name = last.get('snapshot')
            if name and not os.path.exists(self._path(name)):
                with self._copy_of(NETWORK) as old:
                    if old is not None:
                        os.replace(old, self._path(name))
            os.replace(copy, self._path(NETWORK))
        return True

    @contextlib.contextmanager
    def _copy_of(self, name):
        """A hard link to a file, else a copy, which may be moved; None if the file is not there."""
        copy = temporary_path(self._path(name))
        try:
            yield _link_or_copy(self._path(name), copy)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(copy)

    def _note(self, candidate, held, last):
        facts = dict(
            metric=self.choice.result,
            value=candidate.value,
            better=self.choice.better,
            snapshot=candidate.snapshot,
            kimg=candidate.kimg,
            network_sha256=candidate.sha256,
        )
        if facts != last:
            path = self._path(FACTS)
            with atomic_write(path, 'w') as file:
                file.write(records.to_json(facts, path, indent=4) + '\n')
        return None if candidate.sha256 == held else self._line(candidate, last)

    def _line(self, candidate, last):
        was, words = '', 'new best'
        if last.get('metric') == self.choice.result:
            was = ' (was %.5g at %g kimg)' % (last['value'], last['kimg'])
            if self._rank(candidate)[0] > self._rank(candidate._replace(value=last['value']))[0]:
                words = 'best again'
        return '%s: %s %.5g%s, %s' % (words, self.choice.result, candidate.value, was, NETWORK)

    def _path(self, name):
        return os.path.join(self._run_dir, name)


def _link_or_copy(source, target):
    try:
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            os.remove(target)
        try:
            os.link(source, target)
        except FileNotFoundError:
            return None
        except OSError:  # the file system has no hard links
            with open_regular(source) as file, atomic_write(target) as copy:
                shutil.copyfileobj(file, copy)
        return target
    except FileNotFoundError:
        return None
