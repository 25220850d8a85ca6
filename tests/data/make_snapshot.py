"""Make tests/data/snapshot_<engine>.pkl and .npz: small networks and their images, by this engine.

    python -m tests.data.make_snapshot

They are checked in, so that each engine is tested on files that the other wrote.
"""

import os

import numpy as np

from dnnlib import tflib
from dnnlib.tflib import engine, pickles

SMALL = dict(num_channels=3, resolution=16, label_size=0, fmap_base=64, fmap_max=8)


def main():
    """Write both files for the engine that runs this."""
    tflib.init_tf({'rnd.np_random_seed': 1})
    G = tflib.Network(
        'G',
        'training.networks_stylegan2.G_main',
        latent_size=8,
        dlatent_size=8,
        mapping_fmaps=8,
        mapping_layers=2,
        noise_injection='fr',
        **SMALL,
    )
    D = tflib.Network('D', 'training.networks_stylegan2.D_stylegan2', **SMALL)
    rng = np.random.RandomState(0)
    for net in (G, D):  # nothing stays hidden behind a zero
        tflib.set_vars({var: rng.randn(*var.shape.as_list()) * 0.5 for var in net.vars.values()})
    Gs = G.clone('Gs')
    z = rng.randn(4, 8).astype(np.float32)
    images = Gs.run(z, None, randomize_noise=False)
    base = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'snapshot_' + engine.ENGINE)
    pickles.save((G, D, Gs), base + '.pkl')
    np.savez_compressed(base + '.npz', z=z, images=images, scores=D.run(images, None))


if __name__ == '__main__':
    main()
