"""What came of a run of the chain, as JSON-ready data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.cli.forms import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.chain.foresight import Foresight
    from builder.chain.report import Report
    from builder.channels.requirements import Lack
    from builder.gates.verdict import Verdict
    from builder.pipeline import Result
    from builder.promoting import Outcome
    from builder.tracking.changes import Changes


def document(report: Report) -> dict[str, object]:
    """A run of the chain."""
    return {
        "schema_version": SCHEMA,
        "exit_code": int(report.exit_code),
        "until": report.until,
        **_built(report.built),
        "news": _news(report.news),
        "verdicts": [_verdict(verdict) for verdict in report.verdicts],
        "known": [
            {"gate": entry.gate, "outcome": entry.outcome, "at": entry.at.isoformat(), "machine": entry.machine}
            for entry in report.before
        ],
        "lacks": _lacks(report.known.lacks),
        "holds": [hold.reason for hold in report.known.holds],
        "promotion": _promotion(report.promotion),
        "refusal": report.refusal.document() if report.refusal else None,
        "stages": {name: round(seconds, 3) for name, seconds in report.seconds},
        "recorded": report.recorded,
    }


def foreseen(ahead: Foresight) -> dict[str, object]:
    """What a run of the chain would do."""
    return {
        "schema_version": SCHEMA,
        "plan": dict(ahead.planned.plan.document()),
        "image": ahead.image.id if ahead.image else None,
        "stages": [{"stage": step.stage, "what": step.what, "why": step.why} for step in ahead.steps],
    }


def _built(result: Result) -> dict[str, object]:
    image, verdict = result.image, result.verdict
    return {
        "image": {
            "id": image.id,
            "references": list(result.references),
            "size": image.size,
            "labels": dict(image.labels),
        },
        "tests": {
            "id": result.tests.image.id if result.tests.image else None,
            "reference": result.tests.reference,
            "programs": list(result.plan.tests) if result.tests.image else [],
            "found": result.tests.found,
            "reason": result.tests.reason,
        },
        "found": result.found,
        "plan": dict(result.plan.document()),
        "verdict": {"gate": verdict.gate, "outcome": verdict.outcome.value, "reasons": list(verdict.reasons)},
        "seconds": round(result.seconds, 3),
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(verdict), "measurements": dict(verdict.measurements)}


def _lacks(lacks: Sequence[Lack]) -> list[dict[str, object]]:
    return [{"gate": lack.requirement.gate, "gpu": lack.requirement.gpu, "why": lack.why} for lack in lacks]


def _news(news: Changes | None) -> dict[str, object] | None:
    if news is None:
        return None
    return {
        "from": news.first.name,
        "to": news.second.name,
        "commits": [
            {"commit": one.commit, "subject": one.subject, "areas": [area.value for area in one.areas]}
            for one in news.commits
        ],
    }


def _promotion(outcome: Outcome | None) -> dict[str, object] | None:
    if outcome is None:
        return None
    adopted = outcome.draft.sites[0].adopted
    return {
        "result": outcome.result,
        "adopted": adopted.subject,
        "before": adopted.names,
        "promotion": outcome.entry.id if outcome.entry else None,
    }
