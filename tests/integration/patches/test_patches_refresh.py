"""A queue on a new base: what is kept, written anew and dropped."""

from __future__ import annotations

import email
import email.policy
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.patches.patch import parse_patch
from builder.source.patches.refresh import Deed
from builder.source.prepare import prepare
from tests.integration.patches.patch_labs import LINK, PROGRAM, File, edited, numbered, run_git
from tests.integration.patches.queue_labs import TEXT, TOP, QueueLab, apply_with_git, status, stopped, three_ways


@pytest.fixture
def lab(tmp_path: Path) -> QueueLab:
    return QueueLab.of(tmp_path)


def test_drops_rewrites_and_keeps_in_one_go(lab: QueueLab) -> None:
    newer = three_ways(lab)
    before, judged = lab.files(), lab.judge(newer)
    assert judged.standings == ["clean", "upstream", "fuzzy", "clean"]
    refreshed = lab.refresh(newer)
    assert list(refreshed.deeds.values()) == [Deed.KEPT, Deed.DROPPED, Deed.REWRITTEN, Deed.KEPT]
    after = lab.files()
    assert set(after) == set(before) - {"0002-landed.patch"}
    assert after["series"] == before["series"].replace(b"0002-landed.patch\n", b"")
    assert [name for name in after if after[name] == before[name]] == ["0001-kept.patch", "0004-kept.patch"]
    again = lab.judge(newer)
    assert again.standings == ["clean"] * 3
    assert again.judgement.tree == judged.judgement.tree


def test_what_is_written_anew_applies_with_git_itself(lab: QueueLab, tmp_path: Path) -> None:
    newer = three_ways(lab)
    lab.refresh(newer)
    tree = tmp_path / "tree"
    run_git(tmp_path, "clone", "--quiet", str(lab.up.git_folder), str(tree))
    for patch in lab.patches():
        apply_with_git(tree, lab.folder / patch.name)
    assert (tree / "c.c").read_bytes() == TOP * 3 + edited(TEXT, {20: "twenty"})


def test_a_refreshed_queue_has_nothing_to_do(lab: QueueLab) -> None:
    newer = three_ways(lab)
    assert not lab.refresh(newer).unchanged
    before = {file: file.stat().st_mtime_ns for file in lab.folder.iterdir()}
    assert lab.refresh(newer).unchanged
    assert {file: file.stat().st_mtime_ns for file in lab.folder.iterdir()} == before


def test_an_empty_queue_has_nothing_to_do(lab: QueueLab) -> None:
    assert lab.refresh(lab.up.commit({"a.c": TEXT})).unchanged
    assert lab.files() == {}


def test_what_is_written_anew_names_what_it_was_made_on_in_full(lab: QueueLab) -> None:
    newer = three_ways(lab)
    lab.refresh(newer)
    change = lab.patches()[1].changes[0]
    assert change.old_blob == lab.up.git("rev-parse", f"{newer}:c.c").decode().strip()
    assert len(change.new_blob or "") == 40


EVERY_KIND = {
    "text.c": TEXT,
    "data.bin": bytes(range(256)) * 4,
    "old name.c": numbered(60, "rename"),
    "script.sh": b"#!/bin/sh\n",
    "windows.txt": numbered(40).replace(b"\n", b"\r\n"),
    "gone.c": b"going\n",
    "no-newline.c": b"first\nlast",
    "umlaut-ü.c": TEXT,
}


def test_every_kind_of_change_survives_in_effect(lab: QueueLab) -> None:
    """Binary, rename, mode, CRLF, new, removed, without a last newline, link: all in one patch that has to move."""
    base = lab.up.commit(EVERY_KIND)
    wanted = {
        "text.c": edited(TEXT, {30: "thirty"}),
        "data.bin": bytes(reversed(range(256))) * 4,
        "old name.c": None,
        "new name.c": edited(numbered(60, "rename"), {7: "seven"}),
        "script.sh": File(b"#!/bin/sh\n", PROGRAM),
        "windows.txt": edited(TEXT, {20: "twenty"}).replace(b"\n", b"\r\n"),
        "gone.c": None,
        "no-newline.c": b"first\nother last",
        "new.bin": b"\0\1\2\xff" * 100,
        "empty.c": b"",
        "link": File(b"text.c", LINK),
        "umlaut-ü.c": edited(TEXT, {3: "drei"}),
    }
    lab.put("0001-all.patch", lab.up.mail(base, wanted))
    moved = {"text.c": TOP + TEXT, "windows.txt": b"top\r\n" + EVERY_KIND["windows.txt"], "other.c": b"x\n"}
    newer = lab.up.commit(moved)
    judged = lab.judge(newer)
    assert judged.standings == ["fuzzy"]
    assert lab.refresh(newer).deeds == {"0001-all.patch": Deed.REWRITTEN}
    again = lab.judge(newer)
    assert again.standings == ["clean"]
    assert again.files == judged.files
    assert again.files["windows.txt"].content.count(b"\r\n") == 41
    assert again.files["script.sh"].mode == PROGRAM
    assert again.files["link"].mode == LINK
    assert "old name.c" not in again.files
    assert b"rename from old name.c" in (lab.folder / "0001-all.patch").read_bytes()


