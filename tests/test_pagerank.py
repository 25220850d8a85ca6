"""Selection by PageRank: neighbours, weights, scores, and what becomes of a data set."""

import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy import sparse, spatial

import dataset_tool
from dnnlib.cli import run_cli
from tests.test_vgg16 import MAPS, random_arrays, save
from training.data import neighbors, pagerank
from training.data.tfrecord_exporter import TFRecordExporter
from training.dataset import TFRecordDataset
from training.perception import vgg16
from training.perception.feature_nets import FOLDER_VARIABLE

RND = np.random.RandomState(7)
OUTLIERS = [3, 11, 24, 29]


def run(source, target, *args):
    argv = ['select_by_pagerank'] + [str(arg) for arg in (target, source) + args]
    return run_cli(dataset_tool.main, argv)


def scores_of(path):
    with np.load(str(path) + pagerank.SCORES_SUFFIX) as file:
        return file['scores'], file['selected']


def typical_and_odd(channels=3, side=32):
    """30 images: variants of one image, and, as numbers OUTLIERS, quite different ones."""
    base = np.kron(RND.randint(60, 190, [channels, 8, 8]), np.ones([1, side // 8, side // 8]))
    images = base + RND.randint(-20, 20, [30, channels, side, side])
    for index in OUTLIERS:
        odd = RND.randint(256, size=[channels, 8, 8])
        images[index] = np.kron(odd, np.ones([1, side // 8, side // 8]))
    return images.astype(np.uint8)


def export(path, images, labels=None):
    with TFRecordExporter(str(path), len(images), print_progress=False) as exporter:
        for image in images:
            exporter.add_image(image)
        if labels is not None:
            exporter.add_labels(labels)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A data set of 30 images with labels: (folder, images, labels)."""
    path = tmp_path_factory.mktemp('data') / 'source'
    images = typical_and_odd()
    labels = np.arange(60, dtype=np.float32).reshape(30, 2)
    export(path, images, labels)
    return path, images, labels


def test_scores_of_a_graph_of_three_worked_out_by_hand():
    # 0 -> 1; 1 -> 0 and 2 alike; 2 -> 0. With damping 1/2 the scores x, y, z obey
    # x = 1/6 + y/4 + z/2, y = 1/6 + x/2, z = 1/6 + y/4.
    links = sparse.csr_matrix([[0, 5.0, 0], [1, 0, 1], [0.1, 0, 0]])
    np.testing.assert_allclose(
        pagerank.pagerank(links, 0.5), [15 / 39, 14 / 39, 10 / 39], rtol=1e-8
    )


@pytest.mark.parametrize('damping', [0, 0.85, 0.99])
def test_scores_solve_the_linear_equations_also_with_nodes_without_links(damping):
    links = RND.uniform(size=[40, 40]) * (RND.uniform(size=[40, 40]) < 0.1)
    links[[4, 17]] = 0
    totals = links.sum(axis=1, keepdims=True)
    handed = np.where(totals > 0, links / np.where(totals > 0, totals, 1), 1 / 40)
    want = np.linalg.solve(np.eye(40) - damping * handed.T, np.full(40, (1 - damping) / 40))
    got = pagerank.pagerank(sparse.csr_matrix(links), damping)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert abs(got.sum() - 1) < 1e-12


def test_a_link_of_mean_squared_length_weighs_a():
    squares = np.array([[1, 3], [2, 2]])
    weights = pagerank.link_weights(squares, 0.9)  # sigma^2 = 2 / -ln 0.9
    np.testing.assert_allclose(weights, [[0.9**0.5, 0.9**1.5], [0.9, 0.9]])
    np.testing.assert_array_equal(pagerank.link_weights(np.zeros([2, 2]), 0.9), np.ones([2, 2]))


def test_links_stand_in_the_row_of_the_image_that_has_the_neighbour():
    matrix = pagerank.link_matrix(
        np.array([[2, 1], [0, 2], [1, 0]], np.int32), np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    )
    np.testing.assert_array_equal(matrix.toarray(), [[0, 0.2, 0.1], [0.3, 0, 0.4], [0.6, 0.5, 0]])


def test_of_equal_scores_those_with_nearer_neighbours_are_better_then_the_first():
    scores = np.array([0.1, 0.3, 0.1, 0.4, 0.1, 0.1])
    squares = np.array([[9, 9], [8, 8], [3, 4], [7, 7], [4, 3], [2, 1]])
    assert [pagerank.best(scores, squares, num).tolist() for num in (1, 2, 3, 4, 5)] == [
        [3],
        [1, 3],
        [1, 3, 5],
        [1, 2, 3, 5],
        [1, 2, 3, 4, 5],
    ]


@pytest.mark.parametrize('blocks', [(2048, 16384), (50, 64)])
def test_neighbours_are_those_of_an_exact_search_tree(blocks, monkeypatch):
    monkeypatch.setattr(neighbors, '_ROWS', blocks[0])
    monkeypatch.setattr(neighbors, '_COLUMNS', blocks[1])
    monkeypatch.setattr(neighbors, '_MEASURED', 4000)
    points = (RND.randn(300, 6) + 50).astype(np.float32)
    indices, squares = neighbors.nearest_neighbors(points, 7)
    distances, want = spatial.cKDTree(points.astype(np.float64)).query(points, 8)
    np.testing.assert_array_equal(indices, want[:, 1:])
    np.testing.assert_allclose(np.sqrt(squares), distances[:, 1:], rtol=1e-4)


def test_equal_images_are_neighbours_at_distance_0_but_none_is_its_own():
    points = np.repeat(RND.randn(4, 5), 6, axis=0).astype(np.float32)
    indices, squares = neighbors.nearest_neighbors(points, 5)
    for row, found in enumerate(indices):
        group = range(row // 6 * 6, row // 6 * 6 + 6)
        assert found.tolist() == [other for other in group if other != row]
    assert not squares.any()
    assert neighbors.nearest_neighbors(points[[0, 6]], 1)[0].tolist() == [[1], [0]]


def test_outliers_go_and_the_others_keep_order_pixels_and_labels(source, tmp_path):
    path, images, labels = source
    assert run(path, tmp_path / 'out', '--num=26', '--k=5') == 0
    kept = [index for index in range(30) if index not in OUTLIERS]
    out = TFRecordDataset(str(tmp_path / 'out'), max_label_size='full')
    assert out.num_images == 26 and out.lods == [0, 1, 2, 3]
    for position, index in enumerate(kept):
        np.testing.assert_array_equal(out.get_image(position), images[index])
        np.testing.assert_array_equal(out.get_label(position), labels[index])
    scores, selected = scores_of(tmp_path / 'out')
    assert selected.tolist() == kept and max(scores[OUTLIERS]) == min(scores)
    assert abs(scores.sum() - 1) < 1e-9


def test_records_are_the_same_bytes_as_those_of_the_source(source, tmp_path):
    assert run(source[0], tmp_path / 'source', '--num=30', '--k=5') == 0
    for name in os.listdir(str(source[0])):
        with open(str(source[0] / name), 'rb') as a, open(
            str(tmp_path / 'source' / name), 'rb'
        ) as b:
            assert a.read() == b.read(), name


def test_a_folder_and_a_zip_of_images_are_ranked_as_a_data_set_is(source, tmp_path):
    for index, image in enumerate(source[1]):
        folder = tmp_path / 'images' / ('cats' if index < 15 else 'dogs')
        os.makedirs(str(folder), exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(str(folder / ('%02d.png' % index)))
    archive = shutil.make_archive(str(tmp_path / 'images'), 'zip', str(tmp_path / 'images'))
    options = ['--num=12', '--k=4', '--damping=0.5', '--a=0.8']
    for name, path in [('a', source[0]), ('b', tmp_path / 'images'), ('c', archive)]:
        assert run(path, tmp_path / name, *options) == 0
    scores, selected = scores_of(tmp_path / 'a')
    for name in 'bc':
        np.testing.assert_allclose(scores_of(tmp_path / name)[0], scores, rtol=1e-9)
        out = TFRecordDataset(str(tmp_path / name), max_label_size='full')
        classes = [out.get_label(position).argmax() for position in range(12)]
        assert classes == [int(index >= 15) for index in selected]


def test_small_gray_images_and_data_sets_of_equal_images_have_scores(tmp_path):
    export(tmp_path / 'gray', typical_and_odd(channels=1, side=8))
    assert run(tmp_path / 'gray', tmp_path / 'out', '--num=26', '--k=5') == 0
    assert scores_of(tmp_path / 'out')[1].tolist() == [i for i in range(30) if i not in OUTLIERS]
    export(tmp_path / 'equal', np.full([6, 3, 4, 4], 9, np.uint8))
    assert run(tmp_path / 'equal', tmp_path / 'some', '--num=4', '--k=5') == 0
    np.testing.assert_allclose(scores_of(tmp_path / 'some')[0], 1 / 6)


def test_vgg16_compares_means_of_its_activations(tmp_path, monkeypatch):
    """A first layer that lets blue and red through gives the mean colour of each image."""
    monkeypatch.setattr(vgg16, 'BLOCKS', list(zip([2, 2, 3, 3, 3], MAPS)))
    monkeypatch.setattr(pagerank, '_VGG16_LAYER', 'conv1_1')
    monkeypatch.setattr(pagerank, '_VGG16_MAX_SIDE', 8)
    arrays = random_arrays()
    kernel = np.zeros([3, 3, 3, 2])
    kernel[1, 1, 0, 0] = kernel[1, 1, 2, 1] = 1
    arrays['block1_conv1'] = kernel, np.full([2], 200)
    colours = RND.randint(100, 110, [35, 3, 1, 1])
    colours[OUTLIERS, 0, 0, 0] = [10, 200, 105, 105]  # nearer to the typical ones
    colours[OUTLIERS, 2, 0, 0] = [105, 105, 10, 200]  # than to each other
    colours[:, 1] = RND.randint(256, size=[35, 1, 1])  # green is not looked at
    export(tmp_path / 'in', np.tile(colours, [1, 1, 16, 16]).astype(np.uint8))
    assert (
        run(
            tmp_path / 'in',
            tmp_path / 'out',
            '--num=31',
            '--k=5',
            '--features=vgg16',
            '--vgg16=%s' % save(tmp_path / 'w.h5', arrays),
        )
        == 0
    )
    selected = scores_of(tmp_path / 'out')[1]
    assert selected.tolist() == [index for index in range(35) if index not in OUTLIERS]


@pytest.mark.parametrize(
    'args, reason',
    [
        (['--num=31'], '--num=31 must be from 1 to the number of images in .*30'),
        ([], '--num=100000 must be'),
        (['--num=0'], '--num=0 must be'),
        (['--num=9', '--k=30'], '--k=30 must be at least 1 and below .*30'),
        (['--num=9', '--k=0'], '--k=0 must be'),
        (['--num=9', '--a=1'], '--a=1 must be above 0 and below 1'),
        (['--num=9', '--damping=1'], '--damping=1 must be at least 0 and below 1'),
        (['--num=9', '--features=inception'], 'invalid choice'),
        (['--num=9', '--features=vgg16'], 'There is no nets/vgg16_weights.*; download https://'),
        (['--num=9', '--features=vgg16', '--vgg16=no.h5'], "no file 'no.h5'; download https://"),
    ],
)
def test_mistakes_end_in_one_line_before_images_are_read(
    args, reason, source, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, 'nets')
    monkeypatch.setattr(TFRecordDataset, 'get_image', None)
    assert run(source[0], 'out', *args) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    assert re.search(reason, err)
    assert os.listdir(str(tmp_path)) == []


def test_source_and_target_are_checked_before_the_work(source, tmp_path, capsys):
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'notes.txt').write_text('mine')
    for path, target, reason in [
        (source[0], source[0], 'both input and output'),
        (source[0], tmp_path / 'full', 'holds other files'),
        (tmp_path / 'nothing', tmp_path / 'out', 'no data set folder'),
    ]:
        assert run(path, target, '--num=9', '--force') == 2
        err = capsys.readouterr().err
        assert reason in err and err.count('\n') == 1


def test_the_old_order_of_source_and_target_is_one_line_that_says_so(source, tmp_path, capsys):
    for flags in [['--num=9'], ['--num=9', '--force']]:
        assert run(tmp_path / 'out', source[0], *flags) == 2
        err = capsys.readouterr().err
        assert 'takes first the folder to make' in err and err.count('\n') == 1
    assert os.listdir(str(tmp_path)) == [] and len(os.listdir(str(source[0]))) > 1


def test_nothing_is_left_of_a_selection_that_fails(source, tmp_path, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(pagerank.np, 'savez', fail)
    assert run(source[0], tmp_path / 'out', '--num=9', '--k=3') == 2
    assert 'No space left' in capsys.readouterr().err
    assert os.listdir(str(tmp_path)) == []
