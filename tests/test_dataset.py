"""Data sets as streams: complete epochs, exact continuation, labels, levels of detail, errors."""

import os
import shutil

import numpy as np
import pytest
import scipy.stats
import tensorflow.compat.v1 as tf

from dnnlib.util import UserError
from tests import golden
from training.data import tfrecord_dataset
from training.data.image_order import image_indices, permute
from training.data.reals import process_reals
from training.data.tfrecord_exporter import TFRecordExporter
from training.data.tfrecords import RecordFile
from training.dataset import TFRecordDataset, load_dataset

COUNT, SHAPE = 11, (3, 16, 16)
IMAGES = np.random.RandomState(1).randint(256, size=(COUNT,) + SHAPE).astype(np.uint8)
LABELS = np.random.RandomState(2).randn(COUNT, 4).astype(np.float32)
ORDER_OF_SEED_0 = [4, 9, 0, 2, 5, 3, 6, 7, 8, 1]
ORDER_OF_SEED_123 = [405425651914, 462237177468, 225496686930, 381554483088, 604877799202]


def export(folder, images, labels=None):
    with TFRecordExporter(str(folder), len(images), print_progress=False) as exporter:
        for image in images:
            exporter.add_image(image)
        if labels is not None:
            exporter.add_labels(labels)
    return str(folder)


@pytest.fixture
def folder(tmp_path):
    """A data set of eleven images with labels; image i is IMAGES[i]."""
    return export(tmp_path / 'set', IMAGES, LABELS)


def number_of(image):
    """Which of IMAGES this is."""
    matches = [i for i in range(COUNT) if np.array_equal(image, IMAGES[i])]
    assert len(matches) == 1
    return matches[0]


def read_numbers(dataset, num_minibatches, minibatch_size=4):
    return [
        number_of(image)
        for _ in range(num_minibatches)
        for image in dataset.get_minibatch_np(minibatch_size)[0]
    ]


@pytest.mark.parametrize('size', list(range(1, 40)) + [255, 256, 257, 1000, 70000])
def test_every_image_comes_once_per_epoch(size):
    for epoch in range(2):
        np.testing.assert_array_equal(
            np.sort(permute(np.arange(size), size, 7, epoch)), np.arange(size)
        )


def test_orders_of_seeds_and_epochs_differ():
    orders = [
        tuple(permute(np.arange(50), 50, seed, epoch)) for seed in range(9) for epoch in range(9)
    ]
    assert len(set(orders)) == 81


def test_order_is_the_same_on_all_machines_and_engines():
    """A resumed run depends on these numbers: they may never change."""
    assert permute(np.arange(10), 10, 0, 0).tolist() == ORDER_OF_SEED_0
    assert permute(np.arange(5), 10**12, 123, 4).tolist() == ORDER_OF_SEED_123


@pytest.mark.parametrize('size', [3, 6, 100])
def test_all_places_are_equally_likely_for_an_image(size):
    """Chi-squared test of where images 0 and 1 come, and how far apart, over many epochs."""
    first_two = np.array([permute(np.arange(2), size, 3, epoch) for epoch in range(600)])
    gaps = (first_two[:, 1] - first_two[:, 0]) % size
    for values, outcomes in [
        (first_two[:, 0], size),
        (first_two[:, 1], size),
        (gaps - 1, size - 1),
    ]:
        counts = np.bincount(values, minlength=outcomes)
        assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_neighbours_in_the_file_are_no_neighbours_in_the_stream():
    order = permute(np.arange(10000), 10000, 0)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.04
    assert abs(np.corrcoef(order, np.arange(10000))[0, 1]) < 0.04


def test_positions_may_be_asked_for_in_any_pieces():
    whole = image_indices(np.arange(100), 7, 5, True)
    pieces = [image_indices(np.arange(i, i + 9), 7, 5, True) for i in range(0, 99, 9)]
    np.testing.assert_array_equal(whole[:99], np.concatenate(pieces))
    np.testing.assert_array_equal(image_indices(np.arange(9), 4, 5, False), [0, 1, 2, 3] * 2 + [0])


