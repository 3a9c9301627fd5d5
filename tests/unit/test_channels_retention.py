"""What may go, and that what is needed never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.channels.ledger.ledger import open_ledger
from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.retention.build_cache import read_records
from builder.channels.retention.on_engine import items_on, own_size
from builder.channels.retention.roots import promoted
from builder.channels.retention.rules import Item, Policy, Row, freed, judge
from builder.engine.images import Image

NOW = datetime(2026, 1, 31, tzinfo=UTC)
POLICY = Policy(2, timedelta(days=7))


def build(number: int, days: float | None, variant: str = "cuda", place: str = "engine") -> Item:
    """A build of so many days ago; None: nobody knows."""
    since = None if days is None else NOW - timedelta(days=days)
    digest = f"sha256:{number:064x}"
    return Item(place, digest, (f"llama:b{number}",), size=number, since=since, variant=variant)


def rows(*items: Item, roots: dict[str, str] | None = None, policy: Policy = POLICY) -> dict[str, Row]:
    return {row.item.names[0].rpartition(":")[2]: row for row in judge(items, roots or {}, policy, NOW)}


def test_the_last_builds_of_each_variant_stay_and_what_is_older_goes() -> None:
    found = rows(
        build(1, 40), build(2, 30), build(3, 20), build(4, 60, "cpu"), build(5, 50, "cpu"), build(6, 70, "cpu")
    )
    assert {name for name, row in found.items() if not row.keep} == {"b1", "b6"}
    assert found["b3"].why == "one of the last 2 cuda builds"
    assert found["b1"].why == "nothing needs it, 40 days old"


def test_what_is_needed_young_or_of_unknown_age_stays() -> None:
    old = build(1, 40)
    found = rows(
        old,
        build(2, 6.9),
        build(3, None),
        build(4, 90),
        policy=Policy(0, timedelta(days=7)),
        roots={old.digest: "it is latest"},
    )
    assert {name: row.why for name, row in found.items()} == {
        "b1": "it is latest",
        "b2": "only 6 days old",
        "b3": "nobody knows how old it is",
        "b4": "nothing needs it, 90 days old",
    }
    assert [row.keep for row in found.values()] == [True, True, True, False]


def test_each_place_has_its_own_last_builds() -> None:
    found = judge([build(1, 40), build(2, 30, place="registry")], {}, Policy(1, timedelta()), NOW)
    assert all(row.keep for row in found)


@pytest.mark.parametrize(("days", "keep"), [(40, False), (1, True)])
def test_a_companion_stays_and_goes_with_its_build(days: float, keep: bool) -> None:
    leader = build(1, days)
    tests = Item(
        "engine",
        "sha256:t",
        ("llama:b1-tests",),
        5,
        since=NOW - timedelta(days=90),
        follows=leader.digest,
        kind="companion",
    )
    found = rows(tests, leader, policy=Policy(0, timedelta(days=7)))
    assert (found["b1"].keep, found["b1-tests"].keep) == (keep, keep)
    assert "b1" in found["b1-tests"].why
    assert rows(tests, leader, policy=Policy(0, timedelta(days=7)), roots={"sha256:t": "a container uses it"})[
        "b1-tests"
    ].keep


def test_a_companion_whose_build_is_gone_goes_by_its_age_or_because_of_that() -> None:
    lone = Item("engine", "sha256:t", ("llama:b1-tests",), 5, since=NOW, follows="sha256:x", kind="companion")
    assert rows(lone)["b1-tests"].keep
    assert not rows(replace(lone, since=NOW - timedelta(days=8)))["b1-tests"].keep
    assert rows(replace(lone, since=None))["b1-tests"].keep
    gone = rows(replace(lone, since=None, left="what it is about is gone"))["b1-tests"]
    assert (gone.keep, gone.why) == (False, "what it is about is gone")


def test_a_name_that_a_killed_build_left_goes_even_from_the_adopted_image_and_counts_for_no_build() -> None:
    left = Item("engine", build(1, 40).digest, ("builder-build/unjudged:1",), 0, since=NOW, left="left", kind="name")
    found = rows(build(1, 40), left, build(2, 30), build(3, 20), roots={left.digest: "it is latest"})
    assert not found["1"].keep
    assert all(found[name].keep for name in ("b1", "b2", "b3"))
    assert rows(replace(left, bound="a build is at it"))["1"].keep


def test_what_an_index_consists_of_stays_with_it() -> None:
    child = build(1, 90)
    index = replace(build(2, 40), parts=frozenset({child.digest}))
    policy = Policy(0, timedelta())
    assert not any(row.keep for row in judge([index, child], {}, policy, NOW))
    kept = rows(index, child, policy=policy, roots={index.digest: "it is latest"})
    assert (kept["b1"].keep, kept["b1"].why) == (True, "part of b2")


def test_only_what_goes_is_counted() -> None:
    found = judge([build(100, 40), build(20, 30), build(3, 20)], {}, POLICY, NOW)
    assert freed(found) == 100


_ITEMS = st.lists(
    st.builds(
        lambda number, days, variant, bound, kind: replace(build(number, days, variant), bound=bound, kind=kind),
        st.integers(1, 30),
        st.none() | st.floats(-5, 400),
        st.sampled_from(["cuda", "cpu", ""]),
        st.sampled_from(["", "", "it is also x"]),
        st.sampled_from(["build", "build", "companion"]),
    ),
    max_size=20,
    unique_by=lambda item: item.digest,
)


@given(_ITEMS, st.sets(st.integers(1, 30)), st.integers(0, 5), st.integers(0, 30))
def test_whatever_the_options_nothing_goes_that_is_needed_bound_young_or_among_the_last(
    items: list[Item], needed: set[int], newest: int, days: int
) -> None:
    roots = {f"sha256:{number:064x}": "needed" for number in needed}
    policy = Policy(newest, timedelta(days=days))
    for row in judge(items, roots, policy, NOW):
        item = row.item
        if row.keep:
            continue
        assert item.digest not in roots
        assert not item.bound
        assert item.since is not None
        assert NOW - item.since >= policy.age
        newer = [
            one
            for one in items
            if one.kind == "build" and one.variant == item.variant and one.since and one.since > item.since
        ]
        assert item.kind == "companion" or len(newer) >= newest


def image(name: str, size: int, *layers: str) -> Image:
    return Image(name, (name,), (), size, {}, (), "", "amd64", layers)


def test_an_image_costs_what_it_adds_to_what_it_stands_on() -> None:
    base, served, tests = image("base", 70, "a"), image("served", 100, "a", "b"), image("tests", 103, "a", "b", "c")
    everything = [base, served, tests, image("other", 90, "a", "x")]
    assert [own_size(one, everything) for one in everything] == [70, 30, 3, 20]


PLAN = f"sha256:{'c' * 64}"
OWN_TAG = "b7-cpu-cccccccccc"


@pytest.mark.parametrize(
    ("tags", "bound"),
    [
        ((OWN_TAG, "latest", "kept-0123456789ab"), ""),
        ((OWN_TAG, f"{OWN_TAG}-tests", "candidate"), ""),
        ((OWN_TAG, "golden"), "somebody tagged it golden"),
        (("golden", "latest"), "somebody tagged it golden"),
        (("b8-cpu-dddddddddd",), "somebody tagged it b8-cpu-dddddddddd"),
    ],
)
def test_an_image_that_somebody_gave_a_tag_in_our_repository_stays(
    tags: tuple[str, ...], bound: str, tmp_path: Path
) -> None:
    labels = {"local.builder.plan": PLAN, "org.opencontainers.image.version": "b7"}
    names = tuple(f"llama:{tag}" for tag in tags)
    found = Image(f"sha256:{'d' * 64}", names, (), 10, labels, (), "", "amd64", ("a",))
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        (item,) = items_on([found], ["llama"], ["candidate", "latest", "previous"], ledger, tmp_path)
    assert item.bound == bound


@pytest.mark.parametrize("result", ["done", "undone"])
def test_what_a_move_that_was_put_off_goes_to_is_needed(result: Literal["done", "undone"], tmp_path: Path) -> None:
    old, new, newest = (f"sha256:{digit * 64}" for digit in "abc")
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        for before, after, mark, ending in ((old, new, "owed", result), (None, newest, "done", "done")):
            step = Step("registry", "127.0.0.1:1/ai/llama:latest", before, after)
            entry = PromotionEntry(
                uuid4().hex, ledger.id, "promote", "llama", "latest", "", before, after, "me", "", NOW, None, (step,)
            )
            ledger.promotions.plan(entry)
            for one in ("begun", mark):
                ledger.promotions.mark(entry.id, 0, one, NOW)  # type: ignore[arg-type]
            ledger.promotions.end(entry.id, ending, NOW)  # type: ignore[arg-type]
        why = dict(promoted(ledger))
    wanted = new if result == "done" else old
    assert why[wanted] == "a move to it was put off"
    assert {*why} == {wanted, newest}


def test_an_image_without_a_tag_of_its_own_is_known_by_its_id(tmp_path: Path) -> None:
    names, labels = ("llama:id-dddddddddddd",), {"local.builder.plan": PLAN}
    found = Image(f"sha256:{'d' * 64}", names, (), 10, labels, (), "", "")
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert [item.bound for item in items_on([found], ["llama"], [], ledger, tmp_path)] == [""]


LISTED = """ID:\t\t3jq2tdc431dtgm7bf3suq63gv
Parent:\t\t9f54jjfld7exi1w7jxziwl915
Created at:\t2026-11-24 08:06:12.580959388 +0000 UTC
Mutable:\tfalse
Reclaimable:\ttrue
Shared:\t\tfalse
Size:\t\t1.104GB
Description:\tmount / from exec /bin/sh -c set -eu
cp -r /in/. /usr/local/cuda/
Size:\t\t1B

