"""Reading a git repository: what a name means there, what is known of a commit, its tree.

Everything is done by the `git` program: each command is recorded, limited in time and ended with this process.
A repository is always named by its own folder, so that one which lies around it is never taken for it.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from builder.errors import BuilderError, MachineError, SourceError, UsageError
from builder.process import CommandTimeout, Completed, Runner, without_credentials
from builder.upstream.revision import BUILD_TAG, UNKNOWN_BUILD_NUMBERS, Revision
from builder.upstream.supply import Traces

LATEST = "latest"
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_RELEASE_TAG = re.compile(r"v([0-9]+\.[0-9]+\.[0-9]+)")
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_READING = 120.0
_WRITING = 1800.0
"""Seconds; a partial clone fetches the files of a commit when they are first wanted."""

_SETTINGS = {
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "credential.interactive": "false",
    "gc.autoDetach": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "maintenance.autoDetach": "false",
}
_LOCATING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_CEILING_DIRECTORIES",
)
"""Variables by which a surrounding git, such as one that runs a hook, points at its own repository."""

_NO_REPOSITORY = "there is no git repository"
_REASONS = (
    (r"Could not resolve host:? (\S+)", "the name {0} does not resolve"),
    (r"Could not resolve hostname (\S+?):", "the name {0} does not resolve"),
    (r"unable to look up (\S+)", "the name {0} does not resolve"),
    (r"Connection refused|Couldn't connect|Failed to connect", "the connection was refused"),
    (r"timed out|Operation too slow", "it did not answer in time"),
    (r"Network is unreachable|No route to host", "there is no network to it"),
    (r"SSL certificate problem: ([^\n]+)|certificate verification failed", "its certificate is not trusted"),
    (r"could not read Username|Authentication failed|Permission denied \(|terminal prompts disabled",
     "it wants credentials"),
    (r"dubious ownership", "it belongs to another user, and git refuses it (see safe.directory in `git help config`)"),
    (r"service not enabled|access denied or repository not exported", "no such repository is served there"),
    (r"does not appear to be a git repository|not a git repository|is this a git repository", _NO_REPOSITORY),
    (r"[Rr]epository not found|repository '[^']*' not found|info/refs not valid", _NO_REPOSITORY),
    (r"No such file or directory|does not exist", _NO_REPOSITORY),
)  # fmt: skip


class Unreachable(SourceError):
    """A repository cannot be asked, or what answers is none."""


class GitMissing(MachineError):
    """The program is not installed."""


class Damaged(SourceError):
    """A repository is there and broken."""


def settings_as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Git settings as variables, after those that the caller's environment already holds."""
    start = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables = {"GIT_CONFIG_COUNT": str(start + len(settings))}
    for number, (key, value) in enumerate(settings.items(), start):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


