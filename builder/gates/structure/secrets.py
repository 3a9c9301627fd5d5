"""Does the image give away what it should not? What is shown of a secret is where it is, never what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from builder.gates.structure.credentials import is_kept_in
from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.layers import Layers
from builder.gates.structure.reading import PACKAGED
from builder.gates.structure.tokens import holds_secret
from builder.gates.verdict import Check, failed, passed, unjudged
from builder.process import credentials_in
from builder.secrets import is_secret_name, is_secret_option

_OPTION = re.compile(r"(?<!\S)--?([A-Za-z][\w-]*)[= ](?![$-])\S")
_BEARER = re.compile(r"\bBearer [\w.~+/-]{16,}", re.IGNORECASE)
"""Secrets that a command is given."""
_ASSIGNMENT = re.compile(r"(?<![\w.-])([A-Za-z_]\w*)=(\"[^\"]+\"|'[^']+'|[^\s\"']+)")
_LEFT_OUT = (
    "Not searched: shared libraries, the llama.cpp folder's programs, and packages' files in "
    f"{', '.join(folder.rstrip('/') for folder in PACKAGED)}."
)
_REMEDY = "Build without it (secrets of a build belong into `--secret` mounts), and withdraw it: it has been given away"


def check_secrets(examined: Examined) -> Iterator[Check]:
    """The check for secrets in environment, labels, history and files, those included that a later layer hides."""
    layers = examined.layers()
    found = [
        *_in_values("environment variable", examined.environment),
        *_in_values("label", examined.image.labels),
        *_in_files(examined, layers),
        *_in_history(examined.history or ()),
    ]
    if found:
        yield failed("secrets", f"The image gives secrets away: {listed(found)}. {_REMEDY}.", tuple(found))
    elif examined.history is None:
        yield unjudged("secrets", "The engine does not tell the image's history, which may hold secrets.")
    elif layers.unread or not layers.read:
        why = f"{layers.unread} are packed in a way that is not known here" if layers.unread else "there are none"
        yield unjudged("secrets", f"What later layers hide could not be searched: of the image's layers, {why}.")
    else:
        where = f"environment, labels, history or files, in none of {layers.read} layers"
        yield passed("secrets", f"No secret in {where}. {_LEFT_OUT}")


def _in_values(kind: str, values: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        if value and (is_secret_name(name) or is_secret(value)):
            yield f"{kind} {name}"


def _in_history(commands: tuple[str, ...]) -> Iterator[str]:
    for number, command in enumerate(reversed(commands), 1):
        given = [name for name, value in _ASSIGNMENT.findall(command) if not value.strip("\"'").startswith("$")]
        names = [name for name in given if is_secret_name(name)]
        names += filter(is_secret_option, _OPTION.findall(command))
        if names or _BEARER.search(command) or is_secret(command):
            yield f"step {number} of the history{f' ({names[0]})' if names else ''}"


def _in_files(examined: Examined, layers: Layers) -> Iterator[str]:
    named = [file.path for file in examined.files.entries.values() if is_kept_in(file.path) and file.size]
    seen = {*named, *examined.files.secrets}
    for path in sorted(seen):
        yield f"file {path}"
    for path in layers.secrets:
        if path not in seen:
            yield f"file {path}, which a later layer hides"


def is_secret(value: str) -> bool:
    """Whether a value has a secret in it, whatever it is called."""
    return holds_secret(value) or any(credentials_in(word) for word in value.split())
