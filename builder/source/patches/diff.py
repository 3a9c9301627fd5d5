"""Reading git's diffs: files, modes, blobs and hunks, counted line by line so that no content is taken for a header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")
_INDEX = re.compile(rb"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: (\d{6}))?$")
_START = re.compile(rb"^(?:diff --git .+|--- .+\r?\n\+\+\+ .+\r?\n@@ .+)$", re.MULTILINE)
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.?)", re.DOTALL)
_ESCAPED = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))
_BEGINNING_OF_TIME = re.compile(rb"\t(?:1969-12-31|1970-01-01) ")
_EMPTY = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
)
"""Names of the blob without contents, by SHA-1 and by SHA-256."""
_LINK = "120000"
_SUBMODULE = "160000"
_MAILS_END = b"-- "


@dataclass(frozen=True)
class Hunk:
    """One hunk.

    Attributes:
        old_start: first line in the old file, from 1; 0 where that is empty.
        new_start: likewise in the new one.
        heading: what git shows behind the second `@@`, such as a function's name.
        lines: with their first character ` `, `-`, `+` or `\\`, without the newline.
    """

    old_start: int
    new_start: int
    heading: str
    lines: tuple[bytes, ...]

    @property
    def before(self) -> tuple[bytes, ...]:
        """The lines it needs to find."""
        return tuple(line[1:] for line in self.lines if line[:1] in (b" ", b"-"))

    @property
    def after(self) -> tuple[bytes, ...]:
        """The lines it leaves."""
        return tuple(line[1:] for line in self.lines if line[:1] in (b" ", b"+"))

    @property
    def added(self) -> tuple[bytes, ...]:
        """The lines that it alone brings."""
        return tuple(line[1:] for line in self.lines if line.startswith(b"+"))


@dataclass(frozen=True)
class Change:
    """What a diff does to one file.

    Attributes:
        old: its path before; None where it is made.
        new: its path after; None where it is removed.
        old_blob: object name of the contents before, whole or abbreviated; None where the diff does not tell.
        new_blob: likewise after.
        old_mode: such as `100644`; None where not told.
        new_mode: likewise.
        binary: whether the contents are given as git's binary patch.
        lacks_data: whether it only says that binary contents differ.
        hunks: of a text.
    """

    old: str | None
    new: str | None
    old_blob: str | None = None
    new_blob: str | None = None
    old_mode: str | None = None
    new_mode: str | None = None
    binary: bool = False
    lacks_data: bool = False
    hunks: tuple[Hunk, ...] = ()

    @property
    def path(self) -> str:
        """The path by which people know it."""
        return self.new or self.old or ""

    @property
    def submodule(self) -> bool:
        """Whether it is a reference to another repository."""
        return _SUBMODULE in (self.old_mode, self.new_mode)

    @property
    def link_target(self) -> str | None:
        """Where a symbolic link that it makes or changes leads."""
        if self.new_mode != _LINK or not self.hunks:
            return None
        return b"\n".join(self.hunks[0].after).decode("utf-8", "replace")

    @property
    def hollow(self) -> bool:
        """Whether it changes nothing, or contents that it does not give."""
        if self.hunks or self.binary:
            return False
        if self.old_blob and self.new_blob and self.old_blob != self.new_blob:
            left = self.new_blob if self.old is None else self.old_blob
            return None not in (self.old, self.new) or not any(name.startswith(left) for name in _EMPTY)
        return self.old == self.new and self.old_mode == self.new_mode


@dataclass
class _Lines:
    """Lines without their newlines, read forwards."""

    lines: list[bytes]
    at: int = 0

    @property
    def current(self) -> bytes | None:
        return self.lines[self.at] if self.at < len(self.lines) else None

    def take(self) -> bytes:
        line = self.current
        if line is None:
            raise ValueError("it ends in the middle of a hunk")
        self.at += 1
        return line


@dataclass
class _Header:
    """What the lines above the hunks say."""

    names: tuple[str | None, str | None] = (None, None)
    old: str | None = None
    new: str | None = None
    made: bool = False
    removed: bool = False
    facts: dict[str, str] = field(default_factory=dict)

    def change(self) -> Change:
        old = None if self.made else self.old or self.names[0] or self.new
        new = None if self.removed else self.new or self.names[1] or self.old
        if old is None and new is None:
            raise ValueError("a change names no file")
        return Change(old, new, **self.facts)  # type: ignore[arg-type]

    def name(self, old: bytes, new: bytes) -> None:
        """Take in what `---` and `+++` are followed by."""
        first, second = _side(old), _side(new)
        self.made, self.removed = self.made or first is None, self.removed or second is None
        self.old, self.new = self.old or first, self.new or second

    def name_traditionally(self, old: bytes, new: bytes) -> None:
        """The same in a diff that is not git's, by git's rules: one file, of the shorter of two similar names.

        One that is dated at the beginning of time is not there.
        """
        self.name(old, new)
        self.made = self.made or bool(_BEGINNING_OF_TIME.search(old))
        self.removed = self.removed or bool(_BEGINNING_OF_TIME.search(new))
        if self.old and self.new:
            self.old = self.new = self.old if self.new.startswith(self.old) else self.new


def find_diff(text: bytes) -> int | None:
    """Where the first change begins; None if there is none."""
    found = _START.search(text)
    return found.start() if found else None


def parse_diff(diff: bytes) -> Iterator[Change]:
    """Every change of a diff, in order.

    Raises:
        ValueError: it is cut off or malformed; the message is a clause that says where.
    """
    lines = _Lines(diff.removesuffix(b"\n").split(b"\n"))
    while (line := lines.current) is not None:
        if line.startswith(b"diff --git "):
            yield _change(lines)
        elif line.startswith(b"--- ") and _is_traditional(lines):
            yield _traditional_change(lines)
        else:
            lines.at += 1


def _is_traditional(lines: _Lines) -> bool:
    following = lines.lines[lines.at + 1 : lines.at + 3]
    return len(following) == 2 and following[0].startswith(b"+++ ") and following[1].startswith(b"@@ ")  # noqa: PLR2004


def _traditional_change(lines: _Lines) -> Change:
    header = _Header()
    header.name_traditionally(lines.take()[4:], lines.take()[4:])
    return replace(header.change(), hunks=_hunks(lines))


def _change(lines: _Lines) -> Change:
    header = _Header(_names(lines.take().removeprefix(b"diff --git ")))
    while (line := lines.current) is not None and _read_header(line, header):
        lines.at += 1
    change = _with_contents(lines, header)
    if change.hollow:
        raise ValueError(f"it ends before the change of {change.path}")
    return change


def _read_header(line: bytes, header: _Header) -> bool:
    """Take in one extended header line; False where it is none."""
    if found := _INDEX.match(line):
        header.facts["old_blob"], header.facts["new_blob"] = found[1].decode(), found[2].decode()
        if found[3]:
            header.facts["old_mode"] = header.facts["new_mode"] = found[3].decode()
        return True
    word, value = next(((word, line[len(word) :]) for word in _WORDS if line.startswith(word)), (b"", b""))
    match word:
        case b"":
            return False
        case b"new file mode ":
            header.made, header.facts["new_mode"] = True, value.decode()
        case b"deleted file mode ":
            header.removed, header.facts["old_mode"] = True, value.decode()
        case b"old mode ":
            header.facts["old_mode"] = value.decode()
        case b"new mode ":
            header.facts["new_mode"] = value.decode()
        case b"rename from " | b"copy from ":
            header.old = _unquoted(value)
        case b"rename to " | b"copy to ":
            header.new = _unquoted(value)
    return True


_WORDS = (
    b"new file mode ",
    b"deleted file mode ",
    b"old mode ",
    b"new mode ",
    b"rename from ",
    b"rename to ",
    b"copy from ",
    b"copy to ",
    b"similarity index ",
    b"dissimilarity index ",
)


def _with_contents(lines: _Lines, header: _Header) -> Change:
    line = lines.current or b""
    if line == b"GIT binary patch":
        _skip_binary(lines)
        return replace(header.change(), binary=True)
    if line.startswith(b"Binary files ") and line.endswith(b" differ"):
        lines.at += 1
        return replace(header.change(), binary=True, lacks_data=True)
    if line.startswith(b"--- ") and (lines.lines[lines.at + 1 : lines.at + 2] or [b""])[0].startswith(b"+++ "):
        header.name(lines.take()[4:], lines.take()[4:])
    return replace(header.change(), hunks=_hunks(lines))


def _hunks(lines: _Lines) -> tuple[Hunk, ...]:
    hunks = []
    while (lines.current or b"").startswith(b"@@ "):
        hunks.append(_hunk(lines))
    return tuple(hunks)


def _hunk(lines: _Lines) -> Hunk:
    head = lines.take()
    found = _HUNK.match(head)
    if not found:
        raise ValueError(f"`{head[:60].decode(errors='replace')}` is no head of a hunk")
    old, new = (int(found[2] or 1), int(found[4] or 1))
    taken: list[bytes] = []
    while old or new:
        line = lines.take() or b" "
        kind = line[:1]
        if kind not in (b" ", b"-", b"+", b"\\"):
            raise ValueError(f"the hunk `{head[:60].decode(errors='replace')}` is cut off")
        old -= kind in (b" ", b"-")
        new -= kind in (b" ", b"+")
        if old < 0 or new < 0:
            raise ValueError(f"the hunk `{head[:60].decode(errors='replace')}` has other lines than its head says")
        taken.append(line)
    if (lines.current or b"").startswith(b"\\"):
        taken.append(lines.take())
    return Hunk(int(found[1]), int(found[3]), found[5].decode(errors="replace").strip(), tuple(taken))


def _skip_binary(lines: _Lines) -> None:
    while (line := lines.current) is not None and line != _MAILS_END and not line.startswith(b"diff --git "):
        lines.at += 1


def _side(text: bytes) -> str | None:
    """A path of a `---` or `+++` line without its `a/` or `b/`; None is /dev/null."""
    name = _unquoted(text.partition(b"\t")[0].rstrip(b"\r"))
    return None if name == "/dev/null" else name.partition("/")[2] or name


def _names(text: bytes) -> tuple[str | None, str | None]:
    """Both paths of a `diff --git` line; they are needed, and clear, only where they are the same."""
    middle = len(text) // 2
    first, second = text[:middle], text[middle + 1 :]
    same = first.partition(b"/")[2] == second.partition(b"/")[2]
    return (_side(first), _side(second)) if same else (None, None)


def _unquoted(text: bytes) -> str:
    """A path as the file system has it; git quotes unusual ones as C does."""
    if len(text) > 1 and text.startswith(b'"') and text.endswith(b'"'):
        text = _ESCAPE.sub(_unescaped, text[1:-1])
    return text.decode("utf-8", "surrogateescape")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if len(escape[1]) > 1:
        return bytes([int(escape[1], 8)])
    if not escape[1] or escape[1][0] not in _ESCAPED:
        raise ValueError("a path is quoted wrongly")
    return bytes([_ESCAPED[escape[1][0]]])
