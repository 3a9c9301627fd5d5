"""What an origin means, and which names may reach a git command."""

from __future__ import annotations

import string
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builder.errors import SourceError, UsageError
from builder.upstream.origin import ArchiveFile, Auto, Directory, GitFolder, GitUrl, Package, parse
from builder.upstream.refs import is_ref_name
from builder.upstream.remote import folder_name

_HOST = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
_SECRET = st.text(string.ascii_letters + string.digits + "%!$&'()*+,;=:@-._~", min_size=6, max_size=20)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("auto", Auto()),
        ("https://github.com/ggml-org/llama.cpp.git", GitUrl("https://github.com/ggml-org/llama.cpp.git")),
        ("git@example.org:ggml-org/llama.cpp", GitUrl("git@example.org:ggml-org/llama.cpp")),
        ("file:///srv/llama.cpp", GitUrl("file:///srv/llama.cpp")),
        ("pypi:llama-cpp-python", Package("llama-cpp-python", None)),
        ("pypi:Llama_CPP.python==0.3.16", Package("llama-cpp-python", "0.3.16")),
    ],
)
def test_forms_that_need_no_look_at_the_disk(text: str, meaning: object) -> None:
    assert parse(text) == meaning


def test_paths_mean_what_lies_there(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(b"")
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
    assert parse(str(archive)) == ArchiveFile(archive)
    assert parse(str(tmp_path)) == Directory(tmp_path)
    assert parse(str(bare)) == GitFolder(bare)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c whoami",
        "ftp://example.org/x",
        "https://",
        "ssh://-oProxyCommand=x/y",
        "https://ex ample.org/x",
        "pypi:",
        "pypi:llama-cpp-python>=0.3",
        "pypi:llama-cpp-python==not a version",
        "pypi:../x",
        "a\nb",
    ],
)
def test_malformed_origins_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://u:hunter/2secret@localhost:1/x",
        "https://u:hunter?2secret@localhost:1/x",
        "https://u:hunter#2secret@localhost:1/x",
        "https://u:hunter@2secret/2secret@localhost:1/x",
        "https://hunter/2secret@localhost:1/x",
        "https://u:hunter 2secret@localhost:1/x",
        "ftp://u:hunter/2secret@localhost:1/x",
    ],
)
def test_an_unclear_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="URL of the origin") as refusal:
        parse(text)
    assert "ncode" in refusal.value.remedy or "%20" in refusal.value.remedy
    for part in ("hunter", "2secret"):
        assert part not in refusal.value.cause + refusal.value.remedy


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://u:s3c%2Fret@h/x", "https://h/x"),
        ("https://h/@scope/x", "https://h/@scope/x"),
        ("https://h:8080/%40scope/x", "https://h:8080/%40scope/x"),
        ("file:///srv/a@b/x", "file:///srv/a@b/x"),
        ("ssh://git@h:22/x", "ssh://h:22/x"),
    ],
)
def test_what_is_clear_is_taken(url: str, name: str) -> None:
    origin = parse(url)
    assert origin == GitUrl(url)
    assert isinstance(origin, GitUrl)
    assert origin.name == name


def test_a_path_that_is_not_there_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing"):
        parse(str(tmp_path / "absent"))


@given(st.text(max_size=60))
@example("~nobody-of-that-name/x")
@example("x" * 5000)
@example("\x00")
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    with suppress(UsageError, SourceError):
        assert parse(text)


@given(_SECRET, _HOST)
def test_credentials_are_neither_shown_nor_in_folder_names(secret: str, host: str) -> None:
    bare = GitUrl(f"https://{host}.invalid/x.git")
    origin = parse(f"https://user:{secret}@{host}.invalid/x.git")
    assert isinstance(origin, GitUrl)
    assert origin.name == bare.name
    assert folder_name(origin) == folder_name(bare)


def test_different_urls_have_different_mirrors() -> None:
    assert folder_name(GitUrl("https://a.invalid/x-y")) != folder_name(GitUrl("https://a.invalid/x/y"))


@given(
    st.text(st.sampled_from("ab1./-@{}~^:?*[\\ lock\x01\x7f"), min_size=1, max_size=12)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
)
@settings(max_examples=80, deadline=None)
@example("a.lock/b")
@example("@")
@example("refs/heads/x")
def test_no_name_passes_that_git_refuses(name: str) -> None:
    accepted = not subprocess.run(["git", "check-ref-format", "--allow-onelevel", name], check=False).returncode
    if is_ref_name(name):
        assert accepted
        assert not name.startswith("-")
    elif accepted and name.isascii():
        assert name.startswith("-")
