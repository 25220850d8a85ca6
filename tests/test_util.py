"""dnnlib.util: dictionaries, log files, names of objects, files that appear whole."""

import ctypes
import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import dnnlib
from dnnlib import util
from dnnlib.util import EasyDict, Logger, UserError, atomic_write


def read(path):
    with open(str(path), encoding='utf-8') as file:
        return file.read()


class Terminal(io.StringIO):
    """A console stream that remembers what it was sent."""

    def isatty(self):
        return True

    def fileno(self):
        return 42


def replace_console(monkeypatch):
    """Replace (sys.stdout, sys.stderr) in a test; no fixture, since pytest replaces them too."""
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, 'stdout', out)
    monkeypatch.setattr(sys, 'stderr', err)
    return out, err


# Importing and EasyDict.


def test_dnnlib_can_be_imported_without_loading_tensorflow():
    code = 'import sys, dnnlib; sys.exit("tensorflow" in sys.modules)'
    root = os.path.dirname(os.path.dirname(os.path.abspath(dnnlib.__file__)))
    assert subprocess.call([sys.executable, '-c', code], cwd=root) == 0


def test_easy_dict_maps_attributes_to_items():
    d = EasyDict(a=1)
    d.b = 2
    assert d == {'a': 1, 'b': 2} and d.a == 1 and d['b'] == 2
    del d.a
    assert 'a' not in d
    with pytest.raises(AttributeError, match='^missing$'):
        print(d.missing)
    with pytest.raises(KeyError):
        del d.missing
    assert not hasattr(d, 'missing')


def test_easy_dict_pickles_under_the_name_that_published_networks_use():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        text = pickle.dumps(EasyDict(a=EasyDict(b=1)), protocol=protocol)
        assert b'dnnlib.util' in text and b'EasyDict' in text
        copy = pickle.loads(text)
        assert type(copy) is EasyDict and copy.a.b == 1


# Logger.


def test_log_file_gets_both_streams_and_the_terminal_keeps_them_apart(tmp_path, monkeypatch):
    console = replace_console(monkeypatch)
    with Logger(str(tmp_path / 'log.txt')):
        print('to stdout')
        print('to stderr', file=sys.stderr)
    assert console[0].getvalue() == 'to stdout\n'
    assert console[1].getvalue() == 'to stderr\n'
    assert read(tmp_path / 'log.txt') == 'to stdout\nto stderr\n'
    assert (sys.stdout, sys.stderr) == console


def test_lines_of_two_streams_stay_whole_in_the_log(tmp_path, monkeypatch):
    replace_console(monkeypatch)
    with Logger(str(tmp_path / 'log.txt')):
        print('first ', end='')
        print('warning', file=sys.stderr)
        print('half')
        print('open', end='')
    assert read(tmp_path / 'log.txt') == 'warning\nfirst half\nopen'


def test_progress_bars_stay_out_of_the_log(tmp_path, monkeypatch):
    console = replace_console(monkeypatch)
    from tqdm import tqdm

    with Logger(str(tmp_path / 'log.txt')):
        print('before')
        for outer in tqdm(range(3), disable=None):
            for _ in tqdm(range(2), disable=None, mininterval=0):
                pass
            print('step %d' % outer)
        print('a warning\r\n', end='', file=sys.stderr)
    assert '3/3' in console[1].getvalue()
    assert read(tmp_path / 'log.txt').replace('\r', '') == (
        'before\nstep 0\nstep 1\nstep 2\na warning\n'
    )


def test_a_warning_amid_a_progress_bar_reaches_the_log(tmp_path, monkeypatch):
    replace_console(monkeypatch)
    with Logger(str(tmp_path / 'log.txt')):
        sys.stderr.write('\r 10%')
        sys.stderr.write('\n')
        sys.stderr.write('UserWarning: x\n')
        sys.stderr.write('\n')
    assert read(tmp_path / 'log.txt') == 'UserWarning: x\n\n'


