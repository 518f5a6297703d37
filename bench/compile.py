"""Measure how long a warm process takes to compile an issue of 25 illustrated articles, beside npm mjml and juice.

The peers are given finished MJML with its content filled in; they compile it and inline the same style sheet, without
any check. Ours is measured twice: from the same MJML on, with all our checks (the ratios that have a target), and the
whole way, from reading the file to the frozen edition with both parts. All sides run in turns.
"""

import html
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from unittest.mock import patch

from corpus import illustrated_issue, make_project
from measure import Figure, Report, Sample, Samples, Target, in_turns, ratio_figure, time_figure, timed, user_clock
from npm import SIDES, NodePeer, Peers, install_peers

import newsletter.compiler
import newsletter.plaintext
from newsletter.compiler import compile_issue
from newsletter.config import Project
from newsletter.inliner import inliner_named
from newsletter.render import Renderer
from newsletter.sources import load_images, load_issue

Clock = Callable[[], float]
SLUG = "2026-11-25"
_FROM_MJML = ("check", "mjml", "content", "inline", "finish")
"""Our stages from the MJML that the peers are given to the HTML part of the edition."""
_TARGETS = {"premailer": Target(3, at_least=True), "css-inline": Target(5, at_least=True)}
_STAGES = {
    "read": "file, front matter, Markdown, nh3",
    "images": "pictures: read, measured, hashed",
    "templates": "Jinja",
    "check": "MJML validated with lxml",
    "mjml": "MJML to HTML, with mjml-python",
    "content": "content put in for its tokens",
    "inline": "CSS inlined",
    "finish": "invariants, slots",
    "text": "plain text",
    "freeze": "edition digest, and the rest",
}


class Pipeline:
    """Compile one issue again and again with one kept Renderer, as a process that stays alive does."""

    def __init__(self, project: Project, inliner: Literal["premailer", "css-inline"]) -> None:
        self._project = project
        self._path = project.issues_dir / f"{SLUG}.md"
        self._renderer = Renderer(project, inliner_named(inliner))
        self.stages: dict[str, list[Sample]] = defaultdict(list)
        """What each stage took, run by run; the first runs warm up."""

    def run(self) -> Sample:
        """Compile twice, from the file to the edition: by the wall clock, which counts, and by that of the CPU."""
        wall, user = dict[str, float](), dict[str, float]()
        sample = self._measured(wall, time.perf_counter)
        self._measured(user, user_clock)
        wall["freeze"] = sample.wall_s - sum(wall.values())
        for name, seconds in wall.items():
            # The renderer takes the time of its start by the wall clock, whatever clock it is given.
            self.stages[name].append(Sample(seconds, None if name == "templates" else user.get(name)))
        return sample

    def part(self, stages: Collection[str], rounds: int) -> Samples:
        """Return what ``stages`` took together in each of the last ``rounds`` runs."""
        runs = zip(*(self.stages[stage][-rounds:] for stage in stages), strict=True)
        return Samples(tuple(_sum(run) for run in runs))

    def _measured(self, seconds: dict[str, float], clock: Clock) -> Sample:
        """Compile once and measure it, with the seconds of each stage by ``clock``."""

        def compile_it() -> None:
            started = clock()
            loaded = load_issue(self._project, self._path)
            seconds["read"] = clock() - started
            seconds.update(compile_issue(self._project, loaded, renderer=self._renderer).timings)

        with ExitStack() as stack:
            replaced = {
                "render_text": _watched(newsletter.plaintext.render_text, "text", seconds, clock),
                "load_images": _watched(load_images, "images", seconds, clock),
            }
            for name, function in replaced.items():
                stack.enter_context(patch.object(newsletter.compiler, name, function))
            stack.enter_context(patch("newsletter.render.time", SimpleNamespace(perf_counter=clock)))
            return timed(compile_it)


def _watched(function: Callable[..., Any], stage: str, seconds: dict[str, float], clock: Clock) -> Callable[..., Any]:
    def watched(*arguments: Any, **named: Any) -> Any:
        started = clock()
        result = function(*arguments, **named)
        seconds[stage] = clock() - started
        return result

    return watched


def _sum(runs: Sequence[Sample]) -> Sample:
    user = [run.user_s for run in runs if run.user_s is not None]
    return Sample(sum(run.wall_s for run in runs), sum(user) if len(user) == len(runs) else None)


