"""Running the `git` program: each command is recorded, limited in time and ended with this process."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from builder.errors import BuilderError, MachineError, SourceError
from builder.process import CommandTimeout, Completed, Runner, without_credentials

READING = 120.0
WRITING = 1800.0
"""Seconds; a partial clone fetches the files of a commit when they are first wanted."""

_SETTINGS = {
    "clone.rejectShallow": "false",
    "color.ui": "false",
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.splitIndex": "false",
    "core.symlinks": "true",
    "credential.interactive": "false",
    "fetch.prune": "false",
    "fetch.pruneTags": "false",
    "fetch.unpackLimit": "1",
    "gc.autoDetach": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "log.showRoot": "true",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "maintenance.autoDetach": "false",
    "status.showUntrackedFiles": "normal",
    "submodule.recurse": "false",
}
"""What a person's own settings would otherwise decide: names and trees must be the same on every machine."""
_KEPT = re.compile(
    r"GIT_(?:SSH(?:_\w+)?|ASKPASS|PROXY_\w+|SSL_\w+|HTTP_\w+|TRACE\w*|CURL_VERBOSE|EXEC_PATH"
    r"|CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_[0-9]+|VALUE_[0-9]+))"
)
"""Variables that tell the way to a server. The others bend what git does, or point at the repository of a surrounding
git, such as one that runs a hook."""
_ASKING = frozenset({"clone", "fetch", "ls-remote"})
"""Commands that talk to a server. Any other does where it fetches what a partial repository lacks, and says so."""
_LAZY = "promisor remote"

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
    (r"not our ref (\w+)", "it does not give {0}"),
    (r"find remote ref (\S+)", "it has no {0}"),
    (r"[Rr]epository not found|repository '[^']*' not found|info/refs not valid", _NO_REPOSITORY),
    (r"No such file or directory|does not exist", _NO_REPOSITORY),
)  # fmt: skip
_DAMAGE = re.compile(
    r"\.lock': File exists|cannot lock ref|unable to resolve reference|\bcorrupt|bad object|object file .* is empty"
    r"|packfile .* (?:is|cannot|truncated|does not)|pack has .* unresolved|inflate: |unable to (?:read|unpack|parse)"
    r"|[Cc]ould not read [0-9a-f]{4,}|cannot read object|invalid sha1 pointer|index file .* is too small"
    r"|'[\w-]+' does not appear to be|bad (?:tree|index|pack|signature)|missing (?:tree|commit|blob|object)"
    r"|commit-graph|Failed to traverse parents|not send all necessary objects|unknown repository extension"
)


_FORBIDDEN = re.compile(r"(/[^\n'\":]*)'?: (?:Permission denied|Read-only file system)$", re.MULTILINE)
"""A file and why it may not be written; ssh quotes otherwise, and speaks of keys."""


class Unreachable(SourceError):
    """A repository cannot be asked, or what answers is none."""


class Failed(SourceError):
    """A command that has to do with this machine alone did not do its work."""


class GitMissing(MachineError):
    """The program is not installed."""


class Damaged(SourceError):
    """A repository is there and broken."""