def test_programs_still_see_a_terminal_through_the_logger(monkeypatch):
    replace_console(monkeypatch)
    with Logger() as logger:
        assert sys.stdout is logger
        assert sys.stdout.isatty() and sys.stderr.isatty()
        assert sys.stdout.fileno() == 42 and sys.stderr.fileno() == 42


def test_loggers_nest(tmp_path, monkeypatch):
    replace_console(monkeypatch)
    with Logger(str(tmp_path / 'outer')):
        print('one')
        with Logger(str(tmp_path / 'inner')):
            print('two')
        print('three')
    assert read(tmp_path / 'outer') == 'one\ntwo\nthree\n'
    assert read(tmp_path / 'inner') == 'two\n'


def test_closing_a_logger_leaves_streams_that_others_have_put_in_place(monkeypatch):
    console = replace_console(monkeypatch)
    logger = Logger()
    sys.stdout = mine = io.StringIO()
    logger.close()
    assert sys.stdout is mine and sys.stderr is console[1]


def test_append_mode_keeps_the_old_log(tmp_path, monkeypatch):
    replace_console(monkeypatch)
    for mode, text in [('w', 'a'), ('a', 'b')]:
        with Logger(str(tmp_path / 'log.txt'), mode):
            print(text)
    assert read(tmp_path / 'log.txt') == 'a\nb\n'


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
def test_a_full_disk_ends_the_log_but_not_the_program(monkeypatch):
    console = replace_console(monkeypatch)
    with Logger('/dev/full'):
        print('one')
        print('two')
    assert console[0].getvalue() == 'one\ntwo\n'
    assert console[1].getvalue().count('No space left on device') == 1


def test_a_log_that_cannot_be_made_is_a_user_error(tmp_path, monkeypatch):
    console = replace_console(monkeypatch)
    with pytest.raises(UserError, match='log.txt.*No such file'):
        Logger(str(tmp_path / 'nowhere' / 'log.txt'))
    assert (sys.stdout, sys.stderr) == console


# Small functions.


@pytest.mark.parametrize(
    'seconds, text',
    [
        (0, '0s'),
        (0.5, '0s'),
        (1.5, '2s'),
        (59.4, '59s'),
        (59.6, '1m 00s'),
        (3599, '59m 59s'),
        (3600, '1h 00m 00s'),
        (86399, '23h 59m 59s'),
        (86400, '1d 00h 00m'),
        (90061, '1d 01h 01m'),
        (np.float32(61), '1m 01s'),
    ],
)
def test_format_time(seconds, text):
    assert util.format_time(seconds) == text


def test_ask_yes_no_asks_until_it_understands(monkeypatch, capsys):
    answers = iter(['maybe', '', 'YES', 'Off'])
    monkeypatch.setattr('builtins.input', lambda prompt='': print(prompt, end='') or next(answers))
    assert util.ask_yes_no('Sure?') == 1
    assert capsys.readouterr().out == 'Sure? [y/n]\n' * 3
    assert util.ask_yes_no('Sure?') == 0


def test_tuple_product():
    assert util.tuple_product((2, 3, 4)) == 24
    assert util.tuple_product(()) == 1


def test_get_dtype_and_ctype_takes_text_and_types():
    for bits in (8, 16, 32, 64):
        for kind in ('int%d' % bits, 'uint%d' % bits):
            assert util.get_dtype_and_ctype(kind) == (np.dtype(kind), getattr(ctypes, 'c_' + kind))
    for float32 in ('float32', np.float32, np.dtype('float32')):
        assert util.get_dtype_and_ctype(float32) == (np.float32, ctypes.c_float)
    assert util.get_dtype_and_ctype('float64') == (np.float64, ctypes.c_double)
    with pytest.raises(AssertionError):
        util.get_dtype_and_ctype('float16')
    with pytest.raises(RuntimeError):
        util.get_dtype_and_ctype(5)


def test_is_pickleable():
    assert util.is_pickleable({'a': EasyDict()})
    assert not util.is_pickleable(lambda: 0)


