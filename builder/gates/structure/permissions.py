"""May anybody in the container do more, or change more, than serving needs?"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.files import File, FileKind
from builder.gates.structure.identity import ROOT, identity_of
from builder.gates.structure.libraries import loader_of
from builder.gates.verdict import Check, failed, passed, unjudged
from builder.plan.marks import FOLDER

_USUAL = frozenset(
    {"chage", "chfn", "chsh", "expiry", "gpasswd", "mount", "newgrp", "passwd", "su", "umount", "unix_chkpwd"}
    | {"pam_extrausers_chkpwd"}
)
"""Programs with set-user-ID or set-group-ID that the essential packages of Debian and Ubuntu bring."""
_USUAL_PLACES = ("/usr/bin", "/usr/sbin", "/bin", "/sbin")
_SHOWN = 12
_STICKY = 0o1000
_REBUILD = "Build it again with `builder build`."
_REMEDY = "Take the set-user-ID and set-group-ID bits and the capabilities away, or the files."


def check_permissions(examined: Examined) -> Iterator[Check]:
    """Checks about rights that files give, and about who may change the server's files."""
    yield _rights(examined)
    yield _changeable(examined)


def _rights(examined: Examined) -> Check:
    name = "rights"
    giving = sorted((file for file in examined.files.entries.values() if file.gives_rights), key=lambda file: file.path)
    base = examined.base() if giving else None
    added = [file for file in giving if (base.entries.get(file.path) != file if base else not _is_usual(file))]
    if not added:
        detail = f"No program gives rights but {len(giving)} of the runtime base."
        return passed(name, detail, tuple(map(_describe, giving)))
    who = listed([file.path for file in added])
    excerpt = tuple(map(_describe, added))
    if base is None and not any(file.path.startswith(f"{FOLDER}/") for file in added):
        sentence = f"Programs give rights to who executes them: {who}. Whether the runtime base has them cannot be told"
        return unjudged(name, f"{sentence}, for it is not here. {_REMEDY}", excerpt)
    return failed(name, f"Programs give rights that the runtime base does not: {who}. {_REMEDY}", excerpt)


def _is_usual(file: File) -> bool:
    folder, base = posixpath.split(file.path)
    return folder in _USUAL_PLACES and base in _USUAL and file.owner == ROOT


def _changeable(examined: Examined) -> Check:
    name = "changeable"
    loose = {file.path: file for file in _of_server(examined) if file.mode & 0o022 or file.owner != ROOT}
    if loose:
        return failed(
            name,
            f"Others than root may change the server's files: {listed(sorted(loose))}. {_REBUILD}",
            tuple(_describe(loose[path]) for path in sorted(loose)),
        )
    server, home = identity_of(examined), examined.environment.get("HOME") or "/"
    its_own = {file.path for file in examined.files.below(home)} if home != "/" else set()
    writable = [file for file in examined.files.entries.values() if file.path not in its_own]
    searched = _searched(examined)
    writable = [file for file in writable if file.kind is not FileKind.OTHER and server.may_write(file)]
    writable = [file for file in writable if not _is_for_everybody(file) or file.path in searched]
    if writable:
        return failed(
            name,
            f"The server may change what is not its own: {listed(sorted(file.path for file in writable))}. {_REBUILD}",
            tuple(map(_describe, writable[:_SHOWN])),
        )
    return passed(name, f"Only root may change what is in {FOLDER}, and the server nothing outside of its HOME.")


def _is_for_everybody(file: File) -> bool:
    """Whether it is a folder such as /tmp, in which nobody may change the files of others."""
    return file.kind is FileKind.FOLDER and bool(file.mode & _STICKY)


def _searched(examined: Examined) -> frozenset[str]:
    """Folders where programs and libraries are looked for: what is put there takes another's place."""
    folders = (*examined.path.split(":"), *loader_of(examined).folders)
    return frozenset(found.path for folder in folders if folder and (found := examined.files.find(folder)))


def _of_server(examined: Examined) -> Iterator[File]:
    """What is in the server's folder, and what links in it lead to."""
    for file in examined.files.below(FOLDER):
        real = examined.files.find(file.path)
        if file.kind is not FileKind.LINK:
            yield file
        elif real:
            yield real


def _describe(file: File) -> str:
    capabilities = " with capabilities" if file.capabilities else ""
    return f"{file.path} {file.mode:04o} owner {file.owner}:{file.group}{capabilities}"
