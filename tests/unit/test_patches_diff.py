"""Diffs as git writes them are read as git reads them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from builder.source.patches.diff import Change, find_diff, parse_diff
from tests.integration.patches.patch_labs import FILE, LINK, PROGRAM, SUBMODULE, File, Lab, order

Facts = tuple[object, object, object, object, object]
_NAMES = st.sampled_from(
    ["a", "b c", "d/e", "d/f g", 'q"u', "t\tab", "back\\slash", "é/ü", "n\nl", '"', "x => y", "a b/a b", "日本"]
)
_LINES = st.sampled_from(
    [
        b"",
        b" ",
        b"text",
        b"other",
        b"-- ",
        b"-- a/x",
        b"++ b/x",
        b"--- a/x",
        b"+++ b/x",
        b"@@ -1,2 +1,2 @@",
        b"diff --git a/x b/x",
        b"index 1234567..89abcde 100644",
        b"new file mode 100644",
        b"GIT binary patch",
        b"Binary files a/x and b/x differ",
        b"\\ No newline at end of file",
        b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001",
        b"carriage\r",
        b"\xff\xfe",
        "ß".encode(),
    ]
)
_TEXTS = st.builds(
    lambda lines, end: b"\n".join(lines) + end, st.lists(_LINES, max_size=12), st.sampled_from([b"\n", b""])
)
_FILES = st.one_of(
    st.builds(File, _TEXTS, st.sampled_from([FILE, PROGRAM])),
    st.builds(File, st.binary(min_size=1, max_size=30).map(lambda data: b"\0" + data), st.just(FILE)),
    st.builds(File, st.sampled_from([b"a", b"d/e", b"new\nline"]), st.just(LINK)),
    st.builds(File, st.sampled_from([b"1" * 40, b"2" * 40]), st.just(SUBMODULE)),
)
_TREES = st.dictionaries(_NAMES, _FILES, max_size=5)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as folder:
        yield Lab(Path(folder))


def facts_of(change: Change) -> Facts:
    """What git's own listings say as well."""
    added = sum(line.startswith(b"+") for hunk in change.hunks for line in hunk.lines)
    removed = sum(line.startswith(b"-") for hunk in change.hunks for line in hunk.lines)
    counts = ("-", "-") if change.binary else (str(added), str(removed))
    return change.old, change.new, change.old_mode, change.new_mode, counts


def listed(lab: Lab, *options: str) -> dict[str, Facts]:
    """The same by `git diff-tree --raw --numstat`, by path."""
    tokens = iter(
        lab.git("diff-tree", "-r", "-z", "--raw", "--no-abbrev", *options).decode(errors="surrogateescape").split("\0")
    )
    sides: dict[str, tuple[object, object, object, object]] = {}
    for token in filter(None, tokens):
        old_mode, new_mode, _, _, status = token[1:].split(" ")
        old = next(tokens)
        new = next(tokens) if status[0] in "RC" else old
        sides[new] = (
            None if status == "A" else old,
            None if status == "D" else new,
            None if status == "A" else old_mode,
            None if status == "D" else new_mode,
        )
    counts: dict[str, object] = {}
    tokens = iter(lab.git("diff-tree", "-r", "-z", "--numstat", *options).decode(errors="surrogateescape").split("\0"))
    for token in filter(None, tokens):
        added, removed, path = token.split("\t", 2)
        if not path:
            path = (next(tokens), next(tokens))[1]
        counts[path] = (added, removed)
    return {path: (*facts, counts[path]) for path, facts in sides.items()}


def trees_of(lab: Lab, before: dict[str, File], after: dict[str, File]) -> tuple[str, str]:
    """Two commits, the second on the first."""
    said = b""
    for content in (before, after):
        said += b"commit refs/heads/work\ncommitter A <a@example.invalid> 1 +0000\ndata 0\ndeleteall\n"
        said += b"".join(order(path, file) for path, file in content.items())
    lab.git("fast-import", "--quiet", "--force", stdin=said)
    return "work^", "work"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TREES, _TREES, st.sampled_from([(), ("-M",), ("-M", "-C", "--find-copies-harder")]), st.booleans())
