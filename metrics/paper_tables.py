"""Figures of "On Noise Injection in GANs" (Feng, Zhao and Zha), to print beside new ones.

Tables 1 (PPL, FID), 2 (condition number: MC, TTMC), 4 (inversion) and 5 (ablations), and figure 5
(CIFAR-10).
"""

import re
from typing import Dict, List, Optional

from metrics.metric_names import parse

_PPL_NAMES = ('ppl_wend', 'ppl_zend')
_SAMPLES = 50000

# (data set, config): {metric: figure}; ppl stands for whichever of _PPL_NAMES the network has.
FIGURES = {
    ('ffhq', 'dcgan'): dict(ppl=2.97, fid50k=45.29),
    ('ffhq', 'dcgan-additive'): dict(ppl=3.14, fid50k=44.22),
    ('ffhq', 'dcgan-fr'): dict(ppl=2.83, fid50k=40.06),
    ('ffhq', 'config-e-bald'): dict(ppl=28.44, fid50k=6.87, cond_mc=0.943, cond_ttmc=2.81),
    ('ffhq', 'config-e'): dict(ppl=16.20, fid50k=7.29, cond_mc=0.666, cond_ttmc=1.27),
    ('ffhq', 'config-e-fr-nopathreg'): dict(ppl=16.02, fid50k=7.14, cond_mc=0.766, cond_ttmc=2.39),
    ('ffhq', 'config-e-fr'): dict(ppl=13.05, fid50k=7.31, cond_mc=0.530, cond_ttmc=1.05),
    ('ffhq', 'config-e-fr-nonorm'): dict(ppl=0.0, fid50k=628.94),
    ('ffhq', 'config-e-fr-nostab'): dict(ppl=0.0, fid50k=184.30),
    ('ffhq', 'config-e-fr-nodecomp'): dict(ppl=18.78, fid50k=6.48),
    ('ffhq', 'config-e-fr-cnn'): dict(ppl=14.53, fid50k=22.54),
    ('church', 'dcgan'): dict(ppl=33.30, fid50k=51.18),
    ('church', 'dcgan-additive'): dict(ppl=22.97, fid50k=54.01),
    ('church', 'dcgan-fr'): dict(ppl=22.53, fid50k=46.31),
    ('church', 'config-e-bald'): dict(ppl=425.7, fid50k=6.44, cond_mc=2.31, cond_ttmc=6.31),
    ('church', 'config-e'): dict(ppl=123.6, fid50k=6.80, cond_mc=0.883, cond_ttmc=1.75),
    ('church', 'config-e-fr-nopathreg'): dict(ppl=178.9, fid50k=5.75, cond_mc=1.71, cond_ttmc=4.74),
    ('church', 'config-e-fr'): dict(ppl=119.5, fid50k=6.86, cond_mc=0.773, cond_ttmc=1.51),
    ('cat', 'config-e'): dict(ppl=115.0, fid50k=12.7, cond_mc=0.725, cond_ttmc=1.54),
    ('cat', 'config-e-fr'): dict(ppl=106.0, fid50k=13.4, cond_mc=0.686, cond_ttmc=1.45),
    ('cifar', 'dcgan'): dict(ppl=101.4, fid50k=83.8, is50k_mean=4.46),
    ('cifar', 'dcgan-additive'): dict(ppl=77.9, fid50k=84.8, is50k_mean=4.73),
    ('cifar', 'dcgan-fr'): dict(ppl=69.9, fid50k=83.2, is50k_mean=4.64),
}

# Table 4, projecting faces, by config: MSE and perceptual loss overall, then of hard cases.
INVERSION = {
    'config-e-bald': (1.34, 5.42, 2.86, 11.34),
    'config-e': (1.24, 4.86, 2.58, 9.82),
    'config-e-fr-nopathreg': (1.24, 5.11, 2.70, 10.49),
    'config-e-fr': (1.13, 4.52, 2.23, 8.47),
}

TITLES = dict(ffhq='FFHQ', church='LSUN church', cat='Cat-Selected', cifar='CIFAR-10')


def config_of_run(run_name: str) -> Optional[str]:
    """The --config in the name of a run's folder, <number>-<kind>-<dataset>-<N>gpu-<config>."""
    match = re.match(r'\d+-.*-\d+gpu-(.+)$', run_name)
    return match.group(1) if match else None


def comparison(config: str, dataset: str, resolution: int, results: Dict[str, float]) -> List[str]:
    """Lines of a table of figures here and in the paper, with a warning if they do not compare.

    Args:
        dataset: name of the data set here. results: {metric: figure}, as `MetricGroup.get_results`
            names them.

    Returns: [] if the paper has no row for the configuration or none of these metrics.
    """
    known = next((key for key in TITLES if key in dataset.lower()), '')
    paper_dataset = known if (known, config) in FIGURES else 'ffhq'
    figures = FIGURES.get((paper_dataset, config))
    if figures is None:
        return []
    rows, samples = [], set()
    for name, value in results.items():
        parts = parse(name)
        base = parts.metric + parts.suffix
        key = 'ppl' if base in _PPL_NAMES else base
        if key in figures and parts.class_index is None:
            rows.append('%-24s %12.4f %12g' % (name, value, figures[key]))
            samples.add(parts.num_samples or _SAMPLES)
    if not rows:
        return []
    warnings = []
    if paper_dataset != known:
        warnings.append('data set %s, not %s' % (dataset, TITLES[paper_dataset]))
    paper_resolution = 32 if paper_dataset == 'cifar' else 64 if 'dcgan' in config else 128
    if resolution != paper_resolution:
        warnings.append('{0}x{0} pixels, not {1}x{1}'.format(resolution, paper_resolution))
    warnings += ['%d samples, not %d' % (n, _SAMPLES) for n in sorted(samples - {_SAMPLES})]
    title = 'Paper: %s on %s' % (config, TITLES[paper_dataset])
    lines = [title, '%-24s %12s %12s' % ('', 'here', 'paper')] + rows
    if warnings:
        lines.append('Warning: not to be compared with the paper: %s.' % '; '.join(warnings))
    return lines
