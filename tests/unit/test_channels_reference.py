"""What an image is called."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.channels.registry.faults import BadReference
from builder.channels.registry.reference import Reference

DIGEST = f"sha256:{'a1' * 32}"

HOSTS = st.from_regex(r"([a-z0-9]{1,5}\.[a-z]{2,5}|localhost|127\.0\.0\.1|\[::1\])(:[1-9][0-9]{0,3})?", fullmatch=True)
REPOSITORIES = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4})?(/[a-z0-9]{1,6}){1,2}", fullmatch=True)
TAGS = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
DIGESTS = st.none() | st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("ubuntu", "docker.io", "library/ubuntu", None, None),
        ("ubuntu:24.04", "docker.io", "library/ubuntu", "24.04", None),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu", None, None),
        ("index.docker.io/ubuntu", "docker.io", "library/ubuntu", None, None),
        ("nvidia/cuda:13.0.0-devel", "docker.io", "nvidia/cuda", "13.0.0-devel", None),
        ("local-ai-llama:latest", "docker.io", "library/local-ai-llama", "latest", None),
        ("localhost/llama", "localhost", "llama", None, None),
        ("localhost:5000/llama:b1", "localhost:5000", "llama", "b1", None),
        ("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000", "a/b/c", "x", None),
        ("[::1]:5000/llama", "[::1]:5000", "llama", None, None),
        ("ghcr.io/ggml-org/llama.cpp:server", "ghcr.io", "ggml-org/llama.cpp", "server", None),
        (f"ghcr.io/a/b@{DIGEST}", "ghcr.io", "a/b", None, DIGEST),
        (f"ghcr.io/a/b:c@{DIGEST}", "ghcr.io", "a/b", "c", DIGEST),
        ("Registry/llama", "Registry", "llama", None, None),
    ],
)
def test_names_are_read_as_docker_reads_them(
    text: str, host: str, repository: str, tag: str | None, digest: str | None
) -> None:
    assert Reference.parse(text) == Reference(host, repository, tag, digest)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "@", "/", "a/", "/a", "a//b", "a:", "a:b:c", "A", "a b", "a\n", " a", "a:b/c", "-a", "a-", "a..b"),
        *("http://a/b", "a.b:0/c", "a.b:65536/c", "a.b:/c", "a.b:x/c", "a@sha256:aa", f"a@{DIGEST.upper()}", "a@", "ä"),
        *("a___b", "user:pw@host/a", f"a:{'x' * 129}", f"{'a' * 256}", "[::1/a", "a.b/", "host.:5000/a", "-h.x/a"),
        *(f"a@{DIGEST}@{DIGEST}", f"@{DIGEST}", "a.b/../c", "a.b/c:-x", "a:\u0661"),
    ],
)
def test_what_can_be_no_image_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(BadReference, match="cannot name an image") as caught:
        Reference.parse(text)
    assert repr(text) in caught.value.cause


@settings(max_examples=30)
@given(HOSTS, REPOSITORIES, TAGS, DIGESTS)
def test_what_is_written_is_read_again(host: str, repository: str, tag: str | None, digest: str | None) -> None:
    reference = Reference(host, repository, tag, digest)
    assert Reference.parse(str(reference)) == reference


@given(st.text(alphabet=st.sampled_from("aZ0.:/@-_[]\n é%\0"), max_size=30) | st.text(max_size=30))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except BadReference:
        return
    assert Reference.parse(str(reference)) == reference
    assert str(reference).isascii()
    assert str(reference).isprintable()


def test_the_hub_is_asked_where_it_really_is() -> None:
    assert Reference.parse("ubuntu").server == "registry-1.docker.io"
    assert Reference.parse("localhost:5000/ubuntu").server == "localhost:5000"


def test_a_repository_takes_tags_and_digests_that_are_some() -> None:
    reference = Reference.parse(f"a.b/c:d@{DIGEST}")
    assert str(reference.tagged("e")) == "a.b/c:e"
    assert str(reference.pinned(DIGEST)) == f"a.b/c@{DIGEST}"
    with pytest.raises(BadReference):
        reference.tagged("../e")
    with pytest.raises(BadReference):
        reference.pinned("sha256:1")
