"""Which process something belongs to, and whether that process is surely gone."""

import functools
import os
import platform
import re
from typing import Any, NamedTuple, Optional

from .names import plain_name

_LONGEST_HOST = 40  # characters; names of files end at 255 bytes
_TEXT = re.compile(r'(?P<host>.+)-(?P<boot>[0-9a-f]*)-(?P<space>\d*)-(?P<pid>\d+)-(?P<start>\d*)')
_GONE = ('Z', 'X', 'x')  # states of a process that only waits to be forgotten


class Owner(NamedTuple):
    """A process. The fields of text are '' where the system does not tell them."""

    host: str  # name of the machine, or of the container
    boot: str  # stands for the time since the machine was started
    space: str  # where the number counts: a container numbers its processes anew
    pid: int
    start: str  # when it began, in units of the system

    def text(self) -> str:
        """All in letters, digits, '_', '.' and '-', at most 100 of them; see `from_text`."""
        return '-'.join([self.host, self.boot, self.space, str(self.pid), self.start])


def from_text(text: str) -> Optional[Owner]:
    """The process that `Owner.text` wrote; None for other text."""
    match = _TEXT.fullmatch(text)
    return from_dict(dict(match.groupdict(), pid=int(match.group('pid')))) if match else None


def from_dict(fields: Any) -> Optional[Owner]:
    """The process whose `_asdict()` is given, perhaps with more in it; None for other data."""
    types = Owner.__annotations__
    if not isinstance(fields, dict) or any(type(fields.get(k)) is not t for k, t in types.items()):
        return None
    return Owner(**{name: fields[name] for name in types})


def current() -> Owner:
    """This process."""
    return _owner_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _owner_of(pid):
    boot = _read('/proc/sys/kernel/random/boot_id').strip().replace('-', '')[:12]
    try:
        space = re.sub(r'\D', '', os.readlink('/proc/self/ns/pid'))
    except OSError:
        space = ''
    host = plain_name(platform.node())[:_LONGEST_HOST] or 'localhost'
    return Owner(host, boot, space, pid, _start_of(pid))


def is_dead(owner: Owner) -> Optional[bool]:
    """Whether a process is gone, and surely so; None where that cannot be known from here."""
    here = current()
    if (owner.boot or owner.host) == (here.boot or here.host):
        return _is_gone(owner) if owner.space == here.space else None
    is_known = owner.host == here.host and not owner.host.startswith('localhost')
    return True if is_known and owner.boot and here.boot else None  # the machine was restarted


def _is_gone(owner):
    try:
        os.kill(owner.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass  # it is another user's
    start = _start_of(owner.pid)
    if not (start and owner.start):
        return None
    return start != owner.start


def _start_of(pid):
    """When a process began; '' if that is not told, 'gone' for one that has ended."""
    text = _read('/proc/%d/stat' % pid)
    if text:
        fields = text[text.rindex(')') + 1 :].split()  # from the third on; a name may have blanks
        return 'gone' if fields[0] in _GONE else fields[19]
    if os.path.exists('/proc/self/stat'):
        return ''
    try:
        import psutil

        return str(int(psutil.Process(pid).create_time()))
    except Exception:  # it is missing, or has errors of its own for each system
        return ''


def _read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    except OSError:
        return ''
