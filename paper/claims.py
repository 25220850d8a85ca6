"""Who does what of the work in a folder that several processes share, on one machine or many.

A claim is a file NAME.0; whoever takes it over makes NAME.1, and so on: of several that want to, the
file system lets one alone make it (`os.link`), and nothing is taken away from under anybody. The
highest number counts. The holder renews it now and then; whether it still does is told by the file
system's clock alone, since clocks of machines differ.
"""

import contextlib
import json
import os
import re
import time
import uuid
from typing import List, Optional, Tuple

from dnnlib import owner, plain_data

RENEWAL = 60.0  # seconds from one renewal to the next
EXPIRY = 600.0  # without one, after which others may take over

_HELD, _FREE, _FAILED = 'held', 'free', 'failed'


class Claims:
    """The claims of one folder.

    Args:
        folder: it is made if it is missing. expiry: see EXPIRY.
    """

    def __init__(self, folder: str, expiry: float = EXPIRY):
        self.folder = folder
        self.expiry = expiry
        os.makedirs(folder, exist_ok=True)
        self._begin = self.now()

    def now(self) -> float:
        """What the file system's clock says."""
        path = self._new_file('')
        try:
            return os.stat(path).st_mtime
        finally:
            os.remove(path)

    def take(self, name: str) -> 'Optional[Claim]':
        """Claim a piece of work; None: somebody else has it, or it has failed since this began.

        Args:
            name: of letters, digits, '_' and '-'.
        """
        number, state = self._look(name)
        if state in (_HELD, _FAILED):
            return None
        if not self.publish(name, number + 1, _HELD):
            return None
        return Claim(self, name, number + 1)

    def is_held(self, name: str) -> bool:
        """Whether somebody has claimed a piece of work, and renews the claim."""
        return self._look(name)[1] == _HELD

    def _look(self, name) -> Tuple[int, str]:
        """(highest number, -1 without any; state). A failure before we began counts as free."""
        number = max(self.numbers(name), default=-1)
        if number < 0:
            return number, _FREE
        path = self.path(name, number)
        try:
            modified = os.stat(path).st_mtime
            with open(path, encoding='utf-8') as file:
                record = plain_data.from_json(file.read())
        except FileNotFoundError:  # the work was just finished
            return number, _HELD
        except ValueError:
            record = None
        record = record if isinstance(record, dict) else {}
        if record.get('state') == _FAILED:
            return number, _FAILED if modified >= self._begin else _FREE
        if record.get('state') == _FREE:
            return number, _FREE
        holder = owner.from_dict(record)
        is_over = (holder and owner.is_dead(holder)) or self.now() - modified > self.expiry
        return number, _FREE if is_over else _HELD

    def numbers(self, name: str) -> List[int]:
        """The numbers of a name's files."""
        matches = [re.match(r'(.+)\.(\d+)$', entry) for entry in os.listdir(self.folder)]
        return [int(match.group(2)) for match in matches if match and match.group(1) == name]

    def path(self, name: str, number: int) -> str:
        """The file of one number."""
        return os.path.join(self.folder, '%s.%d' % (name, number))

    def publish(self, name: str, number: int, state: str) -> bool:
        """Make a file that appears whole; False if another process was faster."""
        path = self._new_file(json.dumps(dict(owner.current()._asdict(), state=state)))
        try:
            os.link(path, self.path(name, number))
        except FileExistsError:
            return False
        finally:
            os.remove(path)
        return True

    def _new_file(self, text):
        path = os.path.join(self.folder, '.%s.tmp' % uuid.uuid4().hex)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path


class Claim:
    """A claim that this process holds; see `Claims.take`."""

    def __init__(self, claims: Claims, name: str, number: int):
        self._claims = claims
        self._name = name
        self._number = number
        self._renewed = time.time()

    def renew(self) -> bool:
        """Say that the work goes on; False if the claim was lost to another process."""
        with contextlib.suppress(OSError):  # a disk that is away for a moment
            os.utime(self._claims.path(self._name, self._number))
            if max(self._claims.numbers(self._name)) > self._number:
                return False
            self._renewed = time.time()
        return time.time() - self._renewed < self._claims.expiry

    def release(self, failed: bool = False) -> None:
        """Give the work back, for others to do; after a failure for those that start later."""
        self._claims.publish(self._name, self._number + 1, _FAILED if failed else _FREE)

    def finish(self) -> None:
        """Forget all claims on work that is done, as whoever takes it will find."""
        for number in sorted(self._claims.numbers(self._name)):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._claims.path(self._name, number))