@example({"a": File(b"")}, {"b c": File(b"")}, (), False)
@example({"a": File(b"x\n")}, {"a": File(b"x\n", PROGRAM)}, (), False)
@example({'x" "y': File(b"x\n")}, {'x" "y': File(b"x\n", PROGRAM)}, (), False)
@example({'q"u': File(b"x\n")}, {"a": File(b"x\n")}, ("-M",), False)
@example({"a": File(b"x", LINK)}, {"a": File(b"x\n")}, (), False)
def test_every_change_is_what_git_says(
    lab: Lab, before: dict[str, File], after: dict[str, File], renames: tuple[str, ...], bare: bool
) -> None:
    trees = trees_of(lab, before, after)
    told = ("-p", "--binary", "--unified=0" if bare else "--full-index")
    changes = list(parse_diff(lab.git("diff-tree", *told, *renames, *trees)))
    found = {change.path: facts_of(change) for change in changes}
    assert found == as_diffs_tell(listed(lab, *renames, *trees), found)
    assert not any(change.hollow or change.lacks_data for change in changes)


def as_diffs_tell(expected: dict[str, Facts], found: dict[str, Facts]) -> dict[str, Facts]:
    """What a diff can say of that.

    A file that becomes a link is one removed and one made, of which the second is compared. A file that moves as it is
    keeps its mode and contents without a word.
    """
    told: dict[str, Facts] = {}
    for path, (old, new, old_mode, new_mode, counts) in expected.items():
        if old and new and str(old_mode)[:2] != str(new_mode)[:2]:
            told[path] = (None, new, None, new_mode, found[path][4])
        elif old != new and old_mode == new_mode and found[path][2] is None:
            told[path] = (old, new, None, None, ("0", "0"))
        else:
            told[path] = (old, new, old_mode, new_mode, counts)
    return told


HEAD = "diff --git a/x b/x\nindex 1234567..89abcde 100644\n--- a/x\n+++ b/x\n"


@pytest.mark.parametrize(
    ("diff", "reason"),
    [
        (HEAD, "ends before the change of x"),
        (HEAD.partition("---")[0], "ends before the change of x"),
        ("diff --git a/x b/x\nnew file mode 100644\nindex 0000000..89abcde\n", "ends before the change of x"),
        ("diff --git a/x b/y\nindex 1234567..89abcde\n", "names no file"),
        (HEAD + "@@ -1,2 +1,2 @@\n a\n", "ends in the middle of a hunk"),
        (HEAD + "@@ -1,3 +1,3 @@\n a\n-b\n+c\n", "ends in the middle of a hunk"),
        (HEAD + "@@ -1,2 +1,2 @@\n a\ndiff --git a/y b/y\n", "is cut off"),
        (HEAD + "@@ -1,1 +1,2 @@\n a\n-b\n", "has other lines than its head says"),
        (HEAD + "@@ one @@\n", "is no head of a hunk"),
        ('diff --git "a/\\q" "b/\\q"\nold mode 100644\nnew mode 100755\n', "quoted wrongly"),
    ],
)
def test_what_is_cut_off_or_malformed_is_said_so(diff: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        list(parse_diff(diff.encode()))


@pytest.mark.parametrize("kept", range(8))
def test_a_diff_that_ends_anywhere_within_a_hunk_is_damaged(kept: int) -> None:
    lines = (HEAD + "@@ -1,6 +1,6 @@ f()\n a\n\n-b\n+c\n \n d\n e\n").splitlines(keepends=True)
    (change,) = parse_diff("".join(lines).encode())
    assert len(change.hunks[0].lines) == 7
    with pytest.raises(ValueError, match="ends"):
        list(parse_diff("".join(lines[: 4 + kept]).encode()))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a/d/x.c", "b/d/x.c", ("d/x.c", "d/x.c")),
        ("x.c", "x.c", ("x.c", "x.c")),
        ("old/x.c.orig\t2020-01-01 00:00:00.000000000 +0000", "new/x.c\t2020-01-01 00:00:00 +0000", ("x.c", "x.c")),
        ("old/x.c\t2020-01-01 00:00:00.000000000 +0000", "new/x.c~\t2020-01-01 00:00:00 +0000", ("x.c", "x.c")),
        ("old/x y.c\t2020-01-01 00:00:00 +0000", "new/x y.c\t2020-01-01 00:00:00 +0000", ("x y.c", "x y.c")),
        ("old/x.c\t1970-01-01 00:00:00.000000000 +0000", "new/x.c\t2020-01-01 00:00:00 +0000", (None, "x.c")),
        ("old/x.c\t2020-01-01 00:00:00 +0000", "new/x.c\t1969-12-31 16:00:00.000000000 -0800", ("x.c", None)),
        ("/dev/null", "b/x.c", (None, "x.c")),
        ("a/x.c", "/dev/null", ("x.c", None)),
    ],
)
def test_a_diff_that_is_not_gits_names_files_as_git_apply_takes_it(
    old: str, new: str, expected: tuple[str | None, str | None]
) -> None:
    (change,) = parse_diff(f"Only in b: z\n--- {old}\n+++ {new}\n@@ -1 +1 @@\n-b\n+c\n".encode())
    assert (change.old, change.new) == expected
    assert change.hunks[0].before == (b"b",)
    assert change.hunks[0].after == (b"c",)


