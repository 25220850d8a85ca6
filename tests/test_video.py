"""Videos of generated images."""

import os
import resource
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from dnnlib.util import UserError
from training.pictures import video

RED = np.tile(np.array([255, 0, 0], np.uint8)[:, None, None], [1, 16, 16])


def frames(number, channels=3):
    """Frames that get brighter."""
    return [np.full([channels, 16, 16], 40 * index, np.uint8) for index in range(number)]


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_a_gif_shows_all_frames_at_their_time(tmp_path, channels):
    path = str(tmp_path / 'video.gif')
    video.write_video(path, iter(frames(5, channels)), fps=20)
    with PIL.Image.open(path) as picture:
        assert picture.n_frames == 5 and picture.info['duration'] == 50
        assert picture.info['loop'] == 0  # for ever
        for index in range(5):
            picture.seek(index)
            pixels = np.asarray(picture.convert('RGB'))
            assert pixels.shape == (16, 16, 3)
            assert np.abs(pixels.astype(int) - 40 * index).max() <= 2


def test_colours_keep_their_order(tmp_path):
    path = str(tmp_path / 'video.gif')
    video.write_video(path, [RED], fps=10)
    with PIL.Image.open(path) as picture:
        assert np.asarray(picture.convert('RGB'))[8, 8].tolist() == [255, 0, 0]


def test_an_mp4_has_the_frames_and_their_colours(tmp_path):
    ffmpeg = pytest.importorskip('imageio_ffmpeg')
    video.check_format('mp4')
    path = str(tmp_path / 'video.mp4')
    video.write_video(path, [RED] * 6, fps=10)
    assert ffmpeg.count_frames_and_secs(path)[0] == 6
    command = [ffmpeg.get_ffmpeg_exe(), '-i', path, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
    raw = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    pixels = np.frombuffer(raw, np.uint8).reshape([-1, 16, 16, 3]).astype(int)
    assert len(pixels) == 6 and np.abs(pixels - [255, 0, 0]).max() < 16


def test_frames_are_enlarged(tmp_path):
    path = str(tmp_path / 'video.gif')
    frame = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones([4, 4], np.uint8))
    video.write_video(path, [frame[np.newaxis]], fps=10, scale=3)
    with PIL.Image.open(path) as picture:
        pixels = np.asarray(picture.convert('L')).astype(int)
    assert pixels.shape == (24, 24)
    assert np.abs(pixels - np.kron(frame, np.ones([3, 3]))).max() <= 2


def test_what_fails_on_the_way_leaves_no_half_video(tmp_path):
    def broken():
        yield RED
        raise ValueError('no luck')

    with pytest.raises(ValueError):
        video.write_video(str(tmp_path / 'video.gif'), broken(), fps=10)
    assert os.listdir(str(tmp_path)) == []


def test_without_ffmpeg_the_other_format_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
    video.check_format('gif')
    with pytest.raises(UserError, match='pip install imageio-ffmpeg, or choose --format=gif'):
        video.check_format('mp4')


def test_an_mp4_that_cannot_be_written_whole_is_one_line_and_no_file(tmp_path):
    noise = np.random.RandomState(0).randint(0, 255, [8, 3, 64, 64]).astype(np.uint8)
    path = str(tmp_path / 'video.mp4')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))  # stands in for a full disk
    try:
        with pytest.raises(UserError, match=r"Cannot write '.*video\.mp4': ffmpeg failed"):
            video.write_video(path, noise, fps=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(str(tmp_path)) == []
