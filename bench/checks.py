"""Measure all offline checks on an issue of 40 articles: from a cold start, and in a process that has its templates."""

import datetime as dt
from pathlib import Path

from corpus import LONG_PAST, make_project, mixed_issue, plain_issue
from measure import Report, Target, in_turns, newsletter_command, run_command, time_figure, timed

from newsletter.checker import check_compiled
from newsletter.compiler import compile_issue
from newsletter.config import find_issue
from newsletter.render import Renderer
from newsletter.sources import load_issue

_TODAY = dt.date(2026, 11, 24)
_COLD, _WARM = Target(1.0), Target(0.2)


def measure_checks(folder: Path, quick: bool) -> Report:
    """Check an issue in fresh processes and in this one, beside past issues that its articles are compared with."""
    illustrated, briefs, past, rounds = (1, 3, 2, 2) if quick else (10, 30, 100, 15)
    days = [LONG_PAST + dt.timedelta(weeks=number) for number in range(past)]
    issues = {day.isoformat(): plain_issue(number + 1, day) for number, day in enumerate(days)}
    project = make_project(folder / "checks", issues | {"2026-11-25": mixed_issue(illustrated, briefs)})
    path = find_issue(project, "2026-11-25")
    loaded, renderer = load_issue(project, path), Renderer(project)
    compiled = compile_issue(project, loaded, renderer=renderer)
    count = len(check_compiled(project, loaded, compiled, today=_TODAY).report.checks)
    command = [*newsletter_command(), "check", "2026-11-25"]
    sides = {
        "cold": lambda: run_command(command, project.root),
        "warm": lambda: timed(lambda: check_compiled(project, loaded, compiled, today=_TODAY)),
        "compile": lambda: timed(lambda: compile_issue(project, loaded, renderer=renderer)),
    }
    samples = in_turns(sides, rounds)
    what = f"{illustrated + briefs} articles, {past} past issues"
    cold, warm = "'newsletter check', compiling and all", "all checks of a compiled issue, in a warm process"
    return Report(
        title="Checks",
        figures=(
            time_figure("checks.cold", f"{cold}: {what}", samples["cold"], _COLD),
            time_figure("checks.warm", f"{warm}: {what}", samples["warm"], _WARM),
            time_figure("checks.compile", "and compiling it, in the same process", samples["compile"]),
        ),
        notes=(f"{count} checks ran; those that need the network or a spam filter did not.",),
    )
