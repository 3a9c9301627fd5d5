"""What is to be added to a queue, as a patch file: from a file, a commit, or a pull request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from builder.errors import SourceError, UsageError
from builder.source.patches.bench import Bench
from builder.source.patches.export import mail_of, with_plain_line_ends
from builder.source.patches.links import Link, fetch, is_link, parse_link
from builder.source.patches.patch import Patch, parse_patch
from builder.staging import disk_errors
from builder.upstream.refs import require_ref

_NOT_IN_A_MESSAGE = re.compile(r"^(?=---|diff --git |@@ |From \S+ +\w{3} \w{3} )", re.MULTILINE)
"""What would be taken for the end of the message."""
_TELLING = re.compile(r"[^\x00-\x20.,:;<>\"\\']")
"""A character that git does not strip from a name."""
_FILE_LIKE = re.compile(r"^[./~]|\.(?:patch|diff|mbox|eml)$")


@dataclass(frozen=True)
class Incoming:
    """A patch that is not in the queue yet.

    Attributes:
        content: of its file.
        patch: the same, read.
    """

    content: bytes
    patch: Patch


@dataclass(frozen=True)
class _Facts:
    """What a commit says of itself; its date as git keeps it, empty where that is none."""

    name: str
    address: str
    date: str
    subject: str
    body: str

    @property
    def identity(self) -> dict[str, str]:
        """The author as git takes it: history has some that it would not take any more."""
        name = next((text for text in (self.name, self.address) if _TELLING.search(text)), "unknown")
        date = {"GIT_AUTHOR_DATE": f"@{self.date}"} if self.date else {}
        return {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": self.address, **date}


def read_file(target: str) -> Incoming | None:
    """The patch in a file; None where the target is something else.

    Raises:
        BadPatch: it is a file and holds no patch.
        UsageError: it can only be a file, and is not there.
    """
    if is_link(target):
        return None
    file = Path(target).expanduser() if target.startswith("~/") else Path(target)
    with disk_errors(file.parent):
        if file.is_file():
            content = with_plain_line_ends(file.read_bytes())
            return Incoming(content, parse_patch(file.name, content))
    if _FILE_LIKE.search(target):
        raise UsageError(f"There is no file {target}.", "Give a patch file, a commit, or the URL of a pull request.")
    return None


def take(bench: Bench, target: str) -> Incoming:
    """A commit of upstream, or what an address names, as one patch.

    Raises:
        UsageError: the source has no history, or the target is malformed.
        SourceError: there is no such thing, or it cannot be fetched.
        BadPatch: it changes what no patch may change.
    """
    link = parse_link(target) if is_link(target) else None
    if bench.commit is None:
        hint = f"Save {link.url}.patch and add that file." if link else "Give a patch file."
        raise UsageError("The source is no git repository, so that no commit can be taken from it.", hint)
    if link is None:
        require_ref(target)
        return _commit(bench, bench.repository.resolve(target))
    commit = fetch(bench, link)
    return _request(bench, commit, link) if link.title else _commit(bench, commit)


def _commit(bench: Bench, commit: str) -> Incoming:
    facts = _facts(bench, commit)
    parents = bench.repository.read("show", "--no-patch", "--format=%P", commit).split()
    message = f"{facts.subject}\n\n{facts.body}\n\n(cherry picked from commit {commit})\n"
    return _mail(bench, commit, parents[0] if parents else None, message, facts)


def _request(bench: Bench, head: str, link: Link) -> Incoming:
    """What upstream's squash merge would make of a pull request."""
    base = _fork_point(bench, head, link)
    commits = bench.repository.read("rev-list", "--reverse", "--no-merges", f"{base}..{head}").split()
    if not commits or bench.tree_of(base) == bench.tree_of(head):
        raise SourceError(f"{link.title} has no change that upstream's default branch lacks.", "It is not added.")
    facts = _facts(bench, commits[0])
    body = facts.body if len(commits) == 1 else "\n".join(f"* {_facts(bench, commit).subject}" for commit in commits)
    return _mail(bench, head, base, f"{facts.subject} ({link.title})\n\n{body}\n\n{link.url}\n", facts)


def _fork_point(bench: Bench, head: str, link: Link) -> str:
    default = bench.repository.find("HEAD") or bench.commit or ""
    here = f"--git-dir={bench.repository.folder}"
    found = bench.repository.git.attempt(here, "merge-base", default, head).stdout.split()
    if not found:
        raise SourceError(f"{link.title} shares no history with upstream's default branch.", "Give a patch file.")
    return found[0]


def _facts(bench: Bench, commit: str) -> _Facts:
    form = "--format=%an%x00%ae%x00%ad%x00%s%x00%b"
    return _Facts(*bench.repository.read("show", "--no-patch", "--date=raw", form, commit).rstrip("\n").split("\0"))


def _mail(bench: Bench, commit: str, parent: str | None, message: str, facts: _Facts) -> Incoming:
    text = _NOT_IN_A_MESSAGE.sub(" ", message).encode("utf-8", "surrogateescape")
    copy = bench.commit_tree(bench.tree_of(commit), parent, text, facts.identity)
    bench.ensure_changed(copy)
    content = mail_of(bench, copy)
    return Incoming(content, parse_patch(commit, content))
