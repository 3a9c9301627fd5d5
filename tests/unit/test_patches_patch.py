"""Patch files as they come: mails, bare diffs, things that are none."""

from __future__ import annotations

import base64
import quopri
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builder.errors import ExitCode
from builder.source.patches.patch import BadPatch, link_leaves, parse_patch
from tests.integration.patches.patch_labs import LINK, SUBMODULE, File, Lab, edited, numbered

NAME = "0001-x.patch"
DIFF = b"diff --git a/x.c b/x.c\nindex 1234567..89abcde 100644\n--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
MAIL = b"From: A Person <a@example.invalid>\nDate: Mon, 5 Jan 2026 10:00:00 +0100\nSubject: [PATCH] fix x\n"


def refused(content: bytes) -> str:
    with pytest.raises(BadPatch) as caught:
        parse_patch(NAME, content)
    assert caught.value.exit_code == ExitCode.SOURCE
    assert NAME in caught.value.cause
    return caught.value.cause


def made(path: str, mode: str, content: str) -> bytes:
    lines = content.split("\n")
    head = f"diff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0000000..89abcde\n--- /dev/null\n+++ b/{path}\n"
    body = "".join(f"+{line}\n" for line in lines)
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}\\ No newline at end of file\n".encode()


def test_a_mail_by_git_is_read(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    base = lab.commit({"d/x.c": numbered(9)})
    message = (
        "server : löse es, ganz und gar, in einer langen Betreffzeile, die git in zwei Zeilen bricht\n\nWhy.\nMore."
    )
    content = lab.mail(base, {"d/x.c": edited(numbered(9), {5: "five"}), "new": b""}, "-v2", "--stat", message=message)
    assert content.startswith(b"From ")
    assert b"[PATCH v2] " in content
    patch = parse_patch(NAME, content)
    assert patch.subject == message.partition("\n")[0]
    assert patch.author == "A Person <person@example.invalid>"
    assert patch.date == "Tue, 14 Nov 2023 22:14:20 +0000"
    assert patch.body == "Why.\nMore."
    assert patch.paths == ("d/x.c", "new")
    assert patch.diff.startswith(b"diff --git ")
    assert patch.diff.rstrip().endswith(lab.git("version").split()[2])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[PATCH] fix x", "fix x"),
        ("[PATCH v2 3/7] fix x", "fix x"),
        ("[RFC] [PATCH 03/18]\n  server:\n  fix x", "server: fix x"),
        ("=?UTF-8?q?[PATCH]=20l=C3=B6se=20es?=", "löse es"),
        ("=?utf-8?B?W1BBVENIXSBsw7ZzZSBlcw==?=", "löse es"),
        ("=?ISO-8859-1?Q?l=F6se?= es", "löse es"),
        ("löse es", "löse es"),
        ("fix [x] in y", "fix [x] in y"),
        ("[PATCH]", NAME),
    ],
)
def test_subjects(written: str, read: str) -> None:
    assert parse_patch(NAME, f"Subject: {written}\n\n---\n".encode() + DIFF).subject == read


@pytest.mark.parametrize(
    "line", [b"From " + b"1" * 40 + b" Mon Sep 17 00:00:00 2001\n", b"From a@b Mon Jan  5 2026\n", b""]
)
def test_the_first_line_of_a_mailbox_is_none_of_the_mail(line: bytes) -> None:
    patch = parse_patch(NAME, line + MAIL + b"\nBody.\n---\n x.c | 2 +-\n\n" + DIFF + b"-- \n2.39.5\n")
    assert (patch.subject, patch.author, patch.body) == ("fix x", "A Person <a@example.invalid>", "Body.")
    assert patch.date == "Mon, 5 Jan 2026 10:00:00 +0100"


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_encoded_mails_are_decoded(ends: bytes) -> None:
    text = "Grüße = gut\n---\n".encode() + DIFF
    for encoding, written in (("quoted-printable", quopri.encodestring(text)), ("base64", base64.encodebytes(text))):
        mail = MAIL + f"Content-Transfer-Encoding: {encoding}\n\n".encode() + written
        patch = parse_patch(NAME, mail.replace(b"\n", ends))
        assert patch.body == "Grüße = gut"
        assert patch.diff == DIFF


