"""As whom the server runs, and what that may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.gates.structure.examined import Examined
from builder.gates.structure.files import File, FileKind

ROOT = 0
_ID, _GROUP = 2, 3
"""Fields of /etc/passwd and /etc/group."""


@dataclass(frozen=True)
class Identity:
    """A user and a group by number.

    Attributes:
        said: what the image says, such as `10001:10001`.
        user: None where the image names one that it does not have, or none.
        group: None where it names one that it does not have.
    """

    said: str
    user: int | None
    group: int | None

    def may(self, file: File, right: int) -> bool:
        """Whether it has a right to a file that is there.

        Args:
            right: 4 to read, 1 to execute a file or enter a folder.
        """
        shift = 6 if file.owner == self.user else 3 if file.group == self.group else 0
        return self.user == ROOT or bool(file.mode >> shift & right)

    def may_write(self, file: File) -> bool:
        """Whether it may change a file, or put files into a folder."""
        if file.kind is FileKind.LINK:
            return False
        mine = file.owner == self.user and file.mode & 0o200
        ours = file.group == self.group and file.mode & 0o020
        return bool(mine or ours or file.mode & 0o002)


def identity_of(examined: Examined) -> Identity:
    """As whom a container of the image runs; without a group it is the user's own, or root's where there is none."""
    said = examined.image.user
    user, _, group = said.partition(":")
    people, groups = _table(examined.files.text("/etc/passwd")), _table(examined.files.text("/etc/group"))
    number = _number(user, people)
    if group:
        return Identity(said, number, _number(group, groups))
    own = next((row for row in people.values() if row[_ID] == str(number)), None)
    return Identity(said, number, int(own[_GROUP]) if own and own[_GROUP].isdecimal() else ROOT)


def _table(text: str | None) -> Mapping[str, list[str]]:
    rows = [line.split(":") for line in (text or "").splitlines()]
    return {row[0]: row for row in rows if len(row) > _GROUP}


def _number(name: str, table: Mapping[str, list[str]]) -> int | None:
    if name.isdecimal():
        return int(name)
    row = table.get(name)
    return int(row[_ID]) if row and row[_ID].isdecimal() else None
