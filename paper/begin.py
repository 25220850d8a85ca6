"""What is checked and made before the first task: settings, data sets, pictures to project."""

import contextlib
import json
import os
from typing import Any, Dict, Sequence

from dnnlib import cli, plain_data
from dnnlib.files import sweep
from dnnlib.util import UserError, atomic_write, open_regular, reading
from paper import contents, pictures, work
from paper.plan import Choice, Task
from training.data import demo
from training.data.opening import load_dataset

_NAME = 'settings.json'


def _settings(scale_name, choice: Choice) -> Dict[str, Any]:
    """By flags: what decides on results without being in the names of tasks."""
    pictures_of_user = None if choice.pictures.startswith(_folder(choice)) else choice.pictures
    return {
        '--scale': scale_name,
        '--total-kimg': choice.kimg,
        '--dataset': choice.dataset,
        '--pictures': pictures_of_user,
    }


def _folder(choice):
    return os.path.dirname(choice.hard_cases) + os.sep


def check_same_settings(folder: str, scale_name: str, choice: Choice) -> None:
    """Raise UserError if what is in a folder was made with other settings, which names hide."""
    path = os.path.join(folder, _NAME)
    if not os.path.exists(path):
        return
    with open_regular(path) as file, reading(path, 'settings of run_paper.py'):
        before = plain_data.from_json(file.read().decode('utf-8'))
    for flag, value in _settings(scale_name, choice).items():
        if before.get(flag) != value:
            text = '%s was begun with %s=%s, not %s; choose another --result-dir'
            raise UserError(text % (folder, flag, before.get(flag), value))


def prepare(folder: str, scale_name: str, choice: Choice, tasks: Sequence[Task]) -> None:
    """Check data sets, make the folder, and what all tasks need in it.

    Raises:
        UserError: a data set is missing, or the folder cannot be written.
    """
    cli.check_writable_dir(folder)
    has_own_pictures = not choice.pictures.startswith(_folder(choice))
    hard_cases = pictures.hard_cases(choice.pictures) if has_own_pictures else []
    _check_data_sets(choice)
    left = [task for task in tasks if work.finished_run(folder, task.name) is None]
    try:
        megabytes = sum(task.megabytes for task in left)
        cli.check_space(folder, len(left), megabytes * 1e6, 'tasks')
    except UserError as error:
        print('Warning: %s' % error)
    os.makedirs(folder, exist_ok=True)
    sweep(folder)
    with atomic_write(os.path.join(folder, _NAME), 'w') as file:
        json.dump(_settings(scale_name, choice), file, indent=2)
    if any(task.kind == 'project' for task in tasks):
        if not has_own_pictures:
            name = choice.data_set('ffhq', contents.STYLEGAN)
            pictures.ensure(choice.pictures, choice.data_dir, name, choice.scale.pictures)
            hard_cases = pictures.hard_cases(choice.pictures)
        with atomic_write(choice.hard_cases, 'w') as file:
            file.write('\n'.join(hard_cases) + '\n')


def _check_data_sets(choice: Choice):
    """Find out whether all data sets are there, those of all systems."""
    names = set()
    for _, _, part in choice.parts():
        for system in contents.systems_of(part, choice.systems):
            names.add(choice.data_set(part.data, contents.family(system)))
    if demo.NAME in names:
        demo.ensure_demo_dataset(choice.data_dir)
    places = {name: os.path.join(os.path.expanduser(choice.data_dir), name) for name in names}
    missing = [n for n in names if not (os.path.exists(places[n]) or os.path.exists(n))]
    if missing:
        text = 'there is no %s in --data-dir=%s; make them by dataset_tool.py (docs/reproduce.md)'
        raise UserError(text % (', '.join(sorted(missing)), choice.data_dir))
    for name in sorted(names):
        with contextlib.closing(load_dataset(tfrecord_dir=name, data_dir=choice.data_dir)):
            pass
