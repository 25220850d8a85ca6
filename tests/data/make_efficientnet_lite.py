"""Records what PyTorch's EfficientNet-Lite0 makes of images, with random weights.

    pip install torch==1.4.0 efficientnet-lite-pytorch==0.1.0
    python tests/data/make_efficientnet_lite.py

Python 3.6, in an environment of its own. It writes efficientnet_lite.npz: the outputs of blocks
that the distance looks at as means over channels, the features, names and shapes of all weights;
and cases/weights.pth, a small file of weights as torch.save wrote it then.
"""

import json
import os
import zlib
from collections import OrderedDict

import numpy as np

BLOCKS = [0, 2, 4, 10, 15]


def random_array(name, shape):
    """Weights by their name in PyTorch's file, so that activations stay of the same size."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith('num_batches_tracked'):
        return np.int64(7)
    if name.endswith('running_var') or ('_bn' in name and name.endswith('weight')):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.3
    return (scale * rng.randn(*shape)).astype(np.float32)


def images():
    """Two RGB images [2, 3, 128, 128] in 0..255."""
    return np.random.RandomState(0).randint(256, size=[2, 3, 128, 128]).astype(np.float32)


def main():
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    here = os.path.dirname(os.path.abspath(__file__))
    model = EfficientNet.from_name('efficientnet-lite0').eval()
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    weights = {name: random_array(name, shape) for name, shape in shapes.items()}
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    found = {'meta': json.dumps({'shapes': shapes})}
    with torch.no_grad():
        x = model._swish(
            model._bn0(model._conv_stem(torch.tensor(images() * (2 / 255) - 1).float()))
        )
        for index, block in enumerate(model._blocks):
            x = block(x)
            if index in BLOCKS:
                found['block%d' % index] = x.mean(1).numpy()
        found['features'] = x.mean((2, 3)).numpy()
    np.savez_compressed(os.path.join(here, 'efficientnet_lite.npz'), **found)
    x = torch.arange(24.0).reshape(2, 3, 4)
    small = {'whole': x, 'turned': x.permute(2, 0, 1), 'part': x[1, 1:], 'count': torch.tensor(7)}
    torch.save(OrderedDict(small), os.path.join(here, 'cases/weights.pth'))


if __name__ == '__main__':
    main()
