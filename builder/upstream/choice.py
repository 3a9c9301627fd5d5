"""From what a person asks for, a word or a name, to one commit of a repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from builder.errors import SourceError, UsageError
from builder.holds import CommitPrefix, Hold, Scope
from builder.upstream.builds import (
    Build,
    astray,
    branch_builds,
    default_branch,
    stands_on,
    tagged_builds,
    with_numbers,
)
from builder.upstream.moves import HEADS, Move, Moves
from builder.upstream.refs import LATEST, TIP, is_full_commit, nearest, require_ref
from builder.upstream.repository import Repository
from builder.upstream.revision import moment
from builder.upstream.rewritten import caution, move_of, peeled, refuse_branch, refuse_name
from builder.upstream.selection import Doubt, Doubts, Hindrance, Judge, PassedOver, Policy, ranked, select

_DIGITS = 9


@dataclass(frozen=True)
class Choice:
    """One commit and why it is taken.

    Attributes:
        ref: what it was found by: a tag, a branch, or what a person wrote.
        reason: one sentence.
        passed_over: newer builds that the rules do not take, newest first.
        warnings: what a person should know before it is built; sentences.
    """

    build: Build
    ref: str
    reason: str
    passed_over: tuple[PassedOver, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chooser:
    """Chooses from a repository by rules.

    Attributes:
        policy: the rules as a person wrote them.
        moves: what upstream rewrote.
        now: what ages are counted from.
        follows: whether the repository is a mirror, whose default branch is upstream's.
    """

    repository: Repository
    policy: Policy
    moves: Moves
    now: datetime
    follows: bool = False

    @classmethod
    def of(cls, repository: Repository, policy: Policy, moves: Moves | None = None) -> Chooser:
        """A chooser for this moment.

        Args:
            moves: what upstream rewrote; None for a repository that is no mirror.
        """
        return cls(repository, policy, moves or Moves(), datetime.now(UTC), follows=moves is not None)

    def choose(self, ref: str) -> Choice:
        """What `latest`, `tip` or a pin stands for.

        Raises:
            SourceError: the repository has no such thing, or the rules leave nothing.
            Rewritten: upstream rewrote the name or the branch, and nobody accepted that.
            UsageError: a pin is older than the minimum.
        """
        if ref == LATEST:
            return self._latest()
        return self._tip() if ref == TIP else self._pinned(ref)

    def look_up(self, ref: str) -> Build:
        """What is known of a commit, whatever the rules say of it.

        Args:
            ref: a tag, a branch, a commit, or one of the words `latest` and `tip`.

        Raises:
            SourceError: the repository has no such thing.
        """
        if ref == LATEST:
            return self.choose(ref).build
        return self._newest_commit() if ref == TIP else facts(self.repository, self.repository.resolve(ref))

    def caution(self, ref: str) -> str | None:
        """What a person should know of a name that upstream rewrote; None for any other."""
        if ref == LATEST or not self.moves:
            return None
        move, is_tag = move_of(self.repository, self.moves, ref, self.branch if ref == TIP else self._default)
        return caution(peeled(self.repository, move), is_tag=is_tag) if move else None

    @cached_property
    def builds(self) -> tuple[Build, ...]:
        """What the channel has to choose from, newest first, whatever the rules say of it.

        Raises:
            SourceError: there is no such branch.
        """
        tagged = self.tagged
        if self.policy.channel == "branch":
            return branch_builds(self.repository, HEADS + self.branch, tagged)
        if self.policy.channel == "releases":
            tagged = with_numbers(self.repository, [build for build in tagged if build.releases])
        return ranked(tagged, self.policy.channel)

    @cached_property
    def rules(self) -> Policy:
        """The policy, whose ranges of releases cover the builds between them too."""
        return replace(self.policy, holds=tuple(hold.spanning(self._number_of) for hold in self.policy.holds))

    def _number_of(self, release: str) -> int | None:
        found = [build for build in self.tagged if release in build.releases]
        return with_numbers(self.repository, found[:1])[0].number if found else None

    @cached_property
    def idle_holds(self) -> tuple[Hold, ...]:
        """Holds that no build or commit is known for: most likely a digit is wrong."""
        known = [(one.commit, one.numbers, one.releases) for one in (*self.tagged, *self.builds)]
        idle = (hold for hold in self.rules.holds if not any(hold.covers(*names) for names in known))
        return tuple(hold for hold in idle if not self._has(hold.scope))

    def _has(self, scope: Scope) -> bool:
        if not isinstance(scope, CommitPrefix):
            return False
        if is_full_commit(scope.digits):
            return self.repository.holds(scope.digits)
        try:
            return self.repository.commit_of(scope.digits) is not None
        except SourceError:
            return True

    @cached_property
    def judge(self) -> Judge:
        """Says of single builds what hinders them."""
        return Judge.of(self.tagged, self.rules, self.now, self.doubts)

    @cached_property
    def doubts(self) -> Doubts:
        """What is wrong with tags that upstream moved or withdrew, and with those that the default branch lost."""
        moved = {
            move.name: Doubt(Hindrance.MOVED, f"upstream moved the tag {move.name}{_to(move)}", move.name)
            for move in self.moves.tags
        }
        gone = {
            move.name: Doubt(Hindrance.WITHDRAWN, f"upstream withdrew the tag {move.name}", move.name)
            for move in self.moves.withdrawn
        }
        tags = {**moved, **gone}
        return Doubts(tags, self._off_line) if self.follows and self.policy.channel == "nightly" else Doubts(tags)

    def _off_line(self, build: Build) -> Doubt | None:
        """What is wrong with a nightly build that the default branch does not stand on."""
        if "_astray" not in self.__dict__ and stands_on(self.repository, "HEAD", build.commit):
            return None
        if self._astray.isdisjoint(build.tags):
            return None
        rewritten = self._default if self._default and self.moves.of_branch(self._default) else ""
        told = ", which upstream rewrote" if rewritten else ""
        return Doubt(Hindrance.ASTRAY, f"not on {self._default}{told}", rewritten)

    @cached_property
    def _astray(self) -> frozenset[str]:
        return astray(self.repository)

    @cached_property
    def branch(self) -> str:
        """The short name of the branch that the rules mean.

        Raises:
            SourceError: there is none of that name, or upstream names no default.
        """
        name = self.policy.branch or self._default
        if not name:
            raise SourceError(
                f"{self.repository.git.name} names no default branch.", "Set upstream.branch to one of its branches."
            )
        require_ref(name)
        if self.repository.commit_of(HEADS + name) is None:
            branches = self.repository.lines("for-each-ref", "--format=%(refname:strip=2)", HEADS)
            near = nearest(name, branches) or branches[:3]
            raise SourceError(
                f"{self.repository.git.name} has no branch `{name}`.",
                f"Set upstream.branch to one that it has, such as {', '.join(near)}." if near else "It has none.",
            )
        return name

    @cached_property
    def _default(self) -> str | None:
        return default_branch(self.repository)

    @cached_property
    def tagged(self) -> tuple[Build, ...]:
        """Every commit that carries a build number or a release."""
        return tagged_builds(self.repository)

    def _latest(self) -> Choice:
        if self.policy.channel == "branch":
            refuse_branch(self.repository, self.moves, self.branch)
        selection = select(self.builds, self.rules, self.now, self.doubts, self.tagged)
        build = selection.build
        ref = {"nightly": build.name, "releases": f"v{build.release}", "branch": LATEST}[self.policy.channel]
        return Choice(build, ref, selection.reason, selection.passed_over)

    def _tip(self) -> Choice:
        refuse_branch(self.repository, self.moves, self.branch)
        return Choice(self._newest_commit(), TIP, f"It is the newest commit of {self.branch}.")

    def _newest_commit(self) -> Build:
        commit = self.repository.commit_of(HEADS + self.branch)
        assert commit is not None
        return facts(self.repository, commit)

    def _pinned(self, ref: str) -> Choice:
        require_ref(ref)
        if self.moves:
            refuse_name(self.repository, self.moves, ref, self._default)
        build = facts(self.repository, self.repository.resolve(ref))
        if self._refuses_age_of(build):
            raise UsageError(
                f"{ref}{_also(build, ref)} is older than the minimum {self.policy.minimum}.",
                "Pin a newer one, or lower version.minimum.",
            )
        return Choice(build, ref, "It is pinned.", warnings=tuple(self._warnings(build, ref)))

    def _refuses_age_of(self, build: Build) -> bool:
        return self.policy.minimum is not None and self.judge.is_old(build)

    def _warnings(self, build: Build, ref: str) -> Iterator[str]:
        if told := self.caution(ref):
            yield told
        if hold := self.rules.hold_on(build):
            yield f"{build.name} is held ({hold.ref}: {hold.reason}) and taken all the same: it is pinned."


def without_minimum(policy: Policy) -> Policy:
    """The rules for an origin whose number a person knows better: the version gate holds that against the minimum."""
    return replace(policy, minimum=None)


def facts(repository: Repository, commit: str) -> Build:
    """All that is known of one commit."""
    known = tagged_builds(repository, f"--points-at={commit}")
    if known:
        return with_numbers(repository, known)[0]
    seconds = int(repository.read("show", "--no-patch", "--no-show-signature", "--format=%ct", commit))
    return with_numbers(repository, [Build(commit, moment(seconds), None)])[0]


def _also(build: Build, ref: str) -> str:
    return "" if build.name == ref else f", which is {build.name},"


def _to(move: Move) -> str:
    return f" from {move.ours[:_DIGITS]} to {move.theirs[:_DIGITS]}" if move.theirs else ""
