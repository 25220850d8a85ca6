"""What workers that are not the chief do: their part of each iteration, and what it decides."""

from typing import Any, Callable, Dict, Optional

import dnnlib
from dnnlib import endings
from dnnlib.tflib import autosummary, cluster
from training.checkpoints import Checkpoints, Growing
from training.iterations import Iterations
from training.state import State


def tell_run_dir() -> str:
    """The folder of the run; the others get to know that of the chief, see `hear_run_dir`."""
    run_dir = dnnlib.make_run_dir_path()
    if cluster.current().is_chief:
        cluster.current().share(run_dir.encode('utf-8', 'surrogateescape'))
    return run_dir


def hear_run_dir() -> str:
    """Wait until the chief has a folder for the run, and tells it."""
    return cluster.current().share(b'').decode('utf-8', 'surrogateescape')


def follow(
    iterations: Iterations,
    found: Optional[State],
    identity: Dict[str, str],
    num_gpus: int,
    is_done: bool,
    evaluate: Callable[[], Any],
) -> None:
    """Train until the chief says that it is enough.

    Args:
        found, identity, num_gpus: state, see `Checkpoints`. is_done: nothing is to be done.
        evaluate: does a share of the chief's metrics.

    Raises:
        Terminated: all workers stop after an iteration, as one of them was asked to end.
    """
    parts = dict(iterations=iterations)
    run_dir = dnnlib.make_run_dir_path()
    checkpoints = Checkpoints(run_dir, 0, parts, identity, num_gpus, Growing(run_dir, []))
    is_run = found is not None  # as in the chief's loop
    if found is not None:
        checkpoints.restore(found)
    with endings.deferred():
        print('Training with the chief...\n')
        while not is_done:
            if not is_run:
                iterations.look_at_schedule()
                iterations.run()
            is_run = False
            agreed = agree(is_asked=endings.state_wanted())
            if agreed['saves']:
                checkpoints.take(iterations)
            end_if(agreed)
            if agreed['reports']:
                autosummary.gather()
            if agreed['evaluates']:
                evaluate()
            is_done = agreed['is_done']
        cluster.current().leave()


def agree(
    saves: bool = False,
    reports: bool = False,
    evaluates: bool = False,
    is_done: bool = False,
    is_asked: bool = False,
) -> Dict[str, bool]:
    """What all workers do after an iteration, by name.

    Args:
        saves, reports, evaluates, is_done: the chief takes a state, ends a tick, evaluates metrics,
            or ends training.
        is_asked: a worker was asked for a state.

    Returns:
        These, and `ends`: whether one was asked to end. Then a state is taken, too. A process that
        is alone ends without.
    """
    flags = dict(saves=saves or is_asked, reports=reports, evaluates=evaluates, is_done=is_done)
    workers = cluster.current()
    agreed = workers.agree(ends=endings.pending() and workers.size > 1, **flags)
    agreed['saves'] = agreed['saves'] or agreed['ends']
    return agreed


def end_if(agreed: Dict[str, bool]) -> None:
    """Raise Terminated if all workers have agreed to end."""
    if agreed['ends']:
        cluster.current().leave()
        raise endings.Terminated()
