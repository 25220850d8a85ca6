"""Console output that also goes into a log file."""

import contextlib
import io
import sys
import threading
from typing import IO, Any, Optional

from .files import TEXT, UserError, reason_of

_CURSOR_UP = '\x1b[A'  # what tqdm writes, beside line ends, to move between several bars


class _Tee:
    """Stands in for one console stream: passes text on to it, and whole lines to the log."""

    def __init__(self, stream: IO[str], log: 'Logger', bars_to_log: bool):
        self._stream = stream
        self._log = log
        self._bars_to_log = bars_to_log
        self._partial = ''
        self._in_progress_bar = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # isatty, fileno, encoding, ...

    def write(self, text: str) -> int:
        if not text:
            return 0
        self._stream.write(text)
        if self._log.should_flush:
            self._stream.flush()
        with self._log.lock:
            if self._bars_to_log or not self._is_progress_bar(text):
                lines, line_end, self._partial = (self._partial + text).rpartition('\n')
                self._log.write_to_file(lines + line_end)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def finish(self, line_end: str = '') -> None:
        """Send the line that has not ended yet to the log."""
        text, self._partial = self._partial, ''
        if text:
            self._log.write_to_file(text + line_end)

    def _is_progress_bar(self, text):
        """Whether `text` redraws a line, or only moves the cursor after something that did."""
        if '\r' in text.replace('\r\n', '\n'):
            self._in_progress_bar = True
        elif text.replace(_CURSOR_UP, '').strip():
            self._in_progress_bar = False
        return self._in_progress_bar


class Logger:
    """Copies what the process prints into a file, from construction until `close()`.

    It takes the place of `sys.stdout` itself and puts another object in that of `sys.stderr`. Text
    still reaches the stream it was meant for. The file gets both, line by line, so that lines of
    the two streams never mingle; progress bars (text with carriage returns on stderr) are kept out
    of it. Loggers nest.

    Args:
        file_name: log file; None for none.
        file_mode: 'w' to begin anew, 'a' to append.
        should_flush: let every piece of text through at once.

    Raises:
        UserError: the file cannot be opened. While it cannot be written later on (disk full), its
            lines are lost; stderr says so, and the file how many, once it can be written again.
    """

    def __init__(
        self, file_name: Optional[str] = None, file_mode: str = 'w', should_flush: bool = True
    ):
        self.should_flush = should_flush
        self.lock = threading.RLock()
        self._saved = sys.stdout, sys.stderr
        self._file = None if file_name is None else _LogFile(file_name, file_mode, sys.stderr)
        self._out = _Tee(sys.stdout, self, bars_to_log=True)
        self._err = _Tee(sys.stderr, self, bars_to_log=False)
        sys.stdout, sys.stderr = self, self._err

    def __enter__(self) -> 'Logger':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def write(self, text: str) -> int:
        """Write to the console's stdout and to the file; returns the number of characters."""
        return self._out.write(text)

    def write_to_file(self, text: str) -> None:
        """Write to the file alone."""
        with self.lock:
            if self._file is not None and text:
                self._file.write(text)

    def write_last_words(self, text: str) -> None:
        """Write lines to the file alone, after all that was printed."""
        self._out.finish('\n')
        self._err.finish('\n')
        self.write_to_file(text)

    def flush(self) -> None:
        """Flush the console."""
        self._out.flush()
        self._err.flush()

    def close(self) -> None:
        """Put the console's streams back, unless others have replaced them, and close the file."""
        self._err.finish('\n')
        self._out.finish()
        if sys.stdout is self:
            sys.stdout = self._saved[0]
        if sys.stderr is self._err:
            sys.stderr = self._saved[1]
        with self.lock:
            if self._file is not None:
                self._file.close()
                self._file = None


class _LogFile:
    """The file; nothing waits in a buffer, so that it is known what a full disk has not taken."""

    def __init__(self, path, mode, console):
        self._path, self._console = path, console
        self._lost, self._reason = 0, ''  # lines since it could be written; why
        try:
            self._file: Optional[io.FileIO] = io.FileIO(path, mode)
        except OSError as error:
            text = 'Cannot write the log %r: %s.' % (path, error.strerror)
            raise UserError(text) from error

    def write(self, text):
        try:
            if self._file is None:
                self._file = io.FileIO(self._path, 'a')
            if self._lost:
                note = '\nWarning: %d lines are missing here: %s\n' % (self._lost, self._reason)
                _write_all(self._file, note)
                self._lost = 0
            _write_all(self._file, text)
        except OSError as error:
            self.close()
            if not self._lost:
                line = 'Warning: lines are missing in %s: %s\n'
                self._console.write(line % (self._path, reason_of(error)))
            self._lost, self._reason = self._lost + max(text.count('\n'), 1), reason_of(error)

    def close(self):
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None


def _write_all(file, text):
    data = text.encode(TEXT['encoding'], TEXT['errors'])
    while data:
        data = data[file.write(data) :]
