"""Grids of images have the official sizes and contents, and pixels keep their values."""

import numpy as np
import PIL.Image
import pytest

from dnnlib import EasyDict
from dnnlib.util import UserError
from tests import golden
from training import misc
from training.data.tfrecord_exporter import TFRecordExporter
from training.dataset import TFRecordDataset

ARRAYS, META = golden.load('grid_sizes')


class LabelStream:
    """A data set of recorded labels; the pixels of an image are its number."""

    def __init__(self, labels, label_size, resolution):
        self.labels, self.consumed = labels, 0
        self.shape, self.dtype = [1, resolution, resolution], 'uint8'
        self.label_size, self.label_dtype = label_size, 'float32'

    def get_minibatch_np(self, minibatch_size):
        numbers = range(self.consumed, self.consumed + minibatch_size)
        return tuple(map(np.stack, zip(*[(self.get_image(i), self.get_label(i)) for i in numbers])))

    def largest_labels(self):
        return self.labels

    def stream_order(self, begin, stop):
        return np.arange(begin, stop)

    def get_image(self, index):
        self.consumed = max(self.consumed, index + 1)
        return np.full(self.shape, index, np.int64).astype(self.dtype)

    def get_label(self, index):
        return np.eye(self.label_size)[self.labels[index]]


def test_grids_have_the_official_size():
    for size, resolution, width, height in zip(
        *[ARRAYS[key] for key in ['size', 'resolution', 'grid_width', 'grid_height']]
    ):
        training_set = EasyDict(
            shape=[3, resolution, resolution],
            get_minibatch_np=lambda n: (np.zeros([n, 1]), np.zeros([n, 0])),
        )
        grid_size, reals, labels = misc.setup_snapshot_image_grid(training_set, size=str(size))
        assert grid_size == (width, height)
        assert len(reals) == len(labels) == width * height


@pytest.mark.parametrize('case', META['layouts'], ids=lambda case: case['key'])
def test_grids_by_class_are_filled_in_the_official_order(case):
    training_set = LabelStream(
        ARRAYS[case['key'] + '.label_stream'], case['label_size'], case['image_resolution']
    )
    grid_size, reals, labels = misc.setup_snapshot_image_grid(
        training_set, size=case['size'], layout=case['layout']
    )
    assert list(grid_size) == case['grid']
    # Those that official StyleGAN2 takes for cells outside of the grid are not read here.
    assert 0 < training_set.consumed <= case['images_consumed']
    np.testing.assert_array_equal(np.argmax(labels, axis=1), ARRAYS[case['key'] + '.grid_labels'])
    for image, label in zip(reals, labels):
        if np.any(label):  # a cell that was filled: its image is that of its label
            assert training_set.labels[image[0, 0, 0]] == np.argmax(label)


def test_grids_by_class_repeat_the_images_of_rare_classes_and_end():
    """Class 2 has one image, class 1 none: neither is looked for without end."""
    labels = np.zeros(100000, np.int64)
    labels[99999] = 2
    stream = LabelStream(labels, 3, 512)
    grid_size, reals, labels = misc.setup_snapshot_image_grid(stream, layout='row_per_class')
    assert grid_size == (3, 2)
    assert labels.argmax(axis=1).tolist() == [0] * 6  # rows: class 0, then 1, which is black
    assert labels.sum(axis=1).tolist() == [1, 1, 1, 0, 0, 0] and not reals[3:].any()
    assert reals[:3, 0, 0, 0].tolist() == [0, 1, 2]
    grid_size, reals, labels = misc.setup_snapshot_image_grid(
        stream, size='4k', layout='row_per_class'
    )
    assert grid_size == (7, 4)
    assert labels.argmax(axis=1).tolist() == [0] * 7 + [0] * 7 + [2] * 7 + [0] * 7
    rows = [[0, 1, 2, 3, 4, 5, 6], [0] * 7, [99999 % 256] * 7, [7, 8, 9, 10, 11, 12, 13]]
    assert reals[:, 0, 0, 0].tolist() == sum(rows, [])


