"""Records of a data set: how images are packed into .tfrecords files, random access, checks.

Framing is that of TensorFlow's TFRecord files: length, masked CRC-32C of the length, payload,
masked CRC-32C of the payload. The payload is a tf.train.Example with `shape` = [C, H, W] and `data`
= uint8 pixels in CHW order, as in all StyleGAN2 data sets.
"""

import array
import hashlib
import os
import struct
import weakref
from typing import Any, Iterator, Optional, Sequence, Tuple

import google_crc32c
import numpy as np
from google.protobuf.message import DecodeError

from dnnlib.bars import track
from dnnlib.util import UserError, open_regular
from training.data.decoding import MAX_SIDE
from training.data.example import Example

_HEADER = struct.Struct('<QI')  # length of the payload, checksum of these 8 bytes
_CHECKSUM = struct.Struct('<I')
_FRAME_SIZE = _HEADER.size + _CHECKSUM.size
_LARGEST_RECORD = 4 * MAX_SIDE**2 + (1 << 20)


def serialize_image(image: np.ndarray) -> bytes:
    """Pack a uint8 image [C, H, W] into an Example; equal images give equal bytes."""
    assert image.dtype == np.uint8 and image.ndim == 3, (image.dtype, image.shape)
    return _features(image.shape, image.tobytes()).SerializeToString(deterministic=True)


def parse_image(payload: bytes) -> np.ndarray:
    """Unpack an Example into its uint8 image [C, H, W], which cannot be written to.

    Raises:
        ValueError: the payload is no Example of one image; the text gives the reason.
    """
    try:
        feature = Example.FromString(payload).features.feature
    except DecodeError:
        raise ValueError('its content is no tf.train.Example')
    shape = tuple(feature['shape'].int64_list.value)
    data = feature['data'].bytes_list.value
    if len(shape) != 3 or len(data) != 1:
        text = "it needs 'shape' with 3 numbers and 'data' with 1 string, it has %d and %d"
        raise ValueError(text % (len(shape), len(data)))
    if min(shape) < 1 or len(data[0]) != np.prod(shape, dtype=np.float64):
        raise ValueError('it has %d bytes of pixels for shape %s' % (len(data[0]), list(shape)))
    return np.frombuffer(data[0], np.uint8).reshape(shape)


def frame(payload: bytes) -> bytes:
    """A record with this payload, as it stands in a file."""
    length = _HEADER.pack(len(payload), 0)[:8]
    header = length + _CHECKSUM.pack(_masked_crc(length))
    return header + payload + _CHECKSUM.pack(_masked_crc(payload))


def check_shape(what: str, shape: Sequence[int]) -> None:
    """Raise UserError unless images of this shape can be in a data set."""
    channels, height, width = shape
    if height != width or height & (height - 1) or height < 4 or channels not in (1, 3, 4):
        text = '%s have shape %s; it must be [C, R, R], C 1, 3 or 4 and R a power of two from 4.'
        raise UserError(text % (what, list(shape)))


