"""What was found: the cells of the tables, from what finished tasks have left."""

import glob
import json
import math
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dnnlib import records
from dnnlib.util import UserError, open_regular, reading
from metrics import metric_names, paper_tables
from paper import contents, work
from paper.contents import Column, Part
from paper.plan import Choice, Task


class Cell(NamedTuple):
    """A figure of a system: its values by seed, the paper's, and how its order agrees.

    `agreeing` of `pairs` other systems stand to this one as in the paper; from `close` of them it
    differs by less than the standard error of the difference.
    """

    values: List[float]
    paper: Optional[float] = None
    agreeing: int = 0
    pairs: int = 0
    close: int = 0

    @property
    def mean(self) -> Optional[float]:
        """Mean over seeds."""
        return float(np.mean(self.values)) if self.values else None

    @property
    def std(self) -> Optional[float]:
        """Standard deviation of the values, with n - 1; None for fewer than two."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    @property
    def error(self) -> Optional[float]:
        """Standard error of the mean."""
        return None if self.std is None else self.std / math.sqrt(len(self.values))


class Table(NamedTuple):
    """A part of a table, or the figures beneath a figure, on one data set."""

    kind: str  # 'table' or 'figure'
    number: str
    data: str  # of the paper, as `paper_tables` calls it
    data_set: str  # here
    columns: List[str]
    measured: List[str]  # names of results in the columns, '' where there is none
    notes: List[str]  # how a column differs from the paper's, '' if it does not
    rows: List[Tuple[str, List[Cell]]]


def tables(choice: Choice, folder: str) -> List[Table]:
    """All tables of a choice, from what is in its folder."""
    found = []
    for kind, number, part in choice.parts():
        systems = contents.systems_of(part, choice.systems)
        if (kind, number) == ('table', '4'):
            found.append(_inversion(choice, folder, part, systems))
        elif part.columns and (kind, number) != ('figure', '4'):
            found.append(_metrics(choice, folder, kind, number, part, systems))
    return found


def _metrics(choice, folder, kind, number, part: Part, systems) -> Table:
    found = []
    for column in part.columns:
        measured, values, is_papers = _column(choice, folder, part.data, systems, column)
        if measured or column is not contents.SWD:  # which the paper does not have
            note = '' if is_papers else "not in the paper's features"
            printed = [_printed(part.data, system, column) for system in systems]
            name = ', '.join(sorted(measured))
            found.append((column.title, name, note, compared(values, printed)))
    titles = [contents.title(system) for system in systems]
    return _table(choice, kind, number, part, systems, titles, found)


def _table(choice, kind, number, part, systems, titles, found):
    """A table of (title, measured, note, cells) of columns; titles are those of its rows."""
    columns, measured, notes, cells = map(list, zip(*found))
    rows = [(title, [column[index] for column in cells]) for index, title in enumerate(titles)]
    families = set(map(contents.family, systems))
    data_sets = {os.path.basename(choice.data_set(part.data, family)) for family in families}
    data_set = ', '.join(sorted(data_sets))
    return Table(kind, number, part.data, data_set, columns, measured, notes, rows)


def _printed(data, system, column):
    return paper_tables.FIGURES.get((data, system), {}).get(column.printed)


def _column(choice, folder, data, systems, column: Column):
    """(names of results, values by system, whether as in the paper) of the first way in use."""
    for index, way in enumerate(column.choices):
        names, values = set(), []  # type: Tuple[set, List[List[float]]]
        for system in systems:
            metric, suffix = way[contents.family(system)]
            own = []
            for seed in choice.seeds:
                task = choice.metric_name(data, system, seed, metric, column.at)
                for name, value in results(folder, task).items():
                    parts = metric_names.parse(name)
                    if parts.metric + parts.suffix == metric + suffix:
                        names.add(name)
                        own.append(value)
            values.append(own)
        if names:
            return names, values, index == 0
    return set(), [[] for _ in systems], True


def results(folder: str, task: str) -> Dict[str, float]:
    """Figures of a task that has evaluated a network, by name; {} if it is not done."""
    found: Dict[str, float] = {}
    for record in metric_records(folder, task):
        for name, value in record['results'].items():
            found[name] = _number(value)
    return found


def _number(value):
    """The number of a record, which has null for what was not finite."""
    return float(value) if records.is_figure(value) else math.nan


def metric_records(folder: str, task: str) -> List[Dict[str, Any]]:
    """What a task that has evaluated a network has recorded; [] if it is not done."""
    run_dir = work.finished_run(folder, task)
    paths = glob.glob(os.path.join(glob.escape(run_dir), 'metric-*.jsonl')) if run_dir else []
    found = []
    for path in sorted(paths):
        for number, record in records.read_lines(path):
            if not isinstance(record.get('results'), dict):
                raise records.broken_line(path, number, 'it has no results')
            found.append(record)
    return found


def _inversion(choice, folder, part: Part, systems) -> Table:
    """Table 4: FR's systems with a search for t, as in the paper, and with alpha as trained."""
    nothing = [None] * len(contents.INVERSION_COLUMNS)
    rows = []  # title, values of each column, printed
    for system in systems:
        values = _errors(choice, folder, part, system, '')
        printed = paper_tables.INVERSION.get(system, nothing)
        rows.append((contents.title(system), values, printed))
    for system in filter(contents.has_alpha, systems):
        values = _errors(choice, folder, part, system, '-trained-alpha')
        rows.append((contents.title(system) + ', alpha as trained', values, nothing))
    found = []
    for index, (title, group, name) in enumerate(contents.INVERSION_COLUMNS):
        cells = compared([row[1][index] for row in rows], [row[2][index] for row in rows])
        note = "the paper's units are not known"
        found.append((title, '%s in %s' % (name, group), note, cells))
    return _table(choice, 'table', '4', part, systems, [row[0] for row in rows], found)


