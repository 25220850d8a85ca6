"""Submitting a run: its configuration, its numbered folder, and the start of its function."""

import contextlib
import copy
import enum
import os
import pathlib
import pickle
import platform
import pprint
import re
from typing import Any, Dict, Optional

import dnnlib
from dnnlib import pickle_reader, plain_data

from ..files import UserError, atomic_write, sweep
from ..names import plain_name
from ..util import EasyDict
from . import run_lock
from .internal import local

_RUN_DESC_PATTERN = re.compile(r'[a-zA-Z0-9_.-]*')
_PICKLE_PROTOCOL = 4  # the newest one that Python 3.6 reads
_JSON_NAME = 'submit_config.json'
_LONGEST_JSON = 16 << 20
# What a resumed run keeps of its configuration.
_KEPT = 'run_desc datasets run_id user_name task_name facts resumed'.split()

_RUN_DIR_IGNORE = '__pycache__ *.pyproj *.sln *.suo .cache .idea .vs .vscode _cudacache'
_user_name_override: Optional[str] = None


class SubmitTarget(enum.Enum):
    """Where a run takes place."""

    LOCAL = 1


class PathType(enum.Enum):
    """How paths are written; AUTO stands for the way of this machine."""

    WINDOWS = 1
    LINUX = 2
    AUTO = 3


class PlatformExtras:
    """Settings of the machine, there for users' scripts of official StyleGAN2; not used."""

    def __init__(self):
        self.data_reader_buffer_size = 1 << 30
        self.data_reader_process_count = 0


class SubmitConfig(EasyDict):
    """All that describes a run. The user sets the first group, `submit_run` fills in the second.

    Attributes:
        run_dir_root: folder of all runs, made if missing; may have '<USERNAME>' and a leading ~.
        run_desc: short description, part of the run's folder name; letters, digits, '_', '.', '-'.
        run_dir_ignore, run_dir_extra_files, print_info, nvprof: kept for old scripts, not used.
        submit_target: SubmitTarget.LOCAL.
        num_gpus: number of devices to run on, those of all workers together.
        local: options of local runs.
        datasets: names of the datasets, as a note.
        host_name, platform_extras: the machine.

        run_id, run_name, run_dir: number, '<number>-<run_desc>' and folder of the run.
        run_func_name, run_func_kwargs: dotted name of the function and its arguments.
        user_name, task_name: who runs it, '<user>-<run_name>'.
        version: of this program, see `dnnlib.full_version`; not in runs before it had one.
        facts: what else the caller notes about the run, plain data. resumed: facts of each later
            start.
    """

    def __init__(self):
        super().__init__(
            run_dir_root='',
            run_desc='',
            run_dir_ignore=_RUN_DIR_IGNORE.split(),
            run_dir_extra_files=[],
            submit_target=SubmitTarget.LOCAL,
            num_gpus=1,
            print_info=False,
            nvprof=False,
            local=local.TargetOptions(),
            datasets=[],
            host_name='localhost',
            platform_extras=PlatformExtras(),
        )
        later = 'run_id run_name run_dir run_func_name run_func_kwargs user_name task_name facts'
        self.update(dict.fromkeys(later.split()), resumed=[])


def get_user_name() -> str:
    """Name of the user of this process, 'unknown' where there is none."""
    if _user_name_override is not None:
        return _user_name_override
    try:
        if platform.system() == 'Windows':
            return os.getlogin()
        import pwd  # not there on Windows

        return pwd.getpwuid(os.geteuid()).pw_name
    except (KeyError, OSError):
        return 'unknown'


def get_path_from_template(path_template: str, path_type: PathType = PathType.AUTO) -> str:
    """Replace '<USERNAME>' and a leading ~ in a path and write it the way of `path_type`."""
    if path_type is PathType.AUTO:
        windows = platform.system() == 'Windows'
    else:
        windows = path_type is PathType.WINDOWS
    path = os.path.expanduser(path_template.replace('<USERNAME>', get_user_name()))
    return str((pathlib.PureWindowsPath if windows else pathlib.PurePosixPath)(path))


def make_run_dir_path(*paths: str) -> str:
    """Join `paths` onto the folder of the active run, or onto the current folder outside of one."""
    config = dnnlib.submit_config
    run_dir = config.run_dir if config is not None else None
    return os.path.join(run_dir or os.getcwd(), *paths)