def test_lines_of_a_hunk_are_told_apart() -> None:
    diff = HEAD + "@@ -3,3 +4,3 @@ int main()\n a\n--- b\n\\ No newline at end of file\n+++ c\n d\n-- \n2.39.5\n"
    (change,) = parse_diff(diff.encode())
    (hunk,) = change.hunks
    assert (hunk.old_start, hunk.new_start, hunk.heading) == (3, 4, "int main()")
    assert hunk.before == (b"a", b"-- b", b"d")
    assert hunk.after == (b"a", b"++ c", b"d")
    assert hunk.added == (b"++ c",)


def test_a_binary_patch_is_one_without_hunks() -> None:
    diff = (
        b"diff --git a/x b/x\nindex "
        + b"1" * 40
        + b".."
        + b"2" * 40
        + b" 100644\nGIT binary patch\nliteral 3\nKcmZ\n\n"
    )
    one, other = parse_diff(
        diff + b"literal 3\nKcmZ\n\n" + HEAD.replace("/x", "/y").encode() + b"@@ -1 +0,0 @@\n-a\n-- \n2.39\n"
    )
    assert (one.binary, one.lacks_data, one.path, one.old_blob) == (True, False, "x", "1" * 40)
    assert (other.binary, other.path, len(other.hunks)) == (False, "y", 1)


def test_a_change_of_binary_contents_without_them_is_recognised() -> None:
    (change,) = parse_diff(
        b"diff --git a/x y b/x y\nindex 1234567..89abcde 100644\nBinary files a/x y and b/x y differ\n"
    )
    assert change.lacks_data
    assert change.path == "x y"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (b"", None),
        (b"<!DOCTYPE html>\n<pre>--- a/x\n</pre>", None),
        (b"--- a/x\n+++ b/x\n", None),
        (b" diff --git a/x b/x\n", None),
        (b"Hello\n---\n x | 1 +\n\ndiff --git a/x b/x\n", 20),
        (b"Index: x\n====\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n", 14),
        (b"--- a/x\r\n+++ b/x\r\n@@ -1 +1 @@\r\n", 0),
    ],
)
def test_where_a_diff_begins(text: bytes, start: int | None) -> None:
    assert find_diff(text) == start


@given(st.binary(max_size=200) | st.lists(_LINES, max_size=20).map(b"\n".join))
def test_no_text_breaks_the_reader(text: bytes) -> None:
    with suppress(ValueError):
        assert all(change.path for change in parse_diff(text))


@pytest.mark.parametrize("names", ["sha1", "sha256"])
def test_an_empty_file_is_a_change(tmp_path: Path, names: str) -> None:
    lab = Lab(tmp_path, names)
    base = lab.commit({"kept": b"x\n", "removed": b""})
    for changes in ({"made": b""}, {"removed": None}):
        mail = lab.mail(base, changes)
        (change,) = parse_diff(mail[find_diff(mail) :])
        assert not change.hollow
