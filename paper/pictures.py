"""The pictures that table 4 and figure 9 project: of the data set, and hard cases."""

import contextlib
import glob
import os
from typing import List

import numpy as np
from PIL import Image

from dnnlib.files import temporary_folder
from dnnlib.util import UserError
from training.data.image_files import ImageFiles
from training.data.opening import load_dataset
from training.misc import convert_to_pil_image

REGULAR, HARD = 'regular', 'hard'  # folders of pictures
_PHOTOS = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    *('training', 'data', 'demo_data', 'photos'),
)
_PART = 0.8  # of a photograph's short side, for a crop


def ensure(folder: str, data_dir: str, dataset: str, number: int) -> None:
    """Make a folder of pictures unless it is there; processes that do so at once agree.

    Half of them are images of the data set, evenly spread over it; half are crops of the demo's
    photographs, in a folder 'hard': networks have seen nothing like them.

    Args:
        number: of all pictures, even.
    """
    if os.path.isdir(folder):
        return
    with temporary_folder(os.path.basename(folder), os.path.dirname(folder)) as temporary:
        for kind in (REGULAR, HARD):
            os.mkdir(os.path.join(temporary, kind))
        _save_images(os.path.join(temporary, REGULAR), data_dir, dataset, number // 2)
        _save_crops(os.path.join(temporary, HARD), number // 2)
        os.chmod(temporary, 0o755)
        with contextlib.suppress(OSError):  # another process was faster, with the same pictures
            os.rename(temporary, folder)


def _save_images(folder, data_dir, dataset, number):
    images = load_dataset(tfrecord_dir=dataset, data_dir=data_dir)
    with contextlib.closing(images):
        for index in range(number):
            image = images.get_image(index * images.num_images // number)
            picture = convert_to_pil_image(np.asarray(image), [0, 255])
            picture.save(os.path.join(folder, '%02d.png' % index))


def _save_crops(folder, number):
    """Squares of photographs, from their upper left corners, then from their lower right ones."""
    photos = sorted(glob.glob(os.path.join(glob.escape(_PHOTOS), '*.*')))
    for index in range(number):
        turn, photo = divmod(index, len(photos))
        with Image.open(photos[photo]) as picture:
            side = int(min(picture.size) * _PART ** (1 + turn // 2))
            left, top = [length - side if turn % 2 else 0 for length in picture.size]
            crop = picture.convert('RGB').crop((left, top, left + side, top + side))
        stem = os.path.splitext(os.path.basename(photos[photo]))[0]
        crop.save(os.path.join(folder, '%s-%d.png' % (stem, turn + 1)))


def hard_cases(folder: str) -> List[str]:
    """The files of a folder of pictures that are hard cases, as run_projector.py calls them.

    Raises:
        UserError: the folder has no pictures, or none in its folder 'hard'.
    """
    files = ImageFiles(folder)
    names = [name for name in files.names if name.startswith(HARD + '/')]
    files.close()
    if not names or len(names) == len(files.names):
        text = '--pictures=%s needs two folders of images, %s and %s'
        raise UserError(text % (folder, REGULAR, HARD))
    return names
