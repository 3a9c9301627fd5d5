"""Which build is taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import load
from builder.errors import ExitCode
from builder.holds import Hold
from builder.settings import Channel
from builder.upstream.builds import Build
from builder.upstream.minimum import Minimum
from builder.upstream.selection import Doubt, Doubts, Hindrance, NothingToTake, Policy, Selection, ranked, select

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def build(*tags: str, hours: float = 100, number: int | None = None, commit: str = "") -> Build:
    """A build that is so many hours old; its number is its tag's unless it is given."""
    tagged = max((int(tag[1:]) for tag in tags if tag.startswith("b")), default=number)
    name = commit or f"{hash(tags) & 0xFFFFFFFF:08x}".ljust(40, "0")
    return Build(name, NOW - timedelta(hours=hours), tagged, tags)


def policy(
    channel: Channel = "nightly", hours: float = 0, *holds: tuple[str, str], minimum: str | None = None
) -> Policy:
    return Policy(
        channel,
        cooldown=timedelta(hours=hours),
        cooldown_text=f"{hours:g}h",
        holds=tuple(Hold.of(*hold) for hold in holds),
        minimum=Minimum.parse(minimum) if minimum else None,
    )


def taken(builds: Sequence[Build], rules: Policy) -> str:
    return select(builds, rules, NOW).build.name


def hindrances(selection: Selection) -> list[tuple[str, Hindrance]]:
    return [(one.build.name, one.hindrance) for one in selection.passed_over]


def test_the_newest_is_taken_by_number_past_every_digit() -> None:
    builds = [build(f"b{number}") for number in (9998, 100_000, 9999, 10_000, 99_999, 998)]
    selection = select(builds, policy(), NOW)
    assert (selection.build.name, selection.reason) == ("b100000", "It is the newest nightly build.")
    assert selection.passed_over == ()
    assert [one.name for one in ranked(builds, "nightly")][:3] == ["b100000", "b99999", "b10000"]


def test_releases_are_ordered_as_versions_whatever_their_numbers() -> None:
    builds = [build("v0.9.0", "b9"), build("v0.10.0", "b8"), build("v0.9.10", "b10"), build("b11")]
    assert select(builds, policy("releases"), NOW).build.release == "0.10.0"
    assert [one.release for one in ranked(builds, "releases")] == ["0.10.0", "0.9.10", "0.9.0"]


def test_what_older_than_the_cooldown_is_newest_is_taken_however_many_come_after() -> None:
    builds = [build(f"b{10_000 - hours}", hours=hours) for hours in range(48)]
    selection = select(builds, policy("nightly", 12), NOW)
    assert selection.build.name == "b9988"
    assert selection.reason == "It is the newest nightly build that is older than 12h."
    assert hindrances(selection) == [(f"b{10_000 - hours}", Hindrance.YOUNG) for hours in range(12)]
    first = selection.passed_over[3]
    assert first.settles == NOW + timedelta(hours=9)
    assert first.detail == "too young: 3 h old; old enough in 9 h"


def test_a_build_exactly_as_old_as_the_cooldown_is_taken() -> None:
    assert taken([build("b5", hours=12), build("b4", hours=13)], policy("nightly", 12)) == "b5"
    assert taken([build("b5", hours=11.999), build("b4", hours=13)], policy("nightly", 12)) == "b4"


@pytest.mark.parametrize("cooldown", [0, 12])
def test_a_commit_of_the_future_is_too_young(cooldown: int) -> None:
    selection = select([build("b5", hours=-1), build("b4")], policy("nightly", cooldown), NOW)
    assert selection.build.name == "b4"
    assert selection.passed_over[0].hindrance is Hindrance.YOUNG
    assert "ahead of this machine's clock" in selection.passed_over[0].detail


