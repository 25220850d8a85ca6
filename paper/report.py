"""The report of a reproduction: Markdown, a CSV file for each table, figures, and all as JSON.

It says what is there, and that the rest is missing. The same results make the same bytes: there are
no times, and no names of machines and folders.
"""

import contextlib
import csv
import glob
import io
import os
import re
import time
from typing import Any, Dict, List, Sequence

import dnnlib
from dnnlib import records
from dnnlib.files import sweep
from dnnlib.submission import run_lock
from dnnlib.util import atomic_write
from paper import contents, findings, forms, work
from paper.findings import Cell, Table
from paper.plan import Choice, Task

FOLDER = 'report'
_LONGEST_WAIT = 60  # seconds, for others that write
_MISSING = 'missing'
_ROOT = 'RESULT_DIR'  # in place of the folder's name
_AGREES, _DIFFERS = '✓', '✗'
_LEGEND = (
    'Each figure is the mean ± standard deviation (number of seeds), then what the paper prints. '
    '%s: all systems stand to this one as in the paper, by their means; %s 1/3: one of three does. '
    'Lower is better%s.'
)


def write(choice: Choice, scale_name: str, tasks: Sequence[Task], folder: str) -> str:
    """Write the report of what is in a folder into its folder `report`; returns that.

    Args:
        tasks: all of the choice.
    """
    target = os.path.join(folder, FOLDER)
    os.makedirs(target, exist_ok=True)
    sweep(target)
    with contextlib.ExitStack() as stack:
        _wait_for_turn(stack, folder)
        _write_all(choice, scale_name, tasks, folder, target)
    return target


def _wait_for_turn(stack, folder):
    """Let processes that end at once write one after the other: the last one sees all results."""
    for _ in range(_LONGEST_WAIT):
        try:
            stack.enter_context(run_lock.RunLock(folder, may_wait=False))
            return
        except run_lock.Held:
            time.sleep(1)


def _write_all(choice, scale_name, tasks, folder, target):
    tables = findings.tables(choice, folder)
    figures = _copy_figures(tasks, folder, target)
    names = [task.name for task in tasks if work.finished_run(folder, task.name) is None]
    missing = {name: work.failure(folder, name).replace(folder, _ROOT) for name in names}
    code = findings.code_of(folder, tasks)
    lines = _head(choice, scale_name, code, missing)
    for kind, number in dict.fromkeys((kind, number) for kind, number, _ in choice.parts()):
        lines += ['## %s %s. %s' % (kind.title(), number, contents.CAPTIONS[kind, number]), '']
        for table in tables:
            if (table.kind, table.number) == (kind, number):
                lines += _markdown(table) + forms.lines(table)
        lines += _pictures('%s%s-' % (kind, number), figures)
    _write(os.path.join(target, 'report.md'), '\n'.join(lines).rstrip() + '\n')
    for kind, number in sorted({(table.kind, table.number) for table in tables}):
        text = _csv([t for t in tables if (t.kind, t.number) == (kind, number)])
        _write(os.path.join(target, '%s%s.csv' % (kind, number)), text)
    path = os.path.join(target, 'report.json')
    facts = dict(
        _protocol(choice, scale_name, tasks, folder),
        code=code,
        tables=[_plain(table) for table in tables],
        missing=missing,
    )
    _write(path, records.to_json(facts, path, indent=2) + '\n')


def _write(path, text):
    with atomic_write(path, 'w') as file:
        file.write(text)


def _copy_figures(tasks, folder, target) -> Dict[str, bool]:
    """Copy what has been drawn; {figure: whether it is there, in all formats}."""
    figures: Dict[str, bool] = {}
    for task in tasks:
        if task.kind != 'draw':
            continue
        extension = task.name.rpartition('-')[2]
        run_dir = work.finished_run(folder, task.name)
        pattern = os.path.join(glob.escape(run_dir or os.devnull), '*.' + extension)
        found = sorted(glob.glob(pattern))
        figures[task.part] = figures.get(task.part, True) and bool(found)
        for path in found[:1]:
            name = os.path.join(target, '%s.%s' % (task.part, extension))
            with open(path, 'rb') as source, atomic_write(name) as copy:
                copy.write(source.read())
    return figures


