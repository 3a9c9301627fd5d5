"""The ways to have base images."""

from __future__ import annotations

from collections.abc import Mapping

from builder.image.bases import Provider, Workshop
from builder.image.providers.bootstrap import Bootstrap
from builder.image.providers.custom import Custom
from builder.image.providers.nvidia import Nvidia
from builder.settings import Bases


def providers(settings: Bases, workshop: Workshop) -> Mapping[str, Provider]:
    """Every provider, by its name in the configuration."""
    known: tuple[Provider, ...] = (Nvidia(workshop), Bootstrap(workshop), Custom(settings, workshop))
    return {provider.name: provider for provider in known}
