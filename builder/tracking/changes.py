"""What lies between two commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.errors import BuilderError, ExitCode, UsageError
from builder.tracking.scene import Scene
from builder.upstream.builds import Build
from builder.upstream.history import Commit, Relation, commits_between, relation
from builder.upstream.refs import require_ref


class NowhereToBegin(BuilderError):
    """The first end is left out, and it is not known which commit is adopted."""

    exit_code = ExitCode.UNJUDGED


@dataclass(frozen=True)
class Changes:
    """What lies between two commits.

    Attributes:
        title: the span for people: what they wrote, else the builds' names.
        relation: counts of what each has that the other lacks.
        commits: those that the second adds, newest first; where it adds none, those that are lost on the way to it.
        tagged: the builds by commit.
        cautions: which commits the names stand for that upstream rewrote; sentences.
    """

    title: tuple[str, str]
    first: Build
    second: Build
    relation: Relation
    commits: tuple[Commit, ...]
    tagged: Mapping[str, Build]
    cautions: tuple[str, ...] = ()

    @property
    def handles(self) -> tuple[str, str]:
        """The two ends as a command takes them."""
        ends = zip(self.title, (self.first, self.second), strict=True)
        first, second = (told if told != build.name else build.handle for told, build in ends)
        return first, second

    @property
    def found(self) -> tuple[Build, ...]:
        """Those of the commits that are builds, newest first."""
        return tuple(self.tagged[one.commit] for one in self.commits if one.commit in self.tagged)


def parse_span(text: str) -> tuple[str, str]:
    """The two ends of `A..B`; each may be left out.

    Raises:
        UsageError: it has another form.
    """
    first, dots, second = text.partition("..")
    if not dots or second.startswith("."):
        raise UsageError(f"{text!r} is no span of commits.", "Write A..B, such as b10500..b10991; or A.., or ..B.")
    for end in filter(None, (first, second)):
        require_ref(end)
    return first, second


def changes(scene: Scene, first: str, second: str) -> Changes:
    """The commits between two refs.

    Args:
        first: empty is what is adopted.
        second: empty is what would be taken.

    Raises:
        NowhereToBegin: the first is left out, and nothing is adopted whose commit upstream has.
        SourceError: the repository has no such commit.
    """
    repository = scene.chooser.repository
    older = scene.chooser.look_up(first) if first else _require_adopted(scene)
    newer = scene.chooser.look_up(second) if second else scene.chooser.choose(scene.ref).build
    between = relation(repository, older.commit, newer.commit)
    ends = (older.commit, newer.commit) if between.added else (newer.commit, older.commit)
    tagged = {build.commit: build for build in scene.chooser.tagged}
    title = (first or older.name, second or newer.name)
    cautions = tuple(filter(None, (scene.chooser.caution(end) for end in (first, second) if end)))
    return Changes(title, older, newer, between, commits_between(repository, *ends), tagged, cautions)


def _require_adopted(scene: Scene) -> Build:
    if scene.here is not None:
        return scene.here
    adopted = scene.adopted
    if adopted.commit:
        cause = f"The commit of {adopted.reference} is not in {scene.origin}."
    elif adopted.reference in adopted.note:
        cause = adopted.note
    else:
        cause = f"{adopted.reference} does not say which commit it is. {adopted.note}".rstrip()
    raise NowhereToBegin(f"It is not known where to begin: {cause}", "Name both ends, such as b10500..b10991.")
