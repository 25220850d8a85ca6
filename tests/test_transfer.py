"""New networks that begin with the weights of others: what is taken, and what it is good for."""

import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.util import UserError
from training import anatomy, transfer

NARROW = dict(fmap_base=64, fmap_max=8)
NARROW_G = dict(NARROW, mapping_layers=2, mapping_fmaps=8, latent_size=8, dlatent_size=8)
FUNCTIONS = {
    'stylegan2': ('networks_stylegan2.G_main', 'networks_stylegan2.D_stylegan2'),
    'growing': ('networks_stylegan2.G_main', 'networks_stylegan2.D_stylegan'),
    'stylegan1': ('networks_stylegan.G_style', 'networks_stylegan.D_basic'),
}


def make(kind='stylegan2', resolution=8, num_channels=3, label_size=0, D=(), **G_options):
    """(G, D, Gs) whose variables are all drawn from N(0, 1), Gs's anew."""
    shape = dict(resolution=resolution, num_channels=num_channels, label_size=label_size)
    if kind == 'dcgan':
        funcs, options = ('dcgan.networks.G_dcgan', 'dcgan.networks.D_dcgan'), NARROW
    else:
        funcs, options = ['training.' + name for name in FUNCTIONS[kind]], NARROW_G
    if kind == 'growing':
        options = dict(options, synthesis_func='G_synthesis_stylegan_revised')
    G = tflib.Network('G', funcs[0], **dict(shape, **dict(options, **G_options)))
    nets = G, tflib.Network('D', funcs[1], **dict(shape, **dict(NARROW, **dict(D)))), G.clone('Gs')
    rng = np.random.RandomState(0)
    for net in nets:
        tflib.set_vars({var: rng.randn(*var.shape.as_list()) for var in net.vars.values()})
    return nets


@functools.lru_cache(maxsize=None)
def earlier(kind='stylegan2', resolution=8, **G_options):
    """What `make` makes, as records."""
    with tf.Graph().as_default(), tflib.create_session():
        return tuple(map(transfer.record_of, make(kind, resolution, **G_options)))


def transferred(sources, targets):
    """Apply the plan; returns {network: {variable: (action, reason)}}, and the table."""
    rows = transfer.plan(sources, targets)
    before = [tflib.run(net.vars) for net in targets]
    transfer.apply(rows)
    after = [tflib.run(net.vars) for net in targets]
    there = [transfer.values_of(transfer.record_of(each)) for each in sources]
    found = {'G': {}, 'D': {}, 'Gs': {}}
    for row in rows:
        index = list(found).index(row.network)
        found[row.network][row.variable] = row.action
        if row.action == 'new':
            assert np.array_equal(after[index][row.variable], before[index][row.variable])
        if row.action == 'taken' and row.variable in there[index] and 'lod' not in row.variable:
            assert np.array_equal(after[index][row.variable], there[index][row.variable])
    assert all(set(net.vars) <= set(own) for net, own in zip(targets, found.values()))
    return found, transfer.table(rows)


def words(table):
    """The text of a table."""
    return ' '.join(' '.join(table).split())


def names(found, action):
    """Layers, or variables outside of them, of which anything has that action."""
    return {anatomy.layer_of(name) or name for name, each in found.items() if each == action}


def test_another_resolution_shares_the_layers_of_equal_size(session):
    found, table = transferred(earlier(), make(resolution=16))
    new = {'16x16/Conv0_up', '16x16/Conv1', '16x16/ToRGB'}
    noise = {'G_synthesis/noise3', 'G_synthesis/noise4'}
    for role in ('G', 'Gs'):
        assert names(found[role], 'new') == new | noise | {'lod'}
        assert {'mapping/Dense1', '4x4/ToRGB', '8x8/ToRGB', '8x8/Conv1', 'dlatent_avg'} <= names(
            found[role], 'taken'
        )
        assert found[role]['G_synthesis/noise2'] == 'taken'
    new = {'16x16/FromRGB', '16x16/Conv0', '16x16/Conv1_down', '16x16/Skip'}
    assert names(found['D'], 'new') == new and names(found['D'], 'left') == {'8x8/FromRGB'}
    assert {'8x8/Conv0', '4x4/Dense0', 'Output'} <= names(found['D'], 'taken')
    assert table == [
        '  G   taken    4x4/Const, 4x4/Conv, ..., mapping/Dense1 (8 layers)',
        '  G   new      16x16/Conv0_up, 16x16/Conv1, 16x16/ToRGB: not in the source',
        '  D   taken    8x8/Conv0, 8x8/Conv1_down, ..., Output (6 layers)',
        '  D   new      16x16/FromRGB, 16x16/Conv0, 16x16/Conv1_down, 16x16/Skip: '
        'not in the source',
        '  D   left     8x8/FromRGB: has no place here',
        '  Gs  as G',
    ]


