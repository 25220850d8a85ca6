"""dnnlib.util.open_url against a web server of our own."""

import hashlib
import http.server
import io
import os
import socket
import threading

import pytest

from dnnlib import download, util
from dnnlib.util import UserError, is_url, open_url
from training import misc
from training.perception import feature_nets

BINARY = bytes(range(256)) * 4


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from the server's script: a list of (status, headers, body)."""

    def do_GET(self):
        self.server.requests.append(self.path)
        script = self.server.script
        status, headers, body = script.pop(0) if len(script) > 1 else script[0]
        self.send_response(status)
        for name, value in dict({'Content-Length': len(body)}, **headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine; attributes script, requests (paths seen), delays, url."""
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
    server.url = 'http://127.0.0.1:%d/' % server.server_port
    server.script, server.requests, server.delays = [], [], []
    monkeypatch.setattr(download.time, 'sleep', server.delays.append)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(url, *args, **kwargs):
    with open_url(url, *args, **kwargs) as file:
        return file.read()


def md5(text):
    return hashlib.md5(text.encode('utf-8')).hexdigest()


@pytest.mark.parametrize(
    'obj, expected',
    [
        ('http://a.b/c', True),
        ('https://nvlabs-fi-cdn.nvidia.com/x.pkl', True),
        ('http://localhost/x', False),
        ('gdrive:networks/x.pkl', False),
        ('file:///a/b', False),
        ('/a/b', False),
        ('http://', False),
        ('http://[', False),
        (None, False),
        (b'http://a.b/', False),
    ],
)
def test_is_url(obj, expected):
    assert is_url(obj) is expected


def test_file_urls_only_on_request():
    assert is_url('file:///a', allow_file_urls=True)
    assert not is_url('/a', allow_file_urls=True)


def test_file_urls_open_local_files(tmp_path):
    (tmp_path / 'x').write_bytes(BINARY)
    assert fetch('file:///' + str(tmp_path / 'x')) == BINARY
    with pytest.raises(UserError, match='nothing'):
        open_url('file:///' + str(tmp_path / 'nothing'))


def test_small_binary_files_arrive(server, capsys):
    server.script = [(200, {}, BINARY)]
    url = server.url + 'x'
    assert fetch(url) == BINARY
    assert capsys.readouterr() == ('Downloading %s ... done\n' % url, '')
    assert fetch(url, verbose=False) == BINARY
    assert capsys.readouterr() == ('', '')


def test_long_files_arrive(server):
    server.script = [(200, {}, BINARY * 3000)]
    assert fetch(server.url) == BINARY * 3000


def test_a_progress_bar_leaves_the_line_that_it_was_drawn_on(server, monkeypatch):
    server.script = [(200, {}, BINARY * 3000)]
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(download.sys, 'stderr', terminal)
    fetch(server.url)
    assert '3.07M' in terminal.getvalue()
    assert terminal.getvalue().endswith('\rDownloading %s ...' % server.url)


def test_the_second_time_the_cache_answers(server, tmp_path):
    server.script = [(200, {}, BINARY)]
    url = server.url + 'a/b.pkl?c=1'
    cache = str(tmp_path / 'cache')
    assert fetch(url, cache) == fetch(url, cache) == BINARY
    assert len(server.requests) == 1
    safe = 'http___127.0.0.1_%d_a_b.pkl_c_1' % server.server_port
    assert os.listdir(cache) == ['%s_%s' % (md5(url), safe)]


def test_the_cache_name_is_that_of_the_official_code(monkeypatch, tmp_path):
    url = 'https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/stylegan2-ffhq-config-f.pkl'
    monkeypatch.setattr(download, '_attempt', lambda session, url, verbose: (url, BINARY))
    fetch(url, str(tmp_path))
    assert os.listdir(str(tmp_path)) == [
        '92b0fe539a227cdb6d0fb2833c6a30df_https___nvlabs-fi-cdn.nvidia.com_stylegan2_networks_'
        'stylegan2-ffhq-config-f.pkl'
    ]


def test_the_server_may_name_the_file(server, tmp_path):
    server.script = [(200, {'Content-Disposition': 'attachment; filename="../net 1.pkl"'}, BINARY)]
    fetch(server.url, str(tmp_path))
    assert os.listdir(str(tmp_path)) == [md5(server.url) + '_.._net_1.pkl']


def test_a_file_put_into_the_cache_by_hand_is_used(server, tmp_path):
    (tmp_path / (md5(server.url) + '_any name.pkl')).write_bytes(b'by hand')
    assert fetch(server.url, str(tmp_path)) == b'by hand'
    assert server.requests == []


def test_failed_attempts_are_repeated_ever_more_slowly(server, capsys):
    server.script = [(503, {}, b''), (404, {}, b'x'), (200, {}, b''), (200, {}, BINARY)]
    assert fetch(server.url) == BINARY
    assert capsys.readouterr().out == 'Downloading %s ...... done\n' % server.url
    assert server.delays == [0.25, 0.5, 1.0]


def test_a_body_that_was_cut_short_counts_as_failed(server):
    server.script = [
        (200, {'Content-Length': 2000, 'Connection': 'close'}, BINARY),
        (200, {}, BINARY),
    ]
    assert fetch(server.url) == BINARY
    assert len(server.requests) == 2


def test_failure_is_one_line_that_says_where_to_put_the_file(server, tmp_path, capsys):
    server.script = [(404, {}, b'not here')]
    url = server.url + 'net.pkl'
    with pytest.raises(UserError) as caught:
        open_url(url, str(tmp_path), num_attempts=3)
    message = str(caught.value)
    name = '%s_http___127.0.0.1_%d_net.pkl' % (md5(url), server.server_port)
    assert url in message and 'HTTP status 404' in message and '\n' not in message
    assert message.endswith(' ' + str(tmp_path / name))
    assert capsys.readouterr().out.endswith('..... failed\n')
    assert len(server.requests) == 3 and len(server.delays) == 2
    assert os.listdir(str(tmp_path)) == []


def test_no_network_is_a_user_error_too(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match='no connection'):
        open_url(server.url, num_attempts=2, verbose=False)
    assert server.delays == [0.25]


@pytest.mark.parametrize('name_is_known', [True, False])
def test_without_internet_the_failure_comes_soon(server, monkeypatch, name_is_known):
    """After two quick further attempts, whether nobody answers or the name is unknown."""
    server.shutdown()
    server.server_close()
    if not name_is_known:

        def no_such_name(*args, **kwargs):
            raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

        monkeypatch.setattr(socket, 'getaddrinfo', no_such_name)
    with pytest.raises(UserError, match='no connection'):
        open_url(server.url, verbose=False)
    assert server.delays == [0.25, 0.5]


def test_broken_transfers_are_tried_to_the_end(server):
    server.script = [(200, {'Content-Length': 2000, 'Connection': 'close'}, BINARY)]
    with pytest.raises(UserError, match='Cannot download'):
        open_url(server.url, verbose=False)
    assert len(server.requests) == 10


def test_the_link_behind_a_warning_page_is_followed(server):
    page = b'<a href="/real?export=download&amp;id=1">anyway</a>'
    server.script = [(200, {'Set-Cookie': 'download_warning_1=x'}, page), (200, {}, BINARY)]
    assert fetch(server.url) == BINARY
    assert server.requests == ['/', '/real?export=download&id=1']
    assert server.delays == []


def test_a_used_up_quota_is_told(server):
    server.script = [(200, {}, b'<title>Google Drive - Quota exceeded</title>')]
    with pytest.raises(UserError, match='quota'):
        open_url(server.url, num_attempts=1)


def test_a_cache_that_cannot_be_made_costs_a_warning(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, '_kept', {})
    (tmp_path / 'file').write_text('')
    server.script = [(200, {}, BINARY)]
    for _ in range(2):  # no second download
        file = open_url(server.url, str(tmp_path / 'file' / 'cache'), verbose=False)
        assert file.read() == BINARY
    assert server.requests == ['/']
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith('Warning: ') and 'cannot make the cache folder' in line


def test_open_url_is_part_of_util():
    assert util.open_url is download.open_url


def test_downloads_are_kept_among_the_users_caches(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    monkeypatch.delenv(download.CACHE_VARIABLE)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    assert download.cache_dir() == '/home/me/.cache/stylegan2'
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert download.cache_dir() == '/caches/stylegan2'
    monkeypatch.setenv(download.CACHE_VARIABLE, '~/nets')
    assert download.cache_dir() == '/home/me/nets'


def test_what_may_run_is_not_taken_from_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(download.CACHE_VARIABLE, str(tmp_path / 'mine'))
    monkeypatch.setattr(download, '_download', lambda url, *_: ('net.pkl', b'published'))
    url = 'https://example.com/net.pkl'
    strangers = tmp_path / '.stylegan2-cache'
    strangers.mkdir()
    (strangers / (md5(url) + '_net.pkl')).write_bytes(b'of a stranger')
    inception = md5(feature_nets.url(feature_nets.INCEPTION_FEATURES)) + '_net.pkl'
    (strangers / inception).write_bytes(b'of a stranger')

    assert not feature_nets.is_at_hand(feature_nets.INCEPTION_FEATURES)
    published = hashlib.sha256(b'published').hexdigest()
    assert feature_nets.sha256(feature_nets.INCEPTION_FEATURES) == published
    assert misc.open_file_or_url(url).read() == b'of a stranger'  # read as data
    assert misc.open_file_or_url(url, is_trusted=True).read() == b'published'
