"""A process is told from all others, and taken for dead only when it surely is."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dnnlib import owner


@pytest.fixture
def sleeper():
    """A process that sleeps, and what names it."""
    process = subprocess.Popen(['sleep', '60'])
    yield process, owner.current()._replace(pid=process.pid, start=owner._start_of(process.pid))
    process.kill()
    process.wait()


def test_this_process_lives_and_is_written_as_text_for_names_of_files():
    me = owner.current()
    assert me.pid == os.getpid() and me.start and owner.is_dead(me) is False
    text = me._replace(host='a-b.c-1').text()
    assert set(text) <= set('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-')
    assert owner.from_text(text) == me._replace(host='a-b.c-1')
    assert owner.from_dict(dict(me._asdict(), more=1)) == me
    for other in ['', 'a-b', text + 'x', text.replace(me.start, 'x')]:
        assert owner.from_text(other) is None
    for fields in [None, {}, [], dict(me._asdict(), pid='1'), dict(me._asdict(), host=None)]:
        assert owner.from_dict(fields) is None


def test_a_child_is_not_taken_for_its_parent():
    owner.current()
    code = os.fork()
    if not code:
        me = owner.current()
        os._exit(0 if me.pid == os.getpid() and owner.is_dead(me) is False else 1)
    assert os.waitpid(code, 0)[1] == 0


def test_a_killed_process_is_dead_though_nobody_has_asked_for_its_status(sleeper):
    process, whose = sleeper
    assert owner.is_dead(whose) is False
    process.send_signal(signal.SIGKILL)
    deadline = time.time() + 30
    while owner.is_dead(whose) is False and time.time() < deadline:
        time.sleep(0.01)
    assert process.returncode is None and owner.is_dead(whose) is True
    process.wait()
    assert owner.is_dead(whose) is True


def test_the_number_of_a_dead_process_may_be_another_one_s(sleeper):
    assert owner.is_dead(sleeper[1]._replace(start='1')) is True
    assert owner.is_dead(sleeper[1]._replace(start='')) is None
    assert owner.is_dead(sleeper[1]._replace(pid=1 << 40)) is True


def test_processes_of_other_machines_and_containers_cannot_be_judged():
    me = owner.current()
    gone = me._replace(pid=1 << 40)
    assert owner.is_dead(gone._replace(host='other', boot='0123')) is None
    assert owner.is_dead(gone._replace(space='1')) is None
    assert owner.is_dead(gone._replace(host='other')) is True  # of the same kernel


def test_what_ran_before_the_machine_was_restarted_is_dead(monkeypatch):
    me = owner.current()._replace(host='node-1')
    monkeypatch.setattr(owner, 'current', lambda: me)
    assert owner.is_dead(me._replace(boot='0123456789ab')) is True
    here = me._replace(host='localhost')  # many machines are called so
    monkeypatch.setattr(owner, 'current', lambda: here)
    assert owner.is_dead(here._replace(boot='0123456789ab')) is None


def test_another_program_reads_the_same_of_a_process(sleeper):
    code = (
        'import sys; from dnnlib import owner; print(owner.is_dead(owner.from_text(sys.argv[1])))'
    )
    told = [
        subprocess.check_output([sys.executable, '-c', code, whose.text()])
        for whose in (owner.current(), owner.current()._replace(start='1'))
    ]
    assert told == [b'False\n', b'True\n']
