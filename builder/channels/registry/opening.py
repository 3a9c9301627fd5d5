"""The way to a registry, with what Docker knows of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from builder.channels.registry.answers import unproven
from builder.channels.registry.client import Registry
from builder.channels.registry.credentials import docker_folder, find_credentials
from builder.channels.registry.reference import Reference
from builder.channels.registry.tokens import RegistryAuth
from builder.channels.registry.transport import Patience, Trust, is_about_certificates, transport_for
from builder.process import Runner

_TRUST = Trust()
_PATIENCE = Patience()


@contextmanager
def open_registry(
    host: str, runner: Runner, *, trust: Trust = _TRUST, patience: Patience = _PATIENCE, folder: Path | None = None
) -> Iterator[Registry]:
    """Speak to a registry with the credentials that Docker has for it.

    Over TLS; in the clear only where that is allowed and the registry speaks no TLS.

    Args:
        host: as images are named, such as `docker.io` or `127.0.0.1:5000`.
        folder: of Docker's client; None takes what that takes.

    Raises:
        BadCredentials: Docker's configuration cannot be read.
        RegistryError: a certificate cannot be read, or is not believed.
    """
    server = Reference(host, "x").server
    credentials = find_credentials(host, runner, folder or docker_folder())
    context = trust.context(server)
    scheme = "http" if trust.allows_plain(server) and not _speaks_tls(server, context, patience) else "https"
    client = httpx.Client(
        base_url=f"{scheme}://{server}",
        auth=RegistryAuth(host, credentials),
        transport=transport_for(server, context, trust, patience),
        timeout=httpx.Timeout(patience.answer, connect=patience.connect),
        headers={"User-Agent": "llama-builder", "Accept-Encoding": "identity"},
        follow_redirects=True,
        trust_env=False,
    )
    with client as http:
        yield Registry(host, http)


def _speaks_tls(server: str, context: ssl.SSLContext, patience: Patience) -> bool:
    """Whether a registry that may speak in the clear does not.

    Raises:
        RegistryForbids: it shows a certificate that is not believed.
    """
    wire = httpx.HTTPTransport(verify=context)
    timeout = httpx.Timeout(patience.answer, connect=patience.connect)
    try:
        with httpx.Client(transport=wire, timeout=timeout, trust_env=False) as http:
            http.head(f"https://{server}/v2/")
    except httpx.ConnectError as error:
        if is_about_certificates(error):
            raise unproven(server) from error
        return False
    except httpx.HTTPError:
        return True
    return True
