"""The pretrained networks that metrics look at images with, those that official StyleGAN publishes.

They are looked for in the folder given, else in that of the environment variable
STYLEGAN2_FEATURE_NETS, if there is one, else in the user's download cache, else downloaded. Their
code is inside their files and runs when they are loaded: put nothing there that you do not trust.
Nothing in the working directory is taken unasked: it may be a stranger's.
"""

import hashlib
import os
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
        UserError: it is not in the folder, or cannot be downloaded.
    """
    _open(name, folder).close()


def load(name: str, folder: Optional[str] = None) -> 'Network':
    """Load a network into the default graph; its own code runs."""
    from dnnlib.tflib import pickles
    from dnnlib.tflib.network import Network

    with _open(name, folder) as file:
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
    if not folder:
        return util.open_url(url(name), cache_dir=cache_dir())
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise UserError(
            'there is no %s; download %s and put it there, or unset --feature-nets and '
            '%s to download it automatically' % (path, url(name), FOLDER_VARIABLE)
        )
    return open(path, 'rb')
