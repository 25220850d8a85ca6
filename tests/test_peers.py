"""A worker whose port is closed is noticed and named, one that ends when it may is not."""

import socket
import subprocess
import sys

import pytest

from dnnlib import peers
from dnnlib.workers import Workers


@pytest.fixture
def listener():
    server = socket.socket()
    server.bind(('127.0.0.1', 0))
    server.listen(5)
    yield server
    server.close()


def address(server):
    return '127.0.0.1:%d' % server.getsockname()[1]


def test_a_closed_port_is_noticed_and_named(listener, monkeypatch):
    monkeypatch.setattr(peers, '_INTERVAL', 0.05)
    workers = Workers(('127.0.0.1:1', address(listener)), 0)
    watch = peers.Watch(workers, lambda name: '%s has ended' % name)
    assert watch.lost(0.5) is None
    listener.close()
    lost = watch.lost(10)
    assert str(lost) == '%s has ended' % workers.name(1) and lost.exit_status == peers.STATUS


def test_nobody_is_missed_after_the_end(listener, monkeypatch):
    monkeypatch.setattr(peers, '_INTERVAL', 0.05)
    watch = peers.Watch(Workers(('127.0.0.1:1', address(listener)), 0), str)
    watch.close()
    listener.close()
    assert watch.lost(0.5) is None


def test_a_main_thread_that_waits_in_vain_is_ended_with_a_line():
    code = (
        'import time; from dnnlib import peers; from dnnlib.workers import Workers\n'
        'peers._INTERVAL = peers._TIME_TO_END = 0.05\n'
        'peers.Watch(Workers(("127.0.0.1:1", "127.0.0.1:2"), 0), lambda name: name + " ended")\n'
        'time.sleep(60)'
    )
    found = subprocess.run([sys.executable, '-c', code], stderr=subprocess.PIPE)
    assert found.returncode == peers.STATUS
    assert b'Error: worker 1 (127.0.0.1:2) ended' in found.stderr
