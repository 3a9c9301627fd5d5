"""What a person sees of a running build."""

from __future__ import annotations

import pytest

from builder.image.display import action


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("[compiled 1/1] RUN --network=none bash /steps/compile.sh", "compiling"),
        ("[gathered 1/1] RUN --network=none", "gathering libraries"),
        ("[served 1/2] COPY --link", "adding layers"),
        ("exporting to image", "exporting"),
        ("[context tree-0123] load .dockerignore", "preparing"),
        ("[internal] load build definition", "preparing"),
        ("", "preparing"),
    ],
)
def test_steps_are_said_in_words(step: str, words: str) -> None:
    assert action(step) == words
