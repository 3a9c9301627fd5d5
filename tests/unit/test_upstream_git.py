"""Choosing among tags, comparing names, understanding git."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.upstream.git import settings_as_environment, tells_of_damage
from builder.upstream.moves import Move, Moves, Refs, clashing, compare, told
from builder.upstream.refs import nearest, newest_release, newest_tag
from builder.upstream.revision import Revision, moment


@pytest.mark.parametrize(
    ("tags", "newest"),
    [
        (["b9999", "b10991", "b998", "v0.9.0"], "b10991"),
        (["v0.9.0", "v0.10.0", "v0.10.0-rc1"], "v0.10.0"),
        (["b0", "b1", "v0.1.0"], "v0.1.0"),
        (["master-1234", "b20261001120000"], None),
        ([], None),
    ],
)
def test_newest_tag(tags: list[str], newest: str | None) -> None:
    assert newest_tag(tags) == newest


def test_releases_are_compared_as_versions() -> None:
    assert newest_release(["v0.9.0", "v0.10.0", "b5", "vision"]) == "0.10.0"


def test_nearest_build_tags_are_near_in_number() -> None:
    assert nearest("b5000", ["b4999", "b50", "b5003", "b9000", "master"], 2) == ["b4999", "b5003"]


def test_a_number_that_is_cut_short_names_what_begins_so() -> None:
    assert nearest("b11", ["b100", "b101", "b102", "b1099", "b1100", "b1101"]) == ["b1100", "b1101", "b100"]


@pytest.mark.parametrize(
    ("revision", "name", "commit"),
    [
        (Revision("0c1e57098ab", 10991, None, None, "", "", dirty=True), "b10991-dirty", "0c1e57098-dirty"),
        (Revision("0c1e57098ab", None, "0.5.0", None, "", "", dirty=True), "v0.5.0-0c1e57098-dirty", "0c1e57098-dirty"),
        (Revision("0c1e57098ab", 10991, None, None, "", ""), "b10991", "0c1e57098"),
        (Revision(None, None, None, None, "", ""), "unknown", "unknown"),
    ],
)
def test_a_revision_with_changes_says_so(revision: Revision, name: str, commit: str) -> None:
    assert (revision.name, revision.described_commit(9)) == (name, commit)
    assert revision.commit is None or revision.described_commit().startswith(revision.commit)


def test_nearest_names_are_near_in_spelling() -> None:
    assert nearest("mastr", ["master", "b1", "gg/branch"]) == ["master"]


@pytest.mark.parametrize(
    ("count", "whole", "first"),
    [("2", 2, 2), ("2", 1, 1), ("3", 2, 2), ("", 0, 0), ("abc", 0, 0), ("-1", 1, 0), ("9" * 5000, 0, 0)],
)
def test_settings_follow_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, count: str, whole: int, first: int
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", count)
    for number in range(whole):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", "x.y")
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", "z")
    assert settings_as_environment([("a.b", ""), ("a.b", "c")]) == {
        "GIT_CONFIG_COUNT": str(first + 2),
        f"GIT_CONFIG_KEY_{first}": "a.b",
        f"GIT_CONFIG_VALUE_{first}": "",
        f"GIT_CONFIG_KEY_{first + 1}": "a.b",
        f"GIT_CONFIG_VALUE_{first + 1}": "c",
    }


@pytest.mark.parametrize(
    ("seconds", "year"), [(0, 1970), (1_700_000_000, 2023), (999_999_999_999, 9999), (1 << 64, 9999)]
)
def test_a_commit_of_any_year_has_a_time_in_every_zone(seconds: int, year: int) -> None:
    assert moment(seconds).year == year
    for hours in (-14, 14):
        moment(seconds).astimezone(timezone(timedelta(hours=hours)))


NAMES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9).map(str), max_size=4)


def mirrored(ours: dict[str, str], theirs: dict[str, str], kind: str) -> dict[str, str]:
    return {f"refs/{kind}/{name}": oid for name, oid in ours.items()} | {
        f"refs/upstream/{kind}/{name}": oid for name, oid in theirs.items()
    }


def done(refs: dict[str, str]) -> Refs:
    """What a mirror holds once it has taken over what may be trusted; here larger commits follow smaller ones."""
    due = compare(Refs(refs), lambda older, newer: older < newer)
    return Refs({name: oid for name, oid in {**refs, **due.changed}.items() if name not in due.gone})


@given(NAMES, NAMES)
def test_tags_come_and_never_move(ours: dict[str, str], theirs: dict[str, str]) -> None:
    assert done(mirrored(ours, theirs, "tags")).below("refs/tags/") == theirs | ours


@given(NAMES, NAMES)
def test_branches_come_go_forward_and_go(ours: dict[str, str], theirs: dict[str, str]) -> None:
    wanted = {name: max(oid, ours.get(name, oid)) for name, oid in theirs.items()}
    assert done(mirrored(ours, theirs, "heads")).below("refs/heads/") == wanted


@given(NAMES, NAMES, st.sampled_from(["tags", "heads"]))
def test_nothing_is_left_to_take_over_and_nothing_is_asked_twice(
    ours: dict[str, str], theirs: dict[str, str], kind: str
) -> None:
    first = mirrored(ours, theirs, kind)
    after = done(first)

    def unasked(older: str, newer: str) -> bool:
        raise AssertionError(f"{older} and {newer} were compared before")

    again = compare(after, unasked)
    assert (again.gone, again.changed) == ((), {})
    assert again.moves == compare(Refs(first), lambda older, newer: older < newer).moves


def test_what_is_rewritten_has_both_sides() -> None:
    refs = Refs(
        mirrored({"b1": "1", "b2": "2"}, {"b2": "3"}, "tags") | mirrored({"master": "5"}, {"master": "4"}, "heads")
    )
    moves = compare(refs, lambda older, newer: older < newer).moves
    assert moves == Moves((Move("b2", "2", "3"),), (Move("master", "5", "4"),), (Move("b1", "1", None),))
    assert moves.of_tag("b1") == Move("b1", "1", None)
    assert moves.of_branch("b1") is None


@pytest.mark.parametrize(
    ("names", "others", "clash"),
    [
        (["x", "y"], ["x/1"], ["x"]),
        (["x/1/2", "xx"], ["x"], ["x/1/2"]),
        (["x"], ["x"], []),
        (["x-1"], ["x/1"], []),
    ],
)
def test_names_that_cannot_stand_beside_each_other(names: list[str], others: list[str], clash: list[str]) -> None:
    assert clashing(names, others) == clash


@pytest.mark.parametrize(
    ("heads", "tip", "told_", "current", "default"),
    [
        ({"a": "1", "master": "1"}, "1", None, None, "master"),
        ({"a": "1", "master": "2"}, "1", None, None, "a"),
        ({"a": "1", "dev": "1", "master": "1"}, "1", "dev", "master", "dev"),
        ({"a": "1", "dev": "1", "master": "1"}, "1", None, "dev", "dev"),
        ({"a": "1", "main": "2"}, "3", None, None, "main"),
        ({"b": "1", "a": "2"}, None, None, "gone", "a"),
        ({}, None, None, "master", None),
    ],
)
def test_the_default_branch(
    heads: dict[str, str], tip: str | None, told_: str | None, current: str | None, default: str | None
) -> None:
    objects = mirrored({}, heads, "heads") | ({"refs/upstream/HEAD": tip} if tip else {})
    told_, current = (f"refs/heads/{name}" if name else None for name in (told_, current))
    assert Refs(objects).default_branch(told_, current) == (f"refs/heads/{default}" if default else None)


def test_what_a_person_hears_of_moves() -> None:
    moves = Moves(
        tags=(Move("b1", "1", "2"),),
        branches=tuple(Move(name, "1", "2") for name in ("c", "d", "e", "f", "master", "asked")),
        withdrawn=tuple(Move(name, "1", None) for name in ("b2", "b3")),
    )
    warnings, notices = told(moves, "master", "asked")
    assert [line.partition(";")[0] for line in warnings] == [
        "Upstream moved the tag b1",
        "Upstream withdrew 2 tags (b2, b3)",
        "Upstream rewrote the branch master",
        "Upstream rewrote the branch asked",
    ]
    assert all("accept" in line for line in warnings)
    assert notices == ["Upstream rewrote 4 branches (c, d, e, ...); here they stay."]
    assert told(Moves(), "master", None) == ([], [])


@pytest.mark.parametrize(
    ("text", "damaged"),
    [
        ("fatal: loose object 12 (stored in /m/objects/12) is corrupt", True),
        ("error: object file /m/objects/12 is empty", True),
        ("fatal: not a git repository: '/m'", True),
        ("fatal: not a git repository: '/other'", False),
        ("fatal: bad config line 1 in file /m/config", True),
        ("fatal: bad config line 1 in file /home/user/.gitconfig", False),
        ("remote: fatal: loose object 12 is corrupt", False),
        ("fatal: unable to read 12\nfatal: could not fetch 12 from promisor remote", False),
        ("fatal: Needed a single revision", False),
        ("", False),
    ],
)
def test_whose_repository_is_broken(text: str, damaged: bool) -> None:
    assert tells_of_damage(text, "/m") == damaged
    assert not tells_of_damage("", "")
