"""Pixels of image files: upright, opaque, of 8 bits; alike in data sets, crops and targets."""

import io

import numpy as np
import pytest
from PIL import Image

import dataset_tool
from dnnlib import EasyDict
from dnnlib.cli import run_cli
from training.data.decoding import ImageOptions, UnusableImage, opened_image, plain_image
from training.data.image_folder import ImageFolderDataset
from training.dataset import TFRecordDataset
from training.inversion.targets import from_folder

RND = np.random.RandomState(0)
PIXELS = RND.randint(256, size=[16, 16, 4]).astype(np.uint8)


def decode(image, name='PNG', options=ImageOptions(), **kwargs):
    file = io.BytesIO()
    image.save(file, name, **kwargs)
    with opened_image(file) as opened:
        return plain_image(opened, options)


def blended(background):
    """By hand: colour * alpha + background * (1 - alpha)."""
    alpha = PIXELS[..., 3:] / 255
    return PIXELS[..., :3] * alpha + np.array(background) * (1 - alpha)


@pytest.mark.parametrize('background', [(255, 255, 255), (0, 128, 255)])
def test_transparency_is_blended_with_the_background(background):
    image, notes = decode(Image.fromarray(PIXELS), options=ImageOptions(background=background))
    assert image.mode == 'RGB' and len(notes) == 1
    np.testing.assert_allclose(np.asarray(image, float), blended(background), atol=1)


def test_transparency_stays_where_it_is_asked_for():
    image, notes = decode(Image.fromarray(PIXELS), options=ImageOptions(convert='rgba'))
    assert np.array_equal(np.asarray(image), PIXELS) and not notes


def test_gray_with_transparency_stays_gray():
    image, _ = decode(Image.fromarray(PIXELS[..., [0, 3]], 'LA'))
    alpha = PIXELS[..., 3] / 255
    assert image.mode == 'L'
    want = PIXELS[..., 0] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(np.asarray(image, float), want, atol=1)


def test_a_transparent_colour_is_transparency_too():
    pixels = np.zeros([8, 8, 3], np.uint8)
    pixels[2] = 7
    image, notes = decode(Image.fromarray(pixels), transparency=(7, 7, 7))
    assert len(notes) == 1 and np.all(np.asarray(image)[2] == 255)
    assert not np.asarray(image)[3].any()


@pytest.mark.parametrize('orientation', range(1, 9))
def test_photographs_are_upright(orientation):
    """What a camera stores for each of the eight orientations of the EXIF standard."""
    upright = RND.randint(256, size=[4, 6, 3]).astype(np.uint8)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, notes = decode(Image.fromarray(np.ascontiguousarray(stored)), exif=exif.tobytes())
    assert np.array_equal(np.asarray(image), upright)
    assert len(notes) == (orientation != 1)


def test_broken_exif_data_leaves_the_picture_as_it_is_stored():
    image, notes = decode(Image.fromarray(PIXELS[..., :3]), exif=b'Exif\0\0rubbish')
    assert np.array_equal(np.asarray(image), PIXELS[..., :3]) and not notes


@pytest.mark.parametrize('name', ['PNG', 'TIFF'])
def test_16_bits_become_8(name):
    deep = np.array([[0, 128, 129], [257, 65535, 32768]], np.uint16)
    image, notes = decode(Image.fromarray(deep), name)
    assert image.mode == 'L' and len(notes) == 1
    assert np.asarray(image).tolist() == [[0, 0, 1], [1, 255, 128]]


@pytest.mark.parametrize('kind', [np.int32, np.float32])
def test_images_of_more_bits_are_refused(kind):
    with pytest.raises(UnusableImage, match='more than 16 bits'):
        decode(Image.fromarray(np.ones([4, 4], kind)), 'TIFF')


@pytest.fixture
def folder(tmp_path):
    """One image with transparency, one of 16 bits, one turned."""
    (tmp_path / 'in').mkdir()
    Image.fromarray(PIXELS).save(str(tmp_path / 'in' / 'alpha.png'))
    Image.fromarray(RND.randint(1 << 16, size=[16, 16]).astype(np.uint16)).save(
        str(tmp_path / 'in' / 'deep.png')
    )
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(PIXELS[..., :3]).save(str(tmp_path / 'in' / 'turned.png'), exif=exif.tobytes())
    return tmp_path / 'in'


def run(*args):
    return run_cli(dataset_tool.main, [str(arg) for arg in args])


def test_what_is_done_to_images_is_said_and_alike_in_all_commands(folder, tmp_path, capsys):
    flags = ['--convert=rgb', '--shuffle=0', '--background=#0080ff']
    assert run('create_from_images', tmp_path / 'a', folder, *flags) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        '1 x 16 bits per channel were scaled to 8: deep.png',
        '1 x transparency was blended with the background: alpha.png',
        '1 x turned as EXIF data says: turned.png',
    ]
    dataset = TFRecordDataset(str(tmp_path / 'a'))
    want = blended((0, 128, 255)).transpose(2, 0, 1)
    np.testing.assert_allclose(dataset.get_image(0).astype(float), want, atol=1)
    assert np.array_equal(dataset.get_image(2), PIXELS[::-1, ::-1, :3].transpose(2, 0, 1))
    crops = ['--resolution=16', '--num-images=40', '--min-scale=1', '--background=#0080ff']
    assert run('create_from_crops', tmp_path / 'b', folder, *crops) == 0
    assert sorted(capsys.readouterr().err.splitlines()) == lines
    whole = {dataset.get_image(i).tobytes() for i in range(3)}  # crops of scale 1 are whole images
    crops = TFRecordDataset(str(tmp_path / 'b'))
    assert {crops.get_image(i).tobytes() for i in range(40)} == whole


def test_a_plain_folder_gives_the_images_that_the_tool_stores(folder, tmp_path, capsys):
    (folder / 'deep.png').unlink()
    assert run('create_from_images', tmp_path / 'a', folder, '--shuffle=0') == 0
    capsys.readouterr()
    stored, direct = TFRecordDataset(str(tmp_path / 'a')), ImageFolderDataset(str(folder))
    assert 'blended with the background: alpha.png' in capsys.readouterr().err
    for i in range(2):
        assert np.array_equal(stored.get_image(i), direct.get_image(i))


def test_images_to_project_are_decoded_alike(folder, capsys):
    (folder / 'deep.png').unlink()
    alpha, turned = from_folder(EasyDict(output_shape=[None, 3, 16, 16]), str(folder))
    assert 'turned.png' in capsys.readouterr().err
    want = blended((255, 255, 255)).transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(alpha.image, want, atol=1 / 127)
    want = PIXELS[::-1, ::-1, :3].transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(turned.image, want, atol=1e-5)