@dataclass(frozen=True)
class Git:
    """Runs `git` without prompts, hooks and pagers.

    Attributes:
        name: the repository as it may be shown.
        settings: further git settings; never written to a disk.
        secrets: what must not be shown even where git says it.
        variables: further variables of the environment.
    """

    runner: Runner
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def attempt(
        self, *args: str, timeout: float = _READING, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Completed:
        """Run one command; its exit status is the caller's to judge."""
        foreign = [word for name in _LOCATING if name in os.environ for word in ("-u", name)]
        command = ["env", *foreign, "git", *args] if foreign else ["git", *args]
        return self.runner.run(command, timeout=timeout, env={**self._environment, **(env or {})}, cwd=cwd)

    def read(
        self, *args: str, timeout: float = _READING, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> str:
        """Run one command and give its output.

        Raises:
            Unreachable: the repository cannot be asked.
            Damaged: it is there and broken.
            MachineError: the disk is full.
        """
        return self._finished(*args, timeout=timeout, env=env, cwd=cwd).stdout

    def list_paths(self, *args: str) -> list[str]:
        """Run one command that ends what it lists with NUL, and give that as the system spells file names.

        Names that are no UTF-8 are kept. Raises the same as `read`.
        """
        return [os.fsdecode(entry) for entry in self._finished(*args).raw.split(b"\0") if entry]

    def _finished(
        self, *args: str, timeout: float = _READING, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Completed:
        try:
            done = self.attempt(*args, timeout=timeout, env=env, cwd=cwd)
        except CommandTimeout as error:
            raise Unreachable(
                f"{self.name} cannot be used as a git repository: no answer within {timeout:g} s.",
                "Check the address and the network.",
            ) from error
        if done.returncode:
            raise self.explained(done)
        return done

    def explained(self, done: Completed) -> BuilderError:
        """What a command that failed means: one cause, without any secret."""
        text = without_credentials(done.stderr)
        for secret in self.secrets:
            text = text.replace(secret, "")
        return _explained(text, self.name)

    @cached_property
    def _environment(self) -> dict[str, str]:
        ssh = (
            {} if "GIT_SSH_COMMAND" in os.environ else {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10"}
        )
        return {
            **settings_as_environment({**_SETTINGS, **self.settings}),
            **ssh,
            **self.variables,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": ":".join(("file", "git", "http", "https", "ssh")),
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }


@dataclass(frozen=True)
class Repository:
    """A repository on this machine.

    Attributes:
        git: how to run git on it.
        folder: its git folder, or the `.git` file of a work tree.
    """

    git: Git
    folder: Path

    def read(self, *args: str, timeout: float = _READING, env: Mapping[str, str] | None = None) -> str:
        """Run one git command on this repository."""
        return self.git.read(f"--git-dir={self.folder}", *args, timeout=timeout, env=env)

    def find(self, ref: str) -> str | None:
        """The commit that a tag, a branch or an object name stands for, in this order; None if there is none.

        Raises:
            SourceError: an abbreviated object name fits more than one commit.
        """
        if ref == "HEAD":
            return self._commit(ref)
        for prefix in ("refs/tags/", "refs/heads/", "refs/remotes/origin/"):
            if commit := self._commit(prefix + ref):
                return commit
        return self._commit(ref) if _COMMIT.fullmatch(ref.lower()) else None

    def find_tag(self, ref: str) -> str | None:
        """The commit that a tag stands for."""
        return self._commit(f"refs/tags/{ref}")

    def holds(self, commit: str) -> bool:
        """Whether a whole object name is a commit that is here already; nothing is fetched to find out."""
        if not _FULL_COMMIT.fullmatch(commit):
            return False
        inquiry = ("cat-file", "-e", f"{commit}^{{commit}}")
        offline = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
        return not self.git.attempt(f"--git-dir={self.folder}", *inquiry, env=offline).returncode

    def resolve(self, ref: str) -> str:
        """The commit that a ref stands for.

        Raises:
            SourceError: there is none; the nearest names are in the remedy.
        """
        if ref == LATEST:
            ref = self.latest()
        if commit := self.find(ref):
            return commit
        near = nearest(ref, self.names())
        hint = f"Nearest: {', '.join(near)}." if near else "Name a tag, a branch or a commit of it, or `latest`."
        raise SourceError(f"{self.git.name} has no tag, branch or commit `{ref}`.", hint)

    def latest(self) -> str:
        """The newest build tag by number, else the newest release tag, else the default branch's tip.

        Raises:
            SourceError: there is no commit at all.
        """
        tag = newest_tag(self._names("refs/tags"))
        if tag:
            return tag
        if self._commit("HEAD"):
            return "HEAD"
        raise SourceError(f"{self.git.name} has no tag and no default branch.", "Name a branch or a commit.")

    def names(self) -> list[str]:
        """Tags and branches, each once."""
        return list(dict.fromkeys(self._names("refs/tags") + self._names("refs/heads") + self._remote_branches()))

    def revision(self, commit: str, *, origin: str, ref: str) -> Revision:
        """What is known of a commit; its number only where the whole history is here or a tag says it."""
        tags = self.read("for-each-ref", f"--points-at={commit}", "--format=%(refname:strip=2)", "refs/tags").split()
        committed = self.read("show", "--no-patch", "--no-show-signature", "--format=%cI", commit).strip()
        return Revision(
            commit=commit,
            build_number=self._number(commit, tags),
            release=newest_release(tags),
            committed=datetime.fromisoformat(committed),
            origin=origin,
            ref=ref,
        )

    def write(self, commit: str, folder: Path) -> None:
        """Check a commit's files out into an empty folder, every one of them, as the repository has them.

        `read-tree -u` asks a partial clone's server for all missing files at once; `git archive` would ask for each.
        """
        folder.mkdir(parents=True, exist_ok=True)
        index = folder.with_name(folder.name + ".index")
        try:
            self.git.read(
                f"--git-dir={self.folder}",
                f"--work-tree={folder}",
                "read-tree",
                "--reset",
                "-u",
                commit,
                timeout=_WRITING,
                env={"GIT_INDEX_FILE": str(index)},
                cwd=folder,
            )
        finally:
            index.unlink(missing_ok=True)

    def _commit(self, name: str) -> str | None:
        done = self.git.attempt(
            f"--git-dir={self.folder}", "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}"
        )
        if "is ambiguous" in done.stderr and done.returncode:
            raise SourceError(f"`{name}` fits more than one commit of {self.git.name}.", "Write more of its digits.")
        if done.returncode and not re.search(r"Needed a single revision|bad revision|bad object", done.stderr):
            raise self.git.explained(done)
        return None if done.returncode else done.stdout.strip()

    def _names(self, prefix: str) -> list[str]:
        return self.read("for-each-ref", "--format=%(refname:strip=2)", prefix).splitlines()

    def _remote_branches(self) -> list[str]:
        return self.read("for-each-ref", "--format=%(refname:strip=3)", "refs/remotes/origin").splitlines()

    def _number(self, commit: str, tags: list[str]) -> int | None:
        number = max((int(match[1]) for tag in tags if (match := BUILD_TAG.fullmatch(tag))), default=0)
        if not number and self.read("rev-parse", "--is-shallow-repository").strip() == "false":
            number = int(self.read("rev-list", "--count", commit))
        return None if number in UNKNOWN_BUILD_NUMBERS else number


@dataclass(frozen=True)
class CommitSupply:
    """One commit of a repository."""

    repository: Repository
    revision: Revision
    commit: str

    @property
    def identity(self) -> str | None:
        """The object name: it stands for every byte of the tree."""
        return f"commit-{self.commit}"

    def write(self, folder: Path) -> Traces:
        """Check the commit's files out."""
        self.repository.write(self.commit, folder)
        return Traces()


def take(repository: Repository, ref: str, origin: str) -> CommitSupply:
    """The commit that a ref stands for, with all that is known of it.

    Raises:
        SourceError: the repository does not have it.
    """
    wanted = repository.latest() if ref == LATEST else ref
    commit = repository.resolve(wanted)
    shown = LATEST if wanted == "HEAD" else wanted
    return CommitSupply(repository, repository.revision(commit, origin=origin, ref=shown), commit)


def require_ref(ref: str) -> None:
    """Refuse what git would not accept as a name, before it reaches a command.

    Raises:
        UsageError: it is not a name by the rules of `git check-ref-format`.
    """
    if not is_ref_name(ref):
        raise UsageError(f"{ref!r} cannot be the name of a tag, a branch or a commit.", "Use e.g. `latest` or b10991.")


def is_ref_name(text: str) -> bool:
    """Whether `git check-ref-format --allow-onelevel` accepts the name, and no command takes it for an option."""
    if not text or text == "@" or text.startswith(("-", "/", ".")) or text.endswith(("/", ".")):
        return False
    return not _BAD_IN_REF.search(text) and text.isprintable()


def is_full_commit(ref: str) -> bool:
    """Whether it is a whole object name."""
    return bool(_FULL_COMMIT.fullmatch(ref))


def newest_tag(tags: list[str]) -> str | None:
    """The newest `bNNNN` by number, else the newest `vX.Y.Z` by version."""
    numbers = [int(match[1]) for tag in tags if (match := BUILD_TAG.fullmatch(tag))]
    numbers = [number for number in numbers if number not in UNKNOWN_BUILD_NUMBERS]
    if numbers:
        return next(tag for tag in tags if BUILD_TAG.fullmatch(tag) and int(tag[1:]) == max(numbers))
    release = newest_release(tags)
    return f"v{release}" if release else None


def newest_release(tags: list[str]) -> str | None:
    """The newest version among `vX.Y.Z` tags, without the `v`."""
    from packaging.version import Version

    return max((match[1] for tag in tags if (match := _RELEASE_TAG.fullmatch(tag))), key=Version, default=None)


def nearest(ref: str, names: list[str], count: int = 3) -> list[str]:
    """Names that a person may have meant: build tags that begin so, then by number; others by spelling."""
    if wanted := BUILD_TAG.fullmatch(ref):
        tags = [name for name in names if BUILD_TAG.fullmatch(name)]
        if tags:
            return sorted(tags, key=lambda tag: (not tag.startswith(ref), abs(int(tag[1:]) - int(wanted[1]))))[:count]
    return difflib.get_close_matches(ref, names, n=count)


def require_git() -> None:
    """Refuse to go on without the program.

    Raises:
        GitMissing: it is not installed.
    """
    if not shutil.which("git"):
        raise GitMissing("The program `git` is not installed.", "Install it, or take another origin.")


def _explained(text: str, name: str) -> BuilderError:
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return MachineError("The disk is full: git could not write.", "Free some space.")
    if re.search(r"\.lock': File exists|\bcorrupt|bad object|object file .* is empty|packfile .* (?:is|cannot)", text):
        return Damaged(f"The repository of {name} is damaged: {_said(text)}.", "Run `git fsck` in it.")
    for pattern, reason in _REASONS:
        if match := re.search(pattern, text):
            why = reason.format(*(group or "" for group in match.groups()))
            break
    else:
        why = _said(text)
    return Unreachable(
        f"{name} cannot be used as a git repository: {why}.",
        "Check the address and the network, or take another origin.",
    )


def _said(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines or ["git failed silently"]
    return telling[0].removeprefix("fatal:").removeprefix("error:").strip().rstrip(".")
