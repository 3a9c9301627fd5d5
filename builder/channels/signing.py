"""Signatures on what is promoted: on the image's digest in the registry, and on the verdicts about it.

A verdict is attested as the predicate of an in-toto statement about that digest, see `statement`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.channels.cosign import Cosign, NotSigned, readable
from builder.channels.ledger.evidence import VerdictEntry
from builder.channels.registry.reference import Reference
from builder.channels.statement import PREDICATE, predicate_of, verdict_in
from builder.config import Config
from builder.errors import MachineError
from builder.staging import scratch, write_whole


@dataclass(frozen=True)
class Keys:
    """The keys that `[signatures]` names.

    Attributes:
        private: signs; None signs nothing.
        public: what signatures must be by; None asks for none.
        required: whether what is not signed is refused.
    """

    private: Path | None
    public: Path | None
    required: bool

    @classmethod
    def of(cls, config: Config) -> Keys:
        """The keys, from the configuration file's folder."""
        return cls(
            config.path_of("signatures.key"),
            config.path_of("signatures.public-key"),
            config.settings.signatures.required,
        )


def sign(reference: str, keys: Keys, cosign: Cosign) -> None:
    """Sign an image with the private key; to sign it again changes nothing. Without a key nothing is done.

    Args:
        reference: `host/repository@sha256:...`.

    Raises:
        MachineError: cosign is not installed, the key does not open, or the registry does not take it.
    """
    if keys.private:
        cosign.ask("sign", _pinned(reference), "--yes", f"--key={readable(keys.private, 'private key')}")


def attest(reference: str, verdicts: Sequence[VerdictEntry], keys: Keys, cosign: Cosign) -> None:
    """Sign verdicts about an image with the private key. Without a key nothing is done.

    With a public key what is attested already is not attested again.

    Raises:
        MachineError: as for `sign`.
    """
    if not keys.private:
        return
    there = {verdict.id for verdict in attested(reference, keys, cosign)} if keys.public else set()
    key = f"--key={readable(keys.private, 'private key')}"
    with scratch("builder-attest") as (folder, _):
        for verdict in verdicts:
            if verdict.id not in there:
                file = folder / "predicate.json"
                write_whole(file, json.dumps(predicate_of(verdict), ensure_ascii=False, allow_nan=False).encode())
                words = ("--yes", key, f"--type={PREDICATE}", f"--predicate={file}")
                cosign.ask("attest", _pinned(reference), *words)


def verify(reference: str, keys: Keys, cosign: Cosign) -> None:
    """See that an image is signed by the public key. Without such a key nothing is asked.

    Raises:
        NotSigned: it is not.
        MachineError: nobody could tell.
    """
    if keys.public:
        cosign.ask("verify", _pinned(reference), f"--key={readable(keys.public, 'public key')}")


def attested(reference: str, keys: Keys, cosign: Cosign) -> tuple[VerdictEntry, ...]:
    """The verdicts about an image that are signed by the public key; none where there are none, or no such key.

    Raises:
        MachineError: nobody could tell, or what is signed is no verdict.
    """
    if not keys.public:
        return ()
    try:
        key = f"--key={readable(keys.public, 'public key')}"
        told = cosign.ask("verify-attestation", _pinned(reference), key, f"--type={PREDICATE}")
    except NotSigned:
        return ()
    found: dict[str, VerdictEntry] = {}
    try:
        for line in told.splitlines():
            statement = json.loads(base64.b64decode(json.loads(line)["payload"], validate=True))
            verdict = verdict_in(statement["predicate"])
            found[verdict.id] = verdict
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise MachineError(
            f"What is attested about {reference} is no verdict ({type(error).__name__}: {error}).",
            "See who else signs with that key.",
        ) from error
    return tuple(found.values())


def _pinned(reference: str) -> Reference:
    """The image by its digest alone: a tag may name another one by the time it is signed."""
    parsed = Reference.parse(reference)
    if not parsed.digest:
        raise ValueError(f"{reference} has no digest")
    return parsed.pinned(parsed.digest)