def _errors(choice, folder, part, system, suffix):
    """Values by column, over seeds."""
    found: List[List[float]] = [[] for _ in contents.INVERSION_COLUMNS]
    for seed in choice.seeds:
        run = choice.run_name(part.data, system, seed)
        summary = projection_summary(folder, 'project-%s%s' % (run, suffix))
        for column, (_, group, name) in zip(found, contents.INVERSION_COLUMNS):
            figures = summary.get(group) or {}
            if name in figures:
                column.append(_number(figures[name]))
    return found


def projection_summary(folder: str, task: str) -> Dict[str, Any]:
    """summary.json of a task that has projected pictures; {} if it is not done."""
    run_dir = work.finished_run(folder, task)
    if run_dir is None:
        return {}
    path = os.path.join(run_dir, 'summary.json')
    with open_regular(path) as file, reading(path, 'a summary of run_projector.py'):
        summary = json.loads(file.read().decode('utf-8'))
    if not isinstance(summary, dict):
        raise UserError('%r is no summary of run_projector.py' % path)
    return summary


def compared(values: Sequence[List[float]], printed: Sequence[Optional[float]]) -> List[Cell]:
    """Cells of a column, by the values of each system and what the paper prints for it.

    Two systems agree if their means stand to each other as the paper's figures do. Pairs without
    one of these, not finite, or equal in the paper, do not count.
    """
    cells = [Cell(list(own), paper) for own, paper in zip(values, printed)]
    return [_compared_with(cell, cells) for cell in cells]


def _compared_with(cell: Cell, others: Sequence[Cell]) -> Cell:
    agreeing = pairs = close = 0
    for other in others:
        mean, paper = other.mean, other.paper
        if cell.mean is None or cell.paper is None or mean is None or paper is None:
            continue
        if paper == cell.paper or not math.isfinite(cell.mean + mean):  # as the cell's own
            continue
        pairs += 1
        agreeing += cell.mean != mean and (cell.mean < mean) == (cell.paper < paper)
        if cell.error is not None and other.error is not None:
            close += abs(cell.mean - mean) < math.hypot(cell.error, other.error)
    return cell._replace(agreeing=agreeing, pairs=pairs, close=close)


def code_of(folder: str, tasks: Sequence[Task]) -> Dict[str, List[str]]:
    """The versions of the code, and the engines, that the figures were found with."""
    found: Dict[str, set] = {name: set() for name in ('version', 'code', 'engine')}
    for task in tasks:
        if task.kind == 'metric':
            for record in metric_records(folder, task.name):
                for name, values in found.items():
                    values.add(str(record.get(name)))
        elif task.kind == 'project':
            summary = projection_summary(folder, task.name)
            found['version'].update([str(summary['version'])] if summary else [])
    return {name: sorted(values) for name, values in found.items()}
