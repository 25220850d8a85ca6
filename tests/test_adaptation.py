"""How strongly a run augments follows how well its discriminator knows the real images."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bench import kills
from dnnlib import tflib
from dnnlib.util import UserError
from tests.test_resume import Killed, loop, stop_before, train_and_stop  # noqa: F401 - fixtures
from tests.test_training_loop import data_dir, read_stats  # noqa: F401 - a fixture
from training import misc
from training.augmentation import adaptation
from training.augmentation.adaptation import Augmentation, settings


class FlatD:
    """A discriminator whose scores are the first pixels."""

    name = 'flat'

    def get_output_for(self, images, _labels, is_training):
        assert is_training
        return images[:, 0, 0, :1]


def test_p_follows_the_signs_of_the_scores_of_real_images(session):
    augmentation = Augmentation(settings('ada', 'b', target=0.4, kimg=0.1))
    assert augmentation.look(FlatD(), None).name == 'flat'
    reals = tf.placeholder(tf.float32, [None, 1, 4, 4])
    scores = [
        augmentation.look(FlatD(), part, device).get_output_for(part, None, is_training=True)
        for device, part in enumerate(tf.split(reals, 2))
    ]
    update = augmentation.update(tf.constant(5))  # 5 images in each of 4 iterations: by 0.2
    tflib.init_uninitialized_vars()
    found = []
    for firsts in [[1, 1], [1, 1], [1, -1], [1, -1], [1, -1], [np.nan, 1], [np.nan] * 2]:
        images = np.zeros([2, 1, 4, 4]) + np.reshape(firsts, [2, 1, 1, 1])
        for _ in range(3):
            tflib.run(scores, {reals: images})
        tflib.run(update)
        found.append(tflib.run(augmentation.p))
    np.testing.assert_allclose(found, [0.2, 0.4, 0.2, 0, 0, 0.2, 0.2], atol=1e-6)
    for _ in range(6):
        tflib.run(scores, {reals: np.ones([2, 1, 4, 4])})
        tflib.run(update)
    assert tflib.run(augmentation.p) == 1


def test_a_loss_that_scores_no_real_images_cannot_be_followed(session):
    augmentation = Augmentation(settings('ada'))
    with pytest.raises(UserError, match='--augment=ada follows'):
        augmentation.update(tf.constant(4))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(p=0.2), 'nothing is augmented; add --augment=fixed'),
        (dict(mode='fixed'), 'needs a probability'),
        (dict(mode='fixed', p=1.5), 'must be 0 to 1'),
        (dict(mode='ada', kimg=0), 'must be above 0'),
        (dict(mode='ada', target='x'), 'must be a number'),
        (dict(mode='often'), "'often'; choose one of none, ada, fixed"),
        (dict(mode='ada', pipe='bgx'), "'bgx'; choose one of b, g"),
    ],
)
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(UserError, match=message):
        settings(**options)


def test_images_without_known_colours_are_named():
    assert adaptation.notes(dict(mode='ada'), 3) == adaptation.notes(dict(mode='ada'), 1) == []
    assert adaptation.notes({}, 4) == adaptation.notes(dict(mode='ada', pipe='bg'), 4) == []
    (line,) = adaptation.notes(dict(mode='ada'), 4)
    assert '4 channels' in line


def weights(run_dir):
    nets = misc.load_pkl(run_dir + '/network-final.pkl')
    return {(net.name, name): net.get_var(name) for net in nets for name in net.vars}


SHORT = dict(config='config-e', total_kimg=0.064)


def test_at_p_0_a_run_is_that_without_augmentation(loop, session):  # noqa: F811
    plain = loop('plain', **SHORT)
    ada = loop('ada', augment_args=dict(mode='ada', target=1.0), **SHORT)
    before, after = weights(plain), weights(ada)
    assert list(before) == list(after)
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
    for run_dir in (plain, ada):
        assert all(-1 <= line['Overfitting/r_t'] <= 1 for line in read_stats(run_dir))
    assert [line['Overfitting/p'] for line in read_stats(ada)] == [0, 0]
    assert 'Overfitting/p' not in read_stats(plain)[0]


def test_p_goes_on_where_a_killed_run_left_it(loop, stop_before, capsys):  # noqa: F811
    augment_args = dict(mode='ada', target=-1, kimg=0.16)
    options = dict(config='dcgan', total_kimg=0.064, augment_args=augment_args)
    whole = loop('whole', **options)
    killed = train_and_stop(loop, stop_before, {5: Killed()}, **options)
    assert kills.compare(whole, killed)[0] == []
    # 8 images an iteration, 4 iterations for a tick and for a step of 32 / 160.
    assert [line['Overfitting/p'] for line in read_stats(whole)] == pytest.approx([0.2, 0.4])
    assert ' r_t ' in capsys.readouterr().out
