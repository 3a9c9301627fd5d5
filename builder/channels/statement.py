"""Verdicts on their way between machines: in-toto statements with the test-result predicate.

The subject is the image by the digest that was judged. The verdict itself is the one resource under `configuration`,
whole and with its digest; everything else is told for those who do not know builder, and follows from it. What was
found faulty is `FAILED`, and what could not be judged `WARNED`: it is never `PASSED`.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and spec/predicates/test-result.md
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.channels.ledger.evidence import Outcome, VerdictEntry
from builder.channels.ledger.reading import EntryReader
from builder.channels.ledger.values import canonical, digest_of, spell
from builder.errors import UsageError

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
MEDIA_TYPE = "application/vnd.llama-builder.verdict.v1+json"
_LIMIT = 4 << 20
"""Bytes that a statement may have."""
_READER = EntryReader(VerdictEntry)
_RESULTS: Mapping[str, str] = {"pass": "PASSED", "fail": "FAILED", "could not judge": "WARNED"}
_LISTS: Mapping[str, str] = {"passedTests": "pass", "failedTests": "fail", "warnedTests": "could not judge"}


class BadStatement(UsageError):
    """A file is no statement of a verdict, or does not fit together."""


@dataclass(frozen=True)
class Statement:
    """A verdict about an image.

    Attributes:
        name: of the image, such as `local-ai-llama`.
    """

    name: str
    verdict: VerdictEntry


def write_statement(statement: Statement) -> bytes:
    """The statement as it travels."""
    return json.dumps(_document(statement), indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_statement(content: bytes, source: str) -> Statement:
    """Read a statement that `write_statement` wrote; blanks and the order of keys do not count.

    Args:
        source: where it came from, for people.

    Raises:
        BadStatement: it is something else, or its parts say different things.
    """
    if len(content) > _LIMIT:
        raise _bad(source, f"has more than {_LIMIT >> 20} MiB")
    try:
        document = json.loads(content)
        statement = _statement(document)
        fits = document == _document(statement)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise _bad(source, f"is no statement of a verdict ({type(error).__name__}: {error})") from error
    if not fits:
        raise _bad(source, "does not fit together: what it says beside the verdict does not follow from it")
    return statement


def predicate_of(verdict: VerdictEntry) -> dict[str, Any]:
    """What a statement says of its subject, JSON-ready."""
    content = canonical(verdict.plain())
    return {
        "result": _RESULTS[verdict.outcome],
        "configuration": [
            {
                "name": verdict.gate,
                "mediaType": MEDIA_TYPE,
                "digest": _digest_set(digest_of(content)),
                "content": base64.b64encode(content).decode(),
                "annotations": {
                    "at": spell(verdict.at),
                    "machine": verdict.machine,
                    "gpus": [f"{gpu.name}, driver {gpu.driver}, {gpu.uuid}" for gpu in verdict.gpus],
                },
            }
        ],
        **{name: _tests(verdict, outcome) for name, outcome in _LISTS.items()},
    }


def verdict_in(predicate: dict[str, Any]) -> VerdictEntry:
    """The verdict that a predicate holds, whatever it says beside it.

    Raises:
        ValueError, KeyError, TypeError, IndexError, AttributeError: it holds none.
    """
    content = base64.b64decode(predicate["configuration"][0]["content"], validate=True)
    return _READER.read(json.loads(content))


def _document(statement: Statement) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": statement.name, "digest": _digest_set(statement.verdict.digest)}],
        "predicateType": PREDICATE,
        "predicate": predicate_of(statement.verdict),
    }


def _tests(verdict: VerdictEntry, outcome: Outcome | str) -> list[str]:
    """Names of the checks with an outcome; a gate without checks is one itself."""
    if checks := verdict.document.get("checks"):
        return [f"{verdict.gate}/{check['name']}" for check in checks if check["outcome"] == outcome]
    return [verdict.gate] if verdict.outcome == outcome else []


def _statement(document: dict[str, Any]) -> Statement:
    """What a document means, as far as it is what it should be; the rest is for the comparison to find.

    Raises:
        ValueError, KeyError, TypeError, IndexError, AttributeError: it is something else.
    """
    if (document["_type"], document["predicateType"]) != (STATEMENT, PREDICATE):
        raise ValueError(f"it is a {document['predicateType']} in a {document['_type']}")
    name = document["subject"][0]["name"]
    if not isinstance(name, str) or not name.strip():
        raise ValueError("its subject has no name")
    return Statement(name, verdict_in(document["predicate"]))


def _digest_set(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}


def _bad(source: str, how: str) -> BadStatement:
    return BadStatement(f"{source} {how}.", "Take the file that `builder judge --out FILE` wrote.")
