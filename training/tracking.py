"""Figures, grids and options of a run for Weights & Biases and MLflow, by their own libraries.

What they get is read from the run's folder, stats.jsonl and fakes*.png, up to where it was when a
state was written: a run that is killed goes on from there, so no point comes twice and none is
left out. TensorBoard needs none of this; its events are written in any case.
"""

import json
import os
import re
import uuid
from typing import Any, Callable, Dict, List, Optional, Sequence

from dnnlib import plain_data, program
from dnnlib.util import UserError, atomic_write, reason_of

_FILE, _STATS = 'tracking.json', 'stats.jsonl'
_PROJECT = 'fuzzy-stylegan2'
_MLFLOW_NAME = re.compile(r'[^\w.\-/ ]')
_MOST_AT_ONCE, _LONGEST_VALUE = 90, 500  # parameters of MLflow, and characters of one


class _WandB:
    """A run of Weights & Biases; WANDB_MODE, WANDB_PROJECT and the like are the library's own."""

    def __init__(self, run_dir: str, key: Optional[str], config: Dict[str, Any]):
        import wandb

        self.key = key or uuid.uuid4().hex[:8]
        self._picture = wandb.Image
        self._run = wandb.init(
            project=os.environ.get('WANDB_PROJECT', _PROJECT),
            id=self.key,
            resume='allow',
            name=os.path.basename(run_dir),
            config=config,
            dir=run_dir,
            settings=wandb.Settings(silent=True, console='off'),
        )

    def add(self, step: int, seconds: float, figures: Dict[str, float]) -> None:
        """Figures of a tick; step: images seen; seconds: since the epoch."""
        self._run.log(dict(figures, timestamp=seconds), step=step)

    def add_picture(self, step: int, name: str, path: str) -> None:
        """A picture by its kind."""
        self._run.log({name: self._picture(path)}, step=step)

    def close(self, has_finished: bool) -> None:
        """The end of this process's part."""
        self._run.finish(exit_code=0 if has_finished else 1)


class _MLflow:
    """A run of MLflow, at MLFLOW_TRACKING_URI; MLFLOW_EXPERIMENT_NAME is its experiment."""

    def __init__(self, run_dir: str, key: Optional[str], config: Dict[str, Any]):
        from mlflow import entities
        from mlflow.tracking import MlflowClient

        self._entities = entities
        self._client = MlflowClient()
        if key is None:
            name = os.environ.get('MLFLOW_EXPERIMENT_NAME', _PROJECT)
            experiment = self._client.get_experiment_by_name(name)
            number = (
                experiment.experiment_id if experiment else self._client.create_experiment(name)
            )
            run = self._client.create_run(number, run_name=os.path.basename(run_dir))
            key = run.info.run_id
            params = [entities.Param(*pair) for pair in _flat(config)]
            for begin in range(0, len(params), _MOST_AT_ONCE):
                self._client.log_batch(key, params=params[begin : begin + _MOST_AT_ONCE])
        else:
            self._client.update_run(key, status='RUNNING')
        self.key = key

    def add(self, step: int, seconds: float, figures: Dict[str, float]) -> None:
        metrics = [
            self._entities.Metric(_MLFLOW_NAME.sub('_', name), value, int(seconds * 1000), step)
            for name, value in figures.items()
        ]
        self._client.log_batch(self.key, metrics=metrics)

    def add_picture(self, step: int, name: str, path: str) -> None:
        self._client.log_artifact(self.key, path, name)

    def close(self, has_finished: bool) -> None:
        if has_finished:
            self._client.set_terminated(self.key)


TRACKERS: Dict[str, Callable[..., Any]] = {'wandb': _WandB, 'mlflow': _MLflow}


