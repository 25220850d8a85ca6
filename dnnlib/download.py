"""Files from the web: `open_url` with a cache, retries and a progress bar.

Differences from StyleGAN2: the delay between attempts grows; where no server can be reached, there
are only three attempts; a body that was cut short counts as failed; small binary files work; a
failure is one line that says where to put the file by hand.
"""

import glob
import hashlib
import html
import io
import os
import re
import sys
import time
from typing import Any, BinaryIO, Dict, Optional
from urllib.parse import urljoin, urlparse

import requests
from tqdm import tqdm
from urllib3.exceptions import MaxRetryError

from .files import UserError, atomic_write, reason_of, sweep
from .names import plain_name

CACHE_VARIABLE = 'STYLEGAN2_CACHE_DIR'
_OLD_CACHE_DIR = '.stylegan2-cache'  # in the working directory, so anybody may have written it

_FIRST_DELAY = 0.25  # seconds before the second attempt, doubled for each one after it ...
_LONGEST_DELAY = 4.0  # ... up to this
_MOST_REFUSALS = 3  # attempts without any connection: no long wait on a machine without internet
_TIMEOUT = 30  # seconds without any answer
_NOTICE_SIZE = 8192  # Google Drive's pages instead of a file are shorter, in bytes
_BAR_SIZE = 1 << 20  # shorter bodies get no progress bar
_LONGEST_NAME = 180  # file systems end at 255, with the MD5 and a temporary suffix

_kept: Dict[str, bytes] = {}  # by MD5 of the URL: what no cache folder could take, for this process


class _AttemptFailed(Exception):
    """An answer came, but not the file; `next_url` is where to look the next time."""

    def __init__(self, reason, next_url=None):
        super().__init__(reason)
        self.next_url = next_url


def cache_dir() -> str:
    """Folder of downloads and of what metrics keep.

    $STYLEGAN2_CACHE_DIR, else stylegan2 among the user's caches.
    """
    caches = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
    return os.path.expanduser(os.environ.get(CACHE_VARIABLE) or os.path.join(caches, 'stylegan2'))


def cached_file(url: str, folder: str) -> Optional[str]:
    """Path of a URL's file in a folder of downloads, None if it is not there."""
    md5 = hashlib.md5(url.encode('utf-8')).hexdigest()
    found = glob.glob(os.path.join(glob.escape(folder), md5 + '_*'))
    return found[0] if len(found) == 1 else None


def open_data_url(url: str) -> BinaryIO:
    """Open a URL of what is read as data alone.

    Also from the working directory's cache, where earlier versions kept downloads.
    """
    return open_url(url, _OLD_CACHE_DIR if cached_file(url, _OLD_CACHE_DIR) else cache_dir())


def is_url(obj: Any, allow_file_urls: bool = False) -> bool:
    """Whether `obj` is text like scheme://host.domain/...; 'file:///path' only on request."""
    if not isinstance(obj, str) or '://' not in obj:
        return False
    if allow_file_urls and obj.startswith('file:///'):
        return True
    try:
        parsed = [urlparse(obj), urlparse(urljoin(obj, '/'))]
    except ValueError:
        return False
    return all(p.scheme and '.' in p.netloc for p in parsed)


def open_url(
    url: str, cache_dir: Optional[str] = None, num_attempts: int = 10, verbose: bool = True
) -> BinaryIO:
    """Download a file, or take it from the cache.

    Args:
        url: where the file is; 'file:///P' opens the local path P, so '/x' takes four slashes.
        cache_dir: folder that keeps downloads as '<MD5 of the URL>_<name>'; None for none. One that
            cannot be written costs a warning; the file is then kept for this process.
        num_attempts: how often to try; three times at most where no server can be reached.
        verbose: show progress.

    Returns:
        A binary file object.

    Raises:
        UserError: all attempts failed, or a local file cannot be read.
    """
    assert is_url(url, allow_file_urls=True), url
    assert num_attempts >= 1
    if url.startswith('file:///'):
        return _open_local(url[len('file:///') :])

    url_md5 = hashlib.md5(url.encode('utf-8')).hexdigest()
    if cache_dir is not None:
        cache_dir = os.path.expanduser(cache_dir)
        cached = cached_file(url, cache_dir)
        if cached:
            return _open_local(cached)
        if url_md5 in _kept:
            return io.BytesIO(_kept[url_md5])
        problem = _cache_problem(cache_dir)

    def path_in(folder, name):
        return os.path.join(folder, '%s_%s' % (url_md5, plain_name(name)[-_LONGEST_NAME:]))

    try:
        name, body = _download(url, num_attempts, verbose)
    except (requests.RequestException, _AttemptFailed) as error:
        by_hand = 'download it by hand'
        if cache_dir is not None:
            by_hand += ' and put it at %s' % os.path.abspath(path_in(cache_dir, url))
        text = 'Cannot download %s: %s. Check the network connection, or %s'
        raise UserError(text % (url, _reason(error), by_hand)) from error
    if cache_dir is not None:
        try:
            if problem:
                raise UserError(problem)
            sweep(cache_dir)
            with atomic_write(path_in(cache_dir, name)) as file:
                file.write(body)
        except (UserError, OSError) as error:
            print('Warning: %s is not kept for other runs: %s' % (url, reason_of(error)))
            _kept[url_md5] = body
    return io.BytesIO(body)


