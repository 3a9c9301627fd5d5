from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builder.engine.apt_sources import AptSource, archive_of, parse_deb822, parse_list, read_sources

DEB822 = """\
Types: deb deb-src
# a comment between fields
URIs: http://mirror.example/debian http://other.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""
KEY = """\
Types: deb
URIs: https://mirror.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJKwYBBAHaRw8BAQdAd7Z0srwuhlB6JKFkcf4HU4SSS
 -----END PGP PUBLIC KEY BLOCK-----
"""
ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main
deb [ arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg ] http://mirror.example/debian bookworm main non-free # why
deb http://mirror.example/flat ./
"""

words = st.from_regex(r"[a-z0-9][a-z0-9./-]{0,12}", fullmatch=True)
sources = st.builds(
    AptSource,
    uris=st.tuples(words.map("http://{}".format)),
    suites=st.tuples(words),
    components=st.tuples(st.just("main")),
    options=st.fixed_dictionaries({}, optional={"Signed-By": words.map("/{}".format), "Trusted": st.just("yes")}),
)


def test_stanzas_are_read() -> None:
    main, security = parse_deb822(DEB822)
    assert main.uris == ("http://mirror.example/debian", "http://other.example/debian")
    assert main.suites == ("bookworm", "bookworm-updates")
    assert main.components == ("main", "contrib")
    assert main.options == {"Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg"}
    assert security.suites == ("bookworm-security",)


def test_one_line_entries_are_read() -> None:
    found = [source for source in parse_list(ONE_LINE) if source.uris == ("http://mirror.example/debian",)]
    assert [source.components for source in found] == [("main", "non-free")]
    assert found[0].options == {"Signed-By": "/keys/a.gpg /keys/b.gpg"}


def test_the_archive_is_the_first_enabled_one_that_is_no_medium() -> None:
    everything = (*parse_list(ONE_LINE), *parse_deb822(DEB822))
    found = archive_of(everything, "bookworm")
    assert found is not None
    assert found.uris == ("http://mirror.example/debian",)
    assert archive_of(everything, "trixie") is None


def test_another_suite_is_taken_from_the_same_place_verified_the_same_way() -> None:
    (main, *_) = parse_deb822(DEB822)
    assert main.stanza("trixie") == (
        "Types: deb\n"
        "URIs: http://mirror.example/debian http://other.example/debian\n"
        "Suites: trixie\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_a_key_inside_a_stanza_is_handed_on_whole() -> None:
    (source,) = parse_deb822(KEY)
    assert source.stanza("bookworm") == KEY
    assert list(parse_deb822(source.stanza("bookworm"))) == [source]


@given(sources, words)
def test_a_stanza_reads_back_as_what_was_meant(source: AptSource, suite: str) -> None:
    (read,) = parse_deb822(source.stanza(suite))
    assert read == AptSource(source.uris, (suite,), ("main",), source.options)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for source in (*parse_list(text), *parse_deb822(text)):
        assert isinstance(source, AptSource)


def test_a_stanza_without_fields_that_matter_is_no_archive() -> None:
    assert archive_of(tuple(parse_deb822("Types: deb\nSuites: bookworm\nComponents: main\n")), "bookworm") is None


def test_both_kinds_of_files_are_read_and_one_can_be_left_out(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n", encoding="utf-8")
    (parts / "b.list").write_text("deb http://b.example/debian bookworm main\n", encoding="utf-8")
    (parts / "c.sources").write_text(KEY, encoding="utf-8")
    (parts / "d.sources.disabled").write_text(KEY, encoding="utf-8")
    (parts / "own.sources").write_bytes(b"Types: deb\nURIs: http://\xff.example\nSuites: trixie\nComponents: main\n")
    assert [source.uris[0] for source in read_sources(tmp_path, leave_out=parts / "own.sources")] == [
        "http://a.example/debian",
        "http://b.example/debian",
        "https://mirror.example/debian",
    ]
    assert archive_of(read_sources(tmp_path), "trixie") is not None


def test_no_folder_has_no_archives(tmp_path: Path) -> None:
    assert read_sources(tmp_path / "nowhere") == ()
