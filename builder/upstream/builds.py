"""What upstream has to choose from: commits with the numbers and releases that its tags give them.

Everything is read by few commands however long the history is, and from commits alone: a mirror without file
contents needs nothing fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from builder.upstream.refs import newest_release
from builder.upstream.repository import Repository
from builder.upstream.revision import BUILD_TAG, RELEASE_TAG, UNKNOWN_BUILD_NUMBERS, moment

_FIELDS = "%00".join(
    (
        "%(refname:strip=2)",
        "%(objecttype)",
        "%(objectname)",
        "%(*objecttype)",
        "%(*objectname)",
        "%(committerdate:unix)",
        "%(*committerdate:unix)",
    )
)

_DIGITS = 9
_REMEMBERED = 1 << 14
"""How many tags are read only once: each is looked at several times, and there are thousands."""


@dataclass(frozen=True)
class Build:
    """One commit that can be taken.

    Attributes:
        commit: whole object name.
        committed: commit time.
        number: build number by its tag or by count; None where neither tells.
        tags: its `bNNNN` and `vX.Y.Z` tags.
        on_line: whether it is one of the default branch's own commits, so that no other has its count.
    """

    commit: str
    committed: datetime
    number: int | None
    tags: tuple[str, ...] = ()
    on_line: bool = True

    @property
    def tagged_numbers(self) -> tuple[int, ...]:
        """Every number that its tags give it."""
        return tuple(number for tag in self.tags if (number := number_of(tag)) is not None)

    @property
    def numbers(self) -> frozenset[int]:
        """Every number that it has, by a tag or by count."""
        return frozenset((*self.tagged_numbers, *(() if self.number is None else (self.number,))))

    @property
    def releases(self) -> tuple[str, ...]:
        """Every release that it is, without the `v`."""
        return tuple(release for tag in self.tags if (release := release_of(tag)) is not None)

    @property
    def release(self) -> str | None:
        """Its newest release, without the `v`."""
        return newest_release(list(self.tags))

    @property
    def name(self) -> str:
        """For people: `b10991`, else `v0.5.0`, else nine digits of the commit."""
        number = max(self.tagged_numbers, default=self.number if self.on_line else None)
        if number is not None:
            return f"b{number}"
        return f"v{self.release}" if self.release else self.commit[:_DIGITS]

    @property
    def handle(self) -> str:
        """What names it to git: its build tag, else its release tag, else nine digits of the commit."""
        named = [tag for tag in (f"b{max(self.tagged_numbers, default=0)}", f"v{self.release}") if tag in self.tags]
        return next(iter(named or self.tags), self.commit[:_DIGITS])


@lru_cache(_REMEMBERED)
def number_of(tag: str) -> int | None:
    """The build number that a tag carries; None where it carries none, or one that means unknown."""
    match = BUILD_TAG.fullmatch(tag)
    return int(match[1]) if match and int(match[1]) not in UNKNOWN_BUILD_NUMBERS else None


@lru_cache(_REMEMBERED)
def release_of(tag: str) -> str | None:
    """The release that a tag carries, without the `v`."""
    match = RELEASE_TAG.fullmatch(tag)
    return match[1] if match else None


def tagged_builds(repository: Repository, *options: str) -> tuple[Build, ...]:
    """The commits that carry a build number or a release, highest number first; tags of anything else are left out.

    Args:
        options: further ones of `git for-each-ref`, such as `--points-at=COMMIT`.
    """
    tags: dict[str, list[str]] = {}
    times: dict[str, int] = {}
    for name, commit, time in _tagged_commits(repository, *options):
        if number_of(name) is not None or release_of(name) is not None:
            tags.setdefault(commit, []).append(name)
            times[commit] = time
    builds = (_build(commit, times[commit], names) for commit, names in tags.items())
    return tuple(sorted(builds, key=lambda build: (build.number or 0, build.committed), reverse=True))


def branch_builds(repository: Repository, branch: str, tagged: Sequence[Build]) -> tuple[Build, ...]:
    """The commits of a branch along its first parents, newest first, with their tags.

    Each is numbered by the count of the commits that it stands on, itself included, unless a tag says its number or
    the history is not whole.

    Args:
        branch: full name of its ref.
    """
    parents, times = _history(repository, branch)
    line = list(_first_parents(next(iter(parents), ""), parents))
    own = _own_commits(repository, line)
    counts = _counts(line, parents) if _is_whole(repository) else {}
    known = {build.commit: build for build in tagged}
    return tuple(
        known[commit]
        if commit in known and known[commit].number is not None
        else replace(
            _build(commit, times[commit], known[commit].tags if commit in known else (), counts.get(commit)),
            on_line=commit in own,
        )
        for commit in line
    )


def with_numbers(repository: Repository, builds: Sequence[Build]) -> tuple[Build, ...]:
    """The same builds; those whose tags give no number are counted, one command each."""
    return tuple(build if build.number is not None else _counted(repository, build) for build in builds)


def default_branch(repository: Repository) -> str | None:
    """The short name of the branch that upstream calls its default; None where it says none."""
    said = repository.git.attempt(f"--git-dir={repository.folder}", "symbolic-ref", "--quiet", "HEAD").stdout.strip()
    return said.removeprefix("refs/heads/") or None


def _counted(repository: Repository, build: Build) -> Build:
    if not _is_whole(repository):
        return build
    number = int(repository.read("rev-list", "--count", build.commit))
    return replace(build, number=_known(number), on_line=is_on_line(repository, build.commit))


def is_on_line(repository: Repository, commit: str) -> bool:
    """Whether a commit is one of the default branch's own: reached from its newest by first parents alone."""
    newest = repository.commit_of("HEAD")
    if newest in (None, commit):
        return newest is not None
    after = repository.lines("rev-list", "--first-parent", "--parents", f"{commit}..{newest}", "--")
    return bool(after) and after[-1].split()[1:2] == [commit]


