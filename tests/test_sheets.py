"""Sheets and panels have the sizes, texts and pixels that they should, in every format."""

import os
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from training.pictures import plotting, sheets


@pytest.mark.parametrize('extension, start', [('pdf', b'%PDF'), ('svg', b'<?xml')])
def test_figures_for_papers_are_the_same_files_each_time(tmp_path, extension, start):
    image = np.zeros([3, 8, 8], np.uint8)
    blocks = [sheets.Block('a $title', [None, image]), sheets.Block('b', [image, image])]
    panels = [[plotting.Panel(image, 'image'), plotting.Panel(np.eye(8), r'$\sigma$', '0 to 1')]]
    written = []
    for name in 'ab':
        path = str(tmp_path / ('%s%%s.%s' % (name, extension)))
        sheets.save_sheet(path % 1, blocks, 1, row_labels=['x', 'y'], caption='A caption', dpi=72)
        plotting.save_panels(path % 2, panels, ['seed 1'], 'A caption', dpi=72)
        written.append([Path(path % index).read_bytes() for index in (1, 2)])
    assert written[0] == written[1]
    for data in written[0]:
        assert data.startswith(start) and len(data) > 2000


def test_more_dots_an_inch_make_larger_pictures_of_the_same_size(tmp_path):
    image = np.zeros([3, 8, 8], np.uint8)
    widths = {}
    for dpi in (100, 300):
        path = str(tmp_path / ('%d-%%d.png' % dpi))
        sheets.save_sheet(path % 0, [sheets.Block('', [image] * 2)], 2, dpi=dpi)
        plotting.save_panels(path % 1, [[plotting.Panel(image)]], dpi=dpi)
        for kind in (0, 1):
            with PIL.Image.open(path % kind) as picture:
                widths[kind, dpi] = picture.width
                assert picture.info['dpi'][0] == pytest.approx(dpi, rel=0.01)
    assert widths[0, 300] == 3 * widths[0, 100] == 6 * 128
    assert widths[1, 300] == pytest.approx(3 * widths[1, 100], abs=2)


def test_images_in_panels_are_enlarged_by_a_whole_number(tmp_path):
    image = np.random.RandomState(0).randint(256, size=[3, 8, 8]).astype(np.uint8)
    path = str(tmp_path / 'panels.png')
    plotting.save_panels(path, [[None, plotting.Panel(image, 'image')]], ['seed 1'], 'A caption')
    pixels = np.asarray(PIL.Image.open(path).convert('RGB')).astype(int)
    want = np.kron(image.transpose(1, 2, 0), np.ones([16, 16, 1]))
    found = [
        np.mean(pixels[y : y + 128 : 3, x : x + 128 : 3] == want[::3, ::3])
        for y in range(pixels.shape[0] - 127)
        for x in range(pixels.shape[1] - 127)
    ]
    assert max(found) > 0.9  # but for the frame, and a pixel's width in old versions


@pytest.mark.parametrize('channels', [1, 3])
def test_a_column_of_a_sheet_holds_the_images_of_its_block(tmp_path, channels):
    def images(side, *values):
        return [np.full([channels, side, side], value, np.uint8) for value in values]

    blocks = [sheets.Block('Origin', images(4, 0, 255)), sheets.Block('b', images(8, 255, 0))]
    path = str(tmp_path / 'sheet.png')
    sheets.save_sheet(path, blocks, 1)
    picture = np.asarray(PIL.Image.open(path))
    assert picture.shape[1] == 2 * 128 + 6  # the smaller ones are enlarged to the same size
    cells = picture[-2 * 128 - 6 :]
    for row, column, value in [(0, 0, 0), (1, 0, 255), (0, 1, 255), (1, 1, 0)]:
        cell = cells[row * 134 : row * 134 + 128, column * 134 : column * 134 + 128]
        assert cell.shape == (128, 128, 3) and (cell == value).all()
    for column in range(2):  # titles, black on white
        title = picture[: -2 * 128 - 6, column * 134 : column * 134 + 128]
        assert title.min() < 64 and title.max() == 255


def test_without_matplotlib_sheets_are_written_in_pillow_s_font(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    path = str(tmp_path / 'sheet.png')
    image = np.zeros([3, 8, 8], np.uint8)
    sheets.save_sheet(path, [sheets.Block('猫', [image])], 1, row_labels=['seed 1'])
    assert (np.asarray(PIL.Image.open(path))[:20] < 128).any()


def test_texts_of_sheets_are_wrapped_and_fit(tmp_path):
    image = np.zeros([3, 8, 8], np.uint8)
    title = 'config-e-fr-nopathreg with t and noise (00003, num_steps=100)'
    path = str(tmp_path / 'sheet.png')
    blocks = [sheets.Block(title, [image]), sheets.Block('b', [image])]
    sheets.save_sheet(path, blocks, 1, row_labels=['a_long_name_of_a_file_without_spaces'])
    pixels = np.asarray(PIL.Image.open(path).convert('L'))
    assert pixels.shape[1] < 128 * 3 + 30
    assert (pixels[:, :4] == 255).all() and (pixels[:4] == 255).all(), 'a margin'
    assert (pixels[:-128] < 128).any(axis=1).sum() > 30, 'several lines'


def test_a_figure_that_fails_leaves_nothing(tmp_path):
    figure = plotting.new_figure(1, 1)
    figure.text(0, 0, '$\\nonsense$')
    with pytest.raises(ValueError):
        plotting.save_figure(figure, str(tmp_path / 'figure.png'))
    assert os.listdir(str(tmp_path)) == []
