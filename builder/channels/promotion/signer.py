"""Signatures on what is promoted, where the configuration asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import NothingMoved

if TYPE_CHECKING:
    from builder.channels.cosign import Cosign
    from builder.channels.ledger.evidence import VerdictEntry
    from builder.channels.signing import Keys


@dataclass(frozen=True)
class Signer:
    """What signs and what is asked of signatures.

    Attributes:
        cosign: signs; None where there is no registry that could keep a signature.
    """

    keys: Keys
    cosign: Cosign | None

    def put(self, reference: str, verdicts: Sequence[VerdictEntry]) -> None:
        """Sign an image by its digest, and the verdicts about it; without a key nothing is done.

        Raises:
            MachineError: the key does not open, or the registry does not take it.
        """
        from builder.channels.signing import attest, sign

        if self.cosign and self.keys.private:
            sign(reference, self.keys, self.cosign)
            attest(reference, verdicts, self.keys, self.cosign)

    def require(self, reference: str) -> None:
        """See that an image is signed, where that is required.

        Raises:
            NothingMoved: it is not, or there is no registry that could keep a signature.
            MachineError: nobody could tell.
        """
        from builder.channels.signing import verify

        if not self.keys.required:
            return
        if self.cosign is None:
            raise NothingMoved(
                "Signatures are required, and there is no registry that could keep them.",
                "Name one as registry.repository, or clear signatures.required.",
            )
        verify(reference, self.keys, self.cosign)
