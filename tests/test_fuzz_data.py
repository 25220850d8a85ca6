"""Whatever is changed in a file of data, reading it ends well or in a UserError, and soon."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image

import dataset_tool
from dnnlib.cli import run_cli
from dnnlib.util import UserError
from training.data.opening import load_dataset
from training.data.tfrecord_exporter import TFRecordExporter

NUM_MUTATIONS = 100
IMAGES = np.random.RandomState(0).randint(256, size=[4, 3, 4, 4]).astype(np.uint8)


def mutate(content, rnd):
    """Change some bytes, cut, repeat or insert; whole numbers get extreme values."""
    content = bytearray(content)
    kind = rnd.randint(5)
    at = rnd.randint(len(content))
    if kind == 0:
        return bytes(content[:at])
    if kind == 1:
        content[at:at] = rnd.bytes(rnd.randint(1, 40))
    elif kind == 2:
        content[at : at + 8] = [b'\xff' * 8, bytes(8), b'\0\0\0\x80' * 2][rnd.randint(3)]
    elif kind == 3:
        content += content[at:]
    else:
        for place in rnd.randint(len(content), size=rnd.randint(1, 6)):
            content[place] = rnd.randint(256)
    return bytes(content)


@pytest.fixture
def records(tmp_path):
    with TFRecordExporter(str(tmp_path / 'set'), 4, print_progress=False) as exporter:
        for image in IMAGES:
            exporter.add_image(image)
    return tmp_path / 'set', tmp_path / 'set' / 'set-r02.tfrecords'


@pytest.fixture
def archive(tmp_path):
    with zipfile.ZipFile(str(tmp_path / 'in.zip'), 'w', zipfile.ZIP_DEFLATED) as file:
        for i, image in enumerate(IMAGES):
            Image.fromarray(image.transpose(1, 2, 0)).save(str(tmp_path / 'x.png'))
            file.write(str(tmp_path / 'x.png'), '%d/%d.png' % (i % 2, i))
        file.writestr('dataset.json', '{"labels": null}')
    return tmp_path / 'in.zip', tmp_path / 'in.zip'


def look_at(path):
    dataset = load_dataset(tfrecord_dir=path)
    try:
        dataset.fingerprint()
        for index in range(dataset.num_images):
            assert dataset.get_image(index).shape == tuple(dataset.shape)
    finally:
        dataset.close()


@pytest.mark.parametrize('kind', ['records', 'archive'])
def test_changed_files_are_read_or_refused(kind, request, capsys):
    dataset, path = request.getfixturevalue(kind)
    content = path.read_bytes()
    look_at(str(dataset))
    assert run_cli(dataset_tool.main, ['verify', str(dataset)]) == 0
    rnd = np.random.RandomState(1)
    refused = 0
    for _ in range(NUM_MUTATIONS):
        path.write_bytes(mutate(content, rnd))
        try:
            look_at(str(dataset))
        except UserError:
            refused += 1
        status = run_cli(dataset_tool.main, ['verify', str(dataset)])
        assert status in (None, 0, 2)
        assert 'Traceback' not in capsys.readouterr().err
    assert refused > NUM_MUTATIONS // 2  # most changes are noticed
    assert os.listdir(str(path.parent))
