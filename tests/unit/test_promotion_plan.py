"""What has to move, and in which order, whatever is there."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from builder.channels.ledger.moves import Step
from builder.channels.promotion.plan import Moved, Site, Tag, find_moved, is_change, plan_steps
from tests.unit.ledger_entries import digest

OLD, NEW, OLDER = digest("old"), digest("new"), digest("older")
NAMED = st.sampled_from([None, OLD, NEW, OLDER])
ACTIONS = st.sampled_from(["promote", "rollback"])


def site(place: str, adopted: str | None, previous: str | None, lost: tuple[str, ...] = ()) -> Site:
    def tag(name: str, names: str | None) -> Tag:
        can_return = place == "engine" or (names is not None and names not in lost)
        return Tag(f"{place}/llama:{name}", names, can_return)

    return Site(place, NEW, tag("b2", NEW), tag("latest", adopted), tag("previous", previous))


@st.composite
def all_sites(draw: st.DrawFn) -> tuple[Site, ...]:
    places = draw(st.sampled_from([("engine",), ("engine", "registry")]))
    lost = draw(st.sampled_from([(), (OLD,), (OLDER,)]))
    return tuple(site(place, draw(NAMED), draw(NAMED), lost) for place in places)


@st.composite
def file_moves(draw: st.DrawFn) -> tuple[Step, ...]:
    before = draw(st.lists(st.sampled_from([None, digest("text")]), max_size=2))
    return tuple(Step("file", f"/{number}", text, digest("new text")) for number, text in enumerate(before))


def state(sites: tuple[Site, ...]) -> dict[tuple[str, str], str | None]:
    return {(one.place, tag.subject): tag.names for one in sites for tag in (one.immutable, one.adopted, one.previous)}


@given(ACTIONS, all_sites(), file_moves())
def test_it_may_stop_after_any_move(
    action: Literal["promote", "rollback"], sites: tuple[Site, ...], files: tuple[Step, ...]
) -> None:
    names = state(sites) | {(step.place, step.subject): step.before for step in files}
    for step in plan_steps(action, sites, files):
        assert names[step.place, step.subject] == step.before
        names[step.place, step.subject] = step.after
        for one in sites:
            assert names[one.place, one.adopted.subject] in (one.adopted.names, NEW)
            if names[one.place, one.adopted.subject] != one.adopted.names and one.previous.can_return:
                assert names[one.place, one.previous.subject] == _previous_after(action, one)


@given(ACTIONS, all_sites(), file_moves())
def test_afterwards_everything_names_the_image_and_previous_what_is_safe(
    action: Literal["promote", "rollback"], sites: tuple[Site, ...], files: tuple[Step, ...]
) -> None:
    names = state(sites)
    for step in plan_steps(action, sites, files):
        names[step.place, step.subject] = step.after
    for one in sites:
        assert names[one.place, one.adopted.subject] == NEW
        assert names[one.place, one.previous.subject] == _previous_after(action, one)


@given(ACTIONS, all_sites(), file_moves())
def test_what_cannot_be_taken_back_comes_last(
    action: Literal["promote", "rollback"], sites: tuple[Site, ...], files: tuple[Step, ...]
) -> None:
    steps = plan_steps(action, sites, files)
    final = {tag.subject for one in sites for tag in (one.adopted, one.previous) if not tag.can_return}
    cannot = [step.subject in final for step in steps]
    assert cannot == sorted(cannot)
    assert sum(cannot) <= 1


@given(all_sites())
def test_nothing_changes_where_all_is_so_already(sites: tuple[Site, ...]) -> None:
    there = tuple(site(one.place, NEW, one.previous.names) for one in sites)
    assert not any(map(is_change, plan_steps("promote", there, ())))
    assert not any(map(is_change, plan_steps("rollback", there, ())))


def test_files_come_after_previous_and_before_what_is_adopted() -> None:
    files = (Step("file", "/.env", None, digest("text")),)
    steps = plan_steps("promote", (site("engine", OLD, OLDER), site("registry", OLD, OLDER)), files)
    assert [step.subject for step in steps] == [
        "engine/llama:b2",
        "registry/llama:b2",
        "engine/llama:previous",
        "registry/llama:previous",
        "/.env",
        "registry/llama:latest",
        "engine/llama:latest",
    ]


def test_a_tag_that_was_moved_by_somebody_else_is_told() -> None:
    said = {("engine", "engine/llama:latest"): OLD, ("engine", "engine/llama:previous"): None}
    assert find_moved([site("engine", OLD, None)], said) == ()
    assert find_moved([site("engine", OLDER, None)], said) == (Moved("engine", "engine/llama:latest", OLD, OLDER),)
    assert find_moved([site("engine", None, OLD)], said) == (
        Moved("engine", "engine/llama:latest", OLD, None),
        Moved("engine", "engine/llama:previous", None, OLD),
    )


def test_a_tag_that_names_the_image_already_is_no_trouble_nor_is_one_that_nobody_knows() -> None:
    assert find_moved([site("engine", NEW, None)], {("engine", "engine/llama:latest"): OLD}) == ()
    assert find_moved([site("engine", OLD, OLDER)], {("registry", "engine/llama:latest"): NEW}) == ()


def _previous_after(action: str, one: Site) -> str | None:
    if one.adopted.names in (None, NEW) or not one.adopted.can_return:
        return one.previous.names
    return one.adopted.names if action == "promote" else NEW
