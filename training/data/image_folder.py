"""A plain folder or .zip of images used as a data set, without making .tfrecords first."""

import os
from typing import Optional, Union

from dnnlib.util import UserError
from training.data.base import Dataset
from training.data.decoding import UnusableImage
from training.data.image_files import ImageFiles, scan
from training.data.labels import (
    check_max_label_size,
    find_label_file,
    first_columns,
    load_labels,
)
from training.data.tfrecord_exporter import image_levels


class ImageFolderDataset(Dataset):
    """Images of a folder or .zip in the order of their names, all alike in size and colour.

    Files are decoded each time they are read, and smaller levels of detail are computed as
    TFRecordExporter does, so that both kinds of data sets hold the same numbers. Making a
    .tfrecords data set is worth while where decoding is slower than training.

    Metrics draw their images at random: in file order, the first ones are those of a few classes.

    Args:
        tfrecord_dir: the folder or .zip; one folder per class gives labels, or a dataset.json.
        label_file: .npy stream of labels in the order of the names, instead of classes.
        resolution: None, or the side that the images must have.
        max_label_size, max_images, repeat, shuffle_mb, prefetch_mb, buffer_mb, num_threads, seed:
            as for TFRecordDataset.

    Raises:
        UserError: files that cannot be used (listed on stderr), or labels that do not fit.
    """

    metric_reals = 'random'

    def __init__(
        self,
        tfrecord_dir: str,
        resolution: Optional[int] = None,
        label_file: Optional[str] = None,
        max_label_size: Union[int, str] = 0,
        max_images: Optional[int] = None,
        repeat: bool = True,
        shuffle_mb: int = 4096,
        prefetch_mb: int = 256,
        buffer_mb: int = 256,
        num_threads: int = 2,
        seed: Optional[int] = 0,
    ):
        self.tfrecord_dir = os.path.expanduser(tfrecord_dir)
        self._files = ImageFiles(tfrecord_dir)
        _, shape = scan(self._files, self._files.shape)
        if resolution not in (None, shape[1]):
            raise UserError(
                'The images in %r have side %d, not %d.' % (tfrecord_dir, shape[1], resolution)
            )
        self.lods = list(range(shape[1].bit_length() - 2))
        self.label_file = find_label_file(self.tfrecord_dir, label_file)
        self.offers_labels = self.label_file is not None or self._files.labels is not None
        super().__init__(
            len(self._files.names),
            shape,
            self._find_labels(max_label_size),
            max_images,
            repeat,
            shuffle_mb > 0,
            seed,
            prefetch_mb,
            num_threads,
        )

    def close(self) -> None:
        """Close the .zip, if it is one."""
        self._files.close()

    def _find_labels(self, max_label_size):
        labels = self._files.labels
        if self.label_file is not None or labels is None:
            return load_labels(
                self.label_file, max_label_size, len(self._files.names), self.tfrecord_dir
            )
        if not check_max_label_size(max_label_size):
            return None
        return first_columns(labels, max_label_size)

    def _read_image(self, index, lod):
        try:
            image = self._files.decode(index)
        except UnusableImage as error:
            raise UserError('%r in %r %s.' % (self._files.names[index], self.tfrecord_dir, error))
        if list(image.shape) != self.shape:
            raise UserError(
                '%r in %r has changed since it was checked.'
                % (self._files.names[index], self.tfrecord_dir)
            )
        return list(image_levels(image, self.resolution >> lod))[-1]

    def _identity(self):
        return [os.path.basename(os.path.normpath(self.tfrecord_dir)), self._files.fingerprint()]
