"""Records on disk: byte for byte those of official StyleGAN2; broken ones are found and named."""

import hashlib
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from dnnlib.util import UserError
from tests import golden
from training.data.from_images import create_from_images
from training.data.tfrecord_exporter import TFRecordExporter
from training.data.tfrecords import RecordFile, parse_image, serialize_image, verify_file

ARRAYS, META = golden.load('tfrecords')
GOLDEN_SETS = {d['key']: d for d in META['datasets'] if 'source' in d}
SHAPE = (3, 8, 8)


def write_images(folder, images):
    """Write images [N, H, W] or [N, H, W, 3] as img00000.png and so on."""
    os.makedirs(str(folder))
    for i, image in enumerate(images):
        Image.fromarray(image).save(os.path.join(str(folder), 'img%05d.png' % i))


def write_records(path, payloads):
    with tf.python_io.TFRecordWriter(str(path)) as writer:
        for payload in payloads:
            writer.write(payload)
    return str(path)


def random_images(count, shape=SHAPE):
    return np.random.RandomState(5).randint(256, size=(count,) + shape).astype(np.uint8)


@pytest.fixture
def record_file(tmp_path):
    """Path of a file of six images."""
    return write_records(tmp_path / 'x.tfrecords', [serialize_image(i) for i in random_images(6)])


def flip_byte(path, offset):
    with open(path, 'r+b') as file:
        file.seek(offset)
        old = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([old ^ 0x10]))


@pytest.mark.parametrize('key', sorted(GOLDEN_SETS))
def test_create_from_images_writes_the_files_of_the_official_tool(key, tmp_path):
    description = GOLDEN_SETS[key]
    write_images(tmp_path / 'png', ARRAYS[description['source']])
    target = tmp_path / description['directory_name']
    create_from_images(str(target), str(tmp_path / 'png'), description['shuffle'])
    assert sorted(os.listdir(str(target))) == sorted(f['file'] for f in description['files'])
    for expected in description['files']:
        path = str(target / expected['file'])
        with open(path, 'rb') as file:
            assert hashlib.sha256(file.read()).hexdigest() == expected['sha256_if_data_first']
        content = hashlib.sha256()
        with RecordFile(path) as records:
            assert records.num_records == expected['records']
            for i in range(records.num_records):
                image = records.read(i)
                content.update(np.array(image.shape, '<i8').tobytes() + image.tobytes())
        assert content.hexdigest() == expected['content_sha256']


@pytest.mark.parametrize('key', ['rgb_shuffle0', 'gray_shuffle0'])
def test_smaller_levels_hold_the_official_pixels(key, tmp_path):
    images = ARRAYS[GOLDEN_SETS[key]['source']]
    images = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images[:, np.newaxis]
    with TFRecordExporter(str(tmp_path / 'set'), len(images), print_progress=False) as exporter:
        for image in images:
            exporter.add_image(image)
    for name in ARRAYS.files:
        if name.startswith(key) and name.endswith('.decoded'):
            level = name.split('.')[1]
            with RecordFile(str(tmp_path / 'set' / ('set-%s.tfrecords' % level))) as records:
                got = np.stack([records.read(i) for i in range(records.num_records)])
            np.testing.assert_array_equal(got, ARRAYS[name])


@pytest.mark.parametrize('order', ['shape_first', 'data_first'])
@pytest.mark.parametrize('name', [n for n in ARRAYS.files if 'first_record_framed_shape' in n])
def test_records_of_both_orders_of_entries_are_read(name, order, tmp_path):
    framed = ARRAYS[name.replace('shape_first', order)].tobytes()
    other = ARRAYS[name.replace('shape_first', 'data_first')].tobytes()
    path = tmp_path / 'x.tfrecords'
    path.write_bytes(framed + other)
    with RecordFile(str(path)) as records:
        assert records.num_records == 2
        np.testing.assert_array_equal(records.read(0), records.read(1))
        np.testing.assert_array_equal(records.read(0), parse_image(framed[12:-4]))


def test_every_record_is_found_at_its_place(record_file):
    with RecordFile(record_file) as records:
        assert (records.num_records, records.shape) == (6, SHAPE)
        for i in [3, 0, 5, 1, 4, 2]:
            np.testing.assert_array_equal(records.read(i), random_images(6)[i])