def test_a_smaller_resolution_leaves_what_is_above_it(session):
    skip = dict(architecture='skip')
    found, _ = transferred(make(resolution=16, D=skip), make(resolution=8, D=skip))
    assert names(found['D'], 'new') == set()  # this architecture has FromRGB at each resolution
    assert {'8x8/FromRGB', '4x4/FromRGB'} <= names(found['D'], 'taken')
    assert names(found['D'], 'left') == {'16x16/FromRGB', '16x16/Conv0', '16x16/Conv1_down'}


@pytest.mark.parametrize('kind', ['growing', 'stylegan1'])
def test_growing_networks_share_colours_by_size_not_by_count(session, kind):
    sources, targets = earlier(kind), make(kind, 16)
    found, _ = transferred(sources, targets)
    assert {'ToRGB_lod1', 'ToRGB_lod2', '8x8/Conv1'} <= names(found['G'], 'taken')
    assert {'FromRGB_lod1', 'FromRGB_lod2', '8x8/Conv0'} <= names(found['D'], 'taken')
    assert 'ToRGB_lod0' in names(found['G'], 'new') and 'FromRGB_lod0' in names(found['D'], 'new')
    assert 'lod' in names(found['G'], 'new') and found['G']['G_synthesis/lod'] == 'new'
    for source, target, name in zip(sources, targets, ['G_synthesis/ToRGB', 'FromRGB']):
        want = transfer.values_of(source)[name + '_lod0/weight']
        assert np.array_equal(target.get_var(name + '_lod1/weight'), want)


def test_the_mean_of_w_is_new_where_the_mapping_is_another(session):
    found, table = transferred(earlier(), make(mapping_layers=3))
    assert {'mapping/Dense2', 'dlatent_avg'} <= names(found['G'], 'new')
    assert 'mapping/Dense1' in names(found['G'], 'taken')
    assert '  G   new      dlatent_avg: since w is another one' in table


def test_labels_channels_and_latents_that_do_not_fit_are_new(session):
    source = earlier()
    found, _ = transferred(source, make(label_size=3))
    assert {'mapping/LabelConcat', 'mapping/Dense0'} <= names(found['G'], 'new')
    assert names(found['D'], 'new') == {'Output'}
    found, table = transferred(source, make(num_channels=4))
    why = 'weight, bias new: of another shape in the source'
    assert '  G   part     4x4/ToRGB, 8x8/ToRGB: ' + why in table
    assert found['G']['G_synthesis/8x8/ToRGB/mod_weight'] == 'taken'
    assert found['D']['8x8/FromRGB/weight'] == 'new' and found['D']['8x8/FromRGB/bias'] == 'taken'
    found, _ = transferred(source, make(latent_size=6))
    assert found['G']['G_mapping/Dense0/weight'] == 'new'
    assert found['G']['G_mapping/Dense1/weight'] == 'taken'


def test_nothing_that_fits_is_one_line(session):
    with pytest.raises(UserError, match="nothing of G fits: the source's, G_dcgan, has"):
        transfer.plan(earlier('dcgan'), make())
    with pytest.raises(UserError, match="nothing of D fits: the source's, D_stylegan2, has"):
        transfer.plan(earlier(), make(D=dict(fmap_base=128, fmap_max=16)))


def images_with_fixed_noise(net):
    latents = np.random.RandomState(1).randn(3, *net.input_shape[1:])
    return net.run(latents, None, randomize_noise=False, truncation_psi=1)