# Names of objects.


def test_objects_are_found_by_the_longest_module_name():
    assert util.get_module_from_obj_name('os.path.join') == (os.path, 'join')
    assert util.get_module_from_obj_name('os') == (os, '')
    assert util.get_obj_by_name('dnnlib.util.EasyDict.keys') is EasyDict.keys
    assert util.get_obj_by_name('np.linalg.norm') is np.linalg.norm


def test_tf_names_resolve_on_both_engines():
    import tensorflow.compat.v1 as tf

    assert util.get_obj_by_name('tf.train.AdamOptimizer') is tf.train.AdamOptimizer
    assert util.get_obj_by_name('tf.nn.relu') is tf.nn.relu


def test_names_that_only_look_like_short_names_are_left_alone(tmp_path, monkeypatch):
    (tmp_path / 'tfutil_like.py').write_text('x = 1')
    (tmp_path / 'npy.py').write_text('x = 2')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert util.get_obj_by_name('tfutil_like.x') == 1
    assert util.get_obj_by_name('npy.x') == 2


def test_what_is_wrong_with_a_name_is_told(tmp_path, monkeypatch):
    (tmp_path / 'broken_inside.py').write_text('import no_such_dependency')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match='no_such_module'):
        util.get_obj_by_name('no_such_module.func')
    with pytest.raises(ImportError, match='^no_such_module$'):
        util.get_obj_by_name('no_such_module')
    with pytest.raises(AttributeError, match='no_such_func'):
        util.get_obj_by_name('os.path.no_such_func')
    with pytest.raises(ImportError, match='no_such_dependency'):
        util.get_obj_by_name('broken_inside.func')


def test_call_func_by_name_passes_arguments():
    assert util.call_func_by_name('3', func_name='builtins.int', base=8) == 3
    assert util.call_func_by_name([3, 4], func_name='np.linalg.norm') == 5
    with pytest.raises(AssertionError):
        util.call_func_by_name(1)
    with pytest.raises(AssertionError):
        util.call_func_by_name(1, func_name='os.sep')


def test_top_level_functions_are_told_from_others():
    assert util.is_top_level_function(read)
    assert util.get_top_level_function_name(read) == __name__ + '.read'
    assert not util.is_top_level_function(lambda: 0)
    assert not util.is_top_level_function('read')
    assert util.get_module_dir_by_obj_name('dnnlib.util.EasyDict') == os.path.dirname(util.__file__)


# Files.


