"""A patch that does not apply is fixed in a working tree, left out, or the whole forgotten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.errors import SourceError, UsageError
from builder.process import Runner
from builder.source.patches.bench import Bench, bench_of
from builder.source.patches.fixed import Unfinished
from builder.source.patches.refresh import Deed, Refreshed, Step, refresh
from builder.upstream.git import Git
from builder.upstream.revision import Revision
from tests.integration.patches.patch_labs import edited, numbered, run_git
from tests.integration.patches.queue_labs import TEXT, TOP, QueueLab, apply_with_git, conflicting, status, stopped


@pytest.fixture
def lab(tmp_path: Path) -> QueueLab:
    return QueueLab.of(tmp_path)


def test_a_conflict_waits_in_a_tree_that_any_git_user_understands(lab: QueueLab) -> None:
    newer = conflicting(lab)
    before = lab.files()
    refreshed = lab.refresh(newer)
    assert [str(row.standing) for row in refreshed.statuses] == ["clean", "conflict", "blocked", "fuzzy"]
    assert lab.files() == before
    stop = stopped(refreshed)
    assert (stop.name, stop.marked, stop.unmarked, stop.rejected) == ("0002-clash.patch", ("b.c",), (), ())
    assert status(stop.folder) == ["UU b.c"]
    assert (stop.folder / "a.c").read_bytes() == edited(TEXT, {5: "five"})
    assert (stop.folder / "c.c").read_bytes() == TOP + TEXT
    marked = (stop.folder / "b.c").read_text()
    assert "<<<<<<< b2\nupstream's\n=======\ntwenty\n>>>>>>> 0002-clash.patch\n" in marked
    assert "++<<<<<<< b2" in run_git(stop.folder, "diff").decode()
    log = run_git(stop.folder, "log", "--format=%s").decode().splitlines()
    assert log == ["first", "clashes", "change"]
    assert run_git(stop.folder, "fsck", "--connectivity-only", "--no-dangling") == b""


def test_fixed_and_continued(lab: QueueLab) -> None:
    newer = conflicting(lab)
    before = lab.files()
    stop = stopped(lab.refresh(newer))
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "both"}))
    stop = stopped(lab.go_on())
    assert stop.name == "0003-on-it.patch"
    assert "0004" not in stop.why
    assert "<<<<<<< b2\nboth\nline 21\n=======\ntwenty\nmore\n>>>>>>>" in (stop.folder / "b.c").read_text()
    assert lab.files() == before
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "both", 21: "more"}))
    (stop.folder / "new.c").write_bytes(b"needed too\n")
    run_git(stop.folder, "rm", "--quiet", "--cached", "a.c")
    refreshed = lab.go_on()
    assert list(refreshed.deeds.values()) == [Deed.KEPT, Deed.FIXED, Deed.FIXED, Deed.REWRITTEN]
    judged = lab.judge(newer)
    assert judged.standings == ["clean"] * 4
    assert judged.files["b.c"].content == edited(TEXT, {20: "both", 21: "more"})
    assert judged.files["new.c"].content == b"needed too\n"
    assert judged.files["a.c"].content == edited(TEXT, {5: "five"})
    assert [patch.subject for patch in lab.patches()] == ["first", "clash", "on it", "moved"]
    assert [entry.name for entry in next(lab.place.iterdir()).iterdir()] == ["lock"]


def test_what_was_blocked_is_tried_again_on_the_fixed_tree(lab: QueueLab) -> None:
    base = lab.up.commit({"a.c": TEXT})
    made = edited(TEXT, {20: "twenty"})
    lab.put("0001-clash.patch", lab.up.mail(base, {"a.c": made, "new.c": numbered(9)}))
    lab.put("0002-on-it.patch", lab.up.mail(lab.up.made(), {"new.c": edited(numbered(9), {5: "five"})}))
    newer = lab.up.commit({"a.c": edited(TEXT, {20: "upstream's"})})
    refreshed = lab.refresh(newer)
    assert [str(row.standing) for row in refreshed.statuses] == ["conflict", "blocked"]
    (stopped(refreshed).folder / "a.c").write_bytes(edited(TEXT, {20: "both"}))
    assert list(lab.go_on().deeds.values()) == [Deed.FIXED, Deed.KEPT]
    assert lab.judge(newer).standings == ["clean", "clean"]


def test_ignored_files_stay_out_unless_the_patch_has_them(lab: QueueLab) -> None:
    base = lab.up.commit({"a.c": TEXT, ".gitignore": b"build/\n*.log\n"})
    lab.put("0001-x.patch", lab.up.mail(base, {"a.c": edited(TEXT, {20: "x"}), "kept.log": b"the patch's\n"}))
    newer = lab.up.commit({"a.c": edited(TEXT, {20: "y"})})
    stop = stopped(lab.refresh(newer))
    (stop.folder / "build").mkdir()
    (stop.folder / "build" / "a.o").write_bytes(b"compiled to try it\n")
    (stop.folder / "a.c").write_bytes(edited(TEXT, {20: "z"}))
    lab.go_on()
    assert sorted(lab.judge(newer).files) == [".gitignore", "a.c", "kept.log"]


def test_a_person_may_commit_there(lab: QueueLab) -> None:
    newer = conflicting(lab)
    stop = stopped(lab.refresh(newer))
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "both"}))
    who = ("-c", "user.name=A", "-c", "user.email=a@example.invalid")
    run_git(stop.folder, *who, "commit", "--quiet", "--all", "--message=done")
    assert stopped(lab.go_on()).name == "0003-on-it.patch"


def test_continuing_too_early_names_files_and_lines(lab: QueueLab) -> None:
    newer = conflicting(lab)
    stop = stopped(lab.refresh(newer))
    with pytest.raises(Unfinished) as refusal:
        lab.go_on()
    assert refusal.value.excerpt == ("b.c: conflict markers on lines 20, 22, 24",)
    assert str(stop.folder) in refusal.value.remedy
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "both\n======="}))
    (stop.folder / "b.c.orig").write_bytes(TEXT)
    with pytest.raises(Unfinished) as refusal:
        lab.go_on()
    assert refusal.value.excerpt == ("b.c: conflict markers on line 21", "b.c.orig: left over by a tool, remove it")


def test_continuing_without_any_change_is_refused(lab: QueueLab) -> None:
    newer = conflicting(lab)
    stop = stopped(lab.refresh(newer))
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "upstream's"}))
    with pytest.raises(Unfinished, match="nothing of it") as refusal:
        lab.go_on()
    assert "--skip" in refusal.value.remedy


def test_lines_that_look_like_markers_and_were_there_are_none(lab: QueueLab) -> None:
    heading = b"Title\n=======\n"
    base = lab.up.commit({"a.rst": heading + TEXT})
    lab.put("0001-x.patch", lab.up.mail(base, {"a.rst": heading + edited(TEXT, {20: "More\n======="})}))
    newer = lab.up.commit({"a.rst": heading + edited(TEXT, {20: "y"})})
    stop = stopped(lab.refresh(newer))
    (stop.folder / "a.rst").write_bytes(heading + edited(TEXT, {20: "y\n\nMore\n======="}))
    assert lab.go_on().deeds == {"0001-x.patch": Deed.FIXED}


@pytest.mark.parametrize("settled", ["kept", "removed", "edited"])
def test_a_file_that_upstream_removed_has_to_be_settled(lab: QueueLab, settled: str) -> None:
    base = lab.up.commit({"a.c": TEXT, "b.c": TEXT})
    lab.put("0001-x.patch", lab.up.mail(base, {"a.c": edited(TEXT, {9: "x"}), "b.c": edited(TEXT, {9: "x"})}))
    newer = lab.up.commit({"b.c": None})
    stop = stopped(lab.refresh(newer))
    assert (stop.marked, stop.unmarked) == ((), ("b.c",))
    with pytest.raises(Unfinished) as refusal:
        lab.go_on()
    assert "b.c: `git add` it" in refusal.value.excerpt[0]
    if settled == "edited":
        (stop.folder / "b.c").write_bytes(b"much less\n")
    else:
        run_git(stop.folder, *(("add", "b.c") if settled == "kept" else ("rm", "--quiet", "b.c")))
    assert lab.go_on().deeds == {"0001-x.patch": Deed.FIXED}
    files = lab.judge(newer).files
    assert files["a.c"].content == edited(TEXT, {9: "x"})
    wanted = {"kept": edited(TEXT, {9: "x"}), "removed": None, "edited": b"much less\n"}[settled]
    assert (files["b.c"].content if "b.c" in files else None) == wanted


def test_a_binary_conflict_has_to_be_settled(lab: QueueLab) -> None:
    base = lab.up.commit({"a.bin": b"\0one" * 50})
    lab.put("0001-x.patch", lab.up.mail(base, {"a.bin": b"\0two" * 50}))
    newer = lab.up.commit({"a.bin": b"\0three" * 50})
    stop = stopped(lab.refresh(newer))
    assert stop.unmarked == ("a.bin",)
    with pytest.raises(Unfinished):
        lab.go_on()
    run_git(stop.folder, "checkout", "--quiet", "--theirs", "a.bin")
    assert lab.go_on().deeds == {"0001-x.patch": Deed.FIXED}
    assert lab.judge(newer).files["a.bin"].content == b"\0two" * 50


def test_skipped_becomes_a_comment_with_its_reason(lab: QueueLab) -> None:
    newer = conflicting(lab)
    lab.series.write_text(lab.series.read_text().replace("0002-clash.patch", "0002-clash.patch  # ours"))
    lab.refresh(newer)
    stop = stopped(lab.skip())
    assert stop.name == "0003-on-it.patch"
    refreshed = lab.skip()
    assert list(refreshed.deeds.values()) == [Deed.KEPT, Deed.LEFT_OUT, Deed.LEFT_OUT, Deed.REWRITTEN]
    lines = lab.series.read_text().splitlines()
    assert lines[0] == "0001-first.patch"
    assert lines[1] == "# 0002-clash.patch  # left out on b2: b.c: hunk #1 of 1"
    assert lines[2].startswith("# 0003-on-it.patch  # left out on b2: ")
    assert (lab.folder / "0002-clash.patch").exists()
    assert lab.judge(newer).standings == ["clean", "clean"]


def test_what_the_queue_has_twice_may_be_left_out(lab: QueueLab) -> None:
    base = lab.up.commit({"a.c": TEXT})
    lab.put("0001-x.patch", lab.up.mail(base, {"a.c": edited(TEXT, {5: "x"})}))
    lab.put("0002-again.patch", lab.up.mail(base, {"a.c": edited(TEXT, {5: "x"})}))
    stop = stopped(lab.refresh(base))
    assert stop.name == "0002-again.patch"
    with pytest.raises(Unfinished, match="nothing of it"):
        lab.go_on()
    assert list(lab.skip().deeds.values()) == [Deed.KEPT, Deed.LEFT_OUT]


def test_aborted_leaves_the_queue_and_nothing_else(lab: QueueLab) -> None:
    newer = conflicting(lab)
    before = lab.files()
    stop = stopped(lab.refresh(newer))
    lab.abort()
    assert lab.files() == before
    assert not stop.folder.exists()
    with pytest.raises(UsageError, match="No refresh"):
        lab.go_on()
    with pytest.raises(UsageError, match="No refresh"):
        lab.abort()
    assert stopped(lab.refresh(newer)).name == "0002-clash.patch"


def test_a_second_refresh_is_refused_while_one_waits(lab: QueueLab) -> None:
    newer = conflicting(lab)
    stop = stopped(lab.refresh(newer))
    with pytest.raises(UsageError, match="under way") as refusal:
        lab.refresh(newer)
    assert str(stop.folder) in refusal.value.cause
    assert "--continue" in refusal.value.remedy


def test_a_refresh_stays_on_its_base(lab: QueueLab) -> None:
    newer = conflicting(lab)
    stop = stopped(lab.refresh(newer))
    lab.up.commit({"a.c": b"all other\n"})
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "both"}))
    assert lab.go_on().revision == "b2"


def test_a_queue_that_changed_meanwhile_is_refused(lab: QueueLab) -> None:
    newer = conflicting(lab)
    lab.refresh(newer)
    content = (lab.folder / "0004-moved.patch").read_bytes()
    (lab.folder / "0004-moved.patch").write_bytes(content.replace(b"+twenty", b"+other"))
    for step in (lab.go_on, lab.skip):
        with pytest.raises(UsageError, match="changed meanwhile") as refusal:
            step()
        assert "--abort" in refusal.value.remedy
    (lab.folder / "0004-moved.patch").write_bytes(content)
    assert stopped(lab.skip()).name == "0003-on-it.patch"


@pytest.mark.parametrize("damage", [b"{", b"{}", b'{"schema_version": 2}', b"\xff"])
def test_a_damaged_document_is_refused_and_can_be_forgotten(lab: QueueLab, damage: bytes) -> None:
    newer = conflicting(lab)
    lab.refresh(newer)
    document = next(lab.place.rglob("refresh.json"))
    assert json.loads(document.read_bytes())["schema_version"] == 1
    document.write_bytes(damage)
    for step in (lab.go_on, lab.skip, lambda: lab.refresh(newer)):
        with pytest.raises(UsageError, match="damaged") as refusal:
            step()
        assert "--abort" in refusal.value.remedy
    lab.abort()
    lab.refresh(newer)


def test_a_working_tree_that_is_gone_is_refused(lab: QueueLab) -> None:
    newer = conflicting(lab)
    shutil.rmtree(stopped(lab.refresh(newer)).folder)
    with pytest.raises(UsageError, match="is gone"):
        lab.go_on()
    assert stopped(lab.skip()).name == "0003-on-it.patch"


def test_a_fix_that_leaves_the_tree_is_refused_and_may_be_mended(lab: QueueLab) -> None:
    newer = conflicting(lab)
    stop = stopped(lab.refresh(newer))
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "both"}))
    (stop.folder / "out").symlink_to("/etc/passwd")
    with pytest.raises(SourceError, match="outside of the tree"):
        lab.go_on()
    (stop.folder / "out").unlink()
    assert stopped(lab.go_on()).name == "0003-on-it.patch"


# --- without a history -------------------------------------------------------------------------------------------


def test_without_a_history_rejects_lie_beside_the_files(lab: QueueLab, tmp_path: Path) -> None:
    base = lab.up.commit({"a.c": TEXT, "b.c": TEXT, "dir/gone.c": TEXT})
    changes = {
        "a.c": edited(TEXT, {5: "five"}),
        "b.c": edited(TEXT, {5: "five", 30: "thirty"}),
        "dir/gone.c": edited(TEXT, {5: "five"}),
    }
    lab.put("0001-x.patch", lab.up.mail(base, changes))
    tree = tmp_path / "unpacked"
    tree.mkdir()
    (tree / "a.c").write_bytes(TEXT)
    (tree / "b.c").write_bytes(edited(TEXT, {30: "other"}))
    opened = OnFolder(tree)
    stop = stopped(opened.step(lab, Step.BEGIN))
    assert stop.rejected == ("b.c.rej", "dir/gone.c.rej")
    assert status(stop.folder) == [" M a.c", " M b.c", "?? b.c.rej", "?? dir/"]
    assert b"+thirty" in (stop.folder / "b.c.rej").read_bytes()
    assert b"+five" in (stop.folder / "dir" / "gone.c.rej").read_bytes()
    (stop.folder / "b.c.rej").unlink()
    with pytest.raises(Unfinished) as refusal:
        opened.step(lab, Step.CONTINUE)
    assert refusal.value.excerpt == ("dir/gone.c.rej: bring in what it holds, then remove it",)
    (stop.folder / "dir" / "gone.c.rej").unlink()
    assert opened.step(lab, Step.CONTINUE).deeds == {"0001-x.patch": Deed.FIXED}
    assert [change.path for change in lab.patches()[0].changes] == ["a.c", "b.c"]
    for patch in lab.patches():
        apply_with_git(tree, lab.folder / patch.name)
    assert (tree / "b.c").read_bytes() == edited(TEXT, {5: "five", 30: "other"})


def test_a_folder_that_changed_meanwhile_is_refused(lab: QueueLab, tmp_path: Path) -> None:
    base = lab.up.commit({"a.c": TEXT})
    lab.put("0001-x.patch", lab.up.mail(base, {"a.c": edited(TEXT, {5: "five"})}))
    tree = tmp_path / "unpacked"
    tree.mkdir()
    (tree / "a.c").write_bytes(edited(TEXT, {5: "other"}))
    opened = OnFolder(tree)
    opened.step(lab, Step.BEGIN)
    (tree / "a.c").write_bytes(b"all other\n")
    with pytest.raises(UsageError, match="its files changed"):
        opened.step(lab, Step.SKIP)


class OnFolder:
    """Steps on the files of a folder."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree

    def step(self, lab: QueueLab, step: Step) -> Refreshed:
        @contextmanager
        def opened(_: str | None) -> Iterator[tuple[Bench, Revision]]:
            with bench_of(self.tree, Git(Runner(), "a folder")) as bench:
                yield bench, Revision(None, None, None, None, "a folder", "a folder")

        refreshed = refresh(lab.folder, lab.place, step, opened, lab.said.append)
        assert refreshed is not None
        return refreshed


