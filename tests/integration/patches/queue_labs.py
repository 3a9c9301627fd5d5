"""A queue beside a small upstream, and the steps by which it is refreshed and added to.

lab = QueueLab.of(tmp_path)
base = lab.up.commit({"a.c": numbered(20)})
lab.put("0001-five.patch", lab.up.mail(base, {"a.c": edited(numbered(20), {5: "five"})}))
newer = lab.up.commit({"a.c": b"// on top\\n" + numbered(20)})
lab.refresh(newer)
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from builder.source.patches.add import Added, add
from builder.source.patches.bench import Bench
from builder.source.patches.patch import Patch
from builder.source.patches.queue import load_queue
from builder.source.patches.refresh import Refreshed, Step, refresh
from builder.source.patches.resume import Stop
from builder.upstream.revision import Revision
from tests.integration.patches.patch_labs import Judged, Lab, edited, numbered, run_git

TEXT = numbered(40)
TOP = b"// a line on top\n"


@dataclass
class QueueLab:
    """A queue, an upstream, and a place in a cache.

    Attributes:
        said: what a person was told.
    """

    up: Lab
    folder: Path
    place: Path
    said: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, names: str = "sha1") -> QueueLab:
        """A new one; the queue is empty."""
        lab = cls(Lab(folder, names), folder / "patches", folder / "cache")
        lab.folder.mkdir()
        lab.place.mkdir()
        return lab

    @property
    def series(self) -> Path:
        """The list of patches."""
        return self.folder / "series"

    def put(self, name: str, content: bytes) -> None:
        """Put a patch at the end of the queue."""
        (self.folder / name).write_bytes(content)
        with self.series.open("a") as series:
            series.write(f"{name}\n")

    def files(self) -> dict[str, bytes]:
        """The queue as it is on the disk, whatever lies there; what is being made ready is not it yet."""
        there = sorted(self.folder.iterdir())
        return {file.name: file.read_bytes() for file in there if not file.name.startswith(".new-")}

    def patches(self) -> tuple[Patch, ...]:
        """The queue, read."""
        return load_queue(self.folder).patches

    def judge(self, commit: str) -> Judged:
        """The queue on a commit."""
        return self.up.judge(commit, *self.patches())

    def refresh(self, ref: str) -> Refreshed:
        """Begin a refresh."""
        return self._step(Step.BEGIN, ref)

    def go_on(self) -> Refreshed:
        """Go on with a patch that was fixed."""
        return self._step(Step.CONTINUE)

    def skip(self) -> Refreshed:
        """Go on without the patch that waits."""
        return self._step(Step.SKIP)

    def abort(self) -> None:
        """Forget the refresh."""
        assert refresh(self.folder, self.place, Step.ABORT, self._opener("master"), self.said.append) is None

    def add(self, target: str | Path, ref: str = "master", *, force: bool = False) -> Added:
        """Add a patch."""
        return add(self.folder, self.place, str(target), self._opener(ref), self.said.append, force=force)

    def _step(self, step: Step, ref: str = "") -> Refreshed:
        refreshed = refresh(self.folder, self.place, step, self._opener(ref), self.said.append)
        assert refreshed is not None
        return refreshed

    def _opener(self, begun_on: str) -> Opened:
        return Opened(self.up, begun_on)


@dataclass(frozen=True)
class Opened:
    """Opens benches on an upstream.

    Attributes:
        wanted: the ref that a person asks for.
    """

    up: Lab
    wanted: str

    @contextmanager
    def __call__(self, ref: str | None) -> Iterator[tuple[Bench, Revision]]:
        """A bench on a ref."""
        repository = self.up.repository()
        commit = repository.resolve(ref or self.wanted)
        with self.up.bench(commit) as bench:
            yield bench, repository.revision(commit, origin="the lab", ref=ref or self.wanted)


def status(tree: Path) -> list[str]:
    """What `git status --short` says in a working tree."""
    return run_git(tree, "status", "--short").decode().splitlines()


def apply_with_git(tree: Path, patch: Path) -> None:
    """Lay a patch on a folder as anybody would."""
    subprocess.run(["git", "apply", "--whitespace=nowarn", patch], cwd=tree, check=True)


def stopped(refreshed: Refreshed) -> Stop:
    assert refreshed.stop is not None
    return refreshed.stop


def three_ways(lab: QueueLab) -> str:
    """A queue of which a new base has the second, moves the third and leaves the others alone."""
    base = lab.up.commit({"a.c": TEXT, "b.c": TEXT, "c.c": TEXT})
    landing = {"b.c": edited(TEXT, {9: "nine"})}
    lab.series.write_text("# ours\n\n")
    lab.put("0001-kept.patch", lab.up.mail(base, {"a.c": edited(TEXT, {5: "five"})}, message="kept"))
    lab.put("0002-landed.patch", lab.up.mail(base, landing, message="landed"))
    lab.series.write_text(lab.series.read_text() + "# why the next one is needed\n")
    lab.put("0003-moved.patch", lab.up.mail(base, {"c.c": edited(TEXT, {20: "twenty"})}, message="moved"))
    lab.put("0004-kept.patch", lab.up.mail(base, {"new.c": b"new\n"}, message="also kept"))
    lab.up.commit(landing, "upstream has it")
    return lab.up.commit({"c.c": TOP * 3 + TEXT}, "moves")


def conflicting(lab: QueueLab) -> str:
    """A queue whose second patch does not apply; the third is made on it, and the fourth moves."""
    base = lab.up.commit({"a.c": TEXT, "b.c": TEXT, "c.c": TEXT})
    lab.put("0001-first.patch", lab.up.mail(base, {"a.c": edited(TEXT, {5: "five"})}, message="first"))
    once = edited(TEXT, {20: "twenty"})
    lab.put("0002-clash.patch", lab.up.mail(base, {"b.c": once}, message="clash"))
    twice = edited(once, {21: "more"})
    lab.put("0003-on-it.patch", lab.up.mail(lab.up.made(), {"b.c": twice}, message="on it"))
    lab.put("0004-moved.patch", lab.up.mail(base, {"c.c": edited(TEXT, {20: "twenty"})}, message="moved"))
    return lab.up.commit({"b.c": edited(TEXT, {20: "upstream's"}), "c.c": TOP + TEXT}, "clashes")
