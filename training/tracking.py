"""Figures, grids and options of a run for Weights & Biases and MLflow, by their own libraries.

What they get is read from the run's folder, stats.jsonl and fakes*.png, up to where it was when a
state was written: a run that is killed goes on from there, so no point comes twice and none is
left out. TensorBoard needs none of this: its name is accepted, its events are written in any case.
"""

import glob
import json
import os
import re
import uuid
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, Set

from dnnlib import plain_data, program
from dnnlib.util import UserError, atomic_write, reason_of

_FILE, _STATS, _STEP = 'tracking.json', 'stats.jsonl', 'Progress/kimg'
_PROJECT = 'fuzzy-stylegan2'
_MLFLOW_NAME = re.compile(r'[^\w.\-/ ]')
_MOST_AT_ONCE, _LONGEST_VALUE = 90, 500  # parameters of MLflow, and characters of one
_BLOCK = 32768


class _WandB:
    """A run of Weights & Biases; WANDB_MODE, WANDB_PROJECT and the like are the library's own.

    last_step: that of the last point it has. Its process writes points some seconds late, so what
    it has is looked up in the files of earlier starts.
    """

    def __init__(self, run_dir: str, key: Optional[str], config: Dict[str, Any]):
        import wandb

        self.key = key or uuid.uuid4().hex[:8]
        pattern = os.path.join(glob.escape(run_dir), 'wandb', '*run-*', 'run-%s.wandb' % self.key)
        steps = [step for path in glob.glob(pattern) for step in _steps_in(path)]
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
        self.last_step = max(steps + [self._run.starting_step - 1])

    def add(
        self, step: int, seconds: float, figures: Dict[str, float], pictures: Dict[str, str]
    ) -> None:
        """Figures of a tick, and paths of pictures; step: images seen; seconds: since the epoch."""
        found = {name: self._picture(path) for name, path in pictures.items()}
        self._run.log(dict(found, timestamp=seconds, **figures), step=step, commit=True)

    def close(self, has_finished: bool) -> None:
        """The end of this process's part."""
        self._run.finish(exit_code=0 if has_finished else 1)


def _steps_in(path: str) -> Iterator[int]:
    """Steps of the points in a file of W&B, whose end may be missing.

    It is a log of LevelDB: 7 bytes, then blocks of 32 KiB with pieces of records: checksum [4],
    length [2], kind [1] (1 for a whole record, 2 to 4 for its first, further and last piece).
    """
    from wandb.proto import wandb_internal_pb2

    with open(path, 'rb') as file:
        data = file.read()
    at, record = 7, b''
    while at + 7 <= len(data):
        if at % _BLOCK > _BLOCK - 7:
            at += _BLOCK - at % _BLOCK
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], 'little'), data[at + 6]
        end = at + 7 + length
        if kind not in (1, 2, 3, 4) or end > len(data):
            return
        record = (record if kind > 2 else b'') + data[at + 7 : end]
        at = end
        if kind in (1, 4):
            parsed = wandb_internal_pb2.Record.FromString(record)
            if parsed.WhichOneof('record_type') == 'history':
                yield parsed.history.step.num


class _MLflow:
    """A run of MLflow, at MLFLOW_TRACKING_URI; MLFLOW_EXPERIMENT_NAME is its experiment."""

    def __init__(self, run_dir: str, key: Optional[str], config: Dict[str, Any]):
        from mlflow import entities
        from mlflow.tracking import MlflowClient

        self._entities = entities
        self._client = MlflowClient()
        self.last_step = -1
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
            points = self._client.get_metric_history(key, _STEP)
            self.last_step = max([-1] + [point.step for point in points])
        self.key = key

    def add(
        self, step: int, seconds: float, figures: Dict[str, float], pictures: Dict[str, str]
    ) -> None:
        for name, path in pictures.items():
            self._client.log_artifact(self.key, path, name)
        metrics = [
            self._entities.Metric(_MLFLOW_NAME.sub('_', name), value, int(seconds * 1000), step)
            for name, value in figures.items()
        ]
        self._client.log_batch(self.key, metrics=metrics)

    def close(self, has_finished: bool) -> None:
        if has_finished:
            self._client.set_terminated(self.key)


TRACKERS: Dict[str, Callable[..., Any]] = {'wandb': _WandB, 'mlflow': _MLflow}
_WRITTEN_IN_ANY_CASE = 'tensorboard'


def _others(names):
    return [name for name in names if name != _WRITTEN_IN_ANY_CASE]


def check(names: Sequence[str]) -> None:
    """Raise UserError for a tracker that is none, or whose library is missing.

    names: of TRACKERS, and tensorboard.
    """
    for name in _others(names):
        if name not in TRACKERS:
            text = '--track names %r; there are %s and %s'
            raise UserError(text % (name, ', '.join(TRACKERS), _WRITTEN_IN_ANY_CASE))
        if program.is_missing(name):
            text = '--track=%s takes its library; run `pip install -r requirements/tracking.txt`'
            raise UserError(text % name)


class Tracking:
    """The trackers of a run.

    Args:
        run_dir: the run's folder. names: of trackers, see `check`. options: of training, which
            they get.

    Raises:
        UserError: a tracker cannot begin.
    """

    def __init__(self, run_dir: str, names: Sequence[str], options: Dict[str, Any]):
        check(names)
        self._run_dir = run_dir
        self._path = os.path.join(run_dir, _FILE)
        keys: Dict[str, str] = {}  # name -> what its library calls the run
        if os.path.exists(self._path):
            with open(self._path, encoding='utf-8') as file:
                keys = json.load(file)
        self._trackers = {}
        config = plain_data.from_json(plain_data.to_json(options))
        for name in _others(names):
            try:
                tracker = TRACKERS[name](os.path.abspath(run_dir), keys.get(name), config)
            except Exception as error:  # each library has types of its own
                text = '--track=%s cannot begin: %s; WANDB_MODE=offline or MLFLOW_TRACKING_URI help'
                raise UserError(text % (name, reason_of(error)))
            self._trackers[name] = tracker
            keys[name] = tracker.key
        self._failing: Set[str] = set()
        if self._trackers:
            with atomic_write(self._path, 'w') as file:
                json.dump(keys, file)
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
                    self._send_point(tracker, point)
                self._failing.discard(name)
            except Exception as error:
                if name not in self._failing:
                    self._failing.add(name)
                    text = 'Warning: %s takes no points (%s); tried again with the next state'
                    print(text % (name, reason_of(error)))

    def _send_point(self, tracker, point):
        step = int(round(point[_STEP] * 1000))
        if step <= tracker.last_step:
            return
        figures = {key: value for key, value in point.items() if type(value) in (int, float)}
        pictures = {'fakes': 'fakes%06d.png' % (step // 1000)}
        if tracker.last_step < 0:
            pictures['reals'] = 'reals.png'
        paths = {name: os.path.join(self._run_dir, each) for name, each in pictures.items()}
        found = {name: path for name, path in paths.items() if os.path.exists(path)}
        tracker.add(step, figures.pop('timestamp', 0.0), figures, found)
        tracker.last_step = step

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
