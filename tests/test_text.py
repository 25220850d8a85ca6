"""Names in any script, and bytes that are no text at all, are printed, written and drawn."""

import ast
import glob
import io
import os
from argparse import Namespace

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib import cli
from dnnlib.util import Logger, atomic_write
from training.event_file import EventFile
from training.inversion import targets
from training.pictures import sheets

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXT = '猫 \udce9 é'  # the second is a byte of Latin-1, as Python has it in names of files


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'utf-8'])
def test_a_console_shows_any_text(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr('sys.stdout', io.TextIOWrapper(raw, encoding))
    assert cli.run_cli(lambda: print(TEXT)) == 0
    shown = {
        'ascii': r'\u732b \udce9 \xe9',
        'latin-1': r'\u732b \udce9 é',
        'utf-8': r'猫 \udce9 é',
    }
    assert raw.getvalue().decode(encoding).strip() == shown[encoding]
    print('still open')


def test_logs_and_files_hold_any_text(tmp_path, capsys):
    with cli._printing_any_text('stdout'), Logger(str(tmp_path / 'log.txt')):
        print(TEXT)
    with atomic_write(str(tmp_path / 'file.txt'), 'w') as file:
        file.write(TEXT)
    for name in ['log.txt', 'file.txt']:
        assert (tmp_path / name).read_text(encoding='utf-8').strip() == r'猫 \udce9 é'


def test_a_run_is_described_in_plain_letters(monkeypatch, tmp_path):
    configs = []
    monkeypatch.setattr(dnnlib, 'submit_run', lambda config, name: configs.append(config))
    cli.submit(str(tmp_path), 'stylegan2-Köln [1] (\udce9)-1gpu', 'f')
    cli.submit(str(tmp_path), 'x' * 10000, 'f')
    assert configs[0].run_desc == 'stylegan2-K_ln__1_____-1gpu'
    assert len('00000-' + configs[1].run_desc) < 255


def test_results_of_images_in_any_script_have_names_of_their_own(tmp_path):
    files = ['猫.png', '犬.png', 'a b.png', 'a_b.png', 'a_b-2.png', 'x' * 200 + '.png']
    for index, name in enumerate(files):
        PIL.Image.new('RGB', (8, 8), (index, 0, 0)).save(str(tmp_path / name))
    found = targets.from_folder(Namespace(output_shape=[None, 3, 8, 8]), str(tmp_path))
    assert sorted(target.source for target in found) == sorted(files)
    names = [target.name for target in found]
    assert len(set(names)) == len(files) and {'_', '_-2', 'a_b', 'a_b-2'} < set(names)
    assert max(map(len, names)) < 200


@pytest.mark.parametrize('name', [b'plain', b'caf\xe9', '猫'.encode()])
def test_tensorboard_events_are_written_to_folders_of_any_name(tmp_path, name):
    path = os.path.join(str(tmp_path), os.fsdecode(name))
    os.mkdir(path)
    EventFile(path).add_summary(tf.Summary(), 1)
    assert [file for file in os.listdir(path) if file.startswith('events')]


def test_every_text_file_is_opened_in_an_encoding_that_is_told():
    def is_untold(call):
        name = getattr(call.func, 'id', getattr(call.func, 'attr', ''))
        (mode,) = [getattr(x, 'value', getattr(x, 's', 'r')) for x in call.args[1:2]] or ['r']
        told = {keyword.arg for keyword in call.keywords} & {'encoding', None}
        is_open = isinstance(call.func, ast.Name) and name == 'open' and 'b' not in mode
        return (is_open or name in ('read_text', 'write_text')) and not told

    found = []
    for folder in ['.', 'dnnlib/**', 'training/**', 'metrics/**', 'dcgan', 'paper']:
        for path in glob.glob(os.path.join(ROOT, folder, '*.py'), recursive=True):
            with open(path, encoding='utf-8') as file:
                tree = ast.parse(file.read())
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            found += ['%s:%d' % (path, call.lineno) for call in calls if is_untold(call)]
    assert not found


def test_titles_in_any_script_are_drawn(tmp_path):
    path, image = str(tmp_path / 'sheet.%s'), np.zeros([3, 8, 8], np.uint8)
    blocks = [sheets.Block(title, [image]) for title in ['猫', 'r\udce9sum\udce9', 'é' * 100]]
    for extension in ['png', 'svg']:
        sheets.save_sheet(path % extension, blocks, 1)
    assert PIL.Image.open(path % 'png').size[0] == 3 * 128 + 2 * 6
