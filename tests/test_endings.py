"""Ctrl-C and SIGTERM end a program when it suits it, once, and with the right status."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dnnlib import cli, endings
from dnnlib.endings import Terminated

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Signals are ignored in the background of a shell, where tests may run.
PROGRAM = (
    'import os, signal, sys, time\n'
    'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
    'from dnnlib import endings\n'
    'from dnnlib.cli import run_cli\n'
    'sys.exit(run_cli(lambda: exec(sys.argv[1])))'
)


def send(name):
    os.kill(os.getpid(), getattr(signal, 'SIG' + name))


@pytest.fixture(autouse=True)
def signals(monkeypatch):
    """Those of a program in a terminal."""
    monkeypatch.setattr(endings, '_REMINDER', 3600)  # these tests go on, which no program does
    number = signal.SIGINT
    former = signal.signal(number, signal.default_int_handler)
    yield
    assert signal.getsignal(number) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(number, former)


@pytest.mark.parametrize('name, kind', [('INT', KeyboardInterrupt), ('TERM', Terminated)])
def test_a_signal_is_raised_at_once_or_at_the_end_of_what_is_not_to_be_interrupted(name, kind):
    done = []
    with endings.handling():
        with pytest.raises(kind):
            send(name)
            done.append('never')
    with endings.handling():
        with pytest.raises(kind), endings.deferred():
            assert not endings.pending()
            with endings.deferred():
                send(name)
                assert endings.pending()
            done.append('inner')
        assert endings.pending()
    assert done == ['inner'] and not endings.pending()


def test_a_second_ctrl_c_is_raised_at_once_everywhere():
    with endings.handling(), pytest.raises(KeyboardInterrupt), endings.deferred():
        send('TERM')
        send('TERM')
        send('INT')
        assert endings.pending()
        send('INT')
        raise AssertionError
    with endings.handling():
        with pytest.raises(KeyboardInterrupt):
            send('INT')
        with pytest.raises(KeyboardInterrupt), endings.deferred():
            send('INT')
            raise AssertionError


def test_while_a_program_ends_more_requests_do_not_stop_it_from_cleaning_up(monkeypatch):
    monkeypatch.setattr(endings, '_REMINDER', 0.02)
    done = []
    with endings.handling():
        try:
            send('TERM')
        except Terminated:
            send('TERM')
            send('INT')
            time.sleep(0.2)
            with endings.deferred():
                done.append('state')
            done.append('last words')
    assert done == ['state', 'last words']


def test_a_request_that_a_library_swallowed_is_raised_again(monkeypatch):
    with endings.handling():
        try:
            send('TERM')
        except BaseException:
            pass
        with pytest.raises(Terminated), endings.deferred():
            pass
    monkeypatch.setattr(endings, '_REMINDER', 0.05)
    with pytest.raises(KeyboardInterrupt), endings.handling():
        try:
            send('INT')
        except BaseException:
            pass
        time.sleep(60)


def test_an_error_goes_before_a_request():
    with endings.handling():
        with pytest.raises(ZeroDivisionError), endings.deferred():
            send('TERM')
            raise ZeroDivisionError
        assert endings.pending()


def test_sigusr1_asks_for_one_state():
    with endings.handling():
        assert not endings.state_wanted()
        send('USR1')
        send('USR1')
        assert endings.state_wanted() and not endings.state_wanted()
        assert not endings.pending()


def test_signals_that_are_ignored_stay_ignored(signals):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with endings.handling():
            send('INT')
            assert not endings.pending() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_former_handlers_come_back_and_the_outer_handling_stays():
    calls = []
    former = signal.signal(signal.SIGTERM, lambda *args: calls.append(1))
    try:
        with endings.handling():
            with endings.handling():
                pass
            with pytest.raises(Terminated):
                send('TERM')
        send('TERM')
        assert calls == [1]
    finally:
        signal.signal(signal.SIGTERM, former)


def test_other_threads_leave_signals_alone():
    results = []

    def work():
        with endings.handling(), endings.deferred():
            results.append(signal.getsignal(signal.SIGTERM))
            time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [signal.SIG_DFL]
    with endings.handling():
        thread = threading.Thread(target=work)
        thread.start()
        with pytest.raises(Terminated):  # its block defers nothing here
            send('TERM')
        thread.join()


def test_a_child_process_ends_as_if_nothing_was_handled():
    with endings.handling():
        pid = os.fork()
        if not pid:
            try:
                send('TERM')
                time.sleep(60)
            finally:
                os._exit(1)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGTERM


def test_what_a_library_wrapped_is_found():
    error = ImportError()
    error.__cause__ = SystemError()
    assert endings.ending_in(error) is None
    error.__cause__.__cause__ = Terminated()
    assert isinstance(endings.ending_in(error), Terminated)

    def main():
        raise error

    assert cli.run_cli(main) == 143


def start(code, *prefix, **options):
    command = list(prefix) + [sys.executable, '-c', PROGRAM, code]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    environment = dict(os.environ, PYTHONPATH=ROOT)
    return subprocess.Popen(command, env=environment, **dict(pipes, **options))


@pytest.mark.parametrize(
    'number, status, line',
    [(signal.SIGINT, 130, 'Interrupted.\n'), (signal.SIGTERM, 143, 'Terminated.\n')],
)
@pytest.mark.parametrize('to_group', [False, True], ids=['process', 'group'])
def test_a_program_that_is_asked_to_end_says_so_in_one_line(number, status, line, to_group):
    process = start('print("ready", flush=True); time.sleep(60)', start_new_session=True)
    assert process.stdout.readline() == 'ready\n'
    (os.killpg if to_group else os.kill)(process.pid, number)
    _, err = process.communicate()
    assert (process.returncode, err) == (status, line)


def test_what_is_said_after_a_signal_to_all_processes_is_shown():
    """USR1 as schedulers send it, before the end; the child that passes lines on hears it too."""
    code = (
        'print("ready", flush=True)\n'
        'while not endings.state_wanted(): time.sleep(0.01)\n'
        'os.write(2, b"E: still here\\n"); print("ready", flush=True); time.sleep(60)'
    )
    process = start(code, start_new_session=True)
    for number in (signal.SIGUSR1, signal.SIGTERM):
        assert process.stdout.readline() == 'ready\n'
        os.killpg(process.pid, number)
    _, err = process.communicate()
    assert process.returncode == 143
    assert sorted(err.splitlines()) == ['E: still here', 'Terminated.']  # they take two ways


def test_a_program_in_the_background_does_not_hear_ctrl_c():
    code = 'print("ready", flush=True); time.sleep(0.3); print(endings.pending())'
    quiet_start = PROGRAM.replace('default_int_handler', 'SIG_IGN')
    command = [sys.executable, '-c', quiet_start, code]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=ROOT)
    )
    assert process.stdout.readline() == b'ready\n'
    process.send_signal(signal.SIGINT)
    assert process.communicate()[0] == b'False\n' and process.returncode == 0


def test_a_compiler_does_not_hold_up_the_end(tmp_path):
    """Of a build that was asked to end only those go on that were not started by it."""
    for name in ['a', 'b']:
        (tmp_path / name).write_text('')
    recipe = (
        'from dnnlib import native_build as n\n'
        'os.environ[n.CACHE_VARIABLE] = %r\n'
        'say = ["sh", "-c", "echo ready > %s/$0; exec sleep 60"]\n'
        'n.build(n.Recipe("x", %r, dict(a=say + ["1"], b=say + ["2"]), [], [], ""))'
    ) % (str(tmp_path / 'cache'), tmp_path, str(tmp_path))
    process = start(recipe, start_new_session=True)
    while not (tmp_path / '1').exists():
        time.sleep(0.01)
    before = time.time()
    process.terminate()
    _, err = process.communicate()
    assert process.returncode == 143 and err.endswith('Terminated.\n')
    assert time.time() - before < 30  # the compilers would take 60


def test_who_looks_at_requests_himself_is_not_interrupted_at_the_end_of_a_block():
    with endings.handling():
        with pytest.raises(endings.Terminated), endings.deferred():
            endings._requests.ending = endings.Terminated
        with endings.deferred(raises=False):
            endings._requests.ending = endings.Terminated
        assert endings.pending()
