"""Manifests are taken for what they are, or not at all."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.channels.registry.faults import RegistryLies
from builder.channels.registry.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MEDIA_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
)

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
SINGLE = {"schemaVersion": 2, "config": {"digest": A}, "layers": [{"digest": B}]}
INDEX = {"schemaVersion": 2, "manifests": [{"digest": A}, {"digest": B}]}


def read(media_type: str, document: object) -> Manifest:
    return Manifest.read(media_type, json.dumps(document).encode(), "x")


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST, f"{OCI_MANIFEST}; charset=utf-8"])
def test_a_manifest_tells_its_blobs(media_type: str) -> None:
    manifest = read(media_type, SINGLE)
    assert (manifest.blobs, manifest.children, manifest.config, manifest.is_index) == ((A, B), (), A, False)
    assert manifest.digest == f"sha256:{hashlib.sha256(manifest.content).hexdigest()}"


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_tells_its_manifests(media_type: str) -> None:
    manifest = read(media_type, INDEX)
    assert (manifest.blobs, manifest.children, manifest.config, manifest.is_index) == ((), (A, B), None, True)


@pytest.mark.parametrize(
    ("media_type", "document"),
    [
        ("", SINGLE),
        ("application/json", SINGLE),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", {**SINGLE, "schemaVersion": 1}),
        (OCI_MANIFEST, {**SINGLE, "schemaVersion": 1}),
        (OCI_MANIFEST, {**SINGLE, "mediaType": OCI_INDEX}),
        (OCI_MANIFEST, {**SINGLE, "mediaType": None}),
        (OCI_MANIFEST, {**SINGLE, **INDEX}),
        (OCI_INDEX, {**SINGLE, **INDEX}),
        (OCI_MANIFEST, INDEX),
        (OCI_INDEX, SINGLE),
        (OCI_MANIFEST, {**SINGLE, "config": None}),
        (OCI_MANIFEST, {**SINGLE, "layers": None}),
        (OCI_MANIFEST, {**SINGLE, "layers": [{"digest": "sha256:1"}]}),
        (OCI_MANIFEST, {**SINGLE, "layers": [{}]}),
        (OCI_MANIFEST, {**SINGLE, "layers": [{"digest": f"sha512:{'a' * 128}"}]}),
        (OCI_MANIFEST, {**SINGLE, "layers": [B]}),
        (OCI_MANIFEST, [SINGLE]),
        (OCI_MANIFEST, None),
    ],
)
def test_what_may_be_taken_for_two_things_is_none(media_type: str, document: object) -> None:
    with pytest.raises(RegistryLies, match="x is not what it should be"):
        read(media_type, document)


@given(st.sampled_from(MEDIA_TYPES), st.binary(max_size=50) | st.just(b"[" * 100_000))
def test_any_bytes_are_a_manifest_or_refused(media_type: str, content: bytes) -> None:
    with pytest.raises(RegistryLies):
        Manifest.read(media_type, content, "x")


_VALUES: Any = st.recursive(
    st.none() | st.integers() | st.sampled_from([A, B, OCI_MANIFEST]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["digest", "mediaType", "layers"]), inner),
    max_leaves=6,
)
_KEYS = st.sampled_from(["schemaVersion", "config", "layers", "manifests", "mediaType"])


@settings(max_examples=60)
@given(st.sampled_from(MEDIA_TYPES), st.sampled_from([SINGLE, INDEX]), st.dictionaries(_KEYS, _VALUES, max_size=2))
def test_any_document_is_a_manifest_or_refused(media_type: str, base: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        manifest = read(media_type, {**base, **changes})
    except RegistryLies:
        return
    assert manifest.is_index == bool(not manifest.config)
    assert all(len(digest) == len(A) for digest in (*manifest.blobs, *manifest.children))
