"""A plain folder or .zip of images used as a data set, without making .tfrecords first."""

import os

from dnnlib.util import UserError
from training.data.base import Dataset
from training.data.decoding import UnusableImage
from training.data.image_files import ImageFiles, scan
from training.data.tfrecord_exporter import image_levels


class ImageFolderDataset(Dataset):
    """Images of a folder or .zip in the order of their names, all alike in size and colour.

    Files are decoded each time they are read, and smaller levels of detail are computed as
    TFRecordExporter does, so that both kinds of data sets hold the same numbers. Making a
    .tfrecords data set is worth while where decoding is slower than training.

    Metrics draw their images at random: in file order, the first ones are those of a few classes.

    Args (others as those of `Dataset`):
        tfrecord_dir: the folder or .zip; one folder per class gives labels, or a dataset.json.
        resolution: None, or the side that the images must have.
        label_file: labels in the order of the names, instead of classes.

    Raises:
        UserError: files that cannot be used (listed on stderr), or labels that do not fit.
    """

    metric_reals = 'random'

    def _open(self, resolution):
        self._files = ImageFiles(self.tfrecord_dir)
        _, shape = scan(self._files, self._files.shape)
        if resolution not in (None, shape[1]):
            text = 'The images in %r have side %d, not %d.'
            raise UserError(text % (self.tfrecord_dir, shape[1], resolution))
        self.lods = list(range(shape[1].bit_length() - 2))
        return len(self._files.names), shape, self._files.labels

    def close(self) -> None:
        """Close the .zip, if it is one."""
        self._files.close()

    def _read_image(self, index, lod):
        try:
            image = self._files.decode(index)
        except UnusableImage as error:
            raise UserError('%r in %r %s.' % (self._files.names[index], self.tfrecord_dir, error))
        if list(image.shape) != self.shape:
            place = self._files.names[index], self.tfrecord_dir
            raise UserError('%r in %r has changed since it was checked.' % place)
        return list(image_levels(image, self.resolution >> lod))[-1]

    def _identity(self):
        return [os.path.basename(os.path.normpath(self.tfrecord_dir)), self._files.fingerprint()]
