"""What a devel image compiles with, asked of real images."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from time import monotonic, sleep

import pytest

from builder.engine.client import Engine
from builder.errors import UsageError
from builder.image.bases import Choice
from builder.image.toolchain import Toolchain, probe
from builder.process import Runner
from tests.integration.engines import import_shell

_PROBE = """
import sys
from pathlib import Path
from builder.engine.client import Engine
from builder.image.toolchain import probe
from builder.process import Runner
probe(Engine(Runner()), sys.argv[1], Path(sys.argv[2]))
"""


@pytest.fixture
def known(engine: Engine, cpu_bases: Choice, tmp_path: Path) -> tuple[Toolchain, Path]:
    """What the devel image for the CPU has, and the file in which that is kept."""
    toolchain = probe(engine, cpu_bases.bases.devel, tmp_path)
    (kept,) = tmp_path.iterdir()
    return toolchain, kept


def test_an_answer_is_kept(engine: Engine, cpu_bases: Choice, known: tuple[Toolchain, Path]) -> None:
    toolchain, kept = known
    assert toolchain.compiler
    assert toolchain.cuda is None
    facts = json.loads(kept.read_text(encoding="utf-8"))
    kept.write_text(json.dumps({**facts, "cmake": "of the file"}), encoding="utf-8")
    assert probe(engine, cpu_bases.bases.devel, kept.parent).cmake == "of the file"


@pytest.mark.parametrize(
    "text",
    ["", '{"compiler": "c+', "[]", "{}", "\udcff", '{"compiler": 1, "cmake": "3", "cuda": null, "ccache": true}'],
)
def test_an_answer_that_does_not_fit_is_asked_again(
    engine: Engine, cpu_bases: Choice, known: tuple[Toolchain, Path], text: str
) -> None:
    toolchain, kept = known
    good = kept.read_bytes()
    kept.write_bytes(text.encode(errors="surrogateescape"))
    assert probe(engine, cpu_bases.bases.devel, kept.parent) == toolchain
    assert kept.read_bytes() == good
    assert list(kept.parent.iterdir()) == [kept]


def test_nothing_is_left_of_an_interrupted_question(engine: Engine, runner: Runner, tmp_path: Path) -> None:
    reference = f"builder-test/hangs:{uuid.uuid4().hex[:12]}"
    import_shell(runner, engine, tmp_path, reference, {"/usr/bin/bash": "#!/bin/sh\nkill -STOP $$\n"})
    filters = ("--all", "--quiet", "--filter", f"ancestor={reference}")
    kept = tmp_path / "kept"
    kept.mkdir()
    try:
        command = [sys.executable, "-c", _PROBE, reference, str(kept)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            until = monotonic() + 120
            while not engine.ask("ps", *filters).stdout and monotonic() < until:
                sleep(0.1)
            assert engine.ask("ps", *filters).stdout
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
        assert engine.ask("ps", *filters).stdout == ""
        assert list(kept.iterdir()) == []
    finally:
        engine.ask("rm", "--force", *engine.ask("ps", *filters).stdout.split())
        engine.remove_image(reference)


def test_an_image_without_compilers_is_refused(engine: Engine, cpu_bases: Choice, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cmake"):
        probe(engine, cpu_bases.bases.runtime, tmp_path)
