"""How workers find together: each tells the chief what it is about to do, by a queue of its server.

This comes before collectives, which wait for ever where TF_CONFIG names somebody who is not there.
"""

import contextlib
import json
import socket
import time
import uuid
from typing import Any, Dict, Iterator, List

import tensorflow.compat.v1 as tf

from dnnlib import peers
from dnnlib.util import UserError, reason_of
from dnnlib.workers import Workers

PATIENCE = 50.0  # seconds for all workers to come


class _Desk:
    """Queues of the chief, where the others check in; left after that."""

    def __init__(self, workers: Workers):
        self._graph = tf.Graph()
        self._config = tf.ConfigProto(operation_timeout_in_ms=int(PATIENCE * 1200))
        self._config.device_filters.append('/job:worker/task:0')
        target = 'grpc://' + workers.addresses[0]
        self._session = tf.Session(target, graph=self._graph, config=self._config)

    def put(self, name: str, message: Any) -> None:
        with self._queue(name) as queue:
            text = tf.placeholder(tf.string, [])
            put = queue.enqueue(text)
        self._session.run(put, {text: json.dumps(message)})

    def get(self, name: str, deadline: float) -> Any:
        """The next message; DeadlineExceededError if there is none until then."""
        with self._queue(name) as queue:
            get = queue.dequeue()
        milliseconds = max(int(1000 * (deadline - time.time())), 1)
        options = tf.RunOptions(timeout_in_ms=milliseconds)
        return json.loads(self._session.run(get, options=options).decode('utf-8'))

    @contextlib.contextmanager
    def _queue(self, name: str) -> Iterator[tf.FIFOQueue]:
        with self._graph.as_default(), tf.device('/job:worker/task:0/cpu:0'):
            yield tf.FIFOQueue(1 << 12, [tf.string], [[]], shared_name=name)

    def close(self) -> None:
        with contextlib.suppress(tf.errors.OpError):
            self._session.close()


def receive(workers: Workers, facts: Dict[str, Any], deadline: float) -> None:
    """The chief waits for all others, and tells each that all is well, or what is not.

    Args:
        facts: what has to be equal, plain data. deadline: in seconds, as `time.time`.

    Raises:
        UserError: one has not come, or is not like the chief; those that have come get the line.
    """
    desk = _Desk(workers)
    letters: List[dict] = []
    problem = ''
    try:
        missing = set(range(1, len(workers.addresses)))
        while missing and not problem:
            letter = desk.get('letters', deadline)
            letters.append(letter)
            problem = _problem(workers, facts, letters)
            missing.discard(letter['index'])
    except tf.errors.DeadlineExceededError:
        names = ', '.join(map(workers.name, sorted(missing)))
        text = '%s did not come within %d s; is its address right, and does it run?'
        problem = text % (names, PATIENCE)
    for letter in letters:
        desk.put(letter['answers'], problem)
    desk.close()
    if problem:
        time.sleep(1.0)  # or nobody could read it
        raise UserError(problem)


def _problem(workers, facts, letters):
    """What is wrong with the last worker that came, '' if nothing is."""
    letter = letters[-1]
    index = letter['index']
    if letter['facts']['workers'] != facts['workers']:
        text = 'a worker %d has come that knows of the workers %s, the chief of %s'
        return text % (index, ' '.join(letter['facts']['workers']), ' '.join(facts['workers']))
    name = workers.name(index)
    if index == 0 or any(other['index'] == index for other in letters[:-1]):
        return '%s has come twice (once from %s); each takes an index of its own' % (
            name,
            letter['host'],
        )
    for path, value, other in differences(facts, letter['facts']):
        text = '%s has %s = %s, the chief %s; start all of them alike'
        return text % (name, path, shortened(other), shortened(value))
    error = peers.answers(workers.addresses[index])
    if error is not None:
        text = '%s has come from %s, but its address does not answer: %s'
        return text % (name, letter['host'], reason_of(error))
    return ''


def differences(value: Any, other: Any, path: str = '') -> Iterator[tuple]:
    """(dotted name, value, other value) where plain data differ."""
    if isinstance(value, dict) and isinstance(other, dict):
        for key in sorted(set(value) | set(other)):
            name = '%s.%s' % (path, key) if path else key
            yield from differences(value.get(key), other.get(key), name)
    elif value != other:
        yield path, value, other


def shortened(value: Any) -> str:
    """Plain data for a line."""
    return '%.100s' % json.dumps(value)


def check_in(workers: Workers, facts: Dict[str, Any], deadline: float) -> None:
    """Tell the chief that this worker is there; UserError if it does not answer, or refuses."""
    chief = workers.name(0)
    error = peers.answers(workers.addresses[0])
    while error is not None and time.time() < deadline - 5:
        time.sleep(0.5)
        error = peers.answers(workers.addresses[0])
    if error is not None:
        text = 'the chief, %s, does not answer: %s; is its address right, and does it run?'
        raise UserError(text % (chief, reason_of(error)))
    answers = 'answers-' + uuid.uuid4().hex
    letter = dict(index=workers.rank, host=socket.gethostname(), answers=answers, facts=facts)
    try:
        desk = _Desk(workers)
        desk.put('letters', letter)
        problem = desk.get(answers, time.time() + PATIENCE + 5)
        desk.close()
    except tf.errors.OpError:
        text = 'the chief, %s, has not let this worker in; has it begun without it, or ended?'
        raise UserError(text % chief)
    if problem:
        raise UserError(problem)
