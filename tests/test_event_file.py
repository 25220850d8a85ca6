"""TensorBoard reads all that was written, also after a disk was full."""

import errno
import os

import tensorflow.compat.v1 as tf

from training.event_file import EventFile


def read(path):
    """(step, tag) of all values, and the number of graphs; an error where the file is broken."""
    events = list(tf.train.summary_iterator(path))
    assert events[0].file_version == 'brain.Event:2' and all(event.wall_time for event in events)
    values = [(event.step, value.tag) for event in events for value in event.summary.value]
    return values, sum(bool(event.graph_def) for event in events)


def scalar(tag):
    return tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=1)])


def picture():
    image = tf.Summary.Image(width=1, height=1, encoded_image_string=b'x' * 100000)
    return tf.Summary(value=[tf.Summary.Value(tag='picture', image=image)])


def test_summaries_and_graphs_are_read_back_at_once(tmp_path):
    file = EventFile(str(tmp_path))
    file.add_summary(scalar('a'), 1)
    file.add_summary(scalar('b').SerializeToString(), 2)
    file.add_summary(scalar('c'))
    with tf.Graph().as_default() as graph:
        tf.constant(1)
        file.add_graph(graph)
    assert os.listdir(str(tmp_path)) == [os.path.basename(file.path)]
    assert os.path.basename(file.path).startswith('events.out.tfevents.')
    assert read(file.path) == ([(1, 'a'), (2, 'b'), (0, 'c')], 1)


def test_after_a_full_disk_only_pictures_are_missing(tmp_path, monkeypatch, capsys):
    file = EventFile(str(tmp_path))
    file.add_summary(scalar('a'), 1)
    work = os.open
    for number in (2, 4):

        def full(path, *args):
            raise OSError(errno.ENOSPC, 'No space left on device', path)

        monkeypatch.setattr(os, 'open', full)
        file.add_summary(scalar('b'), number)
        file.add_summary(picture(), number)
        monkeypatch.setattr(os, 'open', work)
        file.flush()
        file.add_summary(picture(), number + 1)
    wanted = [(1, 'a'), (2, 'b'), (3, 'picture'), (4, 'b'), (5, 'picture')]
    assert read(file.path) == (wanted, 0)
    assert capsys.readouterr().out.count('TensorBoard events cannot be written (No space') == 2
