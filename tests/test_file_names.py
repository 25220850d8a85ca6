"""Many names in one array are the same names, in the same order, in little memory."""

import hashlib
import os
import tracemalloc

import pytest

from training.data.file_names import NameTable, class_folders, files_under

NAMES = ['b', 'a/1', 'a-b/1', 'a0', 'é', 'z', 'A', 'a/10', 'a/2', 'ź/x', '日本', 'a' * 90, 'a']


def table(names):
    names = NameTable(names)
    names.sort()
    return names


def test_names_are_sorted_as_texts_are():
    names = NameTable(NAMES)
    order = names.sort()
    assert list(names) == sorted(NAMES) == [NAMES[i] for i in order]
    assert len(names) == len(NAMES) and names[-1] == max(NAMES)
    assert not NameTable([])


def test_names_that_are_no_text_come_back_as_they_were(tmp_path):
    raw = b'caf\xe9.png'
    open(os.path.join(os.fsencode(str(tmp_path)), raw), 'wb').close()
    (name,) = NameTable(files_under(str(tmp_path)))
    assert os.fsencode(name) == raw


def test_the_hash_is_that_of_the_joined_names():
    want = hashlib.sha256('\n'.join(sorted(NAMES)).encode()).hexdigest()
    assert table(NAMES).sha256() == want


def test_a_hundred_thousand_names_take_little_memory():
    tracemalloc.start()
    names = table('class%d/img%08d.png' % (i % 10, i) for i in range(100000))
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(names) == 100000
    assert size < 30 * len(names) and peak < 100 * len(names)


def test_files_are_found_in_all_folders_but_the_ignored_ones(tmp_path):
    for name in ['a/1.png', 'a/.hidden', 'b/c/2.png', '.git/3.png', '4.png', 'x.labels']:
        os.makedirs(str((tmp_path / name).parent), exist_ok=True)
        (tmp_path / name).write_text('')
    os.symlink(str(tmp_path / 'a'), str(tmp_path / 'link'))
    assert sorted(files_under(str(tmp_path), ['.*', '*.labels'])) == [
        '4.png',
        'a/1.png',
        'b/c/2.png',
    ]


@pytest.mark.parametrize(
    'names, numbers, classes',
    [
        (['1', '2'], None, []),
        (['x/y/1', 'x/y/2'], None, []),
        (['x/1'], None, []),
        (['a/1', 'b/1', 'a/2'], [0, 0, 1], ['a', 'b']),
        (['a-b/1', 'a/1', 'a0/1'], [1, 0, 2], ['a', 'a-b', 'a0']),
        (['x/b/1', 'x/c/1'], [0, 1], ['b', 'c']),
    ],
)
def test_folders_are_classes_in_the_order_of_their_names(names, numbers, classes):
    found_numbers, found_classes = class_folders(table(names))
    assert found_classes == classes
    assert found_numbers is None if numbers is None else found_numbers.tolist() == numbers


@pytest.mark.parametrize(
    'names', [['1', 'a/1'], ['a/1', 'b/c/1'], ['a/1', 'a/b/1'], ['a/1/2', 'b/1/2']]
)
def test_files_at_several_depths_have_no_classes(names):
    assert class_folders(table(names)) is None
