"""Verdicts as a person reads them, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from builder.engine.gpu import Gpu
    from builder.errors import ExitCode
    from builder.gates.verdict import Outcome, Verdict

SCHEMA = 1
"""Version of the document; a field that is new does not change it, one that is gone or means something else does."""
_UUID_START = 12


def document(verdicts: Sequence[Verdict], code: ExitCode, *, recorded: bool) -> dict[str, object]:
    """Verdicts as JSON-ready data; each stands alone, with what was judged and where.

    Args:
        recorded: whether the ledger has all of them.
    """
    made = [{**asdict(verdict), "measurements": dict(verdict.measurements)} for verdict in verdicts]
    return {"schema_version": SCHEMA, "exit_code": int(code), "recorded": recorded, "verdicts": made}


def spell_verdict(verdict: Verdict) -> Group:
    """What a gate says, the GPU that it was asked on, what it looked at, and lines that show what is wrong."""
    from rich.console import Group
    from rich.text import Text

    gpu = next(iter(verdict.machine.gpus), None) if verdict.machine else None
    title = Text(headline(verdict), style=_style(verdict.outcome))
    below = [Text(_spell_gpu(gpu), style="dim")] if gpu else []
    return Group(title, *below, _table(verdict))


def headline(verdict: Verdict) -> str:
    """A gate's answer in one line: `smoke (chat) on GPU 0: pass, 13 s`."""
    from builder.console import spell_duration

    gpu = next(iter(verdict.machine.gpus), None) if verdict.machine else None
    profile = verdict.measurements.get("profile")
    name = f"{verdict.gate} ({profile})" if profile else verdict.gate
    where = f" on GPU {gpu.index}" if gpu else ""
    return f"{name}{where}: {verdict.outcome.value}, {spell_duration(verdict.seconds)}"


def _spell_gpu(gpu: Gpu) -> str:
    from builder.console import spell_size

    memory = [spell_size(gpu.memory)] if gpu.memory else []
    limit = [f"at most {gpu.power_limit:.0f} W"] if gpu.power_limit else []
    return ", ".join((f"{gpu.name} ({gpu.uuid[:_UUID_START]})", *memory, f"driver {gpu.driver}", *limit))


def _table(verdict: Verdict) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    if not verdict.checks:
        table.add_row("", "", Text(" ".join(verdict.reasons)))
    for check in verdict.checks:
        lines = (check.detail, *(f"| {line}" for line in check.excerpt if check.outcome.value != "pass"))
        table.add_row(Text(check.name), Text(check.outcome.value, style=_style(check.outcome)), Text("\n".join(lines)))
    for reason in _further(verdict):
        table.add_row("", "", Text(reason))
    return table


def _further(verdict: Verdict) -> Iterator[str]:
    """What is to be said beside the checks, such as what came of trying again."""
    said = {check.detail for check in verdict.checks}
    if said and verdict.outcome.value != "pass":
        yield from (reason for reason in verdict.reasons if reason not in said)


def _style(outcome: Outcome) -> str:
    return {"pass": "green", "fail": "bold red"}.get(outcome.value, "yellow")