def stands_on(repository: Repository, newer: str, older: str) -> bool:
    """Whether one commit is known to be the other or to have it among those that it stands on."""
    asked = ("merge-base", "--is-ancestor", older, newer)
    return not repository.git.attempt(f"--git-dir={repository.folder}", *asked).returncode


def astray(repository: Repository) -> frozenset[str]:
    """The tags whose commits the default branch does not stand on; none where that cannot be told."""
    if repository.commit_of("HEAD") is None or not _is_whole(repository):
        return frozenset()
    return frozenset(repository.lines("for-each-ref", "--no-merged=HEAD", "--format=%(refname:strip=2)", "refs/tags"))


def _is_whole(repository: Repository) -> bool:
    return repository.read("rev-parse", "--is-shallow-repository").strip() == "false"


def _own_commits(repository: Repository, line: Sequence[str]) -> frozenset[str]:
    """Those of a branch's commits that are the default branch's own."""
    newest = repository.commit_of("HEAD")
    if newest is None or newest == next(iter(line), None):
        return frozenset(line) if newest else frozenset()
    return frozenset(repository.read("rev-list", "--first-parent", newest, "--").split())


def _build(commit: str, time: int, tags: Sequence[str], count: int | None = None) -> Build:
    number = max((number for tag in tags if (number := number_of(tag)) is not None), default=_known(count))
    return Build(commit, moment(time), number, tuple(tags))


def _known(number: int | None) -> int | None:
    return None if number in UNKNOWN_BUILD_NUMBERS else number


def _tagged_commits(repository: Repository, *options: str) -> Iterator[tuple[str, str, int]]:
    """Name, commit and commit time of every tag that stands for a commit."""
    for line in repository.lines("for-each-ref", *options, f"--format={_FIELDS}", "refs/tags"):
        name, kind, direct, peeled_kind, peeled, time, peeled_time = line.split("\0")
        if kind == "commit":
            yield name, direct, int(time)
        elif peeled_kind == "commit":
            yield name, peeled, int(peeled_time)
        elif peeled_kind == "tag" and (commit := repository.find_tag(name)):
            yield name, commit, int(repository.read("show", "--no-patch", "--format=%ct", commit))


def _history(repository: Repository, branch: str) -> tuple[Mapping[str, list[str]], Mapping[str, int]]:
    """Parents and commit time of every commit of a branch, its newest first."""
    parents: dict[str, list[str]] = {}
    times: dict[str, int] = {}
    for line in repository.lines("log", "--no-show-signature", "--format=%ct %H %P", branch, "--"):
        time, commit, *before = line.split()
        parents[commit] = before
        times[commit] = int(time)
    return parents, times


def _first_parents(commit: str, parents: Mapping[str, list[str]]) -> Iterator[str]:
    while commit in parents:
        yield commit
        commit = next(iter(parents[commit]), "")


def _counts(line: Sequence[str], parents: Mapping[str, list[str]]) -> dict[str, int]:
    """How many commits each commit of a line stands on: from its first, each adds what no earlier one stands on."""
    seen: set[str] = set()
    counts = {}
    for commit in reversed(line):
        waiting = [commit]
        while waiting:
            if (one := waiting.pop()) not in seen:
                seen.add(one)
                waiting.extend(parents[one])
        counts[commit] = len(seen)
    return counts