def test_images_full_of_framing_bytes_are_read_unchanged(tmp_path):
    images = [np.full((1, 4, 4), value, np.uint8) for value in range(256)]
    path = write_records(tmp_path / 'x.tfrecords', [serialize_image(image) for image in images])
    with RecordFile(path) as records:
        for i, image in enumerate(images):
            np.testing.assert_array_equal(records.read(i), image)


def test_records_of_other_tools_with_more_features_are_read(tmp_path):
    """Their records differ in length, so that places cannot be computed."""
    payloads = []
    for i, image in enumerate(random_images(7)):
        example = tf.train.Example.FromString(serialize_image(image))
        example.features.feature['name'].bytes_list.value.append(b'x' * i)
        payloads.append(example.SerializeToString())
    path = write_records(tmp_path / 'x.tfrecords', payloads)
    with RecordFile(path) as records:
        assert records.num_records == 7
        for i in reversed(range(7)):
            np.testing.assert_array_equal(records.read(i), random_images(7)[i])


@pytest.mark.parametrize(
    'place, reason', [(2, 'length'), (9, 'length'), (100, 'checksum'), (-2, 'checksum')]
)
def test_a_flipped_bit_is_found_and_its_record_named(place, reason, record_file):
    stride = os.path.getsize(record_file) // 6
    flip_byte(record_file, 3 * stride + place % stride)
    with RecordFile(record_file) as records:
        records.read(2)
        records.read(4)
        with pytest.raises(
            UserError, match=r'x\.tfrecords.*record 3 at byte %d .*%s' % (3 * stride, reason)
        ) as info:
            records.read(3)
    assert '\n' not in str(info.value)
    problems = list(verify_file(record_file))
    assert len(problems) == 1 and 'record 3 at byte' in problems[0]


@pytest.mark.parametrize('left_over', [5, 15, 100])
def test_a_truncated_file_is_named_with_the_record_where_it_ends(left_over, record_file):
    stride = os.path.getsize(record_file) // 6
    os.truncate(record_file, 4 * stride + left_over)
    with pytest.raises(UserError, match='record 4 at byte %d .*truncated' % (4 * stride)):
        RecordFile(record_file)
    assert len(list(verify_file(record_file))) == 1


def test_a_file_that_shrinks_while_it_is_open_is_noticed(record_file):
    stride = os.path.getsize(record_file) // 6
    with RecordFile(record_file) as records:
        os.truncate(record_file, 4 * stride)
        with pytest.raises(UserError, match='record 5 .*truncated'):
            records.read(5)


@pytest.mark.parametrize(
    'payload, reason',
    [
        (b'\xff\xff\xff', 'no tf.train.Example'),
        (tf.train.Example().SerializeToString(), "needs 'shape'"),
        (serialize_image(random_images(1)[0])[:-1] + b'\x07', 'for shape'),
        (serialize_image(random_images(1, (1, 8, 8))[0]), 'shape'),
    ],
)
def test_records_that_hold_no_proper_image_are_refused(payload, reason, tmp_path):
    good = serialize_image(random_images(1)[0])
    path = write_records(tmp_path / 'x.tfrecords', [good, payload, good])
    with RecordFile(path) as records:
        records.read(2)
        with pytest.raises(UserError, match='record 1 .*' + reason):
            records.read(1)


def test_missing_and_empty_files_are_one_line_errors(tmp_path):
    with pytest.raises(UserError, match='Cannot open .*No such file'):
        RecordFile(str(tmp_path / 'none.tfrecords'))
    (tmp_path / 'empty.tfrecords').write_bytes(b'')
    with pytest.raises(UserError, match='is empty'):
        RecordFile(str(tmp_path / 'empty.tfrecords'))


def test_a_huge_file_is_opened_without_reading_it(tmp_path):
    """Ten million records, nearly all holes on the disk: places are computed, not collected."""
    first = serialize_image(random_images(1)[0])
    path = write_records(tmp_path / 'x.tfrecords', [first])
    with open(path, 'rb') as file:
        framed = file.read()
    count = 10**7
    with open(path, 'r+b') as file:
        file.seek((count - 1) * len(framed))
        file.write(framed)
    with RecordFile(path) as records:
        assert records.num_records == count
        np.testing.assert_array_equal(records.read(count - 1), random_images(1)[0])
        with pytest.raises(UserError, match='record 5000000 '):
            records.read(5000000)


def test_checksums_are_computed_by_the_fast_library():
    import google_crc32c

    assert google_crc32c.implementation == 'c'
    assert google_crc32c.value(b'123456789') == 0xE3069283  # check value of CRC-32C
