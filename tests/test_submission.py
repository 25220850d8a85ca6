"""dnnlib.submission: run folders, what is left in them after success and failure, RunContext."""

import ast
import os
import pickle
import platform
import pprint
import subprocess
import sys
import threading

import pytest

import dnnlib
from dnnlib import endings, owner
from dnnlib.submission import run_context, submit
from dnnlib.util import EasyDict, UserError

ME = __name__


def write_result(submit_config, text):
    assert dnnlib.submit_config is submit_config
    print('the text is', text)
    print('a warning', file=sys.stderr)
    with open(dnnlib.make_run_dir_path('result.txt'), 'w') as file:
        file.write(text)


def without_config(text='x'):
    assert text == 'y'


def fail(error):
    print('so far', end='')
    dnnlib.RunContext.get()
    raise error


def stop_early():
    open(dnnlib.make_run_dir_path('abort.txt'), 'w').close()
    context = dnnlib.RunContext.get()
    assert not context.should_stop()
    context.update()
    assert context.should_stop()


@pytest.fixture
def config(tmp_path):
    config = dnnlib.SubmitConfig()
    config.run_dir_root = str(tmp_path / 'results')
    config.run_desc = 'demo-1gpu'
    config.local.do_not_copy_source_files = True
    return config


def submit_here(config, func, **kwargs):
    return dnnlib.submit_run(config, '%s.%s' % (ME, func), **kwargs)


def content(*path):
    with open(os.path.join(*path), encoding='utf-8') as file:
        return file.read()


def assert_nothing_is_left_open(streams):
    assert dnnlib.submit_config is None
    assert run_context.RunContext._alive is None
    assert (sys.stdout, sys.stderr) == streams


def test_a_run_leaves_its_configuration_log_and_results(config, capsys):
    done = submit_here(config, 'write_result', text='hello')
    run_dir = os.path.join(config.run_dir_root, '00000-demo-1gpu')
    assert (done.run_id, done.run_name, done.run_dir) == (0, '00000-demo-1gpu', run_dir)
    assert done.task_name == '%s-00000-demo-1gpu' % submit.get_user_name()
    assert config.run_dir is None
    assert sorted(os.listdir(run_dir)) == [
        '_finished.txt',
        'log.txt',
        'result.txt',
        'run.txt',
        'submit_config.json',
        'submit_config.pkl',
        'submit_config.txt',
    ]
    assert os.listdir(config.run_dir_root) == ['00000-demo-1gpu']
    assert content(run_dir, '_finished.txt') == ''
    assert content(run_dir, 'result.txt') == 'hello'
    log = (
        'dnnlib: Running %s.write_result() on localhost...\nthe text is hello\na warning\n'
        'dnnlib: Finished %s.write_result() in 0s.\n' % (ME, ME)
    )
    assert content(run_dir, 'log.txt') == log
    out, err = capsys.readouterr()
    assert out == 'Local submit - run_dir: %s\n' % run_dir + log.replace('a warning\n', '')
    assert err == 'a warning\n'
    assert_nothing_is_left_open((sys.stdout, sys.stderr))


def test_saved_configuration_can_be_read_by_python_36(config):
    done = submit_here(config, 'without_config', text='y')
    with open(os.path.join(done.run_dir, 'submit_config.pkl'), 'rb') as file:
        data = file.read()
    assert data[:2] == b'\x80\x04'
    saved = pickle.loads(data)
    assert type(saved) is dnnlib.SubmitConfig
    assert saved.run_func_kwargs == {'text': 'y'} and saved.run_dir == done.run_dir
    assert saved.version == dnnlib.full_version()
    assert (
        content(done.run_dir, 'submit_config.txt')
        == pprint.pformat(done, indent=4, width=200, compact=False)
        .replace(repr(done.local), repr_in(done.run_dir, 'local'))
        .replace(repr(done.platform_extras), repr_in(done.run_dir, 'platform_extras'))
        + '\n'
    )


def repr_in(run_dir, key):
    """The value of one key in submit_config.txt, whose objects show addresses."""
    line = next(
        line for line in content(run_dir, 'submit_config.txt').splitlines() if "'%s':" % key in line
    )
    return line.split(': ', 1)[1].rstrip(',')


def test_runs_are_numbered_after_the_largest_folder(config):
    for name in ('00007-old', '3-x', 'notes', '00004'):
        os.makedirs(os.path.join(config.run_dir_root, name))
    open(os.path.join(config.run_dir_root, '00100-file'), 'w').close()
    assert submit_here(config, 'without_config', text='y').run_name == '00008-demo-1gpu'
    assert submit_here(config, 'without_config', text='y').run_name == '00009-demo-1gpu'


