"""What the documentation says is what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cli.build.summary import summary
from builder.config import load
from builder.settings import Settings
from docs import generate
from tests.unit.chain_reports import report, result
from tests.unit.command_lines import Line, in_markdown, in_shell, understand

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"(?:^|\n\n)((?: {4}[^\n]*(?:\n|$))+)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def lines() -> Iterator[tuple[str, Line]]:
    for page in PAGES:
        yield from ((page.name, line) for line in dict.fromkeys(in_markdown(page.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(("page", "line"), tuple(lines()), ids=str)
def test_every_command_line_is_one_of_the_program(page: str, line: Line) -> None:
    assert page
    understand(line)


def test_command_lines_are_found_wherever_they_stand() -> None:
    text = """Say `builder status --json`, or `builder judge`.

| to | do |
|---|---|
| judge | `builder judge IMAGE` |

    $ builder patches check --ref b10991
    A=1 sudo .venv/bin/builder prune  # by hand

```sh
git pull && builder plan --cuda > plan.txt
```
"""
    assert sorted(map(str, in_markdown(text))) == [
        "judge",
        "judge IMAGE",
        "patches check --ref b10991",
        "plan --cuda",
        "prune",
        "status --json",
    ]


@pytest.mark.parametrize(
    "wrong", ["judge", "promt", "status --jsn", "build --until done", "bench --rounds", "ledger exprt", "hold add b1"]
)
def test_what_is_no_command_line_is_not_taken_for_one(wrong: str) -> None:
    (line,) = in_shell(f"builder {wrong}")
    with pytest.raises(Exception, match=r"(?i)missing|no such|is not one of|requires"):
        understand(line)


def test_references_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_reference_is_named_with_what_makes_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "docs/command-line.md is not what the program says. Make it anew" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file), target


def _anchors(page: Path) -> set[str]:
    titles = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_can_be_found() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(_LINK.findall(index))
    assert {page.name for page in PAGES[1:] if page.name != "index.md"} <= listed


def settings_shown() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            text = textwrap.dedent(block)
            if re.match(rf"\[({'|'.join(Settings.model_fields)})[].]", text):
                yield page.name, text


@pytest.mark.parametrize(("page", "text"), tuple(settings_shown()), ids=lambda text: text[:20])
def test_settings_that_are_shown_are_taken(page: str, text: str, tmp_path: Path) -> None:
    assert page
    file = tmp_path / "builder.toml"
    file.write_text(text, encoding="utf-8")
    assert set(load(file, environ={}).sources.values()) == {"default", str(file)}


def test_the_page_on_reports_has_every_row_of_the_summary(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"`([a-z]+)`", "".join(re.findall(r"^\|([^|]+)\|", page, re.MULTILINE))))
    built = result(tmp_path / "tree")
    shown = {
        str(title)
        for until in ("built", "promoted")
        for title in summary(report(built, until=until), tmp_path).columns[0].cells
    }
    assert {"image", "adopted", "time"} <= shown
    assert shown - {"", "version"} <= rows
