"""Verdicts as JSON and on a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from builder.cli.verdicts import document, spell_verdict
from builder.engine.gpu import Gpu
from builder.engine.machine_facts import MachineFacts, parse_processor
from builder.errors import ExitCode
from builder.gates.verdict import Verdict, failed, passed, verdict_of

DATA = Path(__file__).parent / "data" / "engine"
GPU = Gpu(
    3, "NVIDIA H100 80GB HBM3", "GPU-11111111-2222-3333", 81559 << 20, "9.0", "580.65.06", 700.0, 650.0, 700.0, True
)
MACHINE = MachineFacts("Xeon", 2, 1 << 34, "Debian", "6.1", "28.2.2", containerd_store=False, gpus=(GPU,))


@pytest.fixture
def verdict() -> Verdict:
    checks = (passed("start", "It starts."), failed("log", "One line.", ("E: it went wrong",)))
    made = verdict_of(
        "smoke", "image:1", "sha256:1", checks, measurements={"profile": "chat"}, seconds=1.5, logs=("/l",)
    )
    return Verdict(**{**vars(made), "machine": MACHINE, "reasons": (*made.reasons, "It failed twice.")})


def test_a_document_says_what_was_judged_and_where(verdict: Verdict) -> None:
    whole = json.loads(json.dumps(document([verdict], ExitCode.SMOKE, recorded=True)))
    assert whole.keys() == {"schema_version", "exit_code", "recorded", "verdicts"}
    assert (whole["schema_version"], whole["exit_code"], whole["recorded"]) == (1, 12, True)
    (one,) = whole["verdicts"]
    fields = {"gate", "outcome", "subject", "digest", "reasons", "measurements", "seconds", "checks", "logs"}
    assert one.keys() == fields | {"manifest", "repository_digests", "machine"}
    assert (one["outcome"], one["logs"], one["measurements"]) == ("fail", ["/l"], {"profile": "chat"})
    assert one["checks"][1] == {
        "name": "log",
        "outcome": "fail",
        "detail": "One line.",
        "excerpt": ["E: it went wrong"],
    }
    (gpu,) = one["machine"]["gpus"]
    assert (gpu["index"], gpu["uuid"], gpu["driver"]) == (3, GPU.uuid, GPU.driver)
    assert (gpu["power_limit"], gpu["power_limit_enforced"], gpu["persistence"]) == (700, 650, True)


def test_a_terminal_of_80_columns_shows_it(verdict: Verdict) -> None:
    screen = io.StringIO()
    Console(file=screen, width=80).print(spell_verdict(verdict))
    title, gpu, *rest = (line.rstrip() for line in screen.getvalue().splitlines())
    assert title == "smoke (chat) on GPU 3: fail, 1.5 s"
    assert gpu == "NVIDIA H100 80GB HBM3 (GPU-11111111), 85.52 GB, driver 580.65.06, at most 700 W"
    assert [" ".join(line.split()) for line in rest] == [
        "start pass It starts.",
        "log fail One line.",
        "| E: it went wrong",
        "It failed twice.",
    ]


def test_the_processor_is_the_first_that_is_named() -> None:
    assert parse_processor("processor\t: 0\nmodel name\t: AMD EPYC 9124\n\nmodel name : other\n") == "AMD EPYC 9124"
    assert parse_processor("processor : 0\nBogoMIPS : 50.00\n") == ""