def submit_run(
    submit_config: SubmitConfig, run_func_name: str, **run_func_kwargs: Any
) -> SubmitConfig:
    """Make a run folder, run a function in it and return the completed configuration.

    The folder gets `submit_config.json`, the same as `.pkl` and `.txt`, `log.txt`, `run.txt` and,
    in the end, `_finished.txt`; see `internal.local.run`.

    Args:
        submit_config: the run; left unchanged.
        run_func_name: dotted name of the function; it gets `submit_config=` if it has such a
            parameter.
        **run_func_kwargs: its other arguments.

    Raises:
        RuntimeError: `num_gpus` is None or 0.
        UserError: `run_desc` has other characters than allowed, or the folder cannot be made.
    """
    config = copy.deepcopy(submit_config)
    assert config.submit_target is SubmitTarget.LOCAL, config.submit_target
    if not config.num_gpus:
        raise RuntimeError('num_gpus is %r; it must be at least 1' % (config.num_gpus,))
    if not _RUN_DESC_PATTERN.fullmatch(config.run_desc):
        text = 'The run description %r may only have letters, digits, "_", "." and "-"; %s.'
        raise UserError(text % (config.run_desc, 'rename its dataset or configuration'))
    if config.user_name is None:
        config.user_name = get_user_name()
    config.run_func_name = run_func_name
    config.run_func_kwargs = dict(run_func_kwargs)
    config.version = dnnlib.full_version()

    root = get_path_from_template(config.run_dir_root)
    try:
        os.makedirs(root, exist_ok=True)
        _sweep_runs(root)
        config.run_id, config.run_dir = _make_run_dir(root, config.run_desc)
    except OSError as error:
        text = 'Cannot make a run folder in %r: %s; choose a result folder that you may write to.'
        raise UserError(text % (root, error.strerror)) from error
    config.run_name = os.path.basename(config.run_dir)
    config.task_name = '%s-%s' % (_task_user(config.user_name), config.run_name)

    print('Local submit - run_dir: %s' % config.run_dir)
    with run_lock.RunLock(config.run_dir):
        _write_config(config)
        local.run(config)
    return config


def resume_run(
    run_dir: str, run_func_name: str, num_gpus: int, facts: Any = None, **run_func_kwargs: Any
) -> SubmitConfig:
    """Run a function once more in the folder of an earlier run; it goes on if it can do that.

    Args:
        run_dir: the folder.
        run_func_name: as that of the earlier run. num_gpus: number of devices to run on.
        facts: about this start, for `SubmitConfig.resumed`.
        **run_func_kwargs: all arguments of the function.

    Raises:
        UserError: the folder is of another function's run, has links, or another process is
            writing it.
        FileNotFoundError: it is no run's folder.
    """
    for name in os.listdir(run_dir):
        path = os.path.join(run_dir, name)
        if os.path.islink(path):  # nothing is written to where somebody else's folder leads
            raise UserError('%s is a link; a run goes on in a folder without any' % path)
    with run_lock.RunLock(run_dir):
        stored = load_config(run_dir)
        if stored.get('run_func_name') != run_func_name:  # which a file never chooses
            raise UserError('%s is no run of %s; choose another one' % (run_dir, run_func_name))
        config = SubmitConfig()
        config.update((name, stored[name]) for name in _KEPT if name in stored)
        config.run_func_name = run_func_name
        config.run_dir, config.run_name = run_dir, os.path.basename(os.path.abspath(run_dir))
        config.run_dir_root = os.path.dirname(os.path.abspath(run_dir))
        config.num_gpus, config.run_func_kwargs = num_gpus, dict(run_func_kwargs)
        config.version = dnnlib.full_version()
        earlier = config.resumed if isinstance(config.resumed, list) else []
        config.resumed = earlier + [facts]
        sweep(run_dir)
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(run_dir, local.FINISHED))
        _write_config(config)
        print('Local submit - run_dir: %s' % config.run_dir)
        local.run(config, is_resumed=True)
    return config


