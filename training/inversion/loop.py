"""Projecting many images: minibatch after minibatch, with files, progress and a table.

What a stopped run has finished is not done again; see `results.take_over`.
"""

import os
from typing import Any, Dict, List

import numpy as np
from tqdm import tqdm

import dnnlib
from dnnlib import EasyDict, util
from dnnlib.bars import Bar
from dnnlib.tflib.network import Network
from training.inversion import results
from training.inversion.targets import Target


def snapshot_steps(num_steps: int, num_snapshots: int) -> List[int]:
    """Steps after which there is a picture, the last one among them."""
    left = np.linspace(0, num_steps, num_snapshots, endpoint=False, dtype=int)
    return sorted({int(num_steps - steps) for steps in left})


def projection_loop(
    Gs: Network,
    projector: Any,
    targets: List[Target],
    facts: Dict[str, Any],
    num_snapshots: int,
    minibatch_size: int,
) -> List[EasyDict]:
    """Project images into the current run folder; see `results.take_over`.

    Args:
        Gs: the generator. projector: a `projector.Projector` with its attributes, no network yet.
        facts: what results depend on beside attributes and target, such as the seed, as plain data.
        num_snapshots: pictures on the way. minibatch_size: most images at a time.

    Returns: the projections of all targets; [] if the user stopped the run.
    """
    num_minibatches = -(-len(targets) // minibatch_size)
    minibatch_size = -(-len(targets) // num_minibatches)  # all about equally full
    projector.set_network(Gs, minibatch_size)
    settings = dict(projector.settings(), **facts)
    run_dir = dnnlib.make_run_dir_path()
    result_dir, run_name = os.path.split(run_dir)
    images = {target.name: target.image for target in targets}
    description = run_name.partition('-')[2]
    done = results.take_over(result_dir, description, run_dir, settings, images)
    job = _Job(Gs, projector, targets, settings, num_snapshots, {each.name: each for each in done})
    return [job.done[target.name] for target in targets] if job.run(minibatch_size) else []


class _Job:
    """The images of a run, those that are done and those that are left."""

    def __init__(self, Gs, projector, targets, settings, num_snapshots, done):
        self.done = done
        self._Gs = Gs
        self._projector = projector
        self._targets = targets
        self._settings = settings
        self._snapshots = snapshot_steps(projector.num_steps, num_snapshots)
        self._renderer = None

    def run(self, size):
        """Project all that is left, `size` at a time; False if the user stopped the run."""
        left = [index for index, target in enumerate(self._targets) if target.name not in self.done]
        context = dnnlib.RunContext.get()
        start = context.get_time_since_start()
        total = len(left) * self._projector.num_steps
        with Bar('Projecting', total, ' steps') as progress:
            for begin in range(0, len(left), size):
                self._project(left[begin : begin + size], progress)
                context.update()
                if context.should_stop():
                    return False
                num_left = len(left) - len(left[: begin + size])
                seconds = (context.get_time_since_start() - start) / (begin + size) * num_left
                if num_left:
                    done = '%d of %d images are done' % (len(self.done), len(self._targets))
                    tqdm.write('%s, about %s left.' % (done, util.format_time(seconds)))
        return True

    def _project(self, indices, progress):
        """Project the images of a minibatch and write all that is found."""
        targets = [self._targets[index] for index in indices]
        for index, target in zip(indices, targets):
            tqdm.write('Projecting %s ...' % (target.title % (index, len(self._targets))))
            results.save_picture([target.image], _path(target, '-target.png'))
        projector, noises = self._projector, None
        if not projector.optimize_noise and targets[0].noises is not None:
            noises = [np.stack(maps) for maps in zip(*[target.noises for target in targets])]
        seeds = [[self._settings['seed'], index] for index in indices]
        projector.start(np.stack([target.image for target in targets]), seeds, noises)
        first = projector.get_losses()
        snapshots = []
        while projector.get_cur_step() < projector.num_steps:
            projector.step()
            progress.update(len(indices))
            if projector.get_cur_step() in self._snapshots:
                snapshots.append(projector.get_images())
                ending = '-step%04d.png' % projector.get_cur_step()
                for target, image in zip(targets, snapshots[-1]):
                    results.save_picture([image], _path(target, ending))
        for position, result in enumerate(self._results(first)):
            self._save(targets[position], result, [images[position] for images in snapshots])

    def _results(self, first):
        """What was found for each image of the minibatch."""
        projector = self._projector
        last, curves = projector.get_losses(), projector.get_curves()
        dlatents, noises = projector.get_dlatents(), projector.get_noises()
        alpha_powers, distances = projector.get_alpha_powers(), projector.get_distances()
        for index in range(len(dlatents)):
            figures: Dict[str, Any] = {name: float(value[index]) for name, value in last.items()}
            for name, value in first.items():
                figures[name + '_at_start'] = float(value[index])
            figures['distance'] = float(distances[index])
            t = None if alpha_powers is None else alpha_powers[index]
            figures['alpha_powers'] = None if t is None else t.tolist()
            yield EasyDict(
                dlatents=dlatents[index],
                noises=[noise[index] for noise in noises],
                alpha_powers=t,
                settings=self._settings,
                figures=figures,
                curves={name: curve[index] for name, curve in curves.items()},
            )

    def _save(self, target, result, strip):
        """Write the files of an image, last the one that says that it is done."""
        if self._renderer is None:
            self._renderer = results.Renderer(self._Gs, result)
        image = self._renderer.render(result)
        results.save_picture([image], _path(target, '-projected.png'))
        results.save_picture([target.image] + strip[:-1] + [image], _path(target, '-strip.png'))
        results.save_projection(_path(target, '.npz'), target=target.image, **result)
        self.done[target.name] = EasyDict(result, name=target.name, target=target.image)
        figures = result.figures
        changes = [
            '%s %.4g -> %.4g' % (name, figures[name + '_at_start'], figures[name])
            for name in ('mse', 'perceptual', 'lpips')
            if name in figures
        ]
        tqdm.write('%s: %s' % (target.name, ', '.join(changes)))


def _path(target, ending):
    return dnnlib.make_run_dir_path(target.name + ending)
