"""Patches that upstream has, and the commit by which it has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.source.patches.patch import Patch, parse_patch
from tests.integration.patches.patch_labs import LINK, PROGRAM, File, Lab, edited, numbered

TEXT = numbered(40)
TOP = b"// one\n// two\n// three\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


@pytest.fixture
def base(lab: Lab) -> str:
    return lab.commit({"a.c": TEXT, "b.c": numbered(40, "other"), "d/e.c": numbered(9, "deep")}, "first")


def landing_of(lab: Lab, commit: str, *patches: Patch) -> str | None:
    judged = lab.judge(commit, *patches)
    assert judged.standings == ["upstream"], judged.details
    since = judged.judgement.statuses[0].since
    return since.commit if since else None


def test_the_commit_that_took_a_patch_is_found_among_two_hundred(lab: Lab, base: str) -> None:
    patched = edited(TEXT, {20: "twenty"})
    patch = lab.patch(base, {"a.c": patched}, "1.patch")
    content, landed = TEXT, ""
    for number in range(200):
        content = b"// %d\n" % number + content
        if number == 137:
            content = content.replace(b"line 20\n", b"twenty\n")
            landed = lab.commit({"a.c": content}, f"take it (#{number})")
        elif number % 3:
            lab.commit({"a.c": content}, f"change {number}")
        else:
            lab.commit({"b.c": b"%d\n" % number}, f"elsewhere {number}")
    judged = lab.judge(lab.git("rev-parse", "master").decode().strip(), patch)
    (status,) = judged.judgement.statuses
    assert status.since is not None
    assert (status.since.commit, status.since.subject) == (landed, "take it (#137)")
    assert status.since.name == f"b{lab.git('rev-list', '--count', landed).decode().strip()}"
    assert status.detail == f"since {status.since.name}: take it (#137)"


def test_a_patch_squashed_with_more_is_upstream(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"}), "new.c": b"new\n"}, "1.patch")
    landed = lab.commit({"a.c": edited(TEXT, {3: "three", 20: "twenty", 35: ""}), "new.c": b"new\n", "more.c": b"x\n"})
    tip = lab.commit({"a.c": b"// later\n" + edited(TEXT, {3: "three", 20: "twenty", 23: "later", 35: ""})})
    assert landing_of(lab, tip, patch) == landed


def test_of_a_patch_that_upstream_has_in_part_the_rest_is_applied(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"}), "new.c": b"new\n"}, "1.patch")
    judged = lab.judge(lab.commit({"new.c": b"new\n"}), patch)
    assert judged.details == ["by three-way merge"]
    assert judged.files["a.c"].content == edited(TEXT, {20: "twenty"})


def test_a_patch_that_came_in_two_commits_is_upstream_since_the_second(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"}), "b.c": b"b\n"}, "1.patch")
    lab.commit({"a.c": edited(TEXT, {20: "twenty"})})
    landed = lab.commit({"b.c": b"b\n"})
    assert landing_of(lab, lab.commit({"z": b""}), patch) == landed


def test_a_patch_made_on_a_newer_commit_than_the_tree(lab: Lab, base: str) -> None:
    landed = lab.commit({"a.c": edited(TEXT, {20: "twenty"})}, "take it")
    tree = lab.commit({"b.c": b"b\n"}, "the tree")
    reverted = lab.commit({"a.c": TEXT}, "revert")
    newer = lab.commit({"a.c": edited(TEXT, {1: "newer"})})
    patch = lab.patch(newer, {"a.c": edited(TEXT, {1: "newer", 20: "twenty"})}, "1.patch")
    assert landing_of(lab, tree, patch) == landed
    assert lab.judge(base, patch).standings == ["clean"]
    assert lab.judge(reverted, patch).standings == ["clean"]
    assert lab.judge(newer, patch).standings == ["clean"]


def test_a_change_that_was_taken_and_reverted_is_applied_again(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    lab.commit({"a.c": edited(TEXT, {20: "twenty"})}, "take it")
    judged = lab.judge(lab.commit({"a.c": b"// top\n" + TEXT}, "revert"), patch)
    assert judged.details == ["1 hunk moved +1 lines"]
    assert judged.files["a.c"].content == b"// top\n" + edited(TEXT, {20: "twenty"})


def test_histories_with_merges(lab: Lab, base: str) -> None:
    """The patch was made on what only a merge brought about, and came in by a merge too."""
    left = lab.commit({"a.c": edited(TEXT, {2: "left"})}, "left")
    right = lab.commit({"a.c": edited(TEXT, {38: "right"})}, "right", branch="side", parents=[base])
    both = edited(TEXT, {2: "left", 38: "right"})
    merge = lab.commit({"a.c": both}, "merge side", parents=[left, right])
    near = lab.patch(merge, {"a.c": edited(both, {36: "near"})}, "near.patch")
    assert lab.judge(left, near).details == ["by three-way merge"]
    patch = lab.patch(merge, {"a.c": edited(both, {20: "twenty"})}, "1.patch")
    tip = lab.commit({"b.c": b"b\n"})
    assert lab.judge(tip, patch).standings == ["clean"]
    assert lab.judge(lab.commit({"a.c": edited(both, {18: "new"})}), patch).details == ["by three-way merge"]
    lab.commit({"a.c": edited(both, {20: "twenty"})}, "on its branch", branch="topic", parents=[merge])
    topic = lab.commit({"z": b"z\n"}, "more on its branch", branch="topic")
    master = lab.git("rev-parse", "master").decode().strip()
    landed = lab.commit(
        {"a.c": edited(both, {18: "new", 20: "twenty"}), "z": b"z\n"}, "merge topic", parents=[master, topic]
    )
    assert landing_of(lab, lab.commit({"b.c": b"later\n"}), patch) == landed


def test_a_patch_whose_file_upstream_renamed_after_taking_it(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    landed = lab.commit({"a.c": edited(TEXT, {20: "twenty"})})
    tip = lab.commit({"a.c": None, "z.c": edited(TEXT, {20: "twenty"})})
    assert landing_of(lab, tip, patch) == landed


def test_a_patch_that_came_after_upstream_renamed_its_file(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    lab.commit({"a.c": None, "z.c": TEXT})
    landed = lab.commit({"z.c": edited(TEXT, {20: "twenty"})})
    assert landing_of(lab, lab.commit({"b.c": b""}), patch) == landed


def test_what_upstream_has_although_an_earlier_patch_hides_it(lab: Lab, base: str) -> None:
    patched = edited(TEXT, {20: "twenty"})
    upstream = lab.patch(base, {"a.c": patched}, "2.patch")
    landed = lab.commit({"a.c": patched})
    earlier = lab.patch(landed, {"a.c": edited(TEXT, {20: "twenty, ours"})}, "1.patch")
    judged = lab.judge(landed, earlier, upstream)
    assert judged.standings == ["clean", "upstream"]
    since = judged.judgement.statuses[1].since
    assert since is not None
    assert since.commit == landed


@pytest.mark.parametrize(
    "changes",
    [
        {"new": b"x\n"},
        {"a.c": None},
        {"b.c": File(numbered(40, "other"), PROGRAM)},
        {"x.bin": b"\0\1\2"},
        {"a.c": None, "z.c": TEXT},
        {"l": File(b"a.c", LINK)},
    ],
    ids=["made", "removed", "mode", "binary", "renamed", "link"],
)
def test_every_kind_of_change_can_be_upstream(lab: Lab, base: str, changes: dict[str, bytes | File | None]) -> None:
    patch = lab.patch(base, changes, "1.patch", "-M")
    landed = lab.commit(changes)
    assert landing_of(lab, lab.commit({"later": b""}), patch) == landed


def test_what_upstream_took_and_changed_conflicts_and_says_so(lab: Lab) -> None:
    lab.commit({"a.c": TEXT, "b.c": b""})
    taken = lab.commit({"a.c": edited(TEXT, {20: "twenty"}), "b.c": b"b\n"}, "take it")
    patch = parse_patch("1.patch", lab.git("format-patch", "--stdout", "-1", taken))
    lab.commit({"a.c": edited(TEXT, {20: "twenty, better"})})
    judged = lab.judge(lab.commit({"z": b""}), patch)
    assert judged.standings == ["conflict"]
    assert judged.details == ["a.c: hunk #1 of 1; upstream took it in b2 and changed it since"]
    since = judged.judgement.statuses[0].since
    assert since is not None
    assert since.commit == taken
