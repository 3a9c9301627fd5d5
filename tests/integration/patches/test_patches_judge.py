"""What becomes of patches on small upstreams, with real git."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.source.patches.bench import bench_on
from builder.source.patches.judge import judge
from builder.source.patches.patch import BadPatch, Patch, parse_patch
from builder.source.patches.status import FileConflict, Shift
from tests.integration.patches.patch_labs import LINK, PROGRAM, File, Lab, edited, numbered

TEXT = numbered(40)
TOP = b"// one\n// two\n// three\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


@pytest.fixture
def base(lab: Lab) -> str:
    return lab.commit({"a.c": TEXT, "b.c": numbered(40, "other"), "d/e.c": numbered(9, "deep")}, "first")


# --- applies -----------------------------------------------------------------------------------------------------


def test_a_patch_on_what_it_was_made_on_is_clean(lab: Lab, base: str) -> None:
    changes = {
        "a.c": edited(TEXT, {5: "five", 30: "thirty"}),
        "b.c": None,
        "n/w": b"no newline",
        "empty": b"",
        "run": File(b"#!/bin/sh\n", PROGRAM),
        "link": File(b"d/e.c", LINK),
        "x.bin": bytes(range(256)) * 9,
        'name with \t, " and é': b"x\n",
    }
    judged = lab.judge(base, lab.patch(base, changes, "0001.patch"))
    assert judged.standings == ["clean"]
    expected = {path: File(content) if isinstance(content, bytes) else content for path, content in changes.items()}
    assert judged.files == {"d/e.c": File(numbered(9, "deep")), **{p: f for p, f in expected.items() if f}}


@pytest.mark.parametrize(("before", "after", "far"), [(TEXT, TOP + TEXT, 3), (TOP + TEXT, TEXT, -3)])
def test_lines_that_moved_are_told(lab: Lab, before: bytes, after: bytes, far: int) -> None:
    made_on = lab.commit({"a.c": before})
    patch = lab.patch(
        made_on, {"a.c": before.replace(b"line 9\n", b"nine\n").replace(b"line 30\n", b"thirty\n")}, "1.patch"
    )
    tip = lab.commit({"a.c": after})
    judged = lab.judge(tip, patch)
    (status,) = judged.judgement.statuses
    assert (status.standing, status.merged) == ("fuzzy", False)
    assert status.shifts == (Shift("a.c", 1, far), Shift("a.c", 2, far))
    assert judged.files["a.c"].content == after.replace(b"line 9\n", b"nine\n").replace(b"line 30\n", b"thirty\n")


def test_context_that_changed_is_merged(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    tip = lab.commit({"a.c": edited(TEXT, {18: "eighteen"})})
    judged = lab.judge(tip, patch)
    assert judged.standings == ["fuzzy"]
    assert judged.details == ["by three-way merge"]
    assert judged.files["a.c"].content == edited(TEXT, {18: "eighteen", 20: "twenty"})


def test_a_file_that_upstream_renamed_is_followed(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    stacked = lab.patch(lab.made(), {"a.c": edited(TEXT, {20: "twenty", 30: "thirty"})}, "2.patch")
    tip = lab.commit({"a.c": None, "moved/z.c": edited(TEXT, {1: "first"})})
    judged = lab.judge(tip, patch, stacked)
    assert judged.standings == ["fuzzy", "fuzzy"]
    assert "a.c" not in judged.files
    assert judged.files["moved/z.c"].content == edited(TEXT, {1: "first", 20: "twenty", 30: "thirty"})


def test_renames_copies_and_modes(lab: Lab, base: str) -> None:
    moved = lab.patch(base, {"a.c": None, "z.c": TEXT}, "1.patch", "-M")
    edit = lab.patch(base, {"b.c": None, "y.c": edited(numbered(40, "other"), {7: "seven"})}, "2.patch", "-M")
    copied = lab.patch(
        base, {"d/f.c": edited(numbered(9, "deep"), {1: "one"})}, "3.patch", "-C", "--find-copies-harder"
    )
    mode = lab.patch(base, {"d/e.c": File(numbered(9, "deep"), PROGRAM)}, "4.patch")
    assert b"rename from a.c" in moved.diff
    assert b"rename from b.c" in edit.diff
    assert b"copy from d/e.c" in copied.diff
    tip = lab.commit({"b.c": edited(numbered(40, "other"), {30: "thirty"}), "unrelated": b"x\n"})
    judged = lab.judge(tip, moved, edit, copied, mode)
    assert judged.standings == ["clean"] * 4
    assert judged.files == {
        "z.c": File(TEXT),
        "y.c": File(edited(numbered(40, "other"), {7: "seven", 30: "thirty"})),
        "d/f.c": File(edited(numbered(9, "deep"), {1: "one"})),
        "d/e.c": File(numbered(9, "deep"), PROGRAM),
        "unrelated": File(b"x\n"),
    }


def test_a_binary_delta_is_applied(lab: Lab) -> None:
    before = b"\0" + os.urandom(2000)
    base = lab.commit({"x.bin": before})
    patch = lab.patch(base, {"x.bin": before + b"end"}, "1.patch")
    assert b"\ndelta " in patch.diff
    assert lab.judge(lab.commit({"a": b""}), patch).files["x.bin"].content == before + b"end"


def test_a_diff_that_fits_in_a_wrong_place_is_merged_into_the_right_one(lab: Lab) -> None:
    """The function was moved down and a twin put in its old place."""
    body = (
        "{\n"
        + "".join(f"    step{number}();\n" for number in range(6))
        + "    work();\n    done();\n    more();\n    end();\n}\n"
    )
    filler = numbered(30).decode()
    before = f"int foo()\n{body}{filler}"
    base = lab.commit({"a.c": before.encode()})
    patch = lab.patch(base, {"a.c": before.replace("work();", "better();").encode()}, "1.patch")
    after = f"int bar()\n{body}{numbered(60, 'new').decode()}int foo()\n{body}{filler}"
    tip = lab.commit({"a.c": after.encode()})
    judged = lab.judge(tip, patch)
    head, _, tail = after.rpartition("work();")
    assert judged.files["a.c"].content.decode() == f"{head}better();{tail}"
    assert judged.details == ["by three-way merge"]


def test_a_diff_that_fits_only_at_a_twin_is_a_conflict(lab: Lab) -> None:
    """Upstream rewrote the function; another one has the same lines."""
    twin = "    a();\n    b();\n    c();\n    work();\n    d();\n    e();\n    f();\n"
    before = f"int foo() {{\n{twin}}}\n{numbered(20).decode()}int bar() {{\n{twin}}}\n"
    base = lab.commit({"a.c": before.encode()})
    patch = lab.patch(base, {"a.c": before.replace("work();", "better();", 1).encode()}, "1.patch")
    tip = lab.commit({"a.c": before.replace(twin, "    all_new();\n", 1).encode()})
    judged = lab.judge(tip, patch)
    assert judged.standings == ["conflict"]
    assert judged.files["a.c"].content == before.replace(twin, "    all_new();\n", 1).encode()


def test_a_patch_is_not_upstream_because_a_twin_looks_like_it(lab: Lab) -> None:
    old = "    a();\n    b();\n    c();\n    work();\n    d();\n    e();\n    f();\n"
    new = old.replace("work", "better")
    before = f"int foo() {{\n{old}}}\n{numbered(20).decode()}int bar() {{\n{new}}}\n"
    base = lab.commit({"a.c": before.encode()})
    patch = lab.patch(base, {"a.c": before.replace(old, new).encode()}, "1.patch")
    tip = lab.commit({"a.c": before.replace(old, "    all_new();\n").encode()})
    assert lab.judge(tip, patch).standings == ["conflict"]


@pytest.mark.parametrize("taken", [False, True])
def test_lines_that_upstream_moved_within_their_file_are_followed(lab: Lab, taken: bool) -> None:
    function = "int foo() {\n" + "".join(f"    step{number}();\n" for number in range(9)) + "}\n"
    patched = function.replace("step4();", "better();")
    before = function + numbered(30).decode()
    base = lab.commit({"a.c": before.encode()})
    patch = lab.patch(base, {"a.c": before.replace(function, patched).encode()}, "1.patch")
    if taken:
        lab.commit({"a.c": before.replace(function, patched).encode()}, "take it")
    after = numbered(30).decode() + (patched if taken else function)
    judged = lab.judge(lab.commit({"a.c": after.encode()}), patch)
    assert judged.standings == ["upstream" if taken else "fuzzy"]
    assert judged.files["a.c"].content.decode() == after.replace(function, patched)


def test_bare_diffs_without_names_of_contents_are_applied_by_their_lines(lab: Lab) -> None:
    lab.commit({"a.c": TEXT})
    diff = b"--- x/a.c\n+++ y/a.c\n@@ -19,3 +19,3 @@\n line 19\n-line 20\n+twenty\n line 21\n"
    patch = parse_patch("1.diff", diff)
    tip = lab.commit({"a.c": TOP + TEXT})
    judged = lab.judge(tip, patch)
    assert judged.details == ["1 hunk moved +3 lines"]
    assert judged.files["a.c"].content == TOP + edited(TEXT, {20: "twenty"})
    taken = lab.commit({"a.c": TOP + edited(TEXT, {20: "twenty"})}, "take it")
    judged = lab.judge(lab.commit({"z": b""}), patch)
    assert judged.standings == ["upstream"]
    since = judged.judgement.statuses[0].since
    assert since is not None
    assert since.commit == taken


def test_files_with_carriage_returns_keep_them(lab: Lab) -> None:
    crlf = TEXT.replace(b"\n", b"\r\n")
    base = lab.commit({"a.c": crlf, ".gitattributes": b"* text=auto eol=lf\n"})
    patch = lab.patch(base, {"a.c": crlf.replace(b"line 5\r", b"five\r")}, "1.patch")
    judged = lab.judge(lab.commit({"a.c": b"top\r\n" + crlf}), patch)
    assert judged.standings == ["fuzzy"]
    assert judged.files["a.c"].content == b"top\r\n" + crlf.replace(b"line 5\r", b"five\r")


# --- conflicts ---------------------------------------------------------------------------------------------------


def test_conflicts_name_files_and_hunks(lab: Lab, base: str) -> None:
    patch = lab.patch(
        base,
        {
            "a.c": edited(TEXT, {3: "3", 13: "13", 23: "23", 33: "33"}),
            "b.c": edited(numbered(40, "other"), {5: "5"}),
            "d/e.c": edited(numbered(9, "deep"), {5: "5"}),
        },
        "1.patch",
    )
    tip = lab.commit(
        {
            "a.c": edited(TEXT, {3: "three", 11: "near", 23: "twenty-three"}),
            "b.c": edited(numbered(40, "other"), {3: "near"}),
            "d/e.c": edited(numbered(9, "deep"), {5: "five"}),
        }
    )
    judged = lab.judge(tip, patch)
    (status,) = judged.judgement.statuses
    assert status.conflicts == (
        FileConflict("a.c", (1, 3), 4, "the lines it changes are others"),
        FileConflict("d/e.c", (1,), 1, "the lines it changes are others"),
    )
    assert status.alone is False
    assert status.detail == "a.c: hunks #1, #3 of 4; d/e.c: hunk #1 of 1"
    assert judged.judgement.tree == judged.judgement.base


def test_files_that_are_gone_or_there_already(lab: Lab, base: str) -> None:
    edit = lab.patch(base, {"a.c": edited(TEXT, {3: "3"})}, "1.patch")
    again = lab.patch(base, {"a.c": edited(TEXT, {30: "30"})}, "2.patch")
    make = lab.patch(base, {"new.c": b"ours\n"}, "3.patch")
    data = lab.patch(lab.commit({"x.bin": b"\0one"}), {"x.bin": b"\0two"}, "4.patch")
    tip = lab.commit({"a.c": None, "new.c": b"theirs\n", "x.bin": b"\0three"})
    judged = lab.judge(tip, edit, again, make, data)
    assert judged.standings == ["conflict"] * 4
    assert judged.details == [
        "a.c: the tree has no such file",
        "a.c: the tree has no such file",
        "new.c: upstream has a file of that name",
        "x.bin: the tree has other binary contents",
    ]


def test_a_conflict_in_a_file_that_upstream_renamed_names_it_as_it_is_now(lab: Lab, base: str) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "ours"})}, "1.patch")
    tip = lab.commit({"a.c": None, "z.c": edited(TEXT, {20: "theirs"})})
    (status,) = lab.judge(tip, patch).judgement.statuses
    assert status.standing == "conflict"
    assert [conflict.path for conflict in status.conflicts] == ["z.c"]


# --- one patch and another ---------------------------------------------------------------------------------------


def test_a_patch_that_needs_one_that_fails_is_blocked_by_it(lab: Lab, base: str) -> None:
    first = lab.patch(base, {"a.c": edited(TEXT, {20: "ours"})}, "1.patch")
    second = lab.patch(lab.made(), {"a.c": edited(TEXT, {20: "ours, better"})}, "2.patch")
    tip = lab.commit({"a.c": edited(TEXT, {20: "theirs"})})
    judged = lab.judge(tip, first, second)
    assert judged.standings == ["conflict", "blocked"]
    assert judged.details[1] == "by 1.patch; it needs what that one brings"
    assert judged.judgement.statuses[1].alone is False


def test_the_same_by_lines_where_the_diffs_name_no_contents(lab: Lab, base: str) -> None:
    def bare(content: bytes) -> bytes:
        return b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(b"index "))

    first = parse_patch("1.patch", bare(lab.mail(base, {"a.c": edited(TEXT, {20: "ours is here"})})))
    second = parse_patch("2.patch", bare(lab.mail(lab.made(), {"a.c": edited(TEXT, {20: "ours is better"})})))
    other = parse_patch("3.patch", bare(lab.mail(base, {"a.c": edited(TEXT, {20: "something else"})})))
    judged = lab.judge(lab.commit({"a.c": edited(TEXT, {20: "theirs"})}), first, second, other)
    assert judged.standings == ["conflict", "blocked", "conflict"]
    assert judged.judgement.statuses[1].blockers == ("1.patch",)


def test_a_patch_behind_one_that_fails_stands_on_its_own(lab: Lab, base: str) -> None:
    """All are made one on the other, in one file; only what truly needs another is blocked."""
    contents = [edited(TEXT, {3: "ours"})]
    contents += [edited(contents[0], {20: "independent"})]
    contents += [edited(contents[1], {3: "ours again"})]
    contents += [edited(contents[2], {33: "own conflict"})]
    patches: list[Patch] = []
    for number, content in enumerate(contents, 1):
        patches.append(lab.patch(lab.made() if patches else base, {"a.c": content}, f"{number}.patch"))
    tip = lab.commit({"a.c": edited(TEXT, {3: "theirs", 33: "theirs"})})
    judged = lab.judge(tip, *patches)
    assert judged.standings == ["conflict", "clean", "blocked", "conflict"]
    assert judged.judgement.statuses[2].blockers == ("1.patch",)
    assert judged.files["a.c"].content == edited(TEXT, {3: "theirs", 20: "independent", 33: "theirs"})


def test_a_new_file_of_a_patch_that_fails_is_missed(lab: Lab, base: str) -> None:
    first = lab.patch(base, {"a.c": edited(TEXT, {20: "ours"}), "new.c": TEXT}, "1.patch")
    second = lab.patch(lab.made(), {"new.c": edited(TEXT, {20: "twenty"})}, "2.patch")
    tip = lab.commit({"a.c": edited(TEXT, {20: "theirs"})})
    judged = lab.judge(tip, first, second)
    assert judged.standings == ["conflict", "blocked"]
    assert judged.judgement.statuses[1].blockers == ("1.patch",)
    assert "new.c" not in judged.files


def test_a_patch_that_an_earlier_one_keeps_out_is_blocked_by_it(lab: Lab, base: str) -> None:
    innocent = lab.patch(base, {"a.c": edited(TEXT, {3: "three"})}, "1.patch")
    guilty = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "2.patch")
    late = lab.patch(base, {"a.c": edited(TEXT, {20: "zwanzig"})}, "3.patch")
    judged = lab.judge(base, innocent, guilty, late)
    assert judged.standings == ["clean", "clean", "blocked"]
    (status,) = judged.judgement.statuses[2:]
    assert (status.blockers, status.alone) == (("2.patch",), True)
    assert [conflict.path for conflict in status.conflicts] == ["a.c"]
    assert judged.files["a.c"].content == edited(TEXT, {3: "three", 20: "twenty"})


def test_a_patch_that_is_in_the_queue_twice_is_blocked_by_the_first(lab: Lab, base: str) -> None:
    mail = lab.mail(base, {"a.c": edited(TEXT, {20: "twenty"})})
    judged = lab.judge(base, parse_patch("1.patch", mail), parse_patch("2.patch", mail))
    assert judged.standings == ["clean", "blocked"]
    assert judged.details[1] == "by 1.patch; it applies without it"


def test_a_file_where_another_patch_needs_a_folder(lab: Lab, base: str) -> None:
    file = lab.patch(base, {"x": b"file\n"}, "1.patch")
    folder = lab.patch(base, {"x/y": b"file\n"}, "2.patch")
    judged = lab.judge(base, file, folder)
    assert judged.standings == ["clean", "blocked"]
    assert judged.details[1] == "by 1.patch; it applies without it"


def test_a_stack_goes_on_as_it_was_made(lab: Lab, base: str) -> None:
    patches: list[Patch] = []
    content = TEXT
    for number in range(1, 9):
        content = edited(content, {20: f"step {number}"})
        patches.append(lab.patch(lab.made() if patches else base, {"a.c": content}, f"{number}.patch"))
    tip = lab.commit({"a.c": TOP + edited(TEXT, {18: "near"})})
    judged = lab.judge(tip, *patches)
    assert judged.standings == ["fuzzy"] * 8
    assert judged.files["a.c"].content == TOP + edited(TEXT, {18: "near", 20: "step 8"})


def test_several_diffs_in_one_file_that_touch_one_file(lab: Lab, base: str) -> None:
    first = lab.mail(base, {"a.c": edited(TEXT, {20: "twenty"})})
    second = lab.mail(lab.made(), {"a.c": edited(TEXT, {20: "twenty, better"})})
    diffs = b"".join(mail[mail.index(b"diff --git") :] for mail in (first, second))
    judged = lab.judge(lab.commit({"a.c": edited(TEXT, {18: "near"})}), parse_patch("1.patch", diffs))
    assert judged.standings == ["fuzzy"]
    assert judged.files["a.c"].content == edited(TEXT, {18: "near", 20: "twenty, better"})


def test_a_path_with_what_some_take_for_a_line_end(lab: Lab) -> None:
    base = lab.commit({"a\u2028b.c": TEXT})
    patch = lab.patch(base, {"a\u2028b.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    judged = lab.judge(lab.commit({"a\u2028b.c": b"on top\n" + TEXT}), patch)
    (shift,) = judged.judgement.statuses[0].shifts
    assert (shift.path, shift.lines) == ("a\u2028b.c", 1)


def test_nothing_is_tried_twice(lab: Lab, tmp_path: Path) -> None:
    tip = lab.commit({"a.c": TEXT})
    names = ("1.patch", "2.patch", "3.patch")
    first = [lab.patch(tip, {"a.c": edited(TEXT, {10 * at: "x"})}, name) for at, name in enumerate(names, 1)]
    rest = [lab.patch(tip, {"a.c": edited(TEXT, dict.fromkeys((10, 20, 30), name))}, name) for name in ("4", "5")]
    with bench_on(lab.repository(tmp_path / "record"), tip) as bench:
        statuses = judge(bench, [*first, *rest]).statuses
    assert [status.blockers for status in statuses] == [(), (), (), names, names]
    lines = (tmp_path / "record").read_text().splitlines()
    merges = [line.partition(" merge-tree ")[2] for line in lines if " merge-tree " in line]
    assert sorted(merges) == sorted(set(merges))


# --- what leaves the tree ----------------------------------------------------------------------------------------


def test_a_file_behind_a_link_of_the_tree_is_not_written(lab: Lab, base: str, tmp_path: Path) -> None:
    patch = lab.patch(base, {"d/e.c": edited(numbered(9, "deep"), {5: "5"}), "d/new": b"x\n"}, "1.patch")
    outside = tmp_path / "outside"
    tip = lab.commit({"d/e.c": None, "d": File(os.fsencode(outside), LINK)})
    judged = lab.judge(tip, patch)
    assert judged.standings == ["conflict"]
    assert judged.judgement.tree == judged.judgement.base
    only = lab.patch(base, {"d/new": b"x\n"}, "2.patch")
    assert lab.judge(tip, only).standings == ["conflict"]


def test_a_link_that_is_moved_so_that_it_leaves_the_tree_is_refused(lab: Lab) -> None:
    base = lab.commit({"d/sub/l": File(b"../../x", LINK), "x": b"x\n"})
    patch = lab.patch(base, {"d/sub/l": None, "l": File(b"../../x", LINK)}, "1.patch", "-M")
    assert b"rename to l" in patch.diff
    with pytest.raises(BadPatch, match=r"makes the link l to `\.\./\.\./x`, outside of the tree"):
        lab.judge(base, patch)
