"""Videos: .mp4 through ffmpeg (imageio-ffmpeg), animated .gif through Pillow."""

import contextlib
import itertools
import os
import subprocess
import tempfile
from typing import Iterable, Iterator, List, Optional

import numpy as np
from PIL import Image

from dnnlib import cli
from dnnlib.bars import track
from dnnlib.util import UserError, atomic_write
from training.misc import automatic_scale, convert_to_pil_image, enlarge
from training.pictures.generate import Generator, walk
from training.pictures.images import check_styles


def check_format(video_format: str) -> None:
    """Raise UserError unless videos of this format, 'mp4' or 'gif', can be written here."""
    if video_format == 'mp4':
        try:
            import imageio_ffmpeg

            imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError) as error:
            reason = str(error).strip().split('\n')[0]
            advice = 'pip install imageio-ffmpeg, or choose --format=gif'
            raise UserError('mp4 cannot be written without ffmpeg (%s); %s' % (reason, advice))


def save_walk(
    folder: str,
    generator: Generator,
    seeds: List[int],
    frames: int,
    fps: float,
    space: str,
    format: str,
    scale: Optional[int],
) -> None:
    """Write video.<format>, a walk from seed to seed and back to the first; see `generate.walk`.

    Args:
        scale: times that pixels are enlarged; None: `misc.automatic_scale`.
    """
    total = frames * len(seeds)
    print('Generating %d frames...' % total)
    pictures = walk(generator, seeds, frames, space)
    path = os.path.join(folder, 'video.' + format)
    scale = scale or automatic_scale(generator.resolution)
    write_video(path, track(pictures, 'Generating', total, ' frames'), fps, scale)


def check_walk(
    generator: Generator,
    network: str,
    result_dir: str,
    seeds: List[int],
    frames: int,
    space: str,
    format: str,
) -> None:
    """Raise UserError unless `save_walk` can be done."""
    check_format(format)
    total = frames * len(seeds)
    cli.check_space(result_dir, total, total * generator.image_bytes / 100, 'frames')
    if space == 'w':
        check_styles(generator, network)


def write_video(path: str, frames: Iterable[np.ndarray], fps: float, scale: int = 1) -> None:
    """Write a video that appears whole or not at all; the extension says the format.

    Args:
        frames: uint8 [C, H, W] with 1, 3 or 4 channels, at least one; written as RGB.
        fps: frames per second; GIF rounds their duration to 1/100 s.
        scale: times that pixels are enlarged.
    """
    pictures = (
        enlarge(convert_to_pil_image(frame, [0, 255]).convert('RGB'), scale) for frame in frames
    )
    with atomic_write(path) as file:
        if path.endswith('.gif'):
            _write_gif(file, pictures, fps)
        else:
            _write_mp4(path, file.name, pictures, fps)


def _write_gif(file, pictures: Iterator[Image.Image], fps: float) -> None:
    # Older versions of Pillow would take 216 fixed colours.
    pictures = (picture.convert('P', palette=Image.ADAPTIVE) for picture in pictures)
    duration = max(int(round(100 / fps)), 1) * 10  # milliseconds
    options = dict(append_images=pictures, duration=duration, loop=0)
    next(pictures).save(file, 'GIF', save_all=True, **options)


def _write_mp4(path: str, temp_path: str, pictures: Iterator[Image.Image], fps: float) -> None:
    import imageio_ffmpeg

    first = next(pictures)
    # Its own writer of frames does not tell whether ffmpeg succeeds.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-y', '-loglevel', 'error', '-xerror']
    command += ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', '%dx%d' % first.size]
    command += ['-r', '%.9g' % fps, '-i', '-', '-c:v', 'libx264', '-crf', '10']
    command += ['-pix_fmt', 'yuv420p', '-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2', '-f', 'mp4']
    command.append('file:' + temp_path)
    with tempfile.TemporaryFile() as errors:
        ffmpeg = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors)
        assert ffmpeg.stdin is not None
        with contextlib.suppress(BrokenPipeError), ffmpeg:  # it has ended before, and says why
            try:
                for picture in itertools.chain([first], pictures):
                    ffmpeg.stdin.write(picture.tobytes())
            except BrokenPipeError:
                raise
            except BaseException:
                ffmpeg.kill()
                raise
        errors.seek(0)
        said = errors.read().decode('utf-8', 'replace').strip()
    if ffmpeg.returncode or said:
        reason = said.splitlines()[-1:] or ['exit status %d' % ffmpeg.returncode]
        raise UserError('Cannot write %r: ffmpeg failed: %s' % (path, reason[0]))
