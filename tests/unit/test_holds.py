"""What a hold names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.holds import BuildRange, CommitPrefix, Hold, ReleaseRange, parse_scope

COMMIT = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"
NUMBERS = st.integers(min_value=0, max_value=999_999)
RELEASES = st.tuples(*[st.integers(min_value=0, max_value=40)] * 3)


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("b9282", BuildRange(9282, 9282)),
        ("b9300..b9310", BuildRange(9300, 9310)),
        ("b9300..", BuildRange(9300, None)),
        ("..b5000", BuildRange(None, 5000)),
        ("b9999..b100000", BuildRange(9999, 100_000)),
        ("v0.3.0", ReleaseRange("0.3.0", "0.3.0")),
        ("v0.9.0..v0.10.0", ReleaseRange("0.9.0", "0.10.0")),
        ("0C1E570", CommitPrefix("0c1e570")),
        (COMMIT, CommitPrefix(COMMIT)),
    ],
)
def test_every_form(text: str, scope: object) -> None:
    assert parse_scope(text) == scope


@pytest.mark.parametrize(
    "text",
    [
        *("", "..", "b", "9282", "b9282 ", "b1b2", "b1...b2", "b9310..b9300", "v0.10.0..v0.9.0", "b1..v0.3.0", "b-1"),
        *("0c1e57", "v0.3", "master", "b٣", "v1.0.0v2.0.0", "0c1e570..0c1e571"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no tag|ends before|two names"):
        parse_scope(text)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_range_of_builds_includes_its_ends_and_nothing_else(first: int, last: int, asked: int) -> None:
    first, last = sorted((first, last))
    hold = Hold.of(f"b{first}..b{last}", "x")
    assert hold.covers(COMMIT, numbers=[asked]) == (first <= asked <= last)
    assert hold.covers(COMMIT, numbers=[first])
    assert hold.covers(COMMIT, numbers=[last])
    assert Hold.of(f"b{first}..", "x").covers(COMMIT, numbers=[asked]) == (first <= asked)
    assert Hold.of(f"..b{last}", "x").covers(COMMIT, numbers=[asked]) == (asked <= last)


@given(RELEASES, RELEASES, RELEASES)
def test_a_range_of_releases_is_ordered_by_version(
    first: tuple[int, ...], last: tuple[int, ...], asked: tuple[int, ...]
) -> None:
    first, last = sorted((first, last))
    name = ".".join(map(str, asked))
    hold = Hold.of("v{}.{}.{}..v{}.{}.{}".format(*first, *last), "x")
    assert hold.covers(COMMIT, releases=[name]) == (first <= asked <= last)


@pytest.mark.parametrize(
    ("ref", "span"),
    [
        ("v0.1.2..v0.1.4", BuildRange(20, 40)),
        ("v0.1.2..", BuildRange(20, None)),
        ("..v0.1.4", BuildRange(None, 40)),
        ("v0.1.2..v0.1.9", None),
        ("v0.1.9..", None),
        ("v0.1.2", None),
        ("b20..b40", None),
        (COMMIT, None),
    ],
)
def test_a_range_of_releases_covers_the_builds_between_where_both_numbers_are_known(
    ref: str, span: BuildRange | None
) -> None:
    hold = Hold.of(ref, "x").spanning({"0.1.2": 20, "0.1.4": 40}.get)
    assert hold.span == span
    if span is not None:
        covered = {number for number in (19, 20, 30, 40, 41) if hold.covers("f" * 40, numbers=[number])}
        assert covered == {number for number in (19, 20, 30, 40, 41) if number in span}
        assert hold.covers("f" * 40, releases=["0.1.3"])


def test_any_name_of_a_commit_holds_it() -> None:
    for ref in ("b9282", "v0.3.0", COMMIT[:7], COMMIT):
        assert Hold.of(ref, "x").covers(COMMIT, numbers=[5, 9282], releases=["0.2.0", "0.3.0"])
    for ref in ("b9283", "v0.3.1", "0c1e571"):
        assert not Hold.of(ref, "x").covers(COMMIT, numbers=[9282], releases=["0.3.0"])


@given(st.text(alphabet="bv.0123456789acf", max_size=20))
def test_what_is_accepted_says_what_it_holds(text: str) -> None:
    try:
        scope = parse_scope(text)
    except ValueError:
        return
    named = text.strip(".").partition("..")[0]
    numbers = [int(named[1:])] if isinstance(scope, BuildRange) else []
    releases = [named[1:]] if isinstance(scope, ReleaseRange) else []
    commit = text if isinstance(scope, CommitPrefix) else COMMIT
    assert Hold.of(text, "x").covers(commit, numbers, releases)
