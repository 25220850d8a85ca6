"""Official StyleGAN2's name of what stands in `training.data`."""

from training.data.opening import load_dataset  # noqa: F401
from training.data.tfrecord_dataset import TFRecordDataset  # noqa: F401
