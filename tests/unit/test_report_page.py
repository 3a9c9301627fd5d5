from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.performance.archive import Archive, Entry, Side, history, work_of
from builder.performance.soak.record import CheckRecord
from builder.performance.soak.series import Series
from builder.report.page import page
from builder.report.past import past_of
from tests.unit.report_records import CHAT, GPU, STARTED, record, runs, subject
from tests.unit.report_soaks import series, soak

_VOID = {"meta", "br"}
_FEW = runs(3, figures={name: CHAT[name] for name in ("ttft/2k", "throughput/10")})
_NASTY = "<script>alert(1)</script>\"'><img src=https://evil.example/x onerror=y>&amp;\x00\x1b"


WORK = work_of(record(), subject("A"))


class Reader(HTMLParser):
    """A page as its elements; the tags have to be closed in their order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def past(folder: Path) -> tuple[tuple[Entry, Side], ...]:
    archive = Archive(folder)
    for number, build in enumerate(("b10902", "b10871", "b10991")):
        figures = {name: (usual * (1 + number / 20), count) for name, (usual, count) in CHAT.items()}
        taken = [run for run in runs(2, figures=figures) if run.subject == "A"]
        side = subject("A", build, image=f"sha256:{number}")
        archive.write(record(taken, subjects=(side,), started=STARTED + timedelta(days=number)))
    return history(archive.entries(), "local-ai-llama")


def test_a_page_holds_all_that_it_needs(tmp_path: Path) -> None:
    for text in (page(record()), page(soak=soak()), page(record(), soak=soak(), history=past(tmp_path))):
        found = read(text)
        assert not found.tags["script"] + found.tags["link"] + found.tags["img"] + found.tags["iframe"]
        assert not [one for one in found.attributes if one[1] in ("src", "href", "xlink:href", "action", "style")]
        assert not [one for one in found.attributes if one[1].startswith("on")]
        assert not re.search(r"@import|url\(|https?://", text)
        assert "default-src 'none'" in text


def test_every_plot_says_what_it_shows() -> None:
    found = read(page(record(), soak=soak()))
    told = [value for tag, name, value in found.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(told) == sum(one == ("svg", "role", "img") for one in found.attributes)
    assert all(told)
    assert any(
        re.fullmatch(r"Samples of ttft/2k\. A: median 24\d ms, 72 samples from .* ms; B: .* ms\.", one) for one in told
    )


def test_each_figure_has_its_change_in_words_beside_the_plot() -> None:
    made = record(runs(8, {"ttft/10": 0.2}))
    text = " ".join(read(page(made)).text)
    assert "B (b10995) is worse than A (b10991)" in text
    assert "Keep A." in text
    assert len(re.findall(r"5\N{NO-BREAK SPACE}% allowed", text)) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_subjects_are_told_apart_by_contrast_too(scheme: str) -> None:
    style = page(record()).partition("<style>")[2].partition("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme: dark)", 1)
    part = light if scheme == "light" else dark
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", part.split("* {")[0]))
    names = ("s0", "s1", "ink", "soft", "good", "bad", "open")
    for name in names:
        needed = 3 if name.startswith("s") and name != "soft" else 4.5
        assert contrast(colours[name], colours["card"]) >= needed, name


def contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines 2 count it."""

    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def nasty(words: str) -> str:
    sides = (subject("A", words, reference=words, profile=words), subject("B", "b2", overrides={words: words}))
    checks = (CheckRecord(name=words, outcome="fail", detail=words, excerpt=(words,)),)
    bench = record(_FEW, subjects=sides, notes=(words,), interrupted=words, arguments={words: words})
    return page(bench, soak=soak(series(20), checks=checks, notes=(words,), outcome="fail"))


def test_words_from_outside_are_words() -> None:
    usual, found = read(nasty("x")), read(nasty(_NASTY))
    assert found.tags == usual.tags
    assert any("<script>alert(1)</script>" in text for text in found.text)
    assert not any("\x00" in text or "\x1b" in text for text in found.text)


@settings(max_examples=12)
@given(st.text(min_size=1))
def test_whatever_words_there_are_the_page_keeps_its_form(words: str) -> None:
    found = read(nasty(words))
    assert not found.tags["script"]
    assert found.tags["main"] == 1


def test_a_sweep_has_a_comparison_for_each_subject_but_the_first() -> None:
    names = ("1", "2", "3")
    sides = tuple(subject(name, "b1", overrides={"ubatch": name}) for name in names)
    text = page(record(runs(3, subjects=names), subjects=sides), said=("Take ubatch=2.", "It is faster."))
    assert "<h1>Take ubatch=2.</h1>" in text
    assert text.count("against 1 (ubatch=1)</h2>") == 2


def test_pages_of_little_are_pages_too() -> None:
    alone = record([run for run in runs(2) if run.subject == "A"])
    nothing = record([], subjects=(subject("A", "b1"),))
    for text in (page(alone), page(nothing), page(soak=soak(Series(), checks=(), outcome=None, ended=None))):
        assert read(text).tags["h1"] == 1
        assert "nan" not in text.lower().replace("nano", "")
    with pytest.raises(ValueError, match="needs"):
        page()


def test_history_is_in_the_order_of_builds_with_adopted_ones_marked(tmp_path: Path) -> None:
    before = past(tmp_path)
    (first, *_) = past_of(before, {"sha256:1"}, machine=GPU.name, profile="chat", work=WORK)
    assert first.builds == ("b10871", "b10902", "b10991")
    assert {point.build for point in first.points if point.adopted} == {"b10871"}
    text = page(record(), history=before, adopted={"sha256:1"})
    assert 'class="adopted"' in text
    assert f"{first.name} over 3 builds, b10871 to b10991, " in text
    assert "Adopted: b10871." in text


@pytest.mark.parametrize("other", [{"machine": "RTX 4090"}, {"profile": "embedding"}, {"work": "0" * 16}])
def test_history_is_of_like_machines_and_the_same_profile(tmp_path: Path, other: Mapping[str, str]) -> None:
    asked = {"machine": GPU.name, "profile": "chat", "work": WORK}
    assert past_of(past(tmp_path), (), **asked)
    assert not past_of(past(tmp_path), (), **{**asked, **other})


def test_requests_without_an_answer_are_marked_on_the_time_line() -> None:
    text = page(soak=soak(series(errors=3)))
    assert text.count('class="wrong"') == 3
    assert "3 times a request without an answer" in text


def test_a_page_of_a_long_soak_stays_small() -> None:
    assert len(page(soak=soak(series(2 * 3600)))) < 1_000_000