def test_official_attributes(folder):
    dataset = TFRecordDataset(folder, max_label_size='full')
    assert (dataset.resolution, dataset.resolution_log2, dataset.shape) == (16, 4, [3, 16, 16])
    assert (dataset.dtype, dataset.dynamic_range) == ('uint8', [0, 255])
    assert (dataset.label_size, dataset.label_dtype, dataset.num_images) == (4, 'float32', COUNT)
    assert os.path.basename(dataset.label_file) == 'set-rxx.labels'
    assert dataset.tfrecord_dir == folder


def test_unshuffled_stream_is_file_order_again_and_again(folder, session):
    dataset = TFRecordDataset(folder, shuffle_mb=0)
    assert read_numbers(dataset, 6) == (list(range(COUNT)) * 3)[:24]


def test_shuffled_epochs_are_complete_and_labels_stay_with_their_images(folder, session):
    dataset = TFRecordDataset(folder, max_label_size='full', seed=3)
    numbers = []
    for _ in range(COUNT):
        images, labels = dataset.get_minibatch_np(4)
        assert (images.dtype, images.shape) == (np.uint8, (4,) + SHAPE)
        assert labels.dtype == np.float32
        for image, label in zip(images, labels):
            numbers.append(number_of(image))
            np.testing.assert_array_equal(label, LABELS[numbers[-1]])
    epochs = [numbers[i : i + COUNT] for i in range(0, len(numbers), COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 4


@pytest.mark.parametrize('position', [0, 1, 10, 11, 12, 40])
def test_stream_goes_on_exactly_where_it_stopped(position, folder, session):
    whole = read_numbers(TFRecordDataset(folder, seed=5), 20, 3)
    resumed = TFRecordDataset(folder, seed=5)
    resumed.configure(2, position=position)
    assert read_numbers(resumed, 5, 2) == whole[position : position + 10]
    resumed.configure(2, position=position)
    assert read_numbers(resumed, 1, 2) == whole[position : position + 2]


def test_readers_share_a_stream_in_turns(folder, session):
    whole = read_numbers(TFRecordDataset(folder), 10, 2)
    for reader in range(2):
        dataset = TFRecordDataset(folder)
        dataset.configure(2, position=4, share=(reader, 2))
        begin = 4 + 2 * reader
        want = whole[begin : begin + 2] + whole[begin + 4 : begin + 6]
        assert read_numbers(dataset, 2, 2) == want


def test_change_of_minibatch_size_and_level_can_keep_the_place(folder, session):
    whole = read_numbers(TFRecordDataset(folder), 10, 3)
    dataset = TFRecordDataset(folder)
    assert read_numbers(dataset, 2, 3) == whole[:6]
    dataset.configure(5, position=6)
    assert read_numbers(dataset, 2, 5) == whole[6:16]
    dataset.configure(2, lod=1, position=16)
    for number, image in zip(whole[16:18], dataset.get_minibatch_np(2, lod=1)[0]):
        want = IMAGES[number].reshape(3, 8, 2, 8, 2).astype(np.float64).mean(axis=(2, 4))
        np.testing.assert_array_equal(image, np.rint(want))


def test_without_position_the_stream_restarts_only_when_something_changed(folder, session):
    dataset = TFRecordDataset(folder, shuffle_mb=0)
    dataset.configure(4)
    assert read_numbers(dataset, 1) == [0, 1, 2, 3]
    dataset.configure(4)
    dataset.configure(4, lod=0.7)
    assert read_numbers(dataset, 1) == [4, 5, 6, 7]
    assert read_numbers(dataset, 1, 3) == [0, 1, 2]


def test_stream_without_repeat_ends_with_a_short_minibatch(folder, session):
    dataset = TFRecordDataset(folder, repeat=False, max_images=10)
    assert sorted(read_numbers(dataset, 3)) == list(range(10))
    with pytest.raises(tf.errors.OutOfRangeError):
        dataset.get_minibatch_np(4)


def test_seed_none_draws_a_seed_from_numpys_generator(folder):
    np.random.seed(1)
    first = TFRecordDataset(folder, seed=None).seed
    assert TFRecordDataset(folder, seed=None).seed != first
    np.random.seed(1)
    assert TFRecordDataset(folder, seed=None).seed == first


def test_minibatch_tensors_have_the_promised_types(folder, session):
    dataset = TFRecordDataset(folder, max_label_size=2)
    images, labels = dataset.get_minibatch_tf()
    assert (images.dtype, images.shape.as_list()) == (tf.uint8, [None, 3, None, None])
    assert (labels.dtype, labels.shape.as_list()) == (tf.float32, [None, 2])
    dataset.configure(3, lod=2)
    images, labels = session.run([images, labels])
    assert images.shape == (3, 3, 4, 4) and labels.shape == (3, 2)


def test_little_is_read_ahead_of_what_is_used(folder, session, monkeypatch):
    dataset = TFRecordDataset(folder, shuffle_mb=0, prefetch_mb=1, num_threads=1)
    calls = []
    read = dataset._read_minibatch
    monkeypatch.setattr(dataset, '_read_minibatch', lambda *a: calls.append(a) or read(*a))
    read_numbers(dataset, 2, 1)
    assert len(calls) <= 2 + 16 + 8  # used, prefetched, and on the way between


def test_labels_are_those_of_the_official_tool(tmp_path):
    arrays, _ = golden.load('tfrecords')
    with TFRecordExporter(str(tmp_path / 'set'), 10, print_progress=False) as exporter:
        order = exporter.choose_shuffled_order()
        np.testing.assert_array_equal(order, arrays['labels.order'])
        for i in order:
            exporter.add_image(IMAGES[i])
        exporter.add_labels(arrays['labels.input'][order])
    dataset = TFRecordDataset(str(tmp_path / 'set'), max_label_size='full')
    got = np.stack([dataset.get_label(i) for i in range(10)])
    np.testing.assert_array_equal(got, arrays['labels.loaded'])


def test_max_label_size_takes_the_first_columns(folder):
    assert TFRecordDataset(folder).label_size == 0
    assert TFRecordDataset(folder).get_label(3).shape == (0,)
    limited = TFRecordDataset(folder, max_label_size=3)
    np.testing.assert_array_equal(limited.get_label(5), LABELS[5, :3])


def test_random_labels_are_rows_of_the_labels_of_used_images(folder, session):
    dataset = TFRecordDataset(folder, max_label_size='full', max_images=5)
    drawn = session.run(dataset.get_random_labels_tf(300))
    for labels in [drawn, dataset.get_random_labels_np(300)]:
        assert labels.shape == (300, 4) and labels.dtype == np.float32
        rows = {tuple(row) for row in labels}
        assert rows == {tuple(row) for row in LABELS[:5]}
    unlabelled = TFRecordDataset(folder)
    assert session.run(unlabelled.get_random_labels_tf(7)).shape == (7, 0)
    assert unlabelled.get_random_labels_np(7).shape == (7, 0)
    assert dataset.get_random_labels_tf(7).shape.as_list() == [7, 4]


def test_labels_asked_for_but_absent(tmp_path):
    plain = export(tmp_path / 'plain', IMAGES)
    with pytest.raises(UserError, match='has no labels'):
        TFRecordDataset(plain, max_label_size='full')
    with pytest.raises(UserError, match="no label file 'other.labels'"):
        TFRecordDataset(plain, label_file='other.labels', max_label_size='full')


@pytest.mark.parametrize(
    'content, reason',
    [
        (np.zeros([COUNT - 1, 4], np.float32), '10 labels, but there are 11 images'),
        (np.zeros([COUNT], np.float32), 'one array of numbers'),
        (np.array([['a']] * COUNT), 'one array of numbers'),
        (b'rubbish', 'no label file'),
    ],
)
def test_wrong_label_files_are_one_line_errors(content, reason, folder):
    with open(os.path.join(folder, 'own.labels'), 'wb') as file:
        file.write(content) if isinstance(content, bytes) else np.save(file, content)
    with pytest.raises(UserError, match=reason):
        TFRecordDataset(folder, label_file='own.labels', max_label_size='full')
    assert TFRecordDataset(folder, label_file='own.labels').label_size == 0


def test_missing_folder_and_folder_without_records(tmp_path):
    with pytest.raises(UserError, match='no data set folder'):
        TFRecordDataset(str(tmp_path / 'none'))
    with pytest.raises(UserError, match=r'no \*\.tfrecords'):
        TFRecordDataset(str(tmp_path))


def test_files_that_do_not_belong_together(folder, tmp_path):
    gray = export(tmp_path / 'gray', IMAGES[:, :1, ::2, ::2])
    os.remove(os.path.join(folder, 'set-r03.tfrecords'))
    os.rename(os.path.join(gray, 'gray-r03.tfrecords'), os.path.join(folder, 'gray-r03.tfrecords'))
    with pytest.raises(UserError, match='1, but .* of 3|1 channels, but .* of 3'):
        TFRecordDataset(folder)
    os.rename(os.path.join(gray, 'gray-r02.tfrecords'), os.path.join(folder, 'gray-r02.tfrecords'))
    with pytest.raises(UserError, match='both have 4x4'):
        TFRecordDataset(folder)


def test_low_resolutions_are_needed_only_when_they_are_asked_for(folder, session):
    os.remove(os.path.join(folder, 'set-r02.tfrecords'))
    few = export(folder + '2', IMAGES[:4])
    os.replace(os.path.join(few, 'set2-r03.tfrecords'), os.path.join(folder, 'set-r03.tfrecords'))
    dataset = TFRecordDataset(folder)
    dataset.get_minibatch_np(2)
    with pytest.raises(UserError, match=r'no 4x4 images \(a file \*-r02\.tfrecords\)'):
        dataset.configure(2, lod=2)
    with pytest.raises(UserError, match='has 4 images, but .* has 11'):
        dataset.configure(2, lod=1)
    with pytest.raises(UserError, match='level of detail 3 of 16x16 images; it must be 0 to 2'):
        dataset.configure(2, lod=3)


def test_smaller_resolution_ignores_larger_files(folder, session):
    dataset = TFRecordDataset(folder, resolution=8)
    assert dataset.shape == [3, 8, 8]
    assert dataset.get_minibatch_np(2, lod=1)[0].shape == (2, 3, 4, 4)
    with pytest.raises(UserError, match='no 32x32 images; it has sides 4, 8, 16'):
        TFRecordDataset(folder, resolution=32)


def test_broken_record_raises_its_own_one_line_error_from_a_training_step(folder, session):
    path = os.path.join(folder, 'set-r04.tfrecords')
    stride = os.path.getsize(path) // COUNT
    with open(path, 'r+b') as file:
        file.seek(6 * stride + 50)
        file.write(b'oops')
    dataset = TFRecordDataset(folder, shuffle_mb=0)
    images, _ = dataset.get_minibatch_tf()
    dataset.configure(3)
    with dataset.reading_errors():
        session.run(images)
        session.run(images)
    with pytest.raises(UserError, match='set-r04.tfrecords.: record 6 at byte %d ' % (6 * stride)):
        with dataset.reading_errors():
            session.run(images)
    with pytest.raises(UserError, match='record 6 at byte'):
        for _ in range(4):
            dataset.get_minibatch_np(3)


def test_broken_record_stops_even_those_who_do_not_ask_for_its_error(folder, session, capfd):
    path = os.path.join(folder, 'set-r04.tfrecords')
    dataset = TFRecordDataset(folder, shuffle_mb=0)
    os.truncate(path, os.path.getsize(path) // COUNT * 5)
    images, _ = dataset.get_minibatch_tf()
    dataset.configure(5)
    session.run(images)
    with pytest.raises(tf.errors.OutOfRangeError):
        session.run(images)
    assert 'Traceback' not in capfd.readouterr().err


def test_other_tensorflow_errors_are_not_taken_for_reading_errors(folder, session):
    dataset = TFRecordDataset(folder)
    with pytest.raises(tf.errors.InvalidArgumentError):
        with dataset.reading_errors():
            session.run(tf.check_numerics(tf.constant(np.nan), 'numerics'))


@pytest.mark.parametrize(
    'kwargs, reason',
    [
        ({'max_images': 0}, 'max_images is 0'),
        ({'max_label_size': 'all'}, "max_label_size is 'all'"),
    ],
)
def test_arguments_out_of_range(kwargs, reason, folder):
    with pytest.raises(UserError, match=reason):
        TFRecordDataset(folder, **kwargs)


def test_fingerprint_tells_data_sets_apart_and_knows_copies(folder, tmp_path):
    fingerprint = TFRecordDataset(folder).fingerprint()
    other_images = IMAGES.copy()
    other_images[0, 0, 0, 0] ^= 1
    (tmp_path / 'elsewhere').mkdir()
    same = export(tmp_path / 'elsewhere' / 'set', IMAGES)
    other = export(tmp_path / 'other' / 'set', other_images)
    assert TFRecordDataset(same).fingerprint() == fingerprint
    assert TFRecordDataset(other).fingerprint() != fingerprint
    assert TFRecordDataset(folder, max_images=5).fingerprint() != fingerprint
    assert TFRecordDataset(folder, max_label_size='full').fingerprint() != fingerprint


@pytest.mark.parametrize('labels', [LABELS, np.eye(COUNT)])
def test_fingerprint_changes_with_every_image_and_label(labels, tmp_path):
    seen = set()
    for i in range(COUNT + 1):
        images = IMAGES.copy()
        images[i % COUNT, 2, 15, 15] ^= i < COUNT
        other_labels = labels.copy()
        other_labels[i % COUNT, 0] += i < COUNT
        folder = export(tmp_path / str(i) / 'set', images, labels)
        seen.add(TFRecordDataset(folder, max_label_size='full').fingerprint())
        folder = export(tmp_path / ('%d-labels' % i) / 'set', IMAGES, other_labels)
        seen.add(TFRecordDataset(folder, max_label_size='full').fingerprint())
    assert len(seen) == 2 * COUNT + 1  # the last data set of both kinds is the unchanged one


def test_checksums_are_noted_and_read_again_when_the_file_changes(folder, monkeypatch):
    monkeypatch.setattr(tfrecord_dataset, '_RECENT', -1)
    before = TFRecordDataset(folder).fingerprint()
    with monkeypatch.context() as patch:
        patch.delattr(RecordFile, 'sha256')
        assert TFRecordDataset(folder).fingerprint() == before
    path = os.path.join(folder, 'set-r04.tfrecords')
    status, other = os.stat(path), IMAGES.copy()
    other[5, 0, 0, 0] ^= 1
    changed = export(folder + '2', other, LABELS)
    shutil.copyfile(os.path.join(changed, 'set2-r04.tfrecords'), path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if nothing had happened
    assert TFRecordDataset(folder).fingerprint() != before


def test_fingerprint_needs_no_place_to_write(folder):
    before = TFRecordDataset(folder).fingerprint()
    side_file = os.path.join(os.path.dirname(folder), '.set.dataset.json')
    for content in [b'[1]', b'{"num_images": 3, "checksums": [1]}', b'\xff', b'[' * 100000]:
        with open(side_file, 'wb') as file:
            file.write(content)
        assert TFRecordDataset(folder).fingerprint() == before
    os.remove(side_file)
    os.mkdir(side_file)
    assert TFRecordDataset(folder).fingerprint() == before


def test_files_cut_between_two_records_are_refused(folder):
    full = os.path.join(folder, 'set-r04.tfrecords')
    os.truncate(full, os.path.getsize(full) // COUNT * (COUNT - 2))
    with pytest.raises(UserError, match='has 9 images, but the data set was made with 11'):
        TFRecordDataset(folder)
    for name in ['set-r03.tfrecords', 'set-r02.tfrecords']:  # the same in all files
        path = os.path.join(folder, name)
        os.truncate(path, os.path.getsize(path) // COUNT * (COUNT - 2))
    with pytest.raises(UserError, match='has 9 images, but the data set was made with 11'):
        TFRecordDataset(folder)


def test_other_data_under_the_name_of_a_data_set_is_not_taken_for_a_cut_one(folder, tmp_path):
    other = export(tmp_path / 'other', IMAGES[5:8])
    shutil.rmtree(folder)
    os.rename(other, folder)
    assert TFRecordDataset(folder).num_images == 3


@pytest.mark.parametrize(
    'labels, reason',
    [
        (np.where(np.arange(COUNT)[:, np.newaxis] == 7, np.nan, LABELS), 'label 7 is not finite'),
        (np.arange(COUNT)[:, np.newaxis] % 3, 'seems to hold class numbers'),
    ],
)
def test_labels_that_teach_nothing_are_refused(labels, reason, tmp_path):
    folder = export(tmp_path / 'set', IMAGES, labels)
    with pytest.raises(UserError, match=reason):
        TFRecordDataset(folder, max_label_size='full')


def test_load_dataset_joins_paths_and_says_what_it_opens(folder, capsys):
    dataset = load_dataset(data_dir=os.path.dirname(folder), tfrecord_dir='set', verbose=True)
    assert isinstance(dataset, TFRecordDataset)
    assert capsys.readouterr().out.splitlines() == [
        'Streaming data using training.dataset.TFRecordDataset...',
        'Dataset shape = [3, 16, 16]',
        'Dynamic range = [0, 255]',
        'Label size    = 0',
    ]
    named = load_dataset('training.dataset.TFRecordDataset', tfrecord_dir=folder, max_images=2)
    assert named.num_images == 2


def test_records_can_be_parsed_one_by_one(folder, session):
    record = next(tf.python_io.tf_record_iterator(os.path.join(folder, 'set-r04.tfrecords')))
    np.testing.assert_array_equal(TFRecordDataset.parse_tfrecord_np(record), IMAGES[0])
    np.testing.assert_array_equal(session.run(TFRecordDataset.parse_tfrecord_tf(record)), IMAGES[0])


def test_process_reals_maps_range_and_keeps_full_resolution_at_lod_0(session):
    x, labels = session.run(
        process_reals(
            tf.constant(IMAGES[:2]), tf.constant(LABELS[:2]), 0.0, False, [0, 255], [-1, 1]
        )
    )
    np.testing.assert_allclose(x, IMAGES[:2] / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(labels, LABELS[:2])


@pytest.mark.parametrize('lod', [0.25, 1.0, 1.75, 2.0])
def test_process_reals_fades_to_the_next_level_and_enlarges(lod, session):
    whole = int(lod)
    small = IMAGES[:3, :, :: 2**whole, :: 2**whole]
    fed = tf.placeholder(tf.float32, [])
    got, _ = process_reals(tf.constant(small), None, fed, False, [0, 255], [0, 1])
    got = session.run(got, {fed: lod})
    x = small / 255.0
    side = x.shape[-1]
    blocks = x.reshape(3, 3, side // 2, 2, side // 2, 2).mean(axis=(3, 5), keepdims=True)
    y = np.broadcast_to(blocks, [3, 3, side // 2, 2, side // 2, 2]).reshape(x.shape)
    x = x + (y - x) * (lod - whole)
    np.testing.assert_allclose(got, x.repeat(2**whole, 2).repeat(2**whole, 3), atol=1e-6)


def test_process_reals_mirrors_about_half_of_the_images(session):
    many = np.tile(IMAGES[:1], [400, 1, 1, 1])
    got, _ = process_reals(tf.constant(many), None, 0.0, True, [0, 255], [0, 255])
    got = session.run(got)
    mirrored = [np.array_equal(g, many[0][:, :, ::-1]) for g in got]
    kept = [np.array_equal(g, many[0]) for g in got]
    assert all(m != k for m, k in zip(mirrored, kept))
    assert scipy.stats.binom.cdf(sum(mirrored), 400, 0.5) > 1e-5
    assert scipy.stats.binom.sf(sum(mirrored), 400, 0.5) > 1e-5
