#!/usr/bin/env python3
"""Reproduce the paper: `python run_paper.py --scale=demo` (see --help)."""

import argparse
import contextlib
import os
import re
import sys
from typing import List, Optional

from dnnlib import cli, flags
from dnnlib.cli import number, parse_name_list
from dnnlib.flags import flag
from dnnlib.util import UserError
from paper import begin, contents, metrics_at_hand, plan, report, scales, work
from training import configs

_PAPER = 'paper'  # what stands for the paper's systems in --systems


def _names(table):
    """Flag type: some of the names of tables or figures."""

    def parse(text):
        names = parse_name_list(text)
        unknown = [name for name in names if name not in table]
        if unknown:
            known = ','.join(table)
            raise argparse.ArgumentTypeError('%r is none of %s' % (unknown[0], known))
        return [name for name in table if name in names]

    parse.__name__ = 'parse_name_list'
    return parse


def _seeds(text):
    """Flag type: '3' for the seeds 1, 2 and 3; or a list such as '4-6'."""
    seeds = cli.parse_int_list(text)
    if text.strip().isdecimal():
        if not 1 <= seeds[0] <= 1000:
            raise argparse.ArgumentTypeError('is %s; it must be at least 1 and at most 1000' % text)
        return list(range(1, seeds[0] + 1))
    return sorted(set(seeds))


def _systems(text):
    """Flag type: configurations, and 'paper' for those of the paper."""
    names = []
    for name in parse_name_list(text):
        if name == _PAPER:
            names += list(contents.TITLES)
        elif name in configs.CONFIGS and name not in configs.AUTOMATIC:
            names.append(name)
        else:
            known = ', '.join([_PAPER] + list(configs.CONFIGS))
            raise argparse.ArgumentTypeError('%r is none of %s' % (name, known))
    return list(dict.fromkeys(names))


def _shard(text):
    """Flag type: I/N, the I-th of N."""
    match = re.match(r'(\d{1,6})/(\d{1,6})$', text)
    if not (match and 1 <= int(match.group(1)) <= int(match.group(2))):
        raise argparse.ArgumentTypeError('%r is not like 1/4, the first of four' % text)
    return int(match.group(1)), int(match.group(2))


_FLAGS = (
    flags.group(
        'what to reproduce',
        flag('--scale', list(scales.SCALES), 'how much is done, see below', 'demo'),
        flag(
            '--tables',
            _names(contents.TABLES),
            'tables, comma-separated (default: 1,2,4,5, or none if there are --figures); forms '
            'compares forms of noise half way and at the end',
        ),
        flag(
            '--figures',
            _names(contents.FIGURES),
            'figures, comma-separated (default: 1,3,4,5,9, or none if there are --tables)',
        ),
        flag('--seeds', _seeds, 'number of trainings, or seeds: 4-6', '3', metavar='LIST'),
        flag(
            '--systems',
            _systems,
            "some of the paper's systems, others of run_training.py --config, which get lines of "
            'their own, and paper for all of the paper (default: paper)',
            metavar='LIST',
        ),
        flag('--total-kimg', number(int, 1, 10**9), 'thousands of images (default: by --scale)'),
    )
    + flags.group(
        'data',
        flag('--dataset', 'NAME', 'data set in --data-dir, for --scale=small'),
        flag('--data-dir', 'DIR', 'folder of data sets', 'datasets'),
        flag(
            '--pictures',
            'DIR',
            'images to project for table 4, in folders regular and hard (default: of the data set, '
            'and crops of photographs)',
        ),
    )
    + flags.group(
        'work',
        flag('--num-gpus', number(int, 1, 64), 'devices of a run (default: by --scale)'),
        flag(
            '--shard',
            _shard,
            'begin with the I-th of N parts of the work; processes with one --result-dir share it',
            metavar='I/N',
        ),
        flag('--dry-run', bool, 'print what there is to do, with estimated hours and disk'),
        flag('--report', bool, 'only write the report of what is done'),
    )
    + flags.group('output', flag('--result-dir', 'DIR', 'folder of it all', 'results/paper'))
)

