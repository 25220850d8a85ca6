"""A disk that is full for a while loses no state, and stops no run for a picture."""

import errno
import os
import threading

import pytest

from dnnlib import disk_errors, endings
from dnnlib.disk_errors import Expendable, until_written
from dnnlib.growing_file import GrowingFile
from dnnlib.util import Logger, UserError, atomic_write


class Disk:
    """Fails some times with an error."""

    def __init__(self, times, number=errno.ENOSPC):
        self.times, self.number, self.calls = times, number, 0

    def write(self):
        self.calls += 1
        if self.calls <= self.times:
            raise OSError(self.number, os.strerror(self.number))
        return 'written'


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EROFS, errno.ENOENT, errno.EACCES])
def test_what_a_run_needs_is_written_when_the_disk_takes_it_again(number, capsys):
    disk = Disk(5, number)
    assert until_written('state.zip', disk.write, 0.001, 0.002) == 'written'
    first, last = capsys.readouterr().out.splitlines()
    reason = os.strerror(number)
    assert (
        first == 'Warning: state.zip cannot be written (%s); trying again until it works.' % reason
    )
    assert last.startswith('state.zip was written after ') and disk.calls == 6


def test_a_write_that_works_says_nothing(capsys):
    assert until_written('state.zip', Disk(0).write) == 'written'
    assert capsys.readouterr().out == ''


def test_long_waits_are_told_again_and_tries_become_rarer(capsys, monkeypatch):
    waits = []
    monkeypatch.setattr(disk_errors, '_wait', waits.append)
    until_written('state.zip', Disk(8).write, line_every=0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and all('waiting for 0s so far' in line for line in lines[1:-1])
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_vanished_folder_comes_back(tmp_path):
    path = tmp_path / 'run' / 'state'

    def write():
        with atomic_write(str(path)) as file:
            file.write(b'state')

    timer = threading.Timer(0.1, path.parent.mkdir)
    timer.start()
    until_written('state', write, 0.01)
    assert path.read_bytes() == b'state'


def test_the_wait_ends_with_the_error_when_the_process_is_asked_to_end(monkeypatch):
    disk = Disk(1000)
    monkeypatch.setattr(endings, 'pending', lambda: disk.calls > 3)
    with pytest.raises(OSError, match='No space left'):
        until_written('state.zip', disk.write, 0.001)
    assert disk.calls == 4


def test_other_errors_are_raised_at_once(tmp_path):
    for error in [UserError('no'), OSError('no'), ValueError('no')]:

        def write(error=error):
            raise error

        with pytest.raises(type(error), match='no'):
            until_written('x', write, 0.001)
        with pytest.raises(type(error), match='no'), Expendable('x').writing():
            write()
    with pytest.raises(UserError, match='directory'), Expendable('x').writing():
        with atomic_write(str(tmp_path)):
            pass


def test_what_a_run_can_do_without_costs_one_line_until_it_works_again(tmp_path, capsys):
    pictures = Expendable('pictures')
    path = str(tmp_path / 'run' / 'x')
    for _ in range(3):
        with pictures.writing(), atomic_write(path) as file:
            file.write(b'x')
    assert pictures.is_failing
    (tmp_path / 'run').mkdir()
    for _ in range(2):
        with pictures.writing(), atomic_write(path) as file:
            file.write(b'x')
    assert capsys.readouterr().out.splitlines() == [
        'Warning: pictures cannot be written (No such file or directory); the run goes on without.',
        'pictures can be written again.',
    ]


@pytest.fixture
def failing(monkeypatch):
    """A function that lets writes into files fail, or work again."""
    work = os.fdopen

    class Half:
        """A file on a disk that is full after some bytes."""

        def __init__(self, file):
            self._file = file

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            self._file.close()

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data):
            self._file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, 'No space left on device')

    def fail(does_fail):
        broken = lambda *args, **options: Half(work(*args, **options))  # noqa: E731
        monkeypatch.setattr(os, 'fdopen', broken if does_fail else work)

    return fail


def test_a_file_that_grows_misses_nothing_after_the_disk_was_full(tmp_path, failing, capsys):
    path = tmp_path / 'stats.jsonl'
    path.write_bytes(b'before\n')
    file = GrowingFile(str(path), 'stats.jsonl')
    file.append(b'1\n')
    file.replace_last(b'1 and more\n')
    failing(True)
    file.append(b'2\n')
    file.append(b'3\n')
    file.replace_last(b'3 and more\n')
    assert file.is_failing and file.waiting == b'2\n3 and more\n'
    assert path.read_bytes() == b'before\n1 and more\n'
    failing(False)
    file.append(b'4\n')
    assert path.read_bytes() == b'before\n1 and more\n2\n3 and more\n4\n'
    failing(True)
    file.append(b'5\n')
    failing(False)
    file.retry()
    file.replace_last(b'5!\n')
    assert path.read_bytes().endswith(b'4\n5!\n')
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_file_that_was_taken_away_is_begun_anew(tmp_path):
    path = tmp_path / 'file'
    file = GrowingFile(str(path), 'file')
    file.append(b'1\n')
    path.unlink()
    file.append(b'2\n')
    assert path.read_bytes() == b'2\n'


def test_a_log_goes_on_and_says_what_is_missing(tmp_path, capsys):
    folder = tmp_path / 'run'
    folder.mkdir()
    with Logger(str(folder / 'log.txt')) as log:
        print('one')
        log._file.close()  # as after an error, so that the next line opens it again
        folder.rename(tmp_path / 'away')
        print('two\nthree')
        print('four')
        (tmp_path / 'away').rename(folder)
        print('five')
    assert (folder / 'log.txt').read_text() == (
        'one\n\nWarning: 3 lines are missing here: No such file or directory\nfive\n'
    )
    out, err = capsys.readouterr()
    assert out == 'one\ntwo\nthree\nfour\nfive\n'
    assert err.count('\n') == 1 and 'log.txt: No such file' in err
