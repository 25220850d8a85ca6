"""What the tables and figures of "On Noise Injection in GANs" show, as plain data.

Their printed values are in `metrics.paper_tables`. Table 'forms' is not of the paper: it compares
the forms of noise of `training.networks_stylegan2` half way and at the end of training.
"""

from collections import OrderedDict
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from metrics import paper_tables
from training import configs

STYLEGAN, DCGAN = 'stylegan', 'dcgan'  # families of systems

# What the paper calls its systems.
TITLES = OrderedDict(
    [
        ('dcgan', 'DCGAN'),
        ('dcgan-additive', 'DCGAN + Additive noise'),
        ('dcgan-fr', 'DCGAN + FR'),
        ('config-e-bald', 'Bald StyleGAN2'),
        ('config-e', 'StyleGAN2'),
        ('config-e-fr-nopathreg', 'StyleGAN2-NoPathReg + FR'),
        ('config-e-fr', 'StyleGAN2 + FR'),
        ('config-e-fr-nonorm', 'No normalization'),
        ('config-e-fr-nostab', 'No stabilization'),
        ('config-e-fr-nodecomp', 'No decomposition'),
        ('config-e-fr-cnn', 'CNN'),
    ]
)
DATA_TITLES = paper_tables.TITLES

_DCGANS = ('dcgan', 'dcgan-additive', 'dcgan-fr')
_STYLEGANS = ('config-e-bald', 'config-e', 'config-e-fr-nopathreg', 'config-e-fr')
_FORMS = ('config-e', 'config-e-fr', 'config-e-fr-noise', 'config-e-fr-released')
_ABLATIONS = tuple('config-e-fr-' + name for name in ('nonorm', 'nostab', 'nodecomp', 'cnn'))


class Column(NamedTuple):
    """A column of figures.

    `choices` are ways to measure it, the paper's first: each is {family: (metric, suffix of its
    result)}. A column is of one of them in all its rows. `at` is when in training, 1 for its end.
    """

    title: str
    choices: Tuple[Dict[str, Tuple[str, str]], ...]
    printed: Optional[str] = None  # its name in `paper_tables.FIGURES`
    higher_is_better: bool = False
    at: float = 1.0


def _of_all(metric, suffix=''):
    return dict.fromkeys((STYLEGAN, DCGAN), (metric, suffix))


PPL = Column(
    'PPL',
    ({STYLEGAN: ('ppl_wend', ''), DCGAN: ('ppl_zend', '')}, _of_all('ppl_local')),
    'ppl',
)
FID = Column('FID', (_of_all('fid50k'), _of_all('fid_local')), 'fid50k')
IS = Column('IS', (_of_all('is50k', '_mean'),), 'is50k_mean', higher_is_better=True)
MC = Column('MC', (_of_all('cond', '_mc'),), 'cond_mc')
TTMC = Column('TTMC', (_of_all('cond', '_ttmc'),), 'cond_ttmc')
SWD = Column('SWD', (_of_all('swd16k', '_avg'),))  # not in the paper: it needs no other network

PPL_LOCAL = PPL._replace(choices=(_of_all('ppl_local'),))  # at all scales, so that it compares


def _over_training(columns):
    return tuple(
        column._replace(title=column.title + ', ' + title, at=at, printed=None)
        for column in columns
        for title, at in [('half way', 0.5), ('end', 1.0)]
    )


# Table 4's figures in summary.json of a projection: (title, part, name), as in
# `paper_tables.INVERSION`.
INVERSION_COLUMNS = [
    ('MSE', 'overall', 'mse'),
    ('Perceptual loss', 'overall', 'perceptual'),
    ('MSE, hard cases', 'hard', 'mse'),
    ('Perceptual loss, hard cases', 'hard', 'perceptual'),
]


class Part(NamedTuple):
    """The part of a table or figure that is about one data set."""

    data: str  # as `paper_tables` calls it
    systems: Tuple[str, ...]
    columns: Tuple[Column, ...] = ()


TABLES = OrderedDict(
    [
        ('1', [Part(data, _DCGANS + _STYLEGANS, (PPL, FID, SWD)) for data in ('ffhq', 'church')]),
        ('2', [Part(data, _STYLEGANS, (MC, TTMC)) for data in ('ffhq', 'church')]),
        ('4', [Part('ffhq', _STYLEGANS)]),
        ('5', [Part('ffhq', _ABLATIONS + ('config-e-fr',), (FID, PPL, SWD))]),
        ('forms', [Part('ffhq', _FORMS, _over_training((SWD, MC, TTMC, PPL_LOCAL)))]),
    ]
)  # type: Dict[str, List[Part]]
FIGURES = OrderedDict(
    [
        ('1', [Part('ffhq', ('config-e', 'config-e-fr'))]),
        ('3', [Part(data, _STYLEGANS) for data in ('ffhq', 'church')]),
        ('4', [Part(data, _STYLEGANS, (FID, SWD)) for data in ('ffhq', 'church')]),
        (
            '5',
            [
                Part('cifar', _DCGANS, (PPL, FID, IS, SWD)),
                Part('cat', ('config-e', 'config-e-fr'), (PPL, MC, TTMC, FID, SWD)),
            ],
        ),
        ('9', [Part('ffhq', _STYLEGANS)]),
    ]
)  # type: Dict[str, List[Part]]
PAPER_TABLES = ('1', '2', '4', '5')
CAPTIONS = {
    ('table', '1'): 'Comparison for different generator architectures',
    ('table', '2'): 'Conditions for different GAN architectures',
    ('table', '4'): 'Image inversion',
    ('table', '5'): 'Ablation study of FR',
    ('table', 'forms'): 'Forms of noise injection over training',
    ('figure', '1'): 'What noise does to images',
    ('figure', '3'): 'Images of the StyleGAN2-based systems',
    ('figure', '4'): 'Progress in training',
    ('figure', '5'): 'Images on CIFAR-10 and cats',
    ('figure', '9'): 'Projected images',
}


def title(system: str) -> str:
    """What the paper calls a system; its configuration where the paper has none."""
    return TITLES.get(system, system)


def family(system: str) -> str:
    """STYLEGAN or DCGAN."""
    is_dcgan = _generator(system)['func_name'].startswith('dcgan.')
    return DCGAN if is_dcgan else STYLEGAN


def noise_form(system: str) -> str:
    """The form of a system's noise."""
    return _generator(system).get('noise_injection', 'additive')


def has_alpha(system: str) -> bool:
    """Whether the projection can search exponents of alpha: FR with Eq. 9."""
    form = noise_form(system)
    return form.startswith('fr') and form != 'fr-nostab'


def _generator(system) -> Dict[str, Any]:
    return configs.resolve(system)['G_args']


def systems_of(part: Part, chosen: Optional[List[str]]) -> List[str]:
    """The systems of a part that are chosen, the paper's first.

    Those that the paper does not have are in all parts with a system of their family.

    Args:
        chosen: names of configurations; None: the paper's.
    """
    if chosen is None:
        return list(part.systems)
    families = set(map(family, part.systems))
    own = [name for name in part.systems if name in chosen]
    known = {*TITLES, *own}
    return own + [name for name in chosen if name not in known and family(name) in families]
