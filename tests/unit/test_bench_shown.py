from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from builder.channels.ledger.ledger import open_ledger
from builder.cli.app import main
from builder.errors import ExitCode
from builder.paths import Paths
from builder.performance.archive import Archive
from tests.unit.ledger_entries import after, promotion
from tests.unit.report_records import STARTED, record, runs, subject


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Folders of a person who has measured twice."""
    monkeypatch.setenv("BUILDER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    paths = Paths.default()
    for days in (0, 1):
        Archive(paths.benches).write(record(started=STARTED + timedelta(days=days)))
    return paths


def adopt(ledger: Path, image: str) -> None:
    """Move the adopted tag to an image, to the end."""
    with open_ledger(ledger) as opened:
        planned = promotion(opened.id, repository="local-ai-llama")
        moved = replace(planned, after=image, steps=planned.steps[:1])
        opened.promotions.plan(moved)
        opened.promotions.mark(moved.id, 0, "begun", after(1))
        opened.promotions.mark(moved.id, 0, "done", after(2))
        opened.promotions.end(moved.id, "done", after(3))


def page(folder: Path) -> str:
    file = folder / "page.html"
    assert main(["bench", "show", "--html", str(file)]) == ExitCode.DONE
    return file.read_text()


def test_the_page_marks_the_builds_that_the_ledger_says_were_adopted(paths: Paths, tmp_path: Path) -> None:
    without = page(tmp_path)
    assert "Builds so far" in without
    assert 'class="adopted"' not in without
    assert not paths.ledger.exists(), "looking at a record makes no ledger"
    adopt(paths.ledger, record().subjects[1].image)
    text = page(tmp_path)
    assert 'class="adopted"' in text
    assert "Adopted: b10995." in text


def test_a_history_has_a_table_for_each_model_and_amount_of_work(
    paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    side = subject("A", "b10999")
    other = side.model_copy(
        update={"model": side.model.model_copy(update={"name": "other.gguf", "digest": "sha256:2"})}
    )
    alone = record([run for run in runs(2) if run.subject == "A"], subjects=(other,), started=STARTED)
    Archive(paths.benches).write(alone)
    assert main(["bench", "list", "--figure", "ttft/2k"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    tables = shown.split("\n\n")
    assert len(tables) == 2
    assert ["b10999" in table for table in tables] == ["other.gguf" in table for table in tables]
    assert sum("b10995" in table for table in tables) == 1
    assert "context 32768" in shown


def test_a_base_line_that_is_none_yet_is_listed_so(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    taken = [run for run in runs(2) if run.subject == "A"]
    Archive(paths.benches).write(record(taken, unsettled="A base line takes 3 rounds, and 2 count."))
    assert main(["bench", "list"]) == ExitCode.DONE
    assert "not often enough" in " ".join(capsys.readouterr().out.split())


def test_a_ledger_that_cannot_be_read_takes_nothing_from_the_page(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.ledger.write_bytes(b"This is no ledger at all. " * 100)
    assert "Builds so far" in page(tmp_path)
    assert "The page does not mark what was adopted." in " ".join(capsys.readouterr().err.split())
