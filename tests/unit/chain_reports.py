"""Reports of the chain as runs leave them, without a run."""

from __future__ import annotations

from pathlib import Path

from builder import pipeline
from builder.chain.known import Known
from builder.chain.report import Report
from builder.engine.images import Image
from builder.gates.verdict import Outcome, Verdict
from builder.settings import Until
from tests.unit.plan_trees import NEW, plan

TAG = "local-ai-llama:b4242-cuda13.0-1"
ID = f"sha256:{1:064}"
DIGEST = f"sha256:{2:064}"


def verdict(gate: str, outcome: Outcome = Outcome.PASS, reason: str = "All is well.") -> Verdict:
    """One gate's answer on the image."""
    return Verdict(gate, outcome, TAG, ID, (reason,), {"profile": "chat"} if gate == "smoke" else {}, 1.0)


def result(folder: Path) -> pipeline.Result:
    """A build that passed, with its tree in a folder."""
    image = Image(ID, (TAG,), (f"registry.example/ai/llama@{DIGEST}",), 1, {}, (), "", "amd64")
    return pipeline.Result(plan(folder, NEW), image, False, (TAG,), verdict("version"), pipeline.Companion(), 60.0)


def report(built: pipeline.Result, *verdicts: Verdict, until: Until = "judged") -> Report:
    """A run that asked these gates and promoted nothing."""
    return Report(
        until=until,
        built=built,
        adopted=None,
        news=None,
        verdicts=verdicts,
        known=Known(),
        promotion=None,
        refusal=None,
        seconds=(("build", 60.0), ("judge", 1.0)),
        recorded=True,
    )