def make_tree(root, paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_listing_skips_ignored_files_and_folders(tmp_path):
    make_tree(tmp_path / 'base', ['a.py', 'a.pyc', 'sub/b.py', '__pycache__/c.py'])
    base = str(tmp_path / 'base')
    found = util.list_dir_recursively_with_ignore(base, ['*.pyc', '__pycache__'])
    assert found == [
        (os.path.join(base, 'a.py'), 'a.py'),
        (os.path.join(base, 'sub', 'b.py'), os.path.join('sub', 'b.py')),
    ]
    found = util.list_dir_recursively_with_ignore(base + os.sep, ['s*', '_*'], True)
    assert [f[1] for f in found] == [os.path.join('base', 'a.py'), os.path.join('base', 'a.pyc')]
    with pytest.raises(AssertionError):
        util.list_dir_recursively_with_ignore(str(tmp_path / 'none'))


def test_copying_makes_folders(tmp_path):
    make_tree(tmp_path, ['a.txt'])
    goal = tmp_path / 'new' / 'folder' / 'b.txt'
    util.copy_files_and_create_dirs([(str(tmp_path / 'a.txt'), str(goal))])
    assert read(goal) == 'a.txt'


def test_atomic_write_replaces_the_file_when_done(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    with atomic_write(str(path), 'w') as file:
        file.write('new \u00e9')
        file.flush()
        assert read(path) == 'old'
    assert read(path) == 'new \u00e9'
    with atomic_write(str(path)) as file:
        file.write(b'bytes')
    assert read(path) == 'bytes'
    assert os.listdir(str(tmp_path)) == ['file']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_atomic_write_leaves_the_old_file_when_interrupted(tmp_path, error):
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(error):
        with atomic_write(str(path)) as file:
            file.write(b'half')
            raise error()
    assert read(path) == 'old'
    assert os.listdir(str(tmp_path)) == ['file']


def test_a_full_disk_is_a_user_error_and_leaves_the_old_file(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(UserError, match='file.*No space left on device.*left as it was') as caught:
        with atomic_write(str(path)):
            raise OSError(28, 'No space left on device')
    assert '\n' not in str(caught.value)
    assert read(path) == 'old'
    assert os.listdir(str(tmp_path)) == ['file']


def test_a_path_that_cannot_be_written_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match='No such file'):
        with atomic_write(str(tmp_path / 'none' / 'file')):
            pass
    (tmp_path / 'folder').mkdir()
    with pytest.raises(UserError, match='Is a directory'):
        with atomic_write(str(tmp_path / 'folder')):
            pass
    assert os.listdir(str(tmp_path)) == ['folder']


def test_a_written_link_stays_and_devices_are_no_targets(tmp_path):
    (tmp_path / 'disk').write_text('old')
    os.symlink(str(tmp_path / 'disk'), str(tmp_path / 'link'))
    with atomic_write(str(tmp_path / 'link'), 'w') as file:
        file.write('new')
    assert os.path.islink(str(tmp_path / 'link')) and read(tmp_path / 'disk') == 'new'
    os.mkfifo(str(tmp_path / 'pipe'))
    for path in [str(tmp_path / 'pipe'), '/dev/null']:
        with pytest.raises(UserError, match='no regular file'):
            with atomic_write(path):
                raise AssertionError('the body must not run')
    assert sorted(os.listdir(str(tmp_path))) == ['disk', 'link', 'pipe']


def test_only_regular_files_are_opened_for_data(tmp_path):
    (tmp_path / 'file').write_bytes(b'data')
    os.symlink(str(tmp_path / 'file'), str(tmp_path / 'link'))
    with util.open_regular(str(tmp_path / 'link')) as file:
        assert file.read() == b'data'
    os.mkfifo(str(tmp_path / 'pipe'))
    for path in [tmp_path / 'pipe', tmp_path, tmp_path / 'none', '/dev/zero', 'a\0b']:
        with pytest.raises(UserError, match='Cannot open'):
            util.open_regular(str(path))


@pytest.mark.parametrize(
    'error, reason',
    [
        (ValueError('two\nlines.'), 'two lines'),
        (MemoryError(), 'more memory than there is'),
        (RecursionError('maximum'), 'nested too deeply'),
        (OSError(5, 'Input/output error'), 'Input/output error'),
        (KeyError('x'), "'x'"),
        (EOFError(), 'EOFError'),
        (ValueError('x' * 9999), r'xxx\.\.\.'),
    ],
)
def test_what_content_makes_fail_is_one_line_with_the_file(error, reason):
    with pytest.raises(
        UserError, match="'a.npz' cannot be read as a network: .*" + reason
    ) as caught:
        with util.reading('a.npz', 'a network'):
            raise error
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 400
    with pytest.raises(UserError, match='^own$'):
        with util.reading('a.npz', 'a network'):
            raise UserError('own')


def test_an_output_that_is_its_own_input_is_refused(tmp_path):
    (tmp_path / 'a').write_text('x')
    os.symlink(str(tmp_path / 'a'), str(tmp_path / 'b'))
    util.check_not_same(str(tmp_path / 'a'), str(tmp_path / 'c'))
    with pytest.raises(UserError, match='both input and output'):
        util.check_not_same(str(tmp_path / 'a'), str(tmp_path / 'b'))


def test_trouble_with_another_file_is_not_blamed_on_the_written_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        with atomic_write(str(tmp_path / 'file')):
            open(str(tmp_path / 'source'))
