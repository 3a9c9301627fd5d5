"""What can be wrong between us and a registry."""

from __future__ import annotations

from builder.errors import MachineError, UsageError


class BadReference(UsageError):
    """A name cannot be an image's."""


class RegistryError(MachineError):
    """A registry did not do what it was asked; what it had before, it has."""


class RegistrySilent(RegistryError):
    """No answer, again and again, or none that is whole."""


class RegistryForbids(RegistryError):
    """The credentials are missing, wrong, or not enough."""


class RegistryLies(RegistryError):
    """An answer is not what it says it is."""


class BadCredentials(MachineError):
    """Docker's configuration cannot be read, or the program that keeps its credentials fails."""