def test_an_encoded_mail_keeps_the_line_ends_of_a_file() -> None:
    diff = DIFF.replace(b" a\n-b\n+c\n", b" a\r\n-b\r\n+c\r\n")
    mail = MAIL + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(b"Hi.\n---\n" + diff)
    assert parse_patch(NAME, mail).diff == diff


def test_damaged_base64_is_said_so() -> None:
    assert "damaged" in refused(MAIL + b"Content-Transfer-Encoding: base64\n\nabcde")


def test_a_mail_of_several_parts_is_refused() -> None:
    mail = (
        MAIL + b'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/plain\n\n' + DIFF + b"\n--x--\n"
    )
    assert "several parts" in refused(mail)


def test_a_file_converted_on_its_way_is_converted_back() -> None:
    mail = MAIL + b"\nBody.\n---\n" + DIFF + b"-- \n2.39.5\n"
    patch = parse_patch(NAME, mail.replace(b"\n", b"\r\n"))
    assert b"\r" not in patch.diff
    assert patch == parse_patch(NAME, mail)


def test_line_ends_of_the_content_alone_are_kept() -> None:
    diff = DIFF.replace(b" a\n-b\n+c\n", b" a\r\n-b\r\n+c\r\n")
    patch = parse_patch(NAME, MAIL + b"\n---\n" + diff)
    assert patch.diff == diff
    assert patch.changes[0].hunks[0].before == (b"a\r", b"b\r")


@pytest.mark.parametrize(
    "before", [b"", b"Some words.\n\n", b"Index: x.c\n=====\n", b"commit 123\nAuthor: A\n\n    fix\n\n"]
)
def test_a_bare_diff_is_named_by_its_file(before: bytes) -> None:
    patch = parse_patch(NAME, before + DIFF)
    assert (patch.subject, patch.author, patch.date, patch.body) == (NAME, None, None, "")
    assert patch.diff == DIFF
    assert patch.paths == ("x.c",)


def test_a_blank_line_that_lost_its_blank_is_no_end_of_headers() -> None:
    diff = b"Index: x.c\n--- x.c\n+++ x.c\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n"
    assert parse_patch(NAME, diff).changes[0].hunks[0].before == (b"a", b"", b"b")


def test_a_last_newline_that_was_lost_is_put_back() -> None:
    assert parse_patch(NAME, DIFF[:-1]) == parse_patch(NAME, DIFF)


def test_several_mails_in_one_file_are_one_patch() -> None:
    second = DIFF.replace(b"x.c", b"y.c")
    patch = parse_patch(NAME, b"".join(MAIL + b"\n---\n" + diff + b"-- \n2.39\n\n" for diff in (DIFF, second)))
    assert patch.paths == ("x.c", "y.c")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\0" * 100,
        b"<!DOCTYPE html>\n<html><title>404</title>\n<p>diff --git was not found</html>\n",
        MAIL + b"\n",
        MAIL.replace(b"[PATCH]", b"[PATCH 0/3]")
        + b"\n*** BLURB HERE ***\n\nA (2):\n  one\n\n x.c | 2 +-\n\n-- \n2.39.5\n",
        b"--- a/x.c\n+++ b/x.c\n",
    ],
    ids=["empty", "blank", "zeros", "page", "no body", "cover letter", "no hunk"],
)
def test_what_is_no_patch_is_refused(content: bytes) -> None:
    assert "holds no change" in refused(content)


@pytest.mark.parametrize("cut", [30, 60, 90, len(DIFF) - 3])
def test_a_patch_that_is_cut_off_is_refused(cut: int) -> None:
    assert "damaged: " in refused(MAIL + b"\n---\n" + DIFF[:cut])


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", ".git/config", ".GIT/config", "a/.Git/hooks/post-checkout", "a//b", "./a"],
)
def test_a_path_outside_of_the_tree_is_refused(path: str) -> None:
    assert "not inside the tree" in refused(made(path, "100644", "x"))
    assert "not inside the tree" in refused(DIFF.replace(b"/x.c", b"/" + path.encode()))
    renamed = f"diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to {path}\n"
    assert "not inside the tree" in refused(renamed.encode())


