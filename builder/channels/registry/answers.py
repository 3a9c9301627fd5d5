"""What comes back from a registry, or does not, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from builder.channels.registry.faults import RegistryForbids, RegistryLies, RegistrySilent
from builder.channels.registry.transport import is_about_certificates, is_loopback
from builder.console import printable

_SHOWN = 200
"""Characters of a registry's own words that are shown."""


@contextmanager
def explained(host: str) -> Iterator[None]:
    """Tell what became of a request that got no answer as a person can act on it.

    Raises:
        RegistrySilent: nothing answers, or not in time.
        RegistryForbids: who answers does not prove who it is.
        RegistryLies: the answer cannot be read.
    """
    try:
        yield
    except httpx.TimeoutException as error:
        raise RegistrySilent(f"The registry {host} does not answer in time.", "Try again later.") from error
    except httpx.TransportError as error:
        if is_about_certificates(error):
            raise unproven(host) from error
        raise RegistrySilent(
            f"The registry {host} does not answer: {printable(str(error)) or type(error).__name__}.",
            "See that it runs and can be reached from here, and try again.",
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RegistryLies(
            f"The registry {host} answers what cannot be read: {printable(str(error))}.",
            "Look at what stands before it.",
        ) from error


def unproven(host: str) -> RegistryForbids:
    """What to tell where a certificate is not believed."""
    remedy = f"Put the certificate of who vouches for it into /etc/docker/certs.d/{host}/ca.crt."
    if is_loopback(host):
        remedy = f"{remedy[:-1]}, or name it as insecure in the configuration."
    return RegistryForbids(f"The registry {host} does not prove who it is: its certificate is not trusted.", remedy)


def own_errors(response: httpx.Response) -> list[dict[str, Any]]:
    """What a registry says went wrong, in its own form; empty where it is in another."""
    try:
        errors = json.loads(response.content)["errors"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def words_of(response: httpx.Response) -> str:
    """Those errors in brackets, with a blank before; empty where there are none."""
    told = "; ".join(f"{error.get('code')}: {error.get('message')}" for error in own_errors(response))
    return f" ({printable(told[:_SHOWN])})" if told else ""