class RecordFile:
    """Random access to the images of one .tfrecords file, safe to use from several threads.

    Records of one shape have one length, so record i begins at i * length and nothing is kept per
    record. A file whose records differ in length is walked through once for a table of offsets.

    Args:
        path: the file.

    Attributes:
        path: the file.
        shape: (C, H, W) of every image.
        num_records: number of images.

    Raises:
        UserError: the file cannot be read, is empty, or is broken where it had to be looked at.
    """

    def __init__(self, path: str):
        self.path = path
        file = open_regular(path)
        self._file = file.fileno()
        self.close = weakref.finalize(self, file.close)
        self._size = os.fstat(self._file).st_size
        if self._size == 0:
            raise UserError('%r is empty: it holds no images. Make the data set again.' % path)
        self._layouts: Tuple[Tuple[bytes, bytes], ...] = ()
        self._offsets: Optional[np.ndarray] = None
        self._stride = self._record_size(0, 0)
        self.shape = self._parse(0, self.payload(0)).shape
        self._layouts = _image_layouts(self.shape)
        if not self._has_constant_stride():
            self._offsets = self._scan_offsets()
            self.num_records = len(self._offsets)
        else:
            self.num_records = self._size // self._stride

    def __enter__(self) -> 'RecordFile':
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def read(self, index: int) -> np.ndarray:
        """Return image `index`, uint8 [C, H, W], not writable; all checksums are tested.

        Raises:
            UserError: the record is broken; names file, record and byte offset.
        """
        payload = self.payload(index)
        for before, after in self._layouts:
            if payload.startswith(before) and payload.endswith(after):
                size = len(payload) - len(before) - len(after)
                if size == np.prod(self.shape):
                    return np.frombuffer(payload, np.uint8, size, len(before)).reshape(self.shape)
        image = self._parse(index, payload)
        if image.shape != self.shape:
            shapes = list(image.shape), list(self.shape)
            raise self._broken(index, 'its image has shape %s, the first one %s' % shapes)
        return image

    def payload(self, index: int) -> bytes:
        """Return the bytes of record `index`, a serialized Example; checksums are tested."""
        offset, size = self._span(index)
        record = self._pread(index, offset, size)
        self._check_header(index, record, size)
        payload = record[_HEADER.size : -_CHECKSUM.size]
        if _masked_crc(payload) != _CHECKSUM.unpack_from(record, size - _CHECKSUM.size)[0]:
            raise self._broken(index, 'its checksum does not fit its content')
        return payload

    def first_checksum(self) -> str:
        """Checksum of the first record, in hexadecimal digits: tells files apart."""
        offset, size = self._span(0)
        return self._pread(0, offset + size - _CHECKSUM.size, _CHECKSUM.size).hex()

    def sha256(self) -> str:
        """Hash of the checksums of all records; they are read, the images are not."""
        digest = hashlib.sha256()
        for index in range(self.num_records):
            offset, size = self._span(index)
            digest.update(self._pread(index, offset + size - _CHECKSUM.size, _CHECKSUM.size))
        return digest.hexdigest()

    def _span(self, index):
        """Byte offset and size of a record with its frame."""
        if self._offsets is None:
            return index * self._stride, self._stride
        offset = int(self._offsets[index])
        end = int(self._offsets[index + 1]) if index + 1 < len(self._offsets) else self._size
        return offset, end - offset

    def _pread(self, index, offset, size):
        if not self.close.alive:
            raise UserError('%r has been closed.' % self.path)
        try:
            data = os.pread(self._file, size, offset)
        except OSError as error:
            raise self._broken(index, error.strerror, offset)
        if len(data) < size:
            raise self._broken(index, 'the file ends inside it (truncated?)', offset)
        return data

    def _check_header(self, index, record, size=None, offset=None):
        """Return the payload length that a record's header gives."""
        length, crc = _HEADER.unpack_from(record)
        if _masked_crc(record[:8]) != crc:
            raise self._broken(index, 'the checksum of its length is wrong', offset)
        if size is not None and length != size - _FRAME_SIZE:
            lengths = length, size - _FRAME_SIZE
            raise self._broken(index, 'it has %d bytes where %d were expected' % lengths, offset)
        return length

    def _record_size(self, index, offset):
        """Size of the record at an offset, its frame included; all of it must be in the file."""
        header = self._pread(index, offset, _HEADER.size)
        size = self._check_header(index, header, offset=offset) + _FRAME_SIZE
        if size > _LARGEST_RECORD:
            raise self._broken(index, 'with %d bytes it is larger than any image' % size, offset)
        if offset + size > self._size:
            raise self._broken(index, 'the file ends inside it (truncated?)', offset)
        return size

    def _has_constant_stride(self):
        """True if file size and last record agree with the length of the first record."""
        if self._size % self._stride:
            return False
        header = os.pread(self._file, _HEADER.size, self._size - self._stride)
        length, crc = _HEADER.unpack(header)
        return length == self._stride - _FRAME_SIZE and crc == _masked_crc(header[:8])

    def _scan_offsets(self):
        offsets = array.array('Q')
        offset = 0
        while offset < self._size:
            offsets.append(offset)
            offset += self._record_size(len(offsets) - 1, offset)
        return np.frombuffer(offsets, np.uint64)

    def _parse(self, index, payload):
        try:
            return parse_image(payload)
        except ValueError as error:
            raise self._broken(index, str(error))

    def _broken(self, index, reason, offset=None):
        if offset is None:
            offset = self._span(index)[0]
        text = '%r: record %d at byte %d is broken: %s. Copy the file or make the data set again.'
        return UserError(text % (self.path, index, offset, reason))


def verify_file(path: str) -> Iterator[str]:
    """Read every record of a .tfrecords file and yield one line for each that is broken."""
    try:
        records = RecordFile(path)
    except UserError as error:
        yield str(error)
        return
    with records:
        name = os.path.basename(path)
        for index in track(range(records.num_records), name, records.num_records):
            try:
                records.read(index)
            except UserError as error:
                yield str(error)


def _masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord files store it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _features(shape: Optional[Sequence[int]], data: Optional[bytes]) -> Any:
    example = Example()
    feature = example.features.feature
    if shape is not None:
        feature['shape'].int64_list.value.extend(shape)
    if data is not None:
        feature['data'].bytes_list.value.append(data)
    return example


def _image_layouts(shape) -> Tuple[Tuple[bytes, bytes], ...]:
    """Bytes before and after the pixels of this shape, for both orders of the entries.

    Serialized messages may be joined, and the pixels are the last bytes of their entry, so both
    orders follow from the two entries serialized alone.
    """
    pixels = bytes(int(np.prod(shape)))
    both = _features(shape, pixels)
    whole = both.SerializeToString(deterministic=True)
    head = whole[: len(whole) - len(both.features.SerializeToString())]
    shape_entry = _features(shape, None).features.SerializeToString()
    data_entry = _features(None, pixels).features.SerializeToString()[: -len(pixels)]
    return (head + data_entry, shape_entry), (head + shape_entry + data_entry, b'')
