"""What a run of the chain came to, for GitHub Actions: outputs of the step, and its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.console import printable, spell_duration
from builder.errors import ExitCode

if TYPE_CHECKING:
    from builder.chain.report import Report
    from builder.console import Reporter

_OUTPUT = "GITHUB_OUTPUT"
_SUMMARY = "GITHUB_STEP_SUMMARY"
_TITLES = 10
"""Commits that are shown by title."""


def tell_github(report: Report, environ: Mapping[str, str], reporter: Reporter) -> None:
    """Add outputs and a summary to the files that a step of GitHub Actions names; elsewhere do nothing.

    A file that cannot be written to is told of, and takes nothing away from the run.
    """
    texts = {_OUTPUT: _assignments(report), _SUMMARY: _markdown(report)}
    for variable, lines in texts.items():
        if not (name := environ.get(variable)):
            continue
        try:
            with Path(name).open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            reporter.warning(f"{variable}: {name} cannot be written to: {error.strerror}.")


def outputs(report: Report) -> dict[str, str]:
    """What later steps go by: `image` (its ID), `digest` (in a registry), `tag`, `exit-code` and `outcome`.

    The outcome is `adopted`, `built`, `judged`, `rejected` by a gate, `not-judged`, `refused` by promotion, or
    `moved-partly`.
    """
    built = report.built
    kept = bool(built.references)
    digests = [name.partition("@")[2] for name in built.image.repo_digests]
    return {
        "image": built.image.id if kept else "",
        "digest": digests[0] if kept and digests else "",
        "tag": built.references[0] if kept else "",
        "exit-code": str(int(report.exit_code)),
        "outcome": _outcome(report),
    }


def _outcome(report: Report) -> str:
    code = report.exit_code
    if report.refusal:
        return "moved-partly" if code is ExitCode.MOVED_PARTLY else "refused"
    if code is ExitCode.UNJUDGED:
        return "not-judged"
    if report.failed or code is ExitCode.VERSION:
        return "rejected"
    return "adopted" if report.promotion else "built" if report.until == "built" else "judged"


def _assignments(report: Report) -> Iterator[str]:
    for name, value in outputs(report).items():
        yield f"{name}={printable(value)}"


def _markdown(report: Report) -> Iterator[str]:
    given = outputs(report)
    yield f"### {_cell(given['tag'] or 'No image')}: {given['outcome']}"
    yield from ("", "| gate | outcome | why |", "|---|---|---|")
    for verdict in report.verdicts or (report.built.verdict,):
        profile = verdict.measurements.get("profile")
        name = f"{verdict.gate} ({profile})" if profile else verdict.gate
        reason = "" if verdict.outcome.value == "pass" else verdict.reasons[0]
        yield f"| {_cell(name)} | {verdict.outcome.value} | {_cell(reason)} |"
    yield ""
    if report.refusal:
        yield from (f"**{_cell(report.refusal.cause)}** {_cell(report.refusal.remedy)}", "")
    yield from (f"- lacks: {_cell(lack.why)}" for lack in report.known.lacks)
    for commit in report.news.commits[:_TITLES] if report.news else ():
        yield f"- upstream: {_cell(commit.subject)}"
    yield ""
    yield ", ".join(f"{name} {spell_duration(seconds)}" for name, seconds in report.seconds)
    yield ""


def _cell(text: str) -> str:
    """Foreign text that neither ends a cell nor marks anything up."""
    plain = " ".join(printable(text).split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#!~@" else letter for letter in plain)
