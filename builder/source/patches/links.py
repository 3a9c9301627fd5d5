"""Addresses of changes at a forge: pull requests, merge requests, commits."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from builder.errors import SourceError, UsageError
from builder.process import without_credentials
from builder.source.patches.bench import Bench
from builder.upstream.git import WRITING, Git
from builder.upstream.origin import GitUrl, parse
from builder.upstream.refs import is_full_commit
from builder.upstream.remote import REMOTES, git_for
from builder.upstream.repository import Repository

_LINK = re.compile(
    r"(?P<repository>[A-Za-z][A-Za-z0-9+.-]*://.+?)/(?:-/)?"
    r"(?:(?P<kind>pulls?|merge_requests)/(?P<number>[0-9]+)|commits?/(?P<commit>[0-9a-f]{7,64}))(?:[./?#].*)?"
)
_USUAL_PORT = re.compile(r":(?:22|80|443|9418)$")
_FORMS = "Give https://HOST/OWNER/REPOSITORY/pull/N, .../-/merge_requests/N or .../commit/SHA."


@dataclass(frozen=True)
class Link:
    """Where a change is to be had.

    Attributes:
        repository: that has it.
        wanted: what is fetched: a ref, or the name of a commit.
        title: for people, such as `PR #7`; empty for a commit.
        url: the address without credentials.
    """

    repository: GitUrl
    wanted: str
    title: str
    url: str


def is_link(text: str) -> bool:
    """Whether something is an address, as opposed to a file or the name of a commit."""
    return "://" in text


def parse_link(text: str) -> Link:
    """Read an address; nothing is asked.

    Raises:
        UsageError: it is none of a pull request, a merge request or a commit.
    """
    found = _LINK.fullmatch(text)
    repository = parse(found["repository"]) if found else None
    if found is None or not isinstance(repository, GitUrl):
        raise UsageError(f"{without_credentials(text)!r} is no address of a pull request or a commit.", _FORMS)
    number, commit = found["number"], found["commit"]
    if commit:
        return Link(repository, commit, "", f"{repository.name}/commit/{commit}")
    if found["kind"] == "merge_requests":
        url = f"{repository.name}/-/merge_requests/{number}"
        return Link(repository, f"refs/merge-requests/{number}/head", f"MR !{number}", url)
    return Link(repository, f"refs/pull/{number}/head", f"PR #{number}", f"{repository.name}/pull/{number}")


def fetch(bench: Bench, link: Link) -> str:
    """Have the commit of an address on a bench; the repository that the bench reads stays as it is.

    Raises:
        SourceError: there is no such change, or its repository does not answer.
        UsageError: the address has an abbreviated commit that is not at hand.
    """
    own = bench.repository
    if not link.title and (commit := own.find(link.wanted)):
        return commit
    same = next((name for name in REMOTES if _same(_url(own, name), link.repository.name)), None)
    git = own.git if same else _foreign(own.git, link.repository)
    remote = same or link.repository.name
    here = f"--git-dir={own.folder}"
    commit = link.wanted if is_full_commit(link.wanted) else _ask(git, here, remote, link)
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--refmap=")
    git.read(here, "fetch", *options, "--", remote, link.wanted, timeout=WRITING)
    if not own.holds(commit):
        raise SourceError(f"{link.url} changed while it was fetched.", "Try again.")
    return commit


def _url(repository: Repository, remote: str) -> str:
    key = f"remote.{remote}.url"
    return repository.git.attempt(f"--git-dir={repository.folder}", "config", key).stdout.strip()


def _ask(git: Git, here: str, remote: str, link: Link) -> str:
    if not link.title:
        raise UsageError(f"The commit in {link.url} is abbreviated.", "Write the address with all 40 digits.")
    said = git.read(here, "ls-remote", "--", remote, link.wanted).split()
    if not said:
        raise SourceError(f"{link.repository.name} has no {link.title}.", "Check its number.")
    return said[0]


def _foreign(own: Git, origin: GitUrl) -> Git:
    """How to reach another repository with the objects of the bench at hand."""
    git = git_for(origin, own.runner)
    settings, variables = (*own.settings, *git.settings), {**own.variables, **git.variables}
    return replace(git, settings=settings, variables=variables, holding=own.holding)


def _same(one: str, other: str) -> bool:
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str]:
    """Host and path of a repository, whatever the way to it: `https://h/o/r.git`, `git@h:o/r`."""
    way, has_way, rest = without_credentials(url).partition("://")
    host, _, path = rest.partition("/") if has_way else way.replace(":", "/", 1).partition("/")
    host = _USUAL_PORT.sub("", host.rpartition("@")[2].lower())
    return host, path.strip("/").removesuffix(".git")