SUBJECT = "größer: ein sehr langer Betreff, der in der Kopfzeile einer Mail umgebrochen werden muss, naïve café ☃"
BODY = "Erklärung: warum.\n\nSigned-off-by: Jürgen Müller <juergen@example.invalid>"


@pytest.mark.parametrize("encoding", ["as git writes it", "quoted-printable", "base64", "converted to CRLF"])
def test_author_date_and_message_survive(lab: QueueLab, encoding: str) -> None:
    base = lab.up.commit({"c.c": TEXT})
    mail = lab.up.mail(base, {"c.c": edited(TEXT, {20: "zwanzig ü"})}, message=f"{SUBJECT}\n\n{BODY}")
    mail = mail.replace(b"From: A Person", b"From: =?UTF-8?q?J=C3=BCrgen=20M=C3=BCller?=")
    lab.put("0001-x.patch", encoded(mail, encoding))
    before = lab.patches()[0]
    lab.refresh(lab.up.commit({"c.c": TOP + TEXT}))
    after = lab.patches()[0]
    assert after.diff != before.diff
    assert (after.subject, after.author, after.date, after.body) == (
        SUBJECT,
        "Jürgen Müller <person@example.invalid>",
        before.date,
        BODY,
    )
    assert "zwanzig ü".encode() in after.diff
    assert b"\r" not in (lab.folder / "0001-x.patch").read_bytes()


def encoded(mail: bytes, how: str) -> bytes:
    if how == "as git writes it":
        return mail
    if how == "converted to CRLF":
        return mail.replace(b"\n", b"\r\n")
    first, _, rest = mail.partition(b"\n")
    letter = email.message_from_bytes(rest, policy=email.policy.default)
    body = rest.partition(b"\n\n")[2]
    letter.set_content(body.decode(), cte=how)
    return first + b"\n" + letter.as_bytes()


def test_a_bare_diff_stays_one_with_its_text(lab: QueueLab) -> None:
    base = lab.up.commit({"c.c": TEXT})
    mail = lab.up.mail(base, {"c.c": edited(TEXT, {20: "twenty"})})
    lab.put("0001-x.patch", b"Why this is here.\n\n" + mail[mail.index(b"diff --git") : mail.index(b"-- \n")])
    lab.refresh(lab.up.commit({"c.c": TOP + TEXT}))
    content = (lab.folder / "0001-x.patch").read_bytes()
    assert content.startswith(b"Why this is here.\n\ndiff --git a/c.c b/c.c\n")
    assert b"@@ -18,7 +18,7 @@" in content