@pytest.mark.parametrize("path", [r"a\000b", r"\377"])
def test_a_path_that_cannot_be_written_down_is_refused(path: str) -> None:
    cause = refused(f'diff --git "a/{path}" "b/{path}"\nold mode 100644\nnew mode 100755\n'.encode())
    assert "UTF-8" in cause
    assert cause.isprintable()


def test_names_that_only_look_odd_are_taken() -> None:
    for path in ("...", "..a", ".github/x", ".gitignore", "a b", "git", "é"):
        assert parse_patch(NAME, made(path, "100644", "x")).paths == (path,)


@pytest.mark.parametrize(
    ("path", "target", "leaves"),
    [
        ("l", "/etc/passwd", True),
        ("l", "../x", True),
        ("a/l", "../x", False),
        ("a/l", "../../x", True),
        ("a/b/l", "../../x", False),
        ("a/l", ".././../x", True),
        ("a/l", "b/../../../x", True),
        ("a/l", "b/../c", True),
        ("l", "a/b", False),
        ("l", "./a//b", False),
        ("l", "...", False),
    ],
)
def test_where_links_lead(path: str, target: str, leaves: bool) -> None:
    assert link_leaves(path, target) == leaves
    if leaves:
        assert "outside of the tree" in refused(made(path, LINK, target))
    else:
        assert parse_patch(NAME, made(path, LINK, target)).changes[0].link_target == target


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b"]), max_size=6), st.integers(0, 3))
@example(["a", "..", "..", "x"], 1)
def test_no_link_that_is_taken_leads_out_even_where_folders_are_links(target: list[str], depth: int) -> None:
    path = "/".join(["d"] * depth + ["l"])
    if not link_leaves(path, "/".join(target)):
        climbed = target.count("..")
        assert climbed <= depth
        assert ".." not in [part for part in target if part not in ("", ".")][climbed:]


def test_a_submodule_is_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    base = lab.commit({"m": File(b"1" * 40, SUBMODULE)})
    assert "changes the submodule m" in refused(lab.mail(base, {"m": File(b"2" * 40, SUBMODULE)}))
    assert "changes the submodule m" in refused(lab.mail(base, {"m": None}))
    assert "changes the submodule n" in refused(lab.mail(base, {"n": File(b"2" * 40, SUBMODULE)}))


def test_binary_contents_must_be_there_as_a_whole(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    base = lab.commit({"x.bin": b"\0one"})
    whole = lab.mail(base, {"x.bin": b"\0two" * 99})
    assert parse_patch(NAME, whole).changes[0].binary
    names = lab.git("rev-parse", f"{base}:x.bin").strip(), lab.git("rev-parse", "work:x.bin").strip()
    shortened = whole.replace(b"..".join(names), names[0][:9] + b".." + names[1][:9])
    assert "lacks the contents of the binary file x.bin" in refused(shortened)
    assert "lacks the contents of the binary file x.bin" in refused(
        lab.git("format-patch", "-1", "--stdout", "--no-binary", "work")
    )


@given(
    st.sampled_from(["From", "Subject", "Date", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]),
    st.text(max_size=60) | st.sampled_from(['"a <', "=?utf-8?q?=?=", "=?x?b?!?=", "a@b (c", "multipart", "<@>", ":;"]),
)
@example("From", "\udce9".encode("utf-8", "surrogateescape").decode("latin-1"))
def test_no_header_breaks_the_reader(name: str, value: str) -> None:
    try:
        patch = parse_patch(NAME, f"{name}: {value}\n\n---\n".encode("utf-8", "replace") + DIFF)
    except BadPatch:
        return
    assert f"{patch.subject}{patch.author}{patch.date}".encode()


@given(st.binary(max_size=300) | st.integers(0, 400).map(lambda cut: (MAIL + b"\nBody.\n---\n" + DIFF)[:cut]))
def test_no_file_breaks_the_reader(content: bytes) -> None:
    try:
        assert parse_patch(NAME, content).paths
    except BadPatch as error:
        assert error.remedy  # noqa: PT017


def test_several_mails_are_no_patch() -> None:
    head = b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
    mail = head + MAIL + b"\n---\n" + DIFF + b"-- \n2.39.5\n\n"
    assert parse_patch(NAME, mail).subject == "fix x"
    assert "2 mails" in refused(mail * 2)
    assert "3 mails" in refused((mail * 3).replace(b"\n", b"\r\n"))