@pytest.mark.parametrize("ref", ["b9282", "b9282..b9290", "..b9282", "v0.3.0", "v0.2.0..", "aaaaaaa"])
@pytest.mark.parametrize("channel", ["nightly", "releases", "branch"])
def test_a_hold_on_any_name_of_a_commit_holds_it_in_every_channel(ref: str, channel: Channel) -> None:
    held = build("b9282", "v0.3.0", commit="a" * 40)
    other = build("b9200", "v0.1.9")
    rules = policy(channel, 0, (ref, "half the speed"))
    if ref == "..b9282":
        other = build("b9300", "v0.1.9")
        builds = [other, held] if channel != "branch" else [held, other]
    else:
        builds = [held, other]
    selection = select(builds, rules, NOW)
    assert selection.build == other
    if selection.passed_over:
        assert selection.passed_over[0].detail == f"held ({ref}): half the speed"
        assert selection.reason.endswith("that is not held.")


def test_a_build_of_the_branch_is_held_by_its_number_without_a_tag() -> None:
    builds = [build(number=9301, commit="b" * 40), build(number=9299, commit="c" * 40)]
    assert taken(builds, policy("branch", 0, ("b9300..b9310", "x"))) == "b9299"


def test_what_upstream_moved_is_passed_over_in_the_channel_of_that_tag_alone() -> None:
    builds = [build("b5", "v0.2.0"), build("b4", "v0.1.0")]
    doubts = Doubts({"b5": Doubt(Hindrance.MOVED, "upstream moved the tag b5", "b5")})
    nightly = select(builds, policy(), NOW, doubts)
    assert (nightly.build.name, nightly.passed_over[0].detail) == ("b4", "upstream moved the tag b5")
    assert select(builds, policy("releases"), NOW, doubts).build.name == "b5"
    assert select(builds, policy("branch"), NOW, doubts).build.name == "b5"


def test_a_withdrawn_tag_is_not_called_moved_and_the_way_out_names_each() -> None:
    doubts = Doubts(
        {
            "b5": Doubt(Hindrance.WITHDRAWN, "upstream withdrew the tag b5", "b5"),
            "b4": Doubt(Hindrance.MOVED, "upstream moved the tag b4", "b4"),
        }
    )
    builds = [build("b5"), build("b4"), build("b3")]
    assert select(builds, policy(), NOW, doubts).reason.endswith("not moved by upstream and not withdrawn by upstream.")
    with pytest.raises(NothingToTake) as caught:
        select(builds[:2], policy(), NOW, doubts)
    assert "1 moved by upstream, 1 withdrawn by upstream" in caught.value.cause
    assert "`builder upstream accept b5 b4`" in caught.value.remedy


def test_what_the_branch_lost_is_asked_only_of_what_nothing_else_is_against() -> None:
    asked = []

    def lost(one: Build) -> Doubt | None:
        asked.append(one.name)
        return Doubt(Hindrance.ASTRAY, "not on master") if one.name == "b4" else None

    builds = [build("b5", hours=1), build("b4"), build("b3"), build("b2")]
    selection = select(builds, policy("nightly", 12), NOW, Doubts(of_build=lost))
    assert (selection.build.name, asked) == ("b3", ["b4", "b3"])
    assert hindrances(selection) == [("b5", Hindrance.YOUNG), ("b4", Hindrance.ASTRAY)]
    assert selection.reason == "It is the newest nightly build that is older than 12h and on the default branch."


def test_nothing_below_the_minimum_is_taken() -> None:
    builds = [build("b5000", hours=1), build("b3294"), build("b3293")]
    assert taken(builds, policy("nightly", 12, minimum="3294")) == "b3294"
    with pytest.raises(NothingToTake, match=r"1 younger than 12h, 2 older than the minimum b3295"):
        taken(builds, policy("nightly", 12, minimum="3295"))


def test_a_release_as_minimum_counts_for_nightly_builds_by_its_number() -> None:
    newest = build("b10700", "v0.3.1", hours=1)
    builds = [newest, build("b10622"), build("b10621", "v0.3.0"), build("b10600", "v0.2.9")]
    assert taken(builds, policy("nightly", 12, minimum="v0.3.0")) == "b10622"
    assert taken(builds, policy("nightly", 12, ("b10622..", "x"), minimum="v0.3.0")) == "b10621"
    with pytest.raises(NothingToTake):
        taken(builds, policy("nightly", 12, ("b10621..", "x"), minimum="v0.3.0"))
    assert taken(builds, policy("releases", 12, minimum="v0.2.0")) == "b10621"
    with pytest.raises(NothingToTake):
        taken(builds, policy("releases", minimum="v0.4.0"))