def test_grids_by_class_are_filled_from_data_sets(tmp_path):
    classes = np.arange(40) % 4
    with TFRecordExporter(str(tmp_path / 'set'), 40, print_progress=False) as exporter:
        for number in range(40):
            exporter.add_image(np.full([1, 8, 8], number, np.uint8))
        exporter.add_labels(np.eye(4)[classes])
    dataset = TFRecordDataset(str(tmp_path / 'set'), max_label_size='full', seed=3)
    (columns, rows), reals, labels = misc.setup_snapshot_image_grid(dataset, layout='row_per_class')
    numbers, order = reals[:, 0, 0, 0], dataset.stream_order(0, 40)
    assert np.array_equal(labels, np.eye(4)[np.arange(columns * rows) // columns % 4])
    assert np.array_equal(labels.argmax(axis=1), classes[numbers])
    first_row = [n for n in order if classes[n] == 0]  # ten images for 32 places
    assert numbers[:columns].tolist() == (first_row * 4)[:columns]


def test_an_unknown_grid_layout_names_the_known_ones():
    with pytest.raises(UserError, match="'diagonal'; choose one of random, .*class4x4"):
        misc.setup_snapshot_image_grid(LabelStream([], 0, 512), layout='diagonal')


def test_a_grid_shows_images_row_by_row_and_leaves_the_rest_black():
    images = np.arange(1, 6).reshape(5, 1, 1, 1) * np.ones([5, 2, 1, 2], np.int64)
    want = [[1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 0, 0]]
    grid = misc.create_image_grid(images, (3, 2))
    assert grid.shape == (2, 2, 6) and grid.dtype == images.dtype
    assert np.array_equal(grid[0], want) and np.array_equal(grid[1], want)
    assert np.array_equal(misc.create_image_grid(images), grid)  # by default about square
    assert np.array_equal(misc.create_image_grid(images[:, 0], (3, 2)), want)  # [N, H, W]


@pytest.mark.parametrize('number, size', [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (7, (3, 3))])
def test_a_grid_is_about_square_by_default(number, size):
    grid = misc.create_image_grid(np.zeros([number, 3, 4, 4]))
    assert grid.shape == (3, size[1] * 4, size[0] * 4)


@pytest.mark.parametrize(
    'x, drange_in, drange_out, want',
    [
        ([-1, 0, 1], [-1, 1], [0, 255], [0, 127.5, 255]),
        ([0, 51, 255], [0, 255], [-1, 1], [-1, -0.6, 1]),
        ([0.5, 2], [0, 1], [10, 30], [20, 50]),
        ([3, 4], [0, 255], [0, 255], [3, 4]),
    ],
)
def test_dynamic_ranges_are_mapped_linearly(x, drange_in, drange_out, want):
    got = misc.adjust_dynamic_range(np.float32(x), drange_in, drange_out)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_pillow_images_are_rounded_and_clipped():
    image = np.float32([[-2, -1, 0], [0.1, 1, 2]])
    want = [[0, 0, 128], [140, 255, 255]]  # 127.5 is rounded to even
    for gray in [image, image[np.newaxis]]:
        picture = misc.convert_to_pil_image(gray, drange=[-1, 1])
        assert picture.mode == 'L' and np.array_equal(picture, want)
    rgb = np.stack([image, image * 0, -image])
    picture = misc.convert_to_pil_image(rgb, drange=[-1, 1])
    assert picture.mode == 'RGB' and picture.size == (3, 2)
    assert np.array_equal(np.asarray(picture)[0, 1], [0, 128, 255])
    assert misc.convert_to_pil_image(np.ones([4, 2, 2])).mode == 'RGBA'


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_a_saved_grid_reads_back(channels, tmp_path):
    images = np.random.RandomState(0).randint(256, size=[4, channels, 4, 4]).astype(np.uint8)
    path = str(tmp_path / 'grid.png')
    misc.save_image_grid(images, path, drange=[0, 255], grid_size=(2, 2))
    pixels = np.asarray(PIL.Image.open(path)).reshape(8, 8, channels).transpose(2, 0, 1)
    assert np.array_equal(pixels, misc.create_image_grid(images, (2, 2)))


@pytest.mark.parametrize(
    'side, columns, rows, scale',
    [
        (32, 15, 8, 4),  # the demo: 1920 x 1024
        (32, 32, 32, 2),  # a grid of official size
        (32, 1, 1, 8),  # alone
        (32, 3, 3, 4),
        (8, 3, 2, 16),
        (48, 2, 2, 2),  # a whole number
        (64, 32, 32, 1),
        (1024, 1, 1, 1),
        (4, 10000, 1, 1),
    ],
)
def test_small_images_are_enlarged_as_far_as_a_screen_shows_them(side, columns, rows, scale):
    assert misc.automatic_scale(side, columns, rows) == scale


def test_pictures_of_more_dots_an_inch_are_enlarged_more():
    assert misc.automatic_scale(32, 3, 3, dpi=300) == 12
    assert misc.automatic_scale(32, 15, 8, page=1024) == 2


def test_an_enlarged_pixel_is_a_square(tmp_path):
    images = np.random.RandomState(0).randint(256, size=[2, 3, 4, 4]).astype(np.uint8)
    grid = misc.create_image_grid(images, (2, 1)).transpose(1, 2, 0)
    for scale, factor in [(3, 3), (None, 32)]:
        path = str(tmp_path / 'grid.png')
        misc.save_image_grid(images, path, [0, 255], (2, 1), scale)
        want = np.kron(grid, np.ones([factor, factor, 1], np.uint8))
        assert np.array_equal(PIL.Image.open(path), want)


@pytest.mark.parametrize(
    'resolution, size',
    [(4, (15, 8)), (32, (15, 8)), (64, (15, 8)), (128, (15, 8)), (256, (7, 4)), (1024, (3, 2))],
)
def test_a_grid_for_screens_shows_no_more_images_than_are_seen_well(resolution, size):
    assert misc.grid_size([3, resolution, resolution], 'screen') == size


@pytest.mark.parametrize('pixels, want', [(9, [[0, 1], [3, 4]]), (4, [[0]]), (1, [[0]])])
def test_the_corner_of_a_grid_is_cut_between_images(pixels, want):
    images = np.arange(6).reshape(6, 1, 1, 1) * np.ones([6, 1, 4, 4], np.int64)
    few, size = misc.grid_corner(images, (3, 2), pixels)
    assert size == (len(want[0]), len(want))
    assert few.shape == (size[0] * size[1], 1, 4, 4)
    assert few[:, 0, 0, 0].tolist() == sum(want, [])
    assert misc.grid_corner(images, (3, 2), 100)[1] == (3, 2)