def test_runs_started_together_get_different_numbers(tmp_path):
    ids, root = [], str(tmp_path)

    def make(index):
        for _ in range(5):
            ids.append(submit._make_run_dir(root, 'desc%d' % index)[0])

    threads = [threading.Thread(target=make, args=[i]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 20
    assert sorted(int(name[:5]) for name in os.listdir(root)) == sorted(ids)


@pytest.mark.parametrize('desc', ['a b', 'a/b', '\u00e4', 'a\n', 'a;rm'])
def test_a_wrong_description_is_refused_before_anything_is_made(config, desc):
    config.run_desc = desc
    with pytest.raises(UserError, match='run description'):
        submit_here(config, 'without_config')
    assert not os.path.exists(config.run_dir_root)


def test_no_gpus_is_refused_before_anything_is_made(config):
    for num_gpus in (0, None):
        config.num_gpus = num_gpus
        with pytest.raises(RuntimeError, match='num_gpus'):
            submit_here(config, 'without_config')
    assert not os.path.exists(config.run_dir_root)


def test_a_result_folder_that_cannot_be_made_is_a_user_error(config, tmp_path):
    (tmp_path / 'results').write_text('a file')
    with pytest.raises(UserError, match='results'):
        submit_here(config, 'without_config', text='y')


def test_odd_user_names_do_not_stop_a_run(config):
    config.user_name = 'DOMAIN\\j.doe@corp'
    done = submit_here(config, 'without_config', text='y')
    assert done.task_name == 'DOMAIN_j.doe_corp-00000-demo-1gpu'
    assert done.user_name == config.user_name


def test_a_failed_run_logs_its_traceback_and_is_not_finished(config, capsys):
    streams = sys.stdout, sys.stderr
    with pytest.raises(ZeroDivisionError):
        submit_here(config, 'fail', error=ZeroDivisionError('by zero'))
    run_dir = os.path.join(config.run_dir_root, '00000-demo-1gpu')
    lines = content(run_dir, 'log.txt').splitlines()
    assert lines[1:3] == ['so far', 'Traceback (most recent call last):']
    assert lines[-1] == 'ZeroDivisionError: by zero'
    assert not os.path.exists(os.path.join(run_dir, '_finished.txt'))
    assert 'stop_time' in content(run_dir, 'run.txt')
    assert 'Traceback' not in ''.join(capsys.readouterr())
    assert_nothing_is_left_open(streams)


@pytest.mark.parametrize(
    'error, line', [(UserError('no data'), 'Error: no data'), (KeyboardInterrupt(), 'Interrupted.')]
)
def test_mistakes_and_ctrl_c_log_one_line(config, error, line):
    streams = sys.stdout, sys.stderr
    with pytest.raises(type(error)):
        submit_here(config, 'fail', error=error)
    run_dir = os.path.join(config.run_dir_root, '00000-demo-1gpu')
    assert content(run_dir, 'log.txt').splitlines()[1:] == ['so far', line]
    assert not os.path.exists(os.path.join(run_dir, '_finished.txt'))
    assert_nothing_is_left_open(streams)


def test_sigterm_is_a_line_of_the_log(config):
    with pytest.raises(endings.Terminated):
        submit_here(config, 'fail', error=endings.Terminated())
    path = os.path.join(config.run_dir_root, '00000-demo-1gpu', 'log.txt')
    assert content(path).endswith('so far\nTerminated.\n')


def test_a_start_removes_what_killed_runs_have_left(config):
    left = '.x.of-%s.0.tmp' % owner.current()._replace(pid=1 << 30).text()
    folders = [os.path.join(config.run_dir_root, name) for name in ('', '00003-a', '00004-b')]
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, left), 'w').close()
    open(os.path.join(folders[2], '_finished.txt'), 'w').close()
    submit_here(config, 'without_config', text='y')
    assert [os.path.exists(os.path.join(folder, left)) for folder in folders] == [
        False,
        False,
        True,
    ]


def test_a_run_goes_on_without_the_file_that_describes_it(config, tmp_path, capsys):
    config.update(run_dir=str(tmp_path / 'away'), task_name='me-00000-x')
    dnnlib.RunContext(config).close()
    assert capsys.readouterr().out.count('run.txt cannot be written (No such file') == 1


