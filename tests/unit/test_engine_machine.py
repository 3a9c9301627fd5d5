from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builder.engine.machine import admin_path, parse_os_release

DATA = Path(__file__).parent / "data" / "engine"


def test_debian_is_read() -> None:
    found = parse_os_release((DATA / "os-release-debian-12").read_text(encoding="utf-8"))
    assert (found.id, found.version, found.codename, found.like) == ("debian", "12", "bookworm", ())
    assert found.name == "Debian GNU/Linux 12 (bookworm)"


def test_ubuntu_is_read_with_what_it_is_made_from() -> None:
    found = parse_os_release((DATA / "os-release-ubuntu-24.04").read_text(encoding="utf-8"))
    assert (found.id, found.version, found.codename, found.like) == ("ubuntu", "24.04", "noble", ("debian",))


def test_a_rolling_distribution_has_no_version() -> None:
    assert parse_os_release("ID=arch\nNAME='Arch Linux'\n").version == ""


def test_comments_and_an_open_quote_do_no_harm() -> None:
    found = parse_os_release('# ID=no\nID=debian\nPRETTY_NAME="open\n')
    assert (found.id, found.name) == ("debian", "open")


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert parse_os_release(text).id == parse_os_release(text).id.lower()


def test_administration_folders_are_on_the_path_once() -> None:
    folders = admin_path().split(":")
    assert folders.count("/usr/sbin") == 1
    assert folders.count("/sbin") == 1