@pytest.mark.parametrize(
    'kind, form', [('stylegan2', 'fr-noise'), ('stylegan2', 'fr-released'), ('dcgan', 'fr-noise')]
)
def test_additive_noise_becomes_fr_with_the_same_images(session, kind, form):
    sources = make(kind, noise_injection='additive')
    targets = make(kind, noise_injection=form)
    if kind == 'dcgan':  # a variance is not below 0
        for net in sources:
            variances = [var for name, var in net.vars.items() if name.endswith('variance')]
            tflib.set_vars({var: np.ones(var.shape.as_list()) for var in variances})
    found, table = transferred(sources, targets)
    assert 'left' not in found['G'].values()
    assert 'r = the noise strength of the source: the same images' in words(table)
    for source, target in zip(sources[::2], targets[::2]):
        want = images_with_fixed_noise(source)
        np.testing.assert_allclose(images_with_fixed_noise(target), want, atol=1e-5)
        strengths = [var for name, var in source.vars.items() if 'noise_strength' in name]
        tflib.set_vars(dict.fromkeys(strengths, 0))
        assert np.abs(images_with_fixed_noise(source) - want).max() > 0.01  # noise matters
    for values in map(tflib.run, anatomy.fr_values(targets[0]).values()):
        assert not values['A'].any() and np.allclose(values['b'], 1)


@pytest.mark.parametrize('kind', ['stylegan2', 'growing', 'stylegan1'])
@pytest.mark.parametrize('old, new', [(3, 1), (1, 3)])
def test_networks_of_rgb_become_those_of_gray_images_and_back(session, kind, old, new):
    sources, targets = make(kind, num_channels=old), make(kind, num_channels=new)
    found, table = transferred(sources, targets)
    for net in sources + targets:
        tflib.set_vars({var: 0 for name, var in net.vars.items() if anatomy.is_lod(name)})
    actions = {each for name, each in found['G'].items() if not anatomy.is_lod(name)}
    assert actions == {'taken', 'adapted'}
    assert ['gray as it saw three', 'mean of colours as'][new > 1] in words(table)
    assert ["mean of the source's colours", "source's gray in each"][new > 1] in words(table)
    images = images_with_fixed_noise(sources[2])
    want = images.mean(axis=1, keepdims=True).repeat(new, axis=1)
    np.testing.assert_allclose(images_with_fixed_noise(targets[2]), want, atol=1e-4)
    seen = np.random.RandomState(1).randn(4, new, 8, 8)
    as_before = seen.mean(axis=1, keepdims=True).repeat(old, axis=1)
    scores = sources[1].run(as_before, np.zeros([4, 0]))
    np.testing.assert_allclose(targets[1].run(seen, np.zeros([4, 0])), scores, rtol=1e-3)


def test_fr_of_the_paper_cannot_keep_the_images_and_says_so(session):
    sources, targets = earlier(), make(noise_injection='fr')
    found, table = transferred(sources, targets)
    line = 'G started 4x4/Conv, 8x8/Conv0_up, 8x8/Conv1: FR: A = 0, b = 1 (sigma = 1), r keeps the '
    assert line + 'variance; it scales the signal, too: other images' in words(table)
    assert set(found['D'].values()) == {'new'}
    assert 'D new all 7 layers: begins anew: one that is trained' in words(table)
    strengths = transfer.values_of(sources[0])
    for layer, own in anatomy.fr_layers(targets[0]).items():
        own, s = tflib.run(own), strengths['G_synthesis/%s/noise_strength' % layer]
        assert not own['A'].any()
        # Of a signal and noise of variance 1 each, as much as with the source's noise.
        np.testing.assert_allclose(own['strength'] ** 2 * 2, 1 + s**2, rtol=1e-5)


def test_other_forms_of_noise_go_by_name_and_shape(session):
    found, _ = transferred(earlier(noise_injection='fr'), make(noise_injection='fr-released'))
    assert found['G']['G_synthesis/8x8/Conv1/FR/A'] == 'taken'
    assert found['G']['G_synthesis/8x8/Conv1/FR/alpha'] == 'new'
    assert found['G']['G_synthesis/8x8/Conv1/FR/alpha_logit'] == 'left'
    sources = earlier('stylegan1')
    targets = make('stylegan1', noise_injection='fr-noise')
    transferred(sources, targets)
    weights = transfer.values_of(sources[0])['G_synthesis/8x8/Conv1/Noise/weight']
    strength = targets[0].get_var('G_synthesis/8x8/Conv1/FR/strength')
    np.testing.assert_allclose(strength, weights.mean(), rtol=1e-6)