def test_a_persons_settings_do_not_change_what_is_written(
    lab: QueueLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = three_ways(lab)
    shutil.copytree(lab.folder, tmp_path / "copy")
    lab.refresh(newer)
    plain = lab.files()
    shutil.rmtree(lab.folder)
    shutil.copytree(tmp_path / "copy", lab.folder)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[format]\nsignature = mine\nattach = true\nsubjectPrefix = X\nnotes = true\nsignOff = true\nnoprefix = true\n"
        "[diff]\nnoprefix = true\ncontext = 9\nalgorithm = patience\nmnemonicPrefix = true\n[core]\nautocrlf = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    lab.refresh(newer)
    assert lab.files() == plain


def test_a_patch_reads_the_same_after_being_written_anew_twice(lab: QueueLab) -> None:
    base = lab.up.commit({"c.c": TEXT})
    lab.put("0001-x.patch", lab.up.mail(base, {"c.c": edited(TEXT, {20: "x"})}, message="x: y\n\nwhy\n\n* list"))
    first = lab.patches()[0]
    for lines in (2, 3):
        assert lab.refresh(lab.up.commit({"c.c": TOP * lines + TEXT})).deeds == {"0001-x.patch": Deed.REWRITTEN}
    content = (lab.folder / "0001-x.patch").read_bytes()
    last = parse_patch("0001-x.patch", content)
    assert (last.subject, last.author, last.date, last.body) == (first.subject, first.author, first.date, first.body)
    assert content.count(b"\n---\n") == 1
    assert b"1 file changed, 1 insertion(+), 1 deletion(-)" in content
    assert b"@@ -20,7 +20,7 @@" in content


# --- real trees --------------------------------------------------------------------------------------------------

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
GGML = "ggml/src/ggml.c"


@pytest.fixture
def real(lab: QueueLab) -> QueueLab:
    """Two releases of llama.cpp as two commits, and a queue that was made on the first."""
    for version in ("0.3.28", "0.3.36"):
        commit_release(lab, version)
    old, new = (lab.up.git("show", f"{commit}:{GGML}") for commit in ("master~1", "master"))
    said = lab.up.git("diff", "--unified=0", "master~1", "master", "--", GGML).decode()
    hunks = [tuple(int(number or 1) for number in found.groups()) for found in HUNK.finditer(said)]
    moved = next(
        start + count + 20
        for (start, count, new_start, new_count), (following, *_) in pairwise(hunks)
        if new_start + new_count != start + count and following > start + count + 40
    )
    lines, kept = old.splitlines(), frozenset(new.splitlines())
    clash = next(start for start, count, *_ in hunks if count and lines[start - 1] not in kept)
    queue = {
        "0001-kept.patch": {"LICENSE": edited(lab.up.git("show", "master:LICENSE"), {3: "local"})},
        "0002-moved.patch": {GGML: edited(old, {moved: "/* local */"})},
        "0003-landed.patch": {"CMakeLists.txt": lab.up.git("show", "master:CMakeLists.txt")},
        "0004-clash.patch": {GGML: edited(old, {clash: "/* local */"})},
        "0005-new.patch": {"local.txt": b"local\n", "local.bin": bytes(range(256))},
    }
    for name, changes in queue.items():
        lab.put(name, lab.up.mail("master~1", changes, message=name))
    return lab


def commit_release(lab: QueueLab, version: str) -> None:
    request = Request(f"pypi:llama-cpp-python=={version}")
    tree = prepare(request, paths=Paths.default(), runner=Runner(), reporter=Reporter())
    lab.up.git(f"--work-tree={tree.path}", "add", "--all", "--force", str(tree.path))
    written = lab.up.git("write-tree").decode().strip()
    tip = lab.up.git("for-each-ref", "--format=%(objectname)", "refs/heads/master").decode().split()
    person = ("-c", "user.name=A", "-c", "user.email=a@example.invalid")
    parents = [word for commit in tip for word in ("-p", commit)]
    made = lab.up.git(*person, "commit-tree", *parents, "-m", version, written).decode().strip()
    lab.up.git("update-ref", "refs/heads/master", made)


def test_a_queue_moves_from_one_release_of_llama_to_another(real: QueueLab) -> None:
    judged = real.judge("master")
    assert judged.standings == ["clean", "fuzzy", "upstream", "conflict", "clean"]
    before = real.files()
    stop = stopped(real.refresh("master"))
    assert stop.marked == (GGML,)
    assert status(stop.folder) == [f"UU {GGML}"]
    fixed = run_git(stop.folder, "show", f":2:{GGML}")
    (stop.folder / GGML).write_bytes(b"/* fixed */\n" + fixed)
    refreshed = real.go_on()
    assert list(refreshed.deeds.values()) == [Deed.KEPT, Deed.REWRITTEN, Deed.DROPPED, Deed.FIXED, Deed.KEPT]
    again = real.judge("master")
    assert again.standings == ["clean"] * 4
    names = {*again.files, *judged.files}
    assert [name for name in names if again.files.get(name) != judged.files.get(name)] == [GGML]
    assert again.files[GGML].content.startswith(b"/* fixed */\n")
    assert again.files[GGML].content.removeprefix(b"/* fixed */\n") == judged.files[GGML].content
    for name in ("0001-kept.patch", "0005-new.patch"):
        assert real.files()[name] == before[name]
