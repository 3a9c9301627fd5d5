"""Images that the tests of the gates share."""

from __future__ import annotations

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.image.recipe import SERVER_RECIPE, recipe_digest
from builder.plan.marks import OWN, TESTS


@pytest.fixture(scope="session")
def cuda_image(engine: Engine) -> Image:
    """A real image of the CUDA variant that today's recipe gave."""
    built = engine.images_with({f"{OWN}variant": "cuda", f"{OWN}recipe": recipe_digest(SERVER_RECIPE)})
    ours = [
        image
        for image in built
        if image.references and TESTS not in image.labels and image.labels.get(f"{OWN}architectures") == "90-real"
    ]
    if not ours:
        pytest.skip("there is no CUDA image for 90-real here: `builder build --cuda --arch 90` makes one in an hour")
    return ours[0]
