"""The program cosign, with a key pair and without any service beyond the registry.

Nothing is written into a transparency log, and none is asked. Signatures are put where every version of cosign finds
them: under tags beside the image. https://docs.sigstore.dev/cosign/
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from builder.channels.registry.reference import Reference
from builder.channels.registry.transport import Trust
from builder.errors import MachineError, NothingMoved
from builder.process import Completed, Runner

_PASSWORD = "COSIGN_PASSWORD"  # noqa: S105
_LIMIT = 180.0
"""Seconds for one command."""
_UNSIGNED = re.compile(r"no (matching )?(signatures|attestations)")
_WITHOUT_LOG = {
    "sign": ("--tlog-upload=false",),
    "attest": ("--tlog-upload=false",),
    "verify": ("--insecure-ignore-tlog=true",),
    "verify-attestation": ("--insecure-ignore-tlog=true",),
}
_OPTION = re.compile(r"^\s+(--[a-z-]+)", re.MULTILINE)
_IF_KNOWN = ("--use-signing-config=false", "--new-bundle-format=false")
"""What newer versions have to be told, so that they do what older ones do: no services, tags beside the image."""


class NotSigned(NothingMoved):
    """An image has no signature by the key that is asked for."""


class Cosign:
    """Runs cosign.

    Args:
        trust: registries that may speak in the clear, and where certificates are.
        program: its name, or its path.
    """

    def __init__(self, runner: Runner, trust: Trust, program: str = "cosign") -> None:
        self._runner = runner
        self._trust = trust
        self._program = program
        self._options: dict[str, Sequence[str]] = {}

    def ask(self, command: str, reference: Reference, *words: str) -> str:
        """Run a command on an image; gives what it printed.

        Args:
            command: `sign`, `attest`, `verify` or `verify-attestation`.

        Raises:
            NotSigned: there is no signature by the key.
            MachineError: cosign is not installed, or did not do it.
        """
        options = (*self._options_of(command), *self._way_to(reference), *words)
        done = self._run(command, *options, str(reference))
        if not done.returncode:
            return done.stdout
        if command.startswith("verify") and _UNSIGNED.search(done.stderr):
            raise NotSigned(
                f"{reference} is not signed by the key that is asked for: {_cause(done)}.",
                "Take an image that is, or have it signed by promoting it where the key is.",
            )
        raise MachineError(
            f"cosign did not {command.replace('-', ' the ')} {reference}: {_cause(done)}.",
            f"See that the key and its password in {_PASSWORD} are right and that the registry answers.",
        )

    def _options_of(self, command: str) -> Sequence[str]:
        """What a command of this version has to be told; cosign's own number is not in every distribution's."""
        if command not in self._options:
            told = self._run(command, "--help")
            known = set(_OPTION.findall(told.stdout))
            newer = (word for word in _IF_KNOWN if word.partition("=")[0] in known)
            self._options[command] = (*_WITHOUT_LOG[command], *newer)
        return self._options[command]

    def _way_to(self, reference: Reference) -> Sequence[str]:
        server = reference.server
        if server in self._trust.insecure:
            return ("--allow-insecure-registry=true", "--allow-http-registry=true")
        folders = (folder.expanduser() / server for folder in self._trust.certificates)
        found = [file for folder in folders for file in sorted(folder.glob("*.crt"))]
        return (f"--registry-cacert={found[0]}",) if found else ()

    def _run(self, *words: str) -> Completed:
        if not shutil.which(self._program):
            raise MachineError(
                f"The program `{self._program}`, which signs images and looks at signatures, is not installed.",
                "Install the package `cosign`, which Debian has from release 13 on, or clear [signatures].",
            )
        # Without a password in it, cosign would ask a person.
        env = {_PASSWORD: os.environ.get(_PASSWORD, "")}
        return self._runner.run([self._program, *words], timeout=_LIMIT, env=env)


def readable(key: Path, what: str) -> Path:
    """A key's file that is there.

    Raises:
        MachineError: it is not, or cannot be read.
    """
    if not os.access(key, os.R_OK):
        raise MachineError(
            f"The {what} {key} {'cannot be read' if key.exists() else 'is not there'}.",
            "Make a pair with `cosign generate-key-pair`, or mend [signatures].",
        )
    return key


def _cause(done: Completed) -> str:
    lines = [line.removeprefix("Error: ").strip() for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return (lines[0] if lines else f"exit status {done.returncode}").rstrip(".")