def _open_local(path):
    try:
        return open(path, 'rb')
    except OSError as error:
        raise UserError('Cannot read %r: %s.' % (path, error.strerror)) from error


def _cache_problem(path):
    """Make the cache folder; says what is wrong if files cannot be made in it, '' if they can."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        return 'cannot make the cache folder %r (%s)' % (path, error.strerror)
    return '' if os.access(path, os.W_OK) else 'the cache folder %r is not writable' % path


def _download(url, num_attempts, verbose):
    """Try until a body comes; returns (file name, body), raises the last attempt's error."""

    def say(text, end=''):
        if verbose:
            print(text, end=end, flush=True)

    say('Downloading %s ...' % url)
    delay, refusals = _FIRST_DELAY, 0
    with requests.Session() as session:
        for attempts_left in reversed(range(num_attempts)):
            try:
                name, body = _attempt(session, url, verbose)
                say(' done', end='\n')
                return name, body
            except (requests.RequestException, _AttemptFailed) as error:
                refusals += _is_refusal(error)
                if not attempts_left or refusals == _MOST_REFUSALS:
                    say(' failed', end='\n')
                    raise
                say('.')
                next_url = getattr(error, 'next_url', None)
                if next_url:
                    url = next_url
                    continue
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)


def _attempt(session, url, verbose):
    """One GET; returns (file name, body)."""
    with session.get(url, stream=True, timeout=_TIMEOUT) as response:
        response.raise_for_status()
        body = _read_body(response, url, verbose)
        if not body:
            raise _AttemptFailed('no data received')
        if len(body) < _NOTICE_SIZE:
            _refuse_notice(response, url, body)
        disposition = response.headers.get('Content-Disposition', '')
    given_name = re.search(r'filename="([^"]*)"', disposition)
    return given_name.group(1) if given_name else url, body


def _read_body(response, url, verbose):
    """Read the body; a bar on stderr where it is long."""
    size = int(response.headers.get('Content-Length', 0))
    if 'Content-Encoding' in response.headers:
        size = 0  # the header gives the size of the compressed text
    chunks = []
    hide_bar = None if verbose and size >= _BAR_SIZE else True
    with tqdm(total=size, unit='B', unit_scale=True, leave=False, disable=hide_bar) as bar:
        has_bar = not bar.disable
        for chunk in response.iter_content(1 << 16):
            chunks.append(chunk)
            bar.update(len(chunk))
    if has_bar:  # its last act was to wipe the line
        sys.stderr.write('\rDownloading %s ...' % url)
    body = b''.join(chunks)
    if len(body) < size:
        raise _AttemptFailed('the connection ended after %d of %d bytes' % (len(body), size))
    return body


def _refuse_notice(response, url, body):
    """Raise if the body is one of the pages that Google Drive sends instead of a file."""
    try:
        text = body.decode('utf-8')
    except UnicodeDecodeError:
        return
    if 'download_warning' in response.headers.get('Set-Cookie', ''):
        links = re.findall(r'"([^"]*export=download[^"]*)"', text)
        if len(links) == 1:
            link = urljoin(url, html.unescape(links[0]))
            raise _AttemptFailed('only a page with a warning came', next_url=link)
    if 'Google Drive - Quota exceeded' in text:
        raise _AttemptFailed('the download quota of Google Drive is used up; try again later')


def _is_refusal(error):
    """Whether no connection was made: unknown host, closed port, no answer, failed encryption."""
    has_given_up = any(isinstance(reason, MaxRetryError) for reason in error.args)
    return isinstance(error, requests.ConnectionError) and has_given_up


def _reason(error):
    """What went wrong, in a few words."""
    if isinstance(error, requests.HTTPError):
        return 'HTTP status %d %s' % (error.response.status_code, error.response.reason)
    if isinstance(error, requests.Timeout):
        return 'no answer within %d seconds' % _TIMEOUT
    if isinstance(error, requests.ConnectionError):
        return 'no connection'
    return ' '.join(str(error).split())