@pytest.mark.parametrize("partial", [False, True])
def test_no_credentials_of_a_work_tree_reach_the_cache(lab: QueueLab, partial: bool) -> None:
    newer = conflicting(lab)
    lab.up.git("config", "remote.origin.url", "https://me:hunter2-secret@forge.invalid/o/r")
    if partial:
        lab.up.git("config", "remote.origin.promisor", "true")
    folder = stopped(lab.refresh(newer)).folder
    said = (folder / ".git" / "config").read_text()
    assert "hunter2" not in said
    assert ("https://forge.invalid/o/r" in said) is partial


@pytest.mark.parametrize("names", ["sha1", "sha256"])
def test_however_objects_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    monkeypatch.setenv("GIT_DEFAULT_HASH", {"sha1": "sha256", "sha256": "sha1"}[names])
    lab = QueueLab.of(tmp_path, names)
    newer = conflicting(lab)
    lab.put("0005-empty.patch", lab.up.mail("master~1", {"empty": b"", "c.c": None}))
    stop = stopped(lab.refresh(newer))
    assert status(stop.folder) == ["UU b.c"]
    (stop.folder / "b.c").write_bytes(edited(TEXT, {20: "both"}))
    assert stopped(lab.go_on()).name == "0003-on-it.patch"
    assert stopped(lab.skip()).name == "0005-empty.patch"
    assert list(lab.skip().deeds.values()) == [Deed.KEPT, Deed.FIXED, Deed.LEFT_OUT, Deed.REWRITTEN, Deed.LEFT_OUT]
    lab.add(lab.up.commit({"empty": b"", "gone": b"x"}, "none", branch="side", parents=[newer]))
    assert lab.judge(newer).standings == ["clean"] * 4