def settings_as_environment(settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Git settings as variables, after those that the caller's environment already holds."""
    count = _settings_at_hand()
    variables: dict[str, str] = {}
    for key, value in settings:
        variables |= {f"GIT_CONFIG_KEY_{count}": key, f"GIT_CONFIG_VALUE_{count}": value}
        count += 1
    return {"GIT_CONFIG_COUNT": str(count), **variables}


def _settings_at_hand() -> int:
    """How many settings the environment holds, up to the first that is not whole."""
    said = os.environ.get("GIT_CONFIG_COUNT", "")
    count = int(said) if re.fullmatch("[0-9]{1,6}", said) else 0
    parts = ("KEY", "VALUE")
    return next((n for n in range(count) if any(f"GIT_CONFIG_{part}_{n}" not in os.environ for part in parts)), count)


@dataclass(frozen=True)
class Git:
    """Runs `git` without prompts, hooks and pagers.

    Attributes:
        name: the repository as it may be shown.
        settings: further git settings, later ones after earlier ones; never written to a disk.
        secrets: what must not be shown even where git says it.
        variables: further variables of the environment.
        holding: descriptors of locks that every command holds as long as it lives.
    """

    runner: Runner
    name: str
    settings: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    holding: tuple[int, ...] = ()

    def attempt(
        self,
        *args: str,
        timeout: float = READING,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes | None = None,
    ) -> Completed:
        """Run one command; its exit status is the caller's to judge."""
        given = {**self._environment, **(env or {})}
        foreign = [name for name in os.environ if name.startswith("GIT_") and not _KEPT.fullmatch(name)]
        dropped = [word for name in sorted(foreign) if name not in given for word in ("-u", name)]
        command = ["env", *dropped, "git", *args] if dropped else ["git", *args]
        return self.runner.run(command, timeout=timeout, env=given, cwd=cwd, stdin=stdin, pass_fds=self.holding)

    def read(
        self,
        *args: str,
        timeout: float = READING,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes | None = None,
    ) -> str:
        """Run one command and give its output.

        Raises:
            Unreachable: the server of the repository cannot be asked.
            Damaged: the repository is there and broken.
            Failed: git does not do it for another reason.
            MachineError: the disk is full, or a command that asks no server did not end in time.
        """
        return self.succeed(*args, timeout=timeout, env=env, cwd=cwd, stdin=stdin).stdout

    def list_paths(self, *args: str) -> list[str]:
        """Run one command that ends what it lists with NUL, and give that as the system spells file names.

        Names that are no UTF-8 are kept. Raises the same as `read`.
        """
        return [os.fsdecode(entry) for entry in self.succeed(*args).raw.split(b"\0") if entry]

    def succeed(
        self,
        *args: str,
        timeout: float = READING,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes | None = None,
    ) -> Completed:
        """Run one command that must succeed. Raises the same as `read`."""
        try:
            done = self.attempt(*args, timeout=timeout, env=env, cwd=cwd, stdin=stdin)
        except CommandTimeout as error:
            if not _asks_a_server(args):
                raise
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
        local = next((word.partition("=")[2] for word in done.args if word.startswith("--git-dir=")), "")
        return _explained(text, self.name, local, asked=_asks_a_server(done.args) or _LAZY in text)

    @cached_property
    def _environment(self) -> dict[str, str]:
        return {
            **settings_as_environment((*_SETTINGS.items(), *self.settings)),
            **_unasked(),
            **self.variables,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": ":".join(("file", "git", "http", "https", "ssh")),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_DEFAULT_REF_FORMAT": "files",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }


def _asks_a_server(args: Sequence[str]) -> bool:
    words = iter(args[args.index("git") + 1 :] if "git" in args else args)
    for word in words:
        if word == "-C":
            next(words, None)
        elif not word.startswith("-"):
            return word in _ASKING
    return False


def _unasked() -> dict[str, str]:
    """Variables by which nobody is asked for a password who cannot answer."""
    chosen = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10"}
    if not os.isatty(0):
        chosen["GIT_ASKPASS"] = "true"
    return {name: value for name, value in chosen.items() if name not in os.environ}


def require_git() -> None:
    """Refuse to go on without the program.

    Raises:
        GitMissing: it is not installed.
    """
    if not shutil.which("git"):
        raise GitMissing("The program `git` is not installed.", "Install it, or take another origin.")


def tells_of_damage(text: str, local: str) -> bool:
    """Whether git says that the repository on this machine is broken.

    Args:
        local: its git folder.
    """
    own = _own(text)
    if f"from {_LAZY}" in own:
        return False
    here = rf"not a git repository: '{re.escape(local)}'|bad config .* in file {re.escape(local)}/"
    return bool(_DAMAGE.search(own) or (local and re.search(here, own)))


def _own(text: str) -> str:
    """What git on this machine says."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("remote:"))


def _explained(text: str, name: str, local: str, *, asked: bool) -> BuilderError:
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return MachineError("The disk is full: git could not write.", "Free some space.")
    if forbidden := _FORBIDDEN.search(_own(text)):
        return MachineError(f"git may not write {forbidden[1]}.", "Check its permissions.")
    if tells_of_damage(text, local):
        return Damaged(f"The repository of {name} is damaged: {_said(text)}.", "Run `git fsck` in it.")
    for pattern, reason in _REASONS:
        if match := re.search(pattern, text):
            why = reason.format(*(group or "" for group in match.groups()))
            break
    else:
        why = _said(text)
    cause = f"{name} cannot be used as a git repository: {why}."
    if asked:
        return Unreachable(cause, "Check the address and the network, or take another origin.")
    return Failed(cause, "Run `git fsck` in it, or take another origin.")


def _said(text: str) -> str:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines or ["the connection broke"]
    return telling[0].removeprefix("fatal:").removeprefix("error:").strip().rstrip(".")
