"""One patch file: a mail as `git format-patch` writes it, or a bare diff."""

from __future__ import annotations

import base64
import binascii
import email
import quopri
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from itertools import takewhile

from builder.errors import SourceError
from builder.source.patches.diff import Change, find_diff, parse_diff

_PREFIX = re.compile(r"^(?:\[[^\]]*\]\s*)+")
_MAIL = re.compile(rb"(?:From \S+ +\w{3} .*\n)?([A-Za-z][A-Za-z0-9-]*:[ \t](?:.|\n)*?)\r?\n\r?\n")
_FURTHER_MAIL = re.compile(rb"\nFrom \S+ +\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}\b")
"""As `git mailsplit` finds it; no line of a diff looks like that."""
_SCISSORS = re.compile(rb"^---[ \t]*$", re.MULTILINE)

_WHOLE = 40
"""Characters of an object name that is not abbreviated; git takes binary contents only where it is not."""


class BadPatch(SourceError):
    """A file of the queue is no patch that can be applied anywhere."""


@dataclass(frozen=True)
class Patch:
    """What one file of the queue holds.

    Attributes:
        name: file name.
        subject: first line of the message without `[PATCH 3/7]`; the file name where there is none.
        author: `Name <address>`; None for a bare diff.
        date: author date as the mail has it; None likewise.
        body: the message below its subject.
        diff: the bytes that are applied, line ends as in the tree they were made on.
        changes: the same, read.
    """

    name: str
    subject: str
    author: str | None
    date: str | None
    body: str
    diff: bytes
    changes: tuple[Change, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path it reads or writes, sorted."""
        return tuple(sorted({path for change in self.changes for path in (change.old, change.new) if path}))


def parse_patch(name: str, content: bytes) -> Patch:
    """Read a patch file.

    Where even the diff's own header lines end in CRLF, the file was converted on its way, and every CRLF is one LF; a
    diff of a file that has CRLF itself keeps them.

    Raises:
        BadPatch: it holds no diff, a damaged one, a change without its data, or one that leaves the tree.
    """
    if further := _FURTHER_MAIL.findall(content):
        raise BadPatch(
            f"{name} holds {len(further) + 1} mails.",
            "`git mailsplit -oFOLDER FILE` splits it; give each patch a file of its own.",
        )
    mail, text = _parts(name, content)
    start = find_diff(text)
    if start is None:
        raise BadPatch(f"{name} holds no change.", "Give what `git format-patch` writes, or leave it out.")
    if text[start:].partition(b"\n")[0].endswith(b"\r"):
        text = text.replace(b"\r\n", b"\n")
        start = find_diff(text) or 0
    diff = text[start:].removesuffix(b"\n") + b"\n"
    try:
        changes = tuple(parse_diff(diff))
    except ValueError as error:
        raise BadPatch(f"{name} is damaged: {error}.", "Write it anew with `git format-patch`.") from error
    for reason in _refusals(changes):
        raise BadPatch(f"{name} {reason}.", "It is not applied.")
    subject = _PREFIX.sub("", _header(mail, "subject")).strip() or name
    body = _SCISSORS.split(text[:start], maxsplit=1)[0].decode("utf-8", "replace").strip() if mail else ""
    return Patch(name, subject, _header(mail, "from") or None, _header(mail, "date") or None, body, diff, changes)


def is_mail(content: bytes) -> bool:
    """Whether it begins with the headers of a mail; a bare diff does not."""
    return _headers(content) is not None


def _headers(content: bytes) -> re.Match[bytes] | None:
    found = _MAIL.match(content)
    return found if found and find_diff(found[0]) is None else None


def _parts(name: str, content: bytes) -> tuple[Message | None, bytes]:
    """The headers of a mail, None for a bare diff, and the text below, with its line ends as they were."""
    found = _headers(content)
    if not found:
        return None, content
    mail = email.message_from_string(found[1].decode("utf-8", "replace"))
    if _header(mail, "content-type").lower().startswith("multipart/"):
        raise BadPatch(f"{name} is a mail of several parts.", "Save the patch as `git format-patch` writes it.")
    text = content[found.end() :]
    match _header(mail, "content-transfer-encoding").lower():
        case "quoted-printable":
            text = quopri.decodestring(text)
        case "base64":
            try:
                text = base64.b64decode(text)
            except binascii.Error as error:
                raise BadPatch(f"{name} is damaged: {error}.", "Write it anew with `git format-patch`.") from error
    return mail, text


def _header(mail: Message | None, name: str) -> str:
    value = str(mail.get(name, "")) if mail else ""
    with suppress(HeaderParseError, LookupError, ValueError):
        value = str(make_header(decode_header(value)))
    return " ".join(value.split())


def _refusals(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        for path in (change.old, change.new):
            if path and _leaves(path):
                yield f"touches `{path}`, which is not inside the tree"
            if path and not _is_text(path):
                yield f"names a file that is not UTF-8: {path!a}"
        if change.submodule:
            yield f"changes the submodule {change.path}"
        if change.link_target is not None and link_leaves(change.path, change.link_target):
            yield f"makes the link {change.path} to `{change.link_target}`, outside of the tree"
        if change.lacks_data or (change.binary and len(change.new_blob or "") < _WHOLE):
            yield f"lacks the contents of the binary file {change.path} (`git format-patch` writes them)"


def _leaves(path: str) -> bool:
    return any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/"))


def _is_text(path: str) -> bool:
    return "\0" not in path and path.encode("utf-8", "replace").decode() == path


def link_leaves(path: str, target: str) -> bool:
    """Whether a symbolic link at a path of the tree may lead out of it.

    A `..` behind a name may: what is named can be a link itself, with another folder above it than meets the eye.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = sum(1 for _ in takewhile(lambda part: part == "..", parts))
    return target.startswith("/") or up > path.count("/") or ".." in parts[up:]
