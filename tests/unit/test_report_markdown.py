from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from builder.performance.soak.record import CheckRecord
from builder.report.markdown import code, escape, markdown, soak_markdown
from tests.unit.report_records import record, runs, subject
from tests.unit.report_soaks import soak

_NASTY = "x | <img src=x onerror=1> @someone #12 `y` [a](javascript:1) ![i](https://evil.example/i.png)\n# z"


def html(text: str) -> str:
    rendered: str = MarkdownIt("commonmark").enable("table").render(text)
    return rendered


def test_the_answer_is_the_heading_and_the_figures_that_decide_are_seen() -> None:
    text = markdown(record(runs(8, {"ttft/2k": 0.12, "ttft/10": 0.1})))
    assert text.startswith("### ❌ B (b10995) is worse than A (b10991): ")
    head, _, folded = text.partition("<details>")
    assert "`llama-bench/pp512`" in head
    assert "`memory/gpu`" in folded
    assert folded.count("</details>") == text.count("<details>")


def test_every_row_has_as_many_cells_as_its_table() -> None:
    rendered = html(markdown(record(subjects=(subject("A", _NASTY), subject("B", "b2", reference="a|b\\|c")))))
    for table in re.findall(r"<table>.*?</table>", rendered, re.DOTALL):
        counts = {len(re.findall("<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
        assert len(counts) == 1


def test_a_sweep_has_a_column_for_each_change() -> None:
    names = ("1", "2", "3")
    sides = tuple(subject(name, "b1", overrides={"ubatch": name}) for name in names)
    text = markdown(record(runs(3, subjects=names), subjects=sides), ("Take ubatch=2.",))
    assert text.startswith("### 📏 Take ubatch=2.")
    assert "| figure | 1 | 2 | 3 | 2 to 1 | 3 to 1 |" in text


def test_foreign_words_call_nobody_and_link_nowhere() -> None:
    sides = (subject("A", _NASTY, reference=_NASTY), subject("B", "b2"))
    text = markdown(record(subjects=sides, notes=(_NASTY,), interrupted=_NASTY))
    rendered = html(text)
    assert not re.findall(r"<(?!/?(?:p|h3|table|thead|tbody|tr|t[hd]|code|details|summary|ul|li|hr)\b)[^>]*>", rendered)
    outside = re.sub(r"<code>.*?</code>", "", rendered, flags=re.DOTALL)
    assert not re.search(r"[@#][\w]", outside)
    assert not re.search(r"://\w", outside)
    assert "evil.example" in rendered


@given(st.text())
@example("`")
@example("\\|")
@example("``a`")
@example(" ")
def test_escaped_text_is_itself_when_rendered(text: str) -> None:
    told = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    rendered = html(f"| a |\n| --- |\n| x{escape(text)}x{code(text)} |")
    inner = re.search(r"<td>x(.*)x(?:<code>)?", rendered)
    assert inner
    assert rendered.count("<td") == 1
    assert not re.findall(r"<(?!/?(?:table|thead|tbody|tr|t[hd]|code)\b)[^>]*>", rendered)
    assert len(told) <= len(rendered)


def test_a_soak_is_told_with_its_checks() -> None:
    checks = (CheckRecord(name="errors", outcome="fail", detail="3 | 4 <b>", excerpt=("curl: `x`",)),)
    text = soak_markdown(soak(checks=checks, outcome="fail"))
    assert "| `errors` | ❌ fail | 3 \\| 4 \\<b\\> curl: \\`x\\` |" in text
    assert html(text).count("<table>") == 3