def follow_run(
    run_dir: str, index: int, run_func_name: str, num_gpus: int, **run_func_kwargs: Any
) -> None:
    """Run a function as worker `index` of a run whose folder the chief, worker 0, has made.

    Args:
        run_dir: the folder, which need not be on this machine. The others: as `resume_run`.
    """
    config = SubmitConfig()
    config.run_func_name, config.run_func_kwargs = run_func_name, dict(run_func_kwargs)
    config.run_dir, config.num_gpus = run_dir, num_gpus
    local.follow(config, index)


def _write_config(config):
    with atomic_write(os.path.join(config.run_dir, _JSON_NAME), 'w') as file:
        file.write(plain_data.to_json(config))
    with atomic_write(os.path.join(config.run_dir, 'submit_config.pkl')) as file:
        pickle.dump(config, file, protocol=_PICKLE_PROTOCOL)
    with atomic_write(os.path.join(config.run_dir, 'submit_config.txt'), 'w') as file:
        pprint.pprint(config, stream=file, indent=4, width=200, compact=False)


def load_run_func_kwargs(run_dir: str) -> Any:
    """The arguments that the function of an earlier run got; see `load_config`."""
    return load_config(run_dir)['run_func_kwargs']


def load_config(run_dir: str) -> Dict[str, Any]:
    """The configuration of an earlier run, as plain data; it has run_func_kwargs at least.

    It is read from submit_config.json, in folders without it (official StyleGAN2's, older ones)
    from submit_config.pkl; nothing that the files name is imported or called.

    Raises:
        FileNotFoundError: the folder has neither.
        UserError: the file is broken, or holds no configuration.
    """
    path = os.path.join(run_dir, _JSON_NAME)
    if os.path.isfile(path):
        try:
            with open(path, encoding='utf-8') as file:
                config = plain_data.from_json(file.read(_LONGEST_JSON))
        except (OSError, ValueError) as error:
            raise UserError('%s cannot be read: %.200s' % (path, error))
    else:
        path = os.path.join(run_dir, 'submit_config.pkl')
        if not os.path.isfile(path):
            raise FileNotFoundError(path)
        with open(path, 'rb') as file:
            config = pickle_reader.load(file, 'configuration of a run', objects=None)
        if isinstance(config, pickle_reader.Call):  # a SubmitConfig
            config = config.items
    if type(config) is not dict or 'run_func_kwargs' not in config:
        raise UserError('%s holds no configuration of a run' % path)
    return config


def _task_user(user_name):
    """The user name with only the characters that a task name may have: not the '@' of a mail."""
    return plain_name(user_name).lstrip('_.-') or 'unknown'


def _sweep_runs(root):
    """Remove temporary files of dead processes, in the folders of unfinished runs too."""
    sweep(root)
    for entry in os.scandir(root):
        is_run = re.match(r'[0-9]+-', entry.name)
        if is_run and not os.path.exists(os.path.join(entry.path, '_finished.txt')):
            sweep(entry.path)


def _make_run_dir(root, run_desc):
    """Make the folder of the next run; returns (number, path)."""
    run_id = _next_run_id(root)
    while True:
        # While a process holds the claim, no other can take this number for another run.
        claim = os.path.join(root, '.claim-%05d' % run_id)
        try:
            os.mkdir(claim)
        except FileExistsError:
            run_id += 1
            continue
        try:
            next_id = _next_run_id(root)
            if next_id <= run_id:
                path = os.path.join(root, '%05d-%s' % (run_id, run_desc))
                os.mkdir(path)
                return run_id, path
            run_id = next_id
        except FileExistsError:
            run_id += 1
        finally:
            os.rmdir(claim)


def _next_run_id(root):
    """One more than the largest number that a folder in `root` begins with; 0 without any."""
    numbers = [re.match(r'[0-9]+', entry.name) for entry in os.scandir(root) if entry.is_dir()]
    return max((int(number.group()) + 1 for number in numbers if number), default=0)


# What follows is here for users' scripts of official StyleGAN2.


def set_user_name_override(name: Optional[str]) -> None:
    """Use `name` as user name from now on; None for the real one."""
    global _user_name_override
    _user_name_override = name


def get_template_from_path(path: str) -> str:
    """Write a path with forward slashes."""
    return path.replace('\\', '/')


def convert_path(path: str, path_type: PathType = PathType.AUTO) -> str:
    """Write a path of either system the way of `path_type`."""
    return get_path_from_template(get_template_from_path(path), path_type)
