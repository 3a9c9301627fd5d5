"""What a run of the chain leaves for GitHub Actions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder import pipeline
from builder.chain.report import Report
from builder.cli.build.github import outputs, tell_github
from builder.console import Reporter
from builder.errors import MovedPartly, NothingMoved
from builder.gates.verdict import Outcome
from tests.unit.chain_reports import DIGEST, ID, TAG, report, result, verdict


@pytest.fixture
def built(tmp_path: Path) -> pipeline.Result:
    return result(tmp_path / "tree")


def tell(told: Report, folder: Path) -> tuple[dict[str, str], str]:
    files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("before\n")
    tell_github(told, {name: str(file) for name, file in files.items()}, Reporter())
    before, *lines = files["GITHUB_OUTPUT"].read_text().splitlines()
    assert before == "before"
    summary = files["GITHUB_STEP_SUMMARY"].read_text()
    assert summary.startswith("before\n")
    return dict(line.split("=", 1) for line in lines), summary


def test_what_was_judged_is_given_to_later_steps(built: pipeline.Result, tmp_path: Path) -> None:
    given, summary = tell(report(built, verdict("structure"), verdict("smoke")), tmp_path)
    assert given == {"image": ID, "digest": DIGEST, "tag": TAG, "exit-code": "0", "outcome": "judged"}
    assert f"### {TAG}: judged" in summary
    assert "| smoke (chat) | pass |  |" in summary
    assert "build 1 min 00 s, judge 1.0 s" in summary


@pytest.mark.parametrize(
    ("outcome", "code", "named"), [(Outcome.FAIL, "12", "rejected"), (Outcome.UNJUDGED, "20", "not-judged")]
)
def test_what_did_not_pass_says_why(
    built: pipeline.Result, tmp_path: Path, outcome: Outcome, code: str, named: str
) -> None:
    given, summary = tell(report(built, verdict("smoke", outcome, "It fell back to the CPU.")), tmp_path)
    assert (given["exit-code"], given["outcome"]) == (code, named)
    assert f"| smoke (chat) | {outcome.value} | It fell back to the CPU. |" in summary


def test_an_image_that_is_not_kept_is_not_given(built: pipeline.Result) -> None:
    failed = replace(built, references=(), verdict=verdict("version", Outcome.FAIL, "It prints another build."))
    given = outputs(report(failed))
    assert (given["image"], given["digest"], given["tag"]) == ("", "", "")
    assert (given["exit-code"], given["outcome"]) == ("10", "rejected")


def test_how_far_it_went_is_told(built: pipeline.Result) -> None:
    assert outputs(report(built, until="built"))["outcome"] == "built"
    refused = replace(report(built, until="promoted"), refusal=NothingMoved("It is held.", "Lift the hold."))
    assert (outputs(refused)["outcome"], outputs(refused)["exit-code"]) == ("refused", "21")
    partly = replace(refused, refusal=MovedPartly("The registry is down.", "Run it again."))
    assert (outputs(partly)["outcome"], outputs(partly)["exit-code"]) == ("moved-partly", "22")


def test_foreign_text_adds_no_output_and_no_markup(built: pipeline.Result, tmp_path: Path) -> None:
    evil = "no\nexit-code=0\n| a | <b> `c`"
    told = report(replace(built, references=("name:tag\nimage=other",)), verdict("smoke", Outcome.FAIL, evil))
    given, summary = tell(told, tmp_path)
    assert given["image"] == ID
    assert given["exit-code"] == "12"
    assert r"no exit-code=0 \| a \| \<b\> \`c\`" in summary


def test_elsewhere_nothing_is_written(built: pipeline.Result, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    tell_github(report(built), {"GITHUB_OUTPUT": "", "HOME": str(folder)}, Reporter())
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_written_to_is_told_of(
    built: pipeline.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere" / "output"
    tell_github(report(built), {"GITHUB_OUTPUT": str(missing)}, Reporter())
    assert f"GITHUB_OUTPUT: {missing} cannot be written to" in capsys.readouterr().err
