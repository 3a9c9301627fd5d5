"""How bytes reach a registry and come back: whole, in time, tried again, and never in the clear by accident."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import cast
from urllib.request import getproxies, proxy_bypass

import httpx
from httpx_retries import Retry, RetryTransport

from builder.channels.registry.faults import RegistryError, RegistryForbids, RegistryLies

_LIMIT = 16 << 20
"""Bytes that an answer may have."""
_METHODS = ("HEAD", "GET", "PUT", "DELETE", "POST")
"""All that are used; each may be done twice. What is POSTed asks for a token."""
_LATER = (429, 500, 502, 503, 504)
CERTIFICATES = (Path("/etc/docker/certs.d"), Path("~/.config/docker/certs.d"))
"""Where Docker's engine finds certificates, one folder per registry: with root's rights, and without."""


@dataclass(frozen=True)
class Patience:
    """How long a registry is given.

    Attributes:
        answer: seconds for one whole answer.
        connect: seconds for a connection.
        tries: how often it is tried again.
        pause: seconds of the first pause at most; each further one is twice as long, and a random part of that.
        longest: seconds of the longest pause, whatever a registry asks for.
    """

    answer: float = 60.0
    connect: float = 10.0
    tries: int = 5
    pause: float = 0.5
    longest: float = 30.0


@dataclass(frozen=True)
class Trust:
    """What is believed without proof.

    Attributes:
        insecure: registries, as images are named, that may speak in the clear or show any certificate.
        certificates: folders with a folder per registry, in which are `*.crt`, and `*.cert` with `*.key`.
    """

    insecure: Collection[str] = ()
    certificates: tuple[Path, ...] = CERTIFICATES

    def allows_plain(self, host: str) -> bool:
        """Whether a host may be spoken to in the clear: this machine, or one that was named."""
        return host in self.insecure or is_loopback(host)

    def context(self, host: str) -> ssl.SSLContext:
        """Whose certificates are believed: the system's, those of `SSL_CERT_FILE`, and those of the registry's folder.

        Raises:
            RegistryError: a certificate cannot be read.
        """
        context = ssl.create_default_context()
        if host in self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        for folder in self.certificates:
            _add(context, folder.expanduser() / host)
        return context


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine by its very name."""
    name = httpx.URL(f"http://{host}").host
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def transport_for(host: str, context: ssl.SSLContext, trust: Trust, patience: Patience) -> httpx.BaseTransport:
    """The way to a registry and to whatever it sends us on to.

    Args:
        host: as it is asked, with its port if it has one.
        context: whose certificates are believed.
    """
    proxy = None if is_loopback(host) or proxy_bypass(host) else getproxies().get("https")
    wire = httpx.HTTPTransport(verify=context, proxy=proxy)
    retry = _Retry(
        total=patience.tries,
        allowed_methods=_METHODS,
        status_forcelist=_LATER,
        backoff_factor=patience.pause / 2,
        max_backoff_wait=patience.longest,
    )
    return _Guard(RetryTransport(_Whole(wire, patience.answer), retry), trust)


def is_about_certificates(error: BaseException) -> bool:
    """Whether a connection failed because the other side did not prove who it is."""
    return any(isinstance(part, ssl.SSLCertVerificationError) for part in _causes(error))


class _Retry(Retry):
    """Tries again what time may heal; a certificate does not heal."""

    def is_retryable_exception(self, exception: Exception) -> bool:
        return super().is_retryable_exception(exception) and not is_about_certificates(exception)


class _Whole(httpx.BaseTransport):
    """Reads answers to their end, so that one that breaks off is tried again like one that never came."""

    def __init__(self, inner: httpx.BaseTransport, limit: float) -> None:
        self._inner = inner
        self._limit = limit

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = monotonic() + self._limit
        response = self._inner.handle_request(request)
        content = bytearray()
        try:
            for chunk in cast("Iterable[bytes]", response.stream):
                content += chunk
                if len(content) > _LIMIT:
                    raise RegistryLies(
                        f"An answer of {request.url.host} has more than {_LIMIT >> 20} MiB.",
                        "Look at what the registry serves.",
                    )
                if monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer took too long", request=request)
        finally:
            response.close()
        body = httpx.ByteStream(bytes(content))
        return httpx.Response(response.status_code, headers=response.headers, stream=body)

    def close(self) -> None:
        self._inner.close()


class _Guard(httpx.BaseTransport):
    """Lets nothing out in the clear but to who may be spoken to like that."""

    def __init__(self, inner: httpx.BaseTransport, trust: Trust) -> None:
        self._inner = inner
        self._trust = trust

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.netloc.decode("ascii")
        if request.url.scheme != "https" and not any(map(self._trust.allows_plain, (host, f"{host}:80"))):
            raise RegistryForbids(
                f"{host} would be spoken to in the clear.",
                "Give the registry a certificate, or name the host as insecure in the configuration.",
            )
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def _add(context: ssl.SSLContext, folder: Path) -> None:
    try:
        for file in sorted(folder.glob("*.crt")):
            context.load_verify_locations(cafile=file)
        for file in sorted(folder.glob("*.cert")):
            context.load_cert_chain(file, file.with_suffix(".key"))
    except OSError as error:
        raise RegistryError(f"A certificate in {folder} cannot be used: {error}.", "Mend it, or remove it.") from error


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