_EXAMPLES = [
    ('Tables and figures of small networks, on a CPU:', '--scale=demo'),
    ('What that is, and how long it takes:', '--scale=demo --dry-run'),
    ('One table, and a system of yours in it:', '--tables=2 --systems=paper,config-e-fr-noise'),
]


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    more = flags.table('scales', {name: each.summary for name, each in scales.SCALES.items()})
    description = 'Reproduce tables and figures of "On Noise Injection in GANs".'
    args = flags.parse('run_paper.py', description, _FLAGS, argv, _EXAMPLES, more)
    if args.tables is None and args.figures is None:
        args.tables, args.figures = list(contents.PAPER_TABLES), list(contents.FIGURES)
    args.tables, args.figures = args.tables or [], args.figures or []
    if isinstance(args.seeds, str):
        args.seeds = _seeds(args.seeds)
    return args


def choice_of(args: argparse.Namespace) -> plan.Choice:
    """What is to be reproduced, by flags.

    Raises:
        UserError: nothing, or what flags contradict.
    """
    scale = scales.SCALES[args.scale]
    if args.dataset is not None and args.scale != 'small':
        raise UserError('--dataset is for --scale=small; it is given with --scale=%s' % args.scale)
    if args.dataset is None and args.scale == 'small':
        raise UserError('--scale=small trains on a data set of yours; name it by --dataset')
    folder = os.path.abspath(os.path.expanduser(args.result_dir))
    choice = plan.Choice(
        scale,
        args.tables,
        args.figures,
        args.seeds,
        args.systems,
        args.dataset,
        args.total_kimg or scale.kimg,
        args.num_gpus or scale.num_gpus,
        args.data_dir,
        os.path.abspath(os.path.expanduser(args.pictures or os.path.join(folder, 'pictures'))),
        os.path.join(folder, 'hard-cases.txt'),
    )
    if ',' in folder:
        raise UserError('--result-dir %r has a comma, which divides lists of networks' % folder)
    if not choice.parts():
        raise UserError(
            'there is nothing to do: --scale=%s has none of --tables, --figures and --systems; '
            'choose others' % args.scale
        )
    return choice


def print_plan(tasks: List[plan.Task], not_done: List[plan.Task], costs: scales.Costs) -> None:
    """Print a line for each task, and sums."""
    names = {task.name for task in not_done}
    width = max(len(task.name) for task in tasks)
    for task in tasks:
        state = '' if task.name in names else '  done'
        print('%-*s %8.2f h %9.1f MB%s' % (width, task.name, task.hours, task.megabytes, state))
    for title, some in [('all', tasks), ('not done', not_done)]:
        print('\n%s:' % title)
        for kind, (count, hours, size) in plan.totals(some).items():
            print('  %-8s %5d tasks %9.1f h %9.2f GB' % (kind, count, hours, size))
    print('\nHours and disk are estimates, for %s.' % costs.machine)


def main(argv: Optional[List[str]] = None) -> int:
    """Parse, check, do what is not done, and report; returns the exit status."""
    args = parse_args(argv)
    choice = choice_of(args)
    folder = os.path.abspath(os.path.expanduser(args.result_dir))
    tasks = plan.Planner(choice, metrics_at_hand.is_at_hand).tasks()
    begin.check_same_settings(folder, args.scale, choice)
    if args.dry_run:
        not_done = [t for t in tasks if work.finished_run(folder, t.name) is None]
        print_plan(tasks, not_done, choice.scale.costs)
        return 0
    if args.report:
        if not os.path.isdir(folder):
            raise UserError('--report: there is no folder %r; choose another --result-dir' % folder)
        print('Wrote "%s".' % report.write(choice, args.scale, tasks, folder))
        return 0
    begin.prepare(folder, args.scale, choice, tasks)
    doing = work.Work(folder, tasks, args.shard or (1, 1))
    try:
        doing.do_all()
    finally:
        with contextlib.suppress(BrokenPipeError):
            print('Wrote "%s".' % report.write(choice, args.scale, tasks, folder))
    for name, reason in doing.failed.items():
        print('Failed: %s: %s (%s)' % (name, reason, doing.log(name)), file=sys.stderr)
    left = [task for task in doing.not_done() if task.name not in doing.failed]
    if left:
        text = '%d of %d tasks are not done: others do them, or they need what failed.'
        print(text % (len(left), len(tasks)))
    return cli.EXIT_USER_ERROR if doing.failed else 0


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