def check(names: Sequence[str]) -> None:
    """Raise UserError for a tracker that is none, or whose library is missing."""
    for name in names:
        if name not in TRACKERS:
            text = '--track names %r; there are %s (TensorBoard events are written in any case)'
            raise UserError(text % (name, ' and '.join(TRACKERS)))
        if program.is_missing(name):
            text = '--track=%s takes its library; run `pip install -r requirements/tracking.txt`'
            raise UserError(text % name)


class Tracking:
    """The trackers of a run.

    Args:
        run_dir: the run's folder. names: of TRACKERS. options: of training, for the trackers.

    Raises:
        UserError: a tracker cannot begin.
    """

    def __init__(self, run_dir: str, names: Sequence[str], options: Dict[str, Any]):
        check(names)
        self._run_dir = run_dir
        self._path = os.path.join(run_dir, _FILE)
        self._sent: Dict[str, Any] = {}  # name -> its key, and the last step that it has
        if os.path.exists(self._path):
            with open(self._path, encoding='utf-8') as file:
                self._sent = json.load(file)
        self._trackers = {}
        config = plain_data.from_json(plain_data.to_json(options))
        for name in names:
            known = self._sent.get(name, {})
            try:
                tracker = TRACKERS[name](os.path.abspath(run_dir), known.get('key'), config)
            except Exception as error:  # each library has types of its own
                text = '--track=%s cannot begin: %s; WANDB_MODE=offline or MLFLOW_TRACKING_URI help'
                raise UserError(text % (name, reason_of(error)))
            self._trackers[name] = tracker
            self._sent[name] = dict(key=tracker.key, step=known.get('step', -1))
        self._failing: List[str] = []
        if self._trackers:
            self._save()
            self.send()

    def send(self, size: Optional[int] = None) -> None:
        """Send the points that are new among the first `size` bytes of stats.jsonl, None: all."""
        path = os.path.join(self._run_dir, _STATS)
        if not self._trackers or not os.path.exists(path):
            return
        with open(path, 'rb') as file:
            lines = file.read(-1 if size is None else size).splitlines()
        points = [json.loads(line.decode('utf-8')) for line in lines]
        for name, tracker in self._trackers.items():
            try:
                for point in points:
                    self._send_point(name, tracker, point)
            except Exception as error:
                if name not in self._failing:
                    self._failing.append(name)
                    text = 'Warning: %s takes no points (%s); tried again with the next state'
                    print(text % (name, reason_of(error)))

    def _send_point(self, name, tracker, point):
        step = int(round(point['Progress/kimg'] * 1000))
        if step <= self._sent[name]['step']:
            return
        figures = {key: value for key, value in point.items() if type(value) in (int, float)}
        seconds = figures.pop('timestamp', 0.0)
        if self._sent[name]['step'] < 0:
            self._send_picture(tracker, step, 'reals', 'reals.png')
        tracker.add(step, seconds, figures)
        self._send_picture(tracker, step, 'fakes', 'fakes%06d.png' % (step // 1000))
        self._sent[name]['step'] = step
        self._save()
        if name in self._failing:
            self._failing.remove(name)

    def _send_picture(self, tracker, step, name, filename):
        path = os.path.join(self._run_dir, filename)
        if os.path.exists(path):
            tracker.add_picture(step, name, path)

    def _save(self):
        with atomic_write(self._path, 'w') as file:
            json.dump(self._sent, file, indent=1)

    def close(self, has_finished: bool = False) -> None:
        """The end of this process's part of the run; has_finished: of all of it."""
        if has_finished:
            self.send()
        for name, tracker in self._trackers.items():
            try:
                tracker.close(has_finished)
            except Exception as error:
                print('Warning: %s: %s' % (name, reason_of(error)))
        self._trackers = {}


def _flat(config, prefix=''):
    """(dotted name, text) of options, as MLflow takes them."""
    for key, value in config.items():
        name = prefix + str(key)
        if isinstance(value, dict):
            yield from _flat(value, name + '.')
        else:
            yield _MLFLOW_NAME.sub('_', name), str(value)[:_LONGEST_VALUE]