def _head(choice, scale_name, code, missing):
    lines = ['# "On Noise Injection in GANs", reproduced', '']
    seeds = 'seeds ' if len(choice.seeds) > 1 else 'seed '
    seeds += ', '.join(map(str, choice.seeds))
    text = 'Scale `%s`: %s; %s thousand images of training, %s.'
    lines += [text % (scale_name, choice.scale.summary, '{:,}'.format(choice.kimg), seeds)]
    if not choice.scale.is_papers:
        lines[-1] += ' The paper trains for 25,000 thousand on photographs: compare orders alone.'
    lines += ['', 'Code: %s. Engine: %s.' % tuple(_list(code[k]) for k in ('version', 'engine'))]
    if len(code['code']) > 1:
        lines += ['', 'Warning: these are results of different sources: %s.' % _list(code['code'])]
    better = [c.title for _, _, part in choice.parts() for c in part.columns if c.higher_is_better]
    but = ''.join(', but of %s higher' % name for name in sorted(set(better)))
    lines += ['', _LEGEND % (_AGREES, _DIFFERS, but), '']
    if missing:
        lines += ['**%d tasks are not done yet**, see report.json.' % len(missing), '']
        lines += ['- %s: %s' % pair for pair in missing.items() if pair[1]] + ['']
    return lines


def _list(names):
    return ', '.join(names) or 'none yet'


def _markdown(table: Table) -> List[str]:
    title = contents.DATA_TITLES[table.data]
    lines = ['**%s** (paper: %s)' % (table.data_set, title), '']
    lines += [
        '| system | %s |' % ' | '.join(table.columns),
        '| --- ' * (1 + len(table.columns)) + '|',
    ]
    for name, cells in table.rows:
        lines.append('| %s | %s |' % (name, ' | '.join(map(_cell, cells))))
    lines.append('')
    for index, column in enumerate(table.columns):
        parts = [table.measured[index] or 'not measured', table.notes[index]]
        parts.append(_agreement([cells[index] for _, cells in table.rows]))
        lines.append('- %s: %s' % (column, '; '.join(filter(None, parts))))
    return lines + ['']


def _agreement(cells):
    names = 'agreeing', 'pairs', 'close'
    agreeing, pairs, close = [sum(getattr(c, name) for c in cells) // 2 for name in names]
    text = 'order as in the paper for %d of %d pairs of systems' % (agreeing, pairs)
    if close:
        text += '; %d differ by less than the standard error' % close
    return text if pairs else ''


def _cell(cell: Cell) -> str:
    if cell.mean is None:
        text = _MISSING
    else:
        spread = '' if cell.std is None else ' ± %s' % _number(cell.std)
        text = '%s%s (%d)' % (_number(cell.mean), spread, len(cell.values))
    if cell.paper is not None:
        text += '; paper %g' % cell.paper
    if cell.pairs:
        agrees = cell.agreeing == cell.pairs
        text += ' ' + (_AGREES if agrees else '%s %d/%d' % (_DIFFERS, cell.agreeing, cell.pairs))
    return text


def _number(value):
    return '%.4g' % value


def _pictures(prefix, figures: Dict[str, bool]) -> List[str]:
    lines = []
    for name, is_there in figures.items():
        if name.startswith(prefix):
            shown = '![%s](%s.png)\n\n*[%s.pdf](%s.pdf)*' % ((name,) * 4)
            lines += [shown if is_there else '%s: %s' % (name, _MISSING), '']
    return lines


_CSV_HEAD = (
    'data set,system,figure,measured as,mean,standard deviation,n,values,paper,agreeing,pairs,close'
)


def _csv(tables: Sequence[Table]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(_CSV_HEAD.split(','))
    for table in tables:
        for name, cells in table.rows:
            for column, measured, cell in zip(table.columns, table.measured, cells):
                row: List[Any] = [table.data_set, name, column, measured, cell.mean, cell.std]
                values = ' '.join(map(repr, cell.values))
                row += [len(cell.values), values, cell.paper, cell.agreeing, cell.pairs, cell.close]
                writer.writerow(['' if value is None else value for value in row])
    return text.getvalue()


def _plain(table: Table) -> Dict[str, Any]:
    """A table as plain data."""
    rows = [
        dict(system=name, cells=[dict(c._asdict(), mean=c.mean, std=c.std) for c in cells])
        for name, cells in table.rows
    ]
    return dict(table._asdict(), rows=rows)


def _protocol(choice, scale_name, tasks, folder) -> Dict[str, Any]:
    """How the figures were found: the choice, and the commands, without the names of folders."""
    places = {folder: _ROOT, choice.data_dir: 'DATA_DIR'}

    def placeless(word):
        for path, name in places.items():
            word = re.sub(r'(?<==)%s(?=/|$)' % re.escape(path), name, word)
        return word

    return dict(
        scale=scale_name,
        data_sets={name: sorted(set(own.values())) for name, own in _data_sets(choice).items()},
        kimg=choice.kimg,
        seeds=list(choice.seeds),
        systems=sorted({task.part for task in tasks if task.kind == 'train'}),
        commands={task.name: list(map(placeless, task.words)) for task in tasks},
        reported_by=dnnlib.full_version(),
    )


def _data_sets(choice):
    names = choice.scale.data
    return {data: {f: n or choice.dataset for f, n in own.items()} for data, own in names.items()}
