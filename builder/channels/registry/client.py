"""Asks one registry, and moves its tags.

A manifest is believed for its bytes alone: its digest is computed, and whatever a registry says beside them has to
agree. A tag is moved by putting the very same bytes under it, so that the digest never changes.
"""

from __future__ import annotations

import json

import httpx

from builder.channels.registry.answers import explained, own_errors, words_of
from builder.channels.registry.faults import RegistryError, RegistryForbids, RegistryLies, RegistrySilent
from builder.channels.registry.manifest import LIMIT, MEDIA_TYPES, Manifest
from builder.channels.registry.reference import Reference
from builder.channels.registry.tokens import SCOPE
from builder.console import printable

_DIGEST_HEADER = "Docker-Content-Digest"
_PAGE = 1000
_PAGES = 1000
_SHOWN = 200
"""Characters of a registry's own words that are shown."""


class Registry:
    """A registry that answers.

    Every method raises RegistrySilent where it does not any more, RegistryForbids where it does not let us,
    RegistryLies where an answer is not what it says it is, and RegistryError where it refuses otherwise.

    Args:
        host: as images are named.
        http: a client with the registry's address.
    """

    def __init__(self, host: str, http: httpx.Client) -> None:
        self.host = host
        self._http = http

    def find(self, reference: Reference) -> Manifest | None:
        """What a tag or a digest names; None where the registry says that it names nothing."""
        wanted = reference.digest or reference.tag
        if not wanted:
            raise ValueError(f"{reference} has neither tag nor digest")
        accept = {"Accept": ", ".join(MEDIA_TYPES)}
        response = self._ask("GET", reference, f"manifests/{wanted}", headers=accept)
        if response.status_code == httpx.codes.NOT_FOUND:
            self._require_own_words(response)
            return None
        self._require(response, httpx.codes.OK)
        if len(response.content) > LIMIT:
            raise self._lie(f"the manifest {reference} has more than {LIMIT >> 20} MiB")
        manifest = Manifest.read(response.headers.get("Content-Type", ""), response.content, str(reference))
        self._require_digest(response, manifest, reference)
        if reference.digest and manifest.digest != reference.digest:
            raise self._lie(f"what it gives for {reference} has the digest {manifest.digest}")
        return manifest

    def put(self, reference: Reference, manifest: Manifest) -> None:
        """Point a tag at a manifest, whose blobs and children are there already, and see that it names it.

        Where this raises RegistrySilent nobody knows whether the tag was moved: ask again later.
        """
        if not reference.tag or reference.digest:
            raise ValueError(f"{reference} is no tag")
        headers = {"Content-Type": manifest.media_type}
        response = self._ask(
            "PUT", reference, f"manifests/{reference.tag}", headers=headers, content=manifest.content, push=True
        )
        self._require(response, httpx.codes.CREATED)
        self._require_digest(response, manifest, reference)
        now = self.find(reference)
        if now is None or (now.content, now.media_type) != (manifest.content, manifest.media_type):
            names = now.digest if now else "nothing"
            raise self._lie(f"{reference} names {names} after {manifest.digest} was put there")

    def missing(self, reference: Reference, manifest: Manifest) -> tuple[str, ...]:
        """Digests of what a manifest needs and its repository has not: blobs, and for an index manifests and theirs."""
        lost: list[str] = []
        for digest in manifest.children:
            child = self.find(reference.pinned(digest))
            lost += self.missing(reference, child) if child else [digest]
        lost += [digest for digest in dict.fromkeys(manifest.blobs) if not self._has_blob(reference, digest)]
        return tuple(dict.fromkeys(lost))

    def tags(self, reference: Reference) -> tuple[str, ...]:
        """All tags of a repository, in the registry's order; none where it has no such repository."""
        tags: list[str] = []
        url = f"tags/list?n={_PAGE}"
        for _ in range(_PAGES):
            response = self._ask("GET", reference, url)
            if response.status_code == httpx.codes.NOT_FOUND:
                self._require_own_words(response)
                return ()
            self._require(response, httpx.codes.OK)
            tags += self._listed(response)
            url = response.links.get("next", {}).get("url", "")
            if not url:
                return tuple(dict.fromkeys(tags))
        raise self._lie(f"the list of tags of {reference.repository} does not end")

    def delete(self, reference: Reference) -> bool:
        """Remove a manifest by its digest, with all tags that name it; False where there is none."""
        if not reference.digest:
            raise ValueError(f"{reference} has no digest")
        response = self._ask("DELETE", reference, f"manifests/{reference.digest}", push=True)
        if response.status_code == httpx.codes.NOT_FOUND:
            self._require_own_words(response)
            return False
        self._require(response, httpx.codes.ACCEPTED)
        return True

    def _has_blob(self, reference: Reference, digest: str) -> bool:
        response = self._ask("HEAD", reference, f"blobs/{digest}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        self._require(response, httpx.codes.OK)
        if (said := response.headers.get(_DIGEST_HEADER, digest)) != digest:
            raise self._lie(f"it answers for the blob {digest} with {said}")
        return True

    def _ask(
        self,
        method: str,
        reference: Reference,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        push: bool = False,
    ) -> httpx.Response:
        rights = {"DELETE": "delete", "PUT": "pull,push"}.get(method, "pull")
        scope = f"repository:{reference.repository}:{rights if push else 'pull'}"
        url = self._http.base_url.join(f"/v2/{reference.repository}/").join(path)
        if url.netloc != self._http.base_url.netloc:
            raise self._lie(f"it sends us on to {url.host}")
        with explained(self.host):
            return self._http.request(method, url, headers=headers, content=content, extensions={SCOPE: scope})

    def _require(self, response: httpx.Response, status: int) -> None:
        code = response.status_code
        if code == status:
            return
        words = words_of(response)
        asked = f"{response.request.method} {response.request.url.path}"
        if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise RegistryForbids(
                f"The registry {self.host} does not allow {asked}: {code}{words}.",
                f"Log in with `docker login {self.host}` as someone who may.",
            )
        if code == httpx.codes.TOO_MANY_REQUESTS or code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise RegistrySilent(
                f"The registry {self.host} answers {asked} with {code} again and again{words}.", "Try again later."
            )
        if httpx.codes.is_success(code):
            raise self._lie(f"it answers {asked} with {code} in place of {status}")
        raise RegistryError(
            f"The registry {self.host} refuses {asked}: {code}{words}.", "Look at the registry's settings and log."
        )

    def _require_own_words(self, response: httpx.Response) -> None:
        """See that it is a registry that says that something is not there, and not a web server that knows nothing."""
        if not own_errors(response):
            raise self._lie(f"it answers {response.request.url.path} with 404 and not as a registry does")

    def _require_digest(self, response: httpx.Response, manifest: Manifest, reference: Reference) -> None:
        if (said := response.headers.get(_DIGEST_HEADER, manifest.digest)) != manifest.digest:
            raise self._lie(f"it says that {reference} has the digest {printable(said)}, and it is {manifest.digest}")

    def _listed(self, response: httpx.Response) -> list[str]:
        try:
            listed = json.loads(response.content)["tags"] or []
        except (ValueError, KeyError, TypeError, RecursionError):
            listed = None
        if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
            raise self._lie(f"what it answers to {response.request.url.path} is no list of tags")
        return listed

    def _lie(self, how: str) -> RegistryLies:
        return RegistryLies(f"The registry {self.host} cannot be believed: {how}.", "Look at what stands before it.")
