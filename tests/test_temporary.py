"""Temporary files say whose they are, and those of dead processes are removed, nothing else."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dnnlib import files, owner, temporary
from dnnlib.util import atomic_write

GONE = owner.current()._replace(pid=1 << 30).text()
ELSEWHERE = owner.Owner('elsewhere', '0123456789ab', '4026531836', 1, '1').text()
HERE = owner.current().text()
LATER = time.time() + 25 * 3600
# Names that are nearly ours, or another program's.
FOREIGN = [
    '.x.of-%s.0.tmpx' % GONE,
    'x.of-%s.0.tmp' % GONE,
    '.x.12a.tmp',
    '.x.tmp',
    'x.12.tmp',
    '.claim-x',
    'stylegan2-ops-short',
    'network-snapshot-000001.pkl',
]


def names(folder):
    return sorted(os.listdir(str(folder)))


def fill(folder, *names):
    for name in names:
        (folder / name).write_text('x')


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path):
    fill(tmp_path, '.a.of-%s.0.tmp' % GONE, '.b.of-%s.1.tmp' % HERE, '.c.of-%s.2.tmp' % ELSEWHERE)
    fill(tmp_path, '.old.123.tmp', *FOREIGN)
    (tmp_path / ('.set.of-%s.3.tmp' % GONE) / 'part').mkdir(parents=True)
    (tmp_path / 'below').mkdir()
    fill(tmp_path / 'below', '.a.of-%s.0.tmp' % GONE)
    files.sweep(str(tmp_path))
    kept = ['.b.of-%s.1.tmp' % HERE, '.c.of-%s.2.tmp' % ELSEWHERE, '.old.123.tmp', 'below']
    assert names(tmp_path) == sorted(kept + FOREIGN)
    assert names(tmp_path / 'below') == ['.a.of-%s.0.tmp' % GONE]


def test_what_nobody_can_be_asked_about_is_removed_after_a_day_without_a_change(tmp_path):
    former = ['.x.pkl.123.tmp', '.demo-32.0123456789ab.tmp']
    fill(tmp_path, '.b.of-%s.1.tmp' % HERE, '.c.of-%s.2.tmp' % ELSEWHERE, *former, *FOREIGN)
    for name in ['.claim-00012', 'stylegan2-ops-a_b12xyz', '.claim-00013']:
        (tmp_path / name).mkdir()
    fill(tmp_path / '.claim-00013', 'a file, so it is none of ours')
    files.sweep(str(tmp_path), now=LATER - 2 * 3600)
    assert len(names(tmp_path)) == 7 + len(FOREIGN)
    files.sweep(str(tmp_path), now=LATER)
    assert names(tmp_path) == sorted(['.b.of-%s.1.tmp' % HERE, '.claim-00013'] + FOREIGN)


def test_a_folder_in_which_anything_changes_is_kept(tmp_path):
    path = tmp_path / '.set.0123456789ab.tmp' / 'a'
    path.mkdir(parents=True)
    fill(path, 'new')
    new = LATER - 3600
    os.utime(str(path / 'new'), (new, new))
    files.sweep(str(tmp_path), now=LATER)
    assert (path / 'new').exists()


def test_a_data_set_that_was_being_replaced_comes_back(tmp_path, capsys):
    hidden = tmp_path / ('.set.of-%s.0.old' % GONE)
    hidden.mkdir()
    fill(hidden, 'data')
    files.sweep(str(tmp_path))
    assert names(tmp_path) == ['set'] and names(tmp_path / 'set') == ['data']
    assert 'set is back' in capsys.readouterr().out
    (tmp_path / '.set.0123456789ab.old').mkdir()
    files.sweep(str(tmp_path), now=LATER)
    assert names(tmp_path / 'set') == ['data'] and names(tmp_path) == ['set']


def test_links_and_folders_that_cannot_be_read_do_no_harm(tmp_path):
    (tmp_path / 'kept').mkdir()
    fill(tmp_path / 'kept', 'file')
    (tmp_path / ('.x.of-%s.0.tmp' % GONE)).symlink_to(tmp_path / 'kept')
    files.sweep(str(tmp_path))
    files.sweep(str(tmp_path / 'nowhere'))
    assert names(tmp_path / 'kept') == ['file']


def test_only_names_that_begin_as_wanted_are_looked_at(tmp_path):
    fill(tmp_path, '.a.of-%s.0.tmp' % GONE, '.stylegan2-ops.of-%s.0.tmp' % GONE)
    files.sweep(str(tmp_path), 'stylegan2-ops')
    assert names(tmp_path) == ['.a.of-%s.0.tmp' % GONE]


@pytest.mark.parametrize('name', ['x', 'x' * 255, '\u00e9' * 127, 'a.of-b.1.tmp'])
def test_files_of_any_name_are_written_whole(tmp_path, name):
    path = str(tmp_path / name)
    with atomic_write(path) as one, atomic_write(path) as two:  # as two threads might
        one.write(b'1')
        two.write(b'2')
        hidden = names(tmp_path)
        assert len(hidden) == 2 and all(HERE in x for x in hidden)
        assert max(len(os.fsencode(x)) for x in hidden) <= 255
        assert all(temporary._match(x).group('owner') == HERE for x in hidden)
    assert names(tmp_path) == [name] and open(path, 'rb').read() == b'1'


def test_a_killed_program_s_files_are_removed_by_the_next_start(tmp_path):
    code = (
        'import os, sys, time\n'
        'from dnnlib import files\n'
        'folder = files.make_temporary_folder("build", sys.argv[1])\n'
        'with files.atomic_write(os.path.join(sys.argv[1], "data")) as file:\n'
        '    print(flush=True); time.sleep(60)\n'
    )
    command = [sys.executable, '-c', code, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'\n'
    left = names(tmp_path)
    files.sweep(str(tmp_path))
    assert len(left) == 2 and names(tmp_path) == left
    process.send_signal(signal.SIGKILL)
    process.communicate()
    files.sweep(str(tmp_path))
    assert names(tmp_path) == []