Usage count:\t1
Last used:\t11 hours ago
Type:\t\tregular

ID:\t\tzahik2q0iejg70zpbbtljd8og
Reclaimable:\ttrue
Shared:\t\ttrue
Size:\t\t875MB
Description:\tmount / from exec /bin/sh -c sh /steps/install-cuda-wheels.sh
Last used:\tAbout a minute ago
Type:\t\tregular

ID:\t\t1ivbw176m085dx6al1isb9h6j
Reclaimable:\ttrue
Shared:\t\tfalse
Size:\t\t12kB
Description:\tcached mount /ccache from exec /bin/sh -c JOBS=${JOBS} sh /x.sh with id "/builder-ccache-6cbb5167635fa5d1"
Last used:\t2 weeks ago
Type:\t\texec.cachemount

Reclaimable:\t1.9GB
Total:\t\t1.9GB
"""
"""As `docker buildx du --verbose` of buildx 0.13.1 prints, shortened; one line is made up to look like a field."""


def test_the_build_cache_is_read_as_buildx_lists_it() -> None:
    found = read_records(LISTED)
    assert [(one.size, one.is_ours, one.is_free) for one in found] == [
        (1_104_000_000, False, True),
        (875_000_000, True, False),
        (12_000, True, True),
    ]
    assert [one.unused for one in found] == [timedelta(hours=11), timedelta(minutes=1), timedelta(weeks=2)]


@given(st.text(alphabet="ID:\n\t Size:GBabout 1Description", max_size=200))
def test_whatever_buildx_lists_nothing_is_taken_for_ours_by_accident(text: str) -> None:
    assert not any(one.is_ours for one in read_records(text))
