"""How a registry is shown who we are: basic authentication, or a token that another server gives for it.

https://distribution.github.io/distribution/spec/auth/token/ and oauth2
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from urllib.request import parse_http_list, parse_keqv_list

import httpx

from builder.channels.registry.credentials import Credentials
from builder.channels.registry.faults import RegistryForbids, RegistryLies

_UNAUTHORIZED = 401
_OK = 200
_CLIENT = "llama-builder"
SCOPE = "builder.scope"
"""The extension of a request that says what it is for, such as `repository:a/b:pull`."""


class RegistryAuth(httpx.Auth):
    """Answers a registry's challenge, and remembers the answer for what it was asked for.

    Args:
        host: of the registry, for people.
    """

    requires_response_body = True

    def __init__(self, host: str, credentials: Credentials) -> None:
        self._host = host
        self._credentials = credentials
        self._answers: dict[str, str] = {}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request, and once more with what the registry wants to see."""
        scope = str(request.extensions[SCOPE])
        first = f"Bearer {self._credentials.token}" if self._credentials.token else None
        if known := self._answers.get(scope, first):
            request.headers["Authorization"] = known
        response = yield request
        if response.status_code != _UNAUTHORIZED:
            return
        challenges = _challenges(response)
        if "bearer" in challenges:
            asked = self._token_request(challenges["bearer"], scope, request)
            answer = f"Bearer {self._token((yield asked))}"
        elif "basic" in challenges and self._credentials.basic:
            answer = self._credentials.basic
        else:
            return
        self._answers[scope] = answer
        request.headers["Authorization"] = answer
        yield request

    def _token_request(self, challenge: Mapping[str, str], scope: str, request: httpx.Request) -> httpx.Request:
        try:
            realm = httpx.URL(challenge["realm"])
        except (KeyError, httpx.InvalidURL) as error:
            raise RegistryLies(f"{self._host} does not say where it takes tokens from.", "Ask who runs it.") from error
        asked = {"service": challenge.get("service", ""), "scope": challenge.get("scope") or scope}
        extensions = {"timeout": request.extensions["timeout"]}
        if identity := self._credentials.identity:
            form = {**asked, "grant_type": "refresh_token", "refresh_token": identity, "client_id": _CLIENT}
            return httpx.Request("POST", realm, data=form, extensions=extensions)
        headers = {"Authorization": self._credentials.basic} if self._credentials.basic else {}
        url = realm.copy_merge_params({name: value for name, value in asked.items() if value})
        return httpx.Request("GET", url, headers=headers, extensions=extensions)

    def _token(self, response: httpx.Response) -> str:
        server = response.request.url.host
        if response.status_code != _OK:
            raise RegistryForbids(
                f"{server} gives no token for {self._host}: it answers {response.status_code}.",
                f"Log in with `docker login {self._host}`.",
            )
        try:
            answer = json.loads(response.content)
            token = answer.get("token") or answer["access_token"]
        except (ValueError, KeyError, TypeError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryLies(f"What {server} gives for {self._host} is no token.", "Ask who runs it.")
        return token


def _challenges(response: httpx.Response) -> dict[str, dict[str, str]]:
    """What a registry wants to see: the parameters of each scheme, by its name in small letters."""
    found: dict[str, dict[str, str]] = {}
    for header in response.headers.get_list("WWW-Authenticate"):
        scheme, _, rest = header.strip().partition(" ")
        pairs = [part for part in parse_http_list(rest) if "=" in part]
        found[scheme.lower()] = {name.lower(): value for name, value in parse_keqv_list(pairs).items()}
    return found
