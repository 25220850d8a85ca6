"""One process writes a run; when it dies, the next one takes over, and only one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dnnlib import owner
from dnnlib.submission.run_lock import RunLock, is_abandoned
from dnnlib.util import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOLD = (
    'import sys, time\n'
    'from dnnlib.submission.run_lock import RunLock, is_abandoned\n'
    'with RunLock(sys.argv[1], heartbeat=0.05):\n'
    '    print("held", flush=True); sys.stdin.read()\n'
)


def start(folder, code=HOLD):
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    environment = dict(os.environ, PYTHONPATH=ROOT)
    command = [sys.executable, '-c', code, str(folder)]
    return subprocess.Popen(command, env=environment, **pipes)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path."""
    process = start(tmp_path)
    assert process.stdout.readline() == b'held\n'
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def write(folder, **fields):
    """A lock as another machine's process would have it."""
    there = owner.Owner('elsewhere', '0123456789ab', '1', 77, '1')._asdict()
    text = json.dumps(dict(there, since='2026-11-26 09:00:00', id='x', **fields))
    (folder / 'run.lock').write_text(text)


def test_a_second_process_is_told_who_has_the_run(tmp_path, holder):
    for _ in range(2):
        with pytest.raises(UserError) as caught, RunLock(str(tmp_path)):
            pass
        line = str(caught.value)
        assert '%s is being written by process %d on host' % (tmp_path, holder.pid) in line
        assert 'since 20' in line and 'last heartbeat 0s ago' in line and '\n' not in line
    assert os.listdir(str(tmp_path)) == ['run.lock']
    holder.communicate(b'')
    assert os.listdir(str(tmp_path)) == []


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, holder):
    assert not is_abandoned(str(tmp_path))
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert is_abandoned(str(tmp_path))
    assert os.listdir(str(tmp_path)) == ['run.lock']
    with RunLock(str(tmp_path)) as lock:
        facts = json.loads((tmp_path / 'run.lock').read_text())
        assert facts['pid'] == os.getpid() and lock.check() and not lock.is_lost
        assert os.listdir(str(tmp_path)) == ['run.lock']
    assert os.listdir(str(tmp_path)) == []


def take(folder, go, done, results):
    go.wait()
    try:
        with RunLock(str(folder)) as lock:
            results.append('won')
            done.wait(30)
            results.append(str(lock.check()))
    except UserError:
        results.append('told')


@pytest.mark.parametrize('left', [['run.lock'], ['run.lock', 'run.lock.next']])
def test_of_many_that_take_over_at_once_one_wins(tmp_path, left):
    """Each of them would overwrite what another holds, if it could."""
    for number in range(5):
        gone = dict(owner.current()._replace(pid=1 << 30)._asdict(), id=str(number))
        for name in left:
            (tmp_path / name).write_text(json.dumps(gone))
        go, done, results = threading.Barrier(8), threading.Event(), []
        args = tmp_path, go, done, results
        threads = [threading.Thread(target=take, args=args) for _ in range(8)]
        for thread in threads:
            thread.start()
        deadline = time.time() + 30
        while len(results) < 8 and time.time() < deadline:
            time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
        assert sorted(results) == ['True'] + ['told'] * 7 + ['won']
        assert os.listdir(str(tmp_path)) == []


def test_processes_that_take_over_at_once(tmp_path):
    gone = owner.current()._replace(pid=1 << 30)._asdict()
    (tmp_path / 'run.lock').write_text(json.dumps(gone))
    processes = [start(tmp_path) for _ in range(3)]
    lines = [process.stdout.readline() for process in processes]
    assert sorted(lines) == [b'', b'', b'held\n']
    winner = processes[lines.index(b'held\n')]
    for process in processes:
        if process is not winner:
            assert b'is being written by process %d' % winner.pid in process.communicate()[1]
    winner.communicate(b'')
    assert os.listdir(str(tmp_path)) == []


def test_another_machine_s_process_lives_as_long_as_it_shows_heartbeats(tmp_path, capsys):
    write(tmp_path)
    end = threading.Event()

    def beat():
        while not end.wait(0.02):
            os.utime(str(tmp_path / 'run.lock'))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(UserError, match='by process 77 on host elsewhere since 2026-11-26 09'):
            with RunLock(str(tmp_path), patience=10):
                pass
    finally:
        end.set()
        thread.join()
    assert 'Waiting at most 10s for a heartbeat of process 77' in capsys.readouterr().out


def test_another_machine_s_process_without_heartbeats_is_dead_after_a_while(tmp_path, capsys):
    write(tmp_path)
    with RunLock(str(tmp_path), patience=0.3) as lock:
        assert lock.check()
    assert capsys.readouterr().out.count('\n') == 1
    write(tmp_path)
    os.utime(str(tmp_path / 'run.lock'), (1, 1))
    with RunLock(str(tmp_path)):
        assert capsys.readouterr().out == ''


@pytest.mark.parametrize('content', ['', '[', '{"pid": 1}', '[' * 100000])
def test_a_broken_lock_is_another_s_until_it_has_no_heartbeats(tmp_path, content):
    (tmp_path / 'run.lock').write_text(content)
    with RunLock(str(tmp_path), patience=0.2) as lock:
        assert lock.check()


def test_a_heartbeat_is_seen_and_a_lost_lock_is_not_taken_back(tmp_path):
    path = tmp_path / 'run.lock'
    with RunLock(str(tmp_path), heartbeat=0.02) as lock:
        os.utime(str(path), (1, 1))
        deadline = time.time() + 30
        while path.stat().st_mtime == 1 and time.time() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 1 and not lock.is_lost
        path.unlink()
        while not lock.is_lost and time.time() < deadline:
            time.sleep(0.01)
        assert lock.is_lost and not path.exists()
        write(tmp_path)
        assert not lock.check()
    assert json.loads(path.read_text())['host'] == 'elsewhere'


def test_a_child_process_leaves_the_lock(tmp_path):
    with RunLock(str(tmp_path)) as lock:
        pid = os.fork()
        if not pid:
            lock.__exit__()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0 and lock.check()


def test_where_there_are_no_links_the_lock_is_as_exclusive(tmp_path, monkeypatch):
    def link(*paths):
        raise PermissionError(1, 'Operation not permitted')

    monkeypatch.setattr(os, 'link', link)
    with RunLock(str(tmp_path)):
        with pytest.raises(UserError, match='is being written'), RunLock(str(tmp_path)):
            pass
    assert os.listdir(str(tmp_path)) == []


def test_a_folder_that_takes_no_lock_is_told(tmp_path):
    with pytest.raises(UserError, match='Cannot write .*run.lock.*No such file'):
        with RunLock(str(tmp_path / 'nowhere')):
            pass