def test_a_run_of_an_unknown_function_leaves_nothing_open(config):
    streams = sys.stdout, sys.stderr
    with pytest.raises(AttributeError):
        submit_here(config, 'no_such_function')
    assert_nothing_is_left_open(streams)


def test_a_run_stopped_by_abort_txt_is_not_finished(config, capsys):
    done = submit_here(config, 'stop_early')
    assert not os.path.exists(os.path.join(done.run_dir, '_finished.txt'))
    assert 'Stopped %s.stop_early() by abort.txt' % ME in capsys.readouterr().out


def test_context_describes_the_run_and_its_times(config, tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(run_context.time, 'time', lambda: clock[0])
    config.update(run_dir=str(tmp_path), task_name='me-00000-x')
    context = dnnlib.RunContext(config)
    try:
        assert dnnlib.RunContext.get() is context
        with pytest.raises(AssertionError):
            dnnlib.RunContext(config)
        described = ast.literal_eval(content(str(tmp_path), 'run.txt'))
        assert sorted(described) == ['host_name', 'start_time', 'task_name']
        assert described['start_time'][10] == ' '
        assert context.get_last_update_interval() == 0.0
        clock[0] = 103.0
        context.update(loss=1.0, cur_epoch=2, max_epoch=3)
        clock[0] = 104.0
        assert context.get_last_update_interval() == 3.0
        assert context.get_time_since_last_update() == 1.0
        assert context.get_time_since_start() == 4.0
    finally:
        context.close()
    context.close()
    assert sorted(ast.literal_eval(content(str(tmp_path), 'run.txt'))) == [
        'host_name',
        'start_time',
        'stop_time',
        'task_name',
    ]
    with pytest.raises(AssertionError):
        context.update()


def test_paths_from_templates(monkeypatch):
    windows, linux = dnnlib.PathType.WINDOWS, dnnlib.PathType.LINUX
    submit.set_user_name_override('me')
    try:
        assert dnnlib.get_path_from_template('/home//<USERNAME>/./x/', linux) == '/home/me/x'
        assert dnnlib.convert_path('c:\\a\\<USERNAME>\\', windows) == 'c:\\a\\me'
        assert dnnlib.convert_path('a\\b', linux) == 'a/b'
    finally:
        submit.set_user_name_override(None)
    assert dnnlib.get_path_from_template('') == '.'
    monkeypatch.setenv('HOME', '/home/you')
    assert dnnlib.get_path_from_template('~/results') == '/home/you/results'


@pytest.mark.parametrize('system, path', [('Darwin', 'a/b'), ('Linux', 'a/b'), ('Windows', 'a\\b')])
def test_paths_work_on_every_system(monkeypatch, system, path):
    monkeypatch.setattr(platform, 'system', lambda: system)
    assert dnnlib.get_path_from_template('a//b/') == path


def test_outside_of_a_run_paths_are_in_the_current_folder():
    assert dnnlib.make_run_dir_path() == os.path.join(os.getcwd(), '')[:-1]
    assert dnnlib.make_run_dir_path('a', 'b') == os.path.join(os.getcwd(), 'a', 'b')


def test_configuration_starts_with_the_documented_values():
    config = dnnlib.SubmitConfig()
    assert isinstance(config, EasyDict)
    assert config.num_gpus == 1 and config.host_name == 'localhost'
    assert config.submit_target is dnnlib.SubmitTarget.LOCAL and config.local is not None
    assert config.platform_extras.data_reader_buffer_size == 1 << 30
    assert config.run_id is config.run_dir is config.task_name is config.run_func_name is None


def test_ctrl_c_in_a_real_process_closes_the_log(tmp_path):
    code = (
        'import dnnlib, os, signal, sys; sys.path.insert(0, sys.argv[2])\n'
        'config = dnnlib.SubmitConfig()\n'
        'config.run_dir_root = sys.argv[1]\n'
        'dnnlib.submit_run(config, "kill_me.main")\n'
    )
    (tmp_path / 'kill_me.py').write_text(
        'import os, signal, time\n'
        'def main():\n'
        '    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background\n'
        '    print("started")\n'
        '    os.kill(os.getpid(), signal.SIGINT)\n'
        '    time.sleep(60)\n'
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(dnnlib.__file__)))
    process = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path / 'runs'), str(tmp_path)],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, err = process.communicate()
    assert process.returncode != 0 and err.count(b'KeyboardInterrupt') == 1
    assert content(str(tmp_path / 'runs' / '00000-'), 'log.txt').endswith('started\nInterrupted.\n')