@pytest.mark.parametrize("tag", ["b0", "b1", "b00", "b1234567", "b-5", "master-1234", "v0.5", "v0.5.0-rc1", "B5"])
@pytest.mark.parametrize("channel", ["nightly", "releases"])
def test_a_tag_that_tells_no_number_is_never_taken(tag: str, channel: Channel) -> None:
    odd = Build("d" * 40, NOW - timedelta(hours=1), None, (tag,))
    with pytest.raises(NothingToTake, match="Upstream has no"):
        select([odd], policy(channel), NOW)
    assert select([odd, build("b4", "v0.1.0")], policy(channel), NOW).build.name == "b4"


@pytest.mark.parametrize(
    ("builds", "rules", "cause", "remedy"),
    [
        ([], policy(), "no nightly build (bNNNN tag)", "`--channel branch`"),
        ([build("v0.1.0", number=5)], policy(), "no nightly build", "`--channel releases`"),
        ([build("b5")], policy("releases"), "no release (vX.Y.Z tag)", "`--channel nightly`"),
        ([build("b5", hours=2)], policy("nightly", 12), "1 younger than 12h", "Wait until 2026-11-24 22:00 UTC"),
        ([build("b5", hours=-2)], policy(), "1 dated in the future", "set this machine's clock"),
        ([build("b5")], policy("nightly", 0, ("b5", "x")), "1 held", "Look at upstream.hold"),
        ([build("b5")], policy(minimum="9"), "1 older than the minimum b9", "Lower version.minimum"),
    ],
)
def test_where_nothing_is_left_it_says_why_and_what_to_do(
    builds: list[Build], rules: Policy, cause: str, remedy: str
) -> None:
    with pytest.raises(NothingToTake) as caught:
        select(builds, rules, NOW)
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == ExitCode.SOURCE
    assert len(caught.value.passed_over) == len(ranked(builds, rules.channel))


def test_the_policy_is_what_the_configuration_says() -> None:
    hold = [{"ref": "b9300..", "reason": "slow"}]
    flags = {"upstream.channel": "releases", "upstream.cooldown": "3d", "upstream.hold": hold}
    rules = Policy.of(load(None, {**flags, "version.minimum": "v0.3.0"}, {}).settings)
    assert (rules.channel, rules.cooldown, rules.cooldown_text) == ("releases", timedelta(days=3), "3d")
    assert [(one.ref, one.reason) for one in rules.holds] == [("b9300..", "slow")]
    assert str(rules.minimum) == "v0.3.0"


AGES = st.integers(min_value=-3, max_value=60)


@given(
    st.dictionaries(st.integers(min_value=2, max_value=999_999), AGES, max_size=30),
    st.integers(min_value=0, max_value=48),
    st.tuples(st.integers(min_value=0, max_value=999_999), st.integers(min_value=0, max_value=999_999)),
    st.integers(min_value=0, max_value=999_999),
)
def test_selection_is_the_highest_number_that_nothing_is_against(
    ages: dict[int, int], cooldown: int, ends: tuple[int, int], minimum: int
) -> None:
    first, last = sorted(ends)
    rules = policy("nightly", cooldown, (f"b{first}..b{last}", "x"), minimum=str(minimum))
    builds = [build(f"b{number}", hours=hours) for number, hours in ages.items()]
    allowed = [
        number
        for number, hours in ages.items()
        if hours >= max(cooldown, 0) and not first <= number <= last and number >= minimum
    ]
    if not allowed:
        with pytest.raises(NothingToTake):
            select(builds, rules, NOW)
        return
    selection = select(builds, rules, NOW)
    assert selection.build.number == max(allowed)
    assert [one.build.number for one in selection.passed_over] == sorted(
        (number for number in ages if number > max(allowed)), reverse=True
    )
    assert select(list(reversed(builds)), rules, NOW) == selection
