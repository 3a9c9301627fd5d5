from __future__ import annotations

from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from builder.performance.soak.record import CheckRecord, SoakRecord
from builder.report.soak_terminal import spell_soak
from builder.report.terminal import spell_record
from tests.unit.report_records import record, runs, subject
from tests.unit.report_soaks import series, soak


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=StringIO(), force_terminal=False)
    console.print(what)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_a_comparison_fits_80_columns_and_nothing_of_it_is_cut() -> None:
    text = shown(spell_record(record(runs(8, {"ttft/2k": 0.12, "ttft/10": 0.1}))))
    assert "…" not in text
    assert max(map(cell_len, text.splitlines())) <= 80
    row = next(line for line in text.splitlines() if line.startswith("ttft/10 "))
    assert row.split()[:5] == ["ttft/10", "195", "ms", "214", "ms"]


def test_the_answer_comes_first_then_what_to_do() -> None:
    text = " ".join(shown(spell_record(record(runs(8, {"ttft/2k": 0.12, "ttft/10": 0.1})))).split())
    assert text.startswith("B (b10995) is worse than A (b10991): ")
    assert "Keep A. A b10991, local-ai-llama:b10991" in text


def test_figures_of_a_wild_machine_fit_too() -> None:
    wild = {
        "start/first-request": (0.3, 1),
        "llama-bench/pp512": (500.0, 1),
        "llama-bench/pp4096+tg512@d16384": (9.0, 1),
    }
    text = shown(spell_record(record(runs(3, figures=wild, scatter=1.5))))
    assert max(map(cell_len, text.splitlines())) <= 80
    assert ">999" in text
    assert not any("…" in line for line in text.splitlines() if "pp4096" not in line)


@pytest.mark.parametrize("width", [80, 120])
def test_many_subjects_are_shown_in_as_many_tables_as_they_need(width: int) -> None:
    names = [str(number) for number in range(1, 13)]
    sides = tuple(subject(name, "b1", overrides={"ubatch": str(2 ** int(name))}) for name in names)
    text = shown(spell_record(record(runs(3, subjects=names), subjects=sides), width, ("Take ubatch=64.",)), width)
    assert "…" not in text
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.startswith("Take ubatch=64.")
    assert text.count("\nttft/2k ") == (3 if width == 80 else 2)


def test_what_could_steer_a_terminal_is_not_written() -> None:
    sides = (subject("A", "b1\x1b[2J\n[red]x"), subject("B", "b2"))
    text = shown(spell_record(record(subjects=sides, notes=("\x1b]0;title\x07[bold]not bold",))))
    assert "\x1b" not in text
    assert "[red]x" in text
    assert "[bold]not bold" in text


def test_notes_and_what_was_set_aside_are_told_below() -> None:
    text = shown(spell_record(record(notes=("The client costs too much.",))))
    assert text.rstrip().endswith("Notes  The client costs too much.")


def test_of_many_notes_the_first_are_told() -> None:
    text = shown(spell_record(record(notes=tuple(f"Note {number}." for number in range(20)))))
    assert "Note 5." in text
    assert text.rstrip().endswith("14 more are in the record.")


def failing() -> SoakRecord:
    checks = (
        CheckRecord(name="errors", outcome="fail", detail="3 of 300 requests got no answer."),
        CheckRecord(name="gpu", outcome="could not judge", detail="Another process was on the GPU."),
    )
    return soak(series(errors=3), checks=checks, outcome="fail")


def test_a_soak_fits_80_columns_with_its_checks_and_its_lines() -> None:
    text = shown(spell_soak(failing()))
    assert "…" not in text
    assert max(map(cell_len, text.splitlines())) <= 80
    assert text.startswith("b10995 did not hold the load. 3 of 300 requests got no answer.\nDo not adopt it.")
    assert "gpu     could not judge  Another process was on the GPU." in text
    assert "Time to first token" in text


def test_a_soak_that_was_interrupted_is_not_told_as_held() -> None:
    text = " ".join(shown(spell_soak(soak(ended=None, interrupted="interrupted after 3 min", outcome=None))).split())
    assert text.startswith("b10995 under load: nothing amiss so far. This is not whole: interrupted after 3 min.")


def test_a_soak_of_which_nothing_is_known_is_still_told() -> None:
    from builder.performance.soak.series import Series

    assert shown(spell_soak(soak(Series(), checks=(), outcome=None)))
