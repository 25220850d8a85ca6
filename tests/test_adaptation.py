"""How strongly a run augments follows how well its discriminator knows the real images."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bench import kills
from dnnlib import tflib
from dnnlib.tflib import engine
from dnnlib.util import EasyDict, UserError
from tests.test_resume import Killed, loop, stop_before, train_and_stop  # noqa: F401 - fixtures
from tests.test_training_loop import data_dir, read_stats  # noqa: F401 - a fixture
from training.augmentation import adaptation
from training.augmentation.adaptation import Augmentation, settings
from training.train_graph import TrainGraph


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


class FourImages:
    shape, label_size = [3, 4, 4], 0

    def get_minibatch_tf(self):
        images = np.random.RandomState(0).randint(256, size=[4, 3, 4, 4])
        return tf.constant(images, tf.float32), tf.zeros([4, 0])

    def get_random_labels_tf(self, minibatch_size):
        return tf.zeros([minibatch_size, 0])

    def reading_errors(self):
        return tf.name_scope('nothing')


def weights_after_two_iterations(**augment_args):
    shape = dict(num_channels=3, resolution=4, fmap_max=8)
    narrow = dict(latent_size=8, dlatent_size=8, mapping_fmaps=8, mapping_layers=1)
    module = 'training.networks_stylegan2.'
    loss, loss_of_D = 'training.loss.G_logistic_ns', 'training.loss.D_logistic_r1'
    reals = dict(mirror_augment=False, drange_data=[0, 255], drange_net=[-1, 1])
    sched = EasyDict(lod=0, G_lrate=0.01, D_lrate=0.01, minibatch_size=4, minibatch_gpu=4)
    with tf.Graph().as_default(), tflib.create_session().as_default():
        with tf.device(engine.device(0)):
            G = tflib.Network('G', module + 'G_main', **shape, **narrow)
            D = tflib.Network('D', module + 'D_stylegan2', **shape)
            Gs = G.clone('Gs')
        graph = TrainGraph(
            G,
            D,
            Gs,
            FourImages(),
            G_loss_args=dict(func_name=loss),
            D_loss_args=dict(func_name=loss_of_D),
            G_opt_args={},
            D_opt_args={},
            lazy_regularization=True,
            G_reg_interval=4,
            D_reg_interval=2,
            G_smoothing_kimg=1,
            process_reals_args=reals,
            augment_args=augment_args,
        )
        for iteration in range(2):
            for step in graph.steps(sched, iteration):
                tflib.run(step.op, step.feed)
        return {(net.name, name): net.get_var(name) for net in (G, D) for name in net.vars}


def test_at_p_0_training_is_that_without_augmentation():
    plain, ada = (weights_after_two_iterations(**each) for each in [{}, dict(mode='ada', pipe='c')])
    assert list(plain) == list(ada)
    for name, value in plain.items():
        np.testing.assert_array_equal(value, ada[name])


def test_a_killed_run_goes_on_with_p_and_held_out_images(loop, stop_before, capsys):  # noqa: F811
    options = dict(
        config='dcgan',
        total_kimg=0.064,
        augment_args=dict(mode='ada', target=-1, kimg=0.16),
        dataset_args__subset=16,
        dataset_args__validation=6,
    )
    whole = loop('whole', **options)
    killed = train_and_stop(loop, stop_before, {5: Killed()}, **options)
    assert kills.compare(whole, killed)[0] == []
    lines = read_stats(whole)
    # A first short tick, then 4 iterations of 8 images for each, and for a step of 32 / 160.
    assert [line['Overfitting/p'] for line in lines] == pytest.approx([0, 0.2, 0.4])
    assert all(-1 <= line['Overfitting/r_t'] <= 1 for line in lines)
    assert ' r_t ' in capsys.readouterr().out
    real, fake = lines[-1]['Loss/scores/real'], lines[-1]['Loss/scores/fake']
    want = (real - lines[-1]['Loss/scores/validation']) / (real - fake)
    assert lines[-1]['Overfitting/r_v'] == pytest.approx(want, rel=1e-6)