def measure_compile(folder: Path, quick: bool, npm_folder: Path | None) -> Report:
    """Compile the issue in turns with each inliner and each peer; return stages, times and ratios."""
    project = make_project(folder / "project", {SLUG: illustrated_issue(5 if quick else 25)})
    pipelines: dict[str, Pipeline] = {name: Pipeline(project, name) for name in inliners()}
    peers = Peers(folder, {}, "left out by --quick") if quick and not npm_folder else None
    peers = peers or install_peers(npm_folder or folder / "npm")
    rounds, warm_up = (2, 1) if quick else (60, 40)
    mjml, css = folder / "filled.mjml", folder / "inline.css"
    _write_filled(project, mjml, css)
    with ExitStack() as stack:
        nodes = {
            peers.name(side): stack.enter_context(NodePeer(peers, side, mjml, css))
            for side in SIDES
            if not peers.missing
        }
        sides: dict[str, Callable[[], Sample]] = {name: pipeline.run for name, pipeline in pipelines.items()}
        sides |= {name: node.run for name, node in nodes.items()}
        samples = in_turns(sides, rounds, warm_up)
        notes = [_comparison(name, node, project) for name, node in nodes.items()]
    if peers.missing:
        notes.append(f"The peers are missing ({peers.missing}): no ratio was measured.")
    if "css-inline" not in pipelines:
        notes.append("css-inline is not installed: it was not measured.")
    figures = [*_ratios(samples, pipelines), *_times(samples, pipelines), *_stages(pipelines, rounds)]
    return Report(title="Compiling", figures=tuple(figures), notes=tuple(notes), peers=peers.versions)


def inliners() -> tuple[Literal["premailer", "css-inline"], ...]:
    """Return the inliners that are installed."""
    try:
        import css_inline  # noqa: F401
    except ImportError:
        return ("premailer",)
    return "premailer", "css-inline"


def _times(samples: Mapping[str, Samples], ours: Collection[str]) -> Iterator[Figure]:
    for name, side in samples.items():
        text = f"the whole pipeline, from file to edition, {name}" if name in ours else f"{name}: MJML to HTML"
        yield time_figure(f"compile.{name}", text, side)


def _ratios(samples: Mapping[str, Samples], pipelines: Mapping[str, Pipeline]) -> Iterator[Figure]:
    """Yield how many times longer each peer takes: than we from the same MJML on, and than our whole pipeline."""
    for name, pipeline in pipelines.items():
        part = pipeline.part(_FROM_MJML, len(samples[name].runs))
        yield time_figure(f"compile.from-mjml.{name}", f"ours, from MJML to the HTML part, {name}", part)
        for peer in [side for side in samples if side not in pipelines]:
            target = _TARGETS[name]
            yield ratio_figure(
                f"compile.ratio.{name}.{peer}", f"{peer}: over ours from MJML, {name}", samples[peer], part, target
            )
            whole = samples[name]
            yield ratio_figure(
                f"compile.whole.{name}.{peer}", f"{peer}: over our whole pipeline, {name}", samples[peer], whole
            )


def _stages(pipelines: Mapping[str, Pipeline], rounds: int) -> Iterator[Figure]:
    for name, pipeline in pipelines.items():
        for stage, words in _STAGES.items():
            if name == "premailer" or stage == "inline":
                text = f"stage {stage}: {words}" + (f", {name}" if stage == "inline" else "")
                yield time_figure(f"compile.stage.{name}.{stage}", text, pipeline.part((stage,), rounds))


# ---------------------------------------------------------------------------------------------------------------------
# The peers' input
# ---------------------------------------------------------------------------------------------------------------------


_HEAD_END = "</head>"
_SLOT = re.compile(r"\bn[0-9a-f]{20}s[0-9]+x")
_INVISIBLE = re.compile(
    r"""<!--.*?-->|<(head|style|script)\b.*?</\1\s*>|<!?/?[a-z](?:[^<>"']++|"[^"]*+"|'[^']*+')*+>""",
    re.DOTALL | re.IGNORECASE,
)


class _FilledError(Exception):
    """Carry filled MJML and the style sheet out of a rendering."""


def _write_filled(project: Project, mjml: Path, css: Path) -> None:
    """Write the MJML that ``build --keep-mjml`` keeps, with the content in place of its tokens, and its style sheet.

    The renderer fills tokens in HTML, below its head; so for once, the MJML passes for the body of HTML.
    """

    def stop(_inliner: object, filled: str, sheet: str) -> str:
        raise _FilledError(filled, sheet)

    with (
        patch("newsletter.render.compile_mjml", lambda source: _HEAD_END + source),
        patch("newsletter.render.inline_css", stop),
    ):
        try:
            compile_issue(project, load_issue(project, project.issues_dir / f"{SLUG}.md"))
        except _FilledError as filled:
            mjml.write_text(filled.args[0].removeprefix(_HEAD_END), encoding="utf-8")
            css.write_text(filled.args[1], encoding="utf-8")


def _comparison(name: str, node: NodePeer, project: Project) -> str:
    """Say how the peer's HTML compares with ours; stop where it does not show the same words."""
    answer = node.ask("html")
    ours = compile_issue(project, load_issue(project, project.issues_dir / f"{SLUG}.md")).edition.html
    shown = "".join(piece if isinstance(piece, str) else "SLOT" for piece in ours)
    words, theirs = (Counter(_visible_words(_SLOT.sub("SLOT", text))) for text in (shown, answer["html"]))
    if answer["errors"] or words != theirs:
        raise SystemExit(f"{name} does not make the same mail: {answer['errors'] or (words - theirs, theirs - words)}")
    size = len(shown.encode())
    return f"{name} shows the same words; its HTML has {answer['bytes']:,} bytes, ours {size:,}."


def _visible_words(text: str) -> list[str]:
    """Return the words that an HTML document shows; comments, tags and the head hold none."""
    return html.unescape(_INVISIBLE.sub(" ", text)).split()
