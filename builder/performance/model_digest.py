"""What tells a model file from all others."""

from __future__ import annotations

from hashlib import file_digest

from builder.server.profile import ServedModel


def digest_of_model(model: ServedModel) -> str:
    """SHA-256 of the model's file, `sha256:` before it; a large file takes seconds to read.

    Raises:
        OSError: it cannot be read.
    """
    if model.made:
        return model.made.digest
    with model.path.open("rb") as stream:
        return f"sha256:{file_digest(stream, 'sha256').hexdigest()}"
