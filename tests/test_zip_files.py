"""Our reader of .zip archives finds what Python's zipfile has written, and says what is broken."""

import os
import zipfile

import numpy as np
import pytest

from dnnlib.util import UserError
from training.data.zip_files import ZipFiles

RND = np.random.RandomState(1)
FILES = {
    'b/2': b'two',
    'b/10': bytes(1000),
    'a.txt': RND.bytes(3000),
    'b/empty': b'',
    'b/é': b'accent',
    'Z': b'last?',
}


def write(path, method=zipfile.ZIP_DEFLATED, comment=b'', before_closing=lambda: None):
    with zipfile.ZipFile(str(path), 'w', method) as archive:
        archive.comment = comment
        for name, content in FILES.items():
            archive.writestr(name, content)
        archive.writestr('b/', b'')
        before_closing()
    return str(path)


def assert_holds_the_files(path):
    files = ZipFiles(path, lambda name: True)
    assert list(files.names) == sorted(FILES)
    assert [files.read(i) for i in range(len(FILES))] == [FILES[name] for name in sorted(FILES)]
    files.close()


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_all_files_are_read_in_the_order_of_their_names(method, tmp_path):
    assert_holds_the_files(write(tmp_path / 'a.zip', method, b'a comment with PK in it'))


def test_very_large_archives_are_read(tmp_path, monkeypatch):
    """Those with 64-bit numbers; here every number from 10 is one."""

    def make_limits_small():
        monkeypatch.setattr(zipfile, 'ZIP64_LIMIT', 10)
        monkeypatch.setattr(zipfile, 'ZIP_FILECOUNT_LIMIT', 0)

    path = write(tmp_path / 'a.zip', before_closing=make_limits_small)
    with open(path, 'rb') as file:
        assert b'PK\6\6' in file.read()
    assert_holds_the_files(path)


def test_something_may_stand_before_the_archive(tmp_path):
    path = write(tmp_path / 'a.zip')
    content = (tmp_path / 'a.zip').read_bytes()
    (tmp_path / 'a.zip').write_bytes(b'program' * 9 + content)
    assert_holds_the_files(path)


def test_files_can_be_left_out(tmp_path):
    files = ZipFiles(write(tmp_path / 'a.zip'), lambda name: name.startswith('b/'))
    assert list(files.names) == ['b/10', 'b/2', 'b/empty', 'b/é']
    assert files.read(1) == b'two'
    assert not ZipFiles(files.path, lambda name: False).names


@pytest.mark.parametrize('keep', [0, 10, 500, -1, -30])
def test_a_truncated_archive_is_named(keep, tmp_path):
    path = write(tmp_path / 'a.zip')
    content = (tmp_path / 'a.zip').read_bytes()
    (tmp_path / 'a.zip').write_bytes(content[:keep])
    with pytest.raises(UserError, match='a.zip.* is no complete .zip file'):
        ZipFiles(path, lambda name: True)


def test_broken_content_is_an_error_of_that_file_alone(tmp_path):
    path = write(tmp_path / 'a.zip', zipfile.ZIP_STORED)
    content = (tmp_path / 'a.zip').read_bytes()
    (tmp_path / 'a.zip').write_bytes(content.replace(b'accent', b'Accent'))
    files = ZipFiles(path, lambda name: True)
    with pytest.raises(ValueError, match='checksum'):
        files.read(list(files.names).index('b/é'))
    assert files.read(0) == FILES['Z']
    os.truncate(path, 20)
    with pytest.raises(ValueError, match='ends inside'):
        files.read(0)


def test_uncommon_compression_is_told(tmp_path):
    files = ZipFiles(write(tmp_path / 'a.zip', zipfile.ZIP_BZIP2), lambda name: True)
    with pytest.raises(ValueError, match='encrypted, or compressed'):
        files.read(0)
