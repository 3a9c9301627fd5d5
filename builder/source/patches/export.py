"""Patch files as `git format-patch` writes them, whatever a person's own settings say."""

from __future__ import annotations

import email
import os
import re
from dataclasses import replace

from builder.source.patches.bench import Bench
from builder.source.patches.diff import find_diff
from builder.source.patches.patch import is_mail
from builder.upstream.git import WRITING

_FORM = (
    "--stdout",
    "--root",
    "--zero-commit",
    "--no-signature",
    "--no-numbered",
    "--full-index",
    "--binary",
    "--find-renames",
    "--unified=3",
    "--encode-email-headers",
    "--subject-prefix=PATCH",
    *("--no-attach", "--no-thread", "--no-signoff", "--no-cover-letter", "--no-from", "--no-base", "--no-notes"),
    *("--no-to", "--no-cc", "--no-add-header", "--no-ext-diff", "--no-color"),
    *("--inter-hunk-context=0", f"-O{os.devnull}", "--src-prefix=a/", "--dst-prefix=b/", "-l10000"),
)
"""Object names in full: by them the next three-way merge finds what the patch was made on."""
_SETTINGS = {
    "diff.relative": "false",
    "diff.statGraphWidth": "0",
    "diff.statNameWidth": "0",
    "diff.suppressBlankEmpty": "false",
    "format.forceInBodyFrom": "false",
    "format.mboxrd": "false",
}
"""What no option of every git says."""
_END_OF_MESSAGE = re.compile(rb"^---[ \t]*\n", re.MULTILINE)
_ENCODING = re.compile(
    rb"^content-transfer-encoding:[ \t]*(?:quoted-printable|base64)[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_BLANK = re.compile(rb"\r?\n\r?\n")
_ORIGIN = re.compile(rb"(?<=\AFrom )[0-9a-f]{40,64}(?= )")


def mail_of(bench: Bench, commit: str) -> bytes:
    """A commit as a patch file.

    Raises:
        SourceError: contents that are needed cannot be fetched.
    """
    own = bench.repository.git
    git = replace(own, settings=(*own.settings, *_SETTINGS.items()))
    here = f"--git-dir={bench.repository.folder}"
    return git.succeed(here, "format-patch", *_FORM, "-1", commit, cwd=bench.scratch, timeout=WRITING).raw


def rewritten(bench: Bench, content: bytes, before: str, after: str) -> bytes:
    """A patch file with the difference of two trees in place of its own; author, date and message stay byte for byte.

    Args:
        content: of the file as it was.
    """
    parent = bench.commit_tree(before, None, b"before", {})
    mail = mail_of(bench, bench.commit_tree(after, parent, b"after", {}))
    head = _head(content)
    if not is_mail(head):
        return head + mail[find_diff(mail) :]
    message = _END_OF_MESSAGE.split(head, maxsplit=1)[0].rstrip(b"\n")
    message = _ORIGIN.sub(lambda found: b"0" * len(found[0]), message)
    return message + b"\n\n---\n" + _END_OF_MESSAGE.split(mail, maxsplit=1)[1]


def with_plain_line_ends(content: bytes) -> bytes:
    """A patch file that was converted to CRLF on its way as it was before; any other as it is."""
    start = find_diff(content)
    if start is None or not content[start:].partition(b"\n")[0].endswith(b"\r"):
        return content
    return content.replace(b"\r\n", b"\n")


def _head(content: bytes) -> bytes:
    """What stands above the diff of a patch file, not encoded."""
    headers, *rest = _BLANK.split(content, maxsplit=1)
    if rest and is_mail(content) and _ENCODING.search(headers):
        letter = email.message_from_bytes(content.partition(b"\n")[2] if content.startswith(b"From ") else content)
        decoded = letter.get_payload(decode=True)
        assert isinstance(decoded, bytes)
        plain = _ENCODING.sub(b"Content-Transfer-Encoding: 8bit", headers.replace(b"\r\n", b"\n"))
        content = plain + b"\n\n" + decoded
    content = with_plain_line_ends(content)
    return content[: find_diff(content)]
