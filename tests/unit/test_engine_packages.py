from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builder.engine.packages import parse_candidates, telling_lines
from builder.process import Completed

DATA = Path(__file__).parent / "data" / "engine"
names = st.from_regex(r"[a-z0-9][a-z0-9.+-]{0,12}", fullmatch=True)
versions = st.from_regex(r"[0-9][a-z0-9.+~:-]{0,12}", fullmatch=True)


def failed(stdout: str = "", stderr: str = "") -> Completed:
    return Completed(("apt-get",), 100, stdout, stderr, 0.0)


def test_candidates_are_read_and_not_what_is_installed() -> None:
    assert parse_candidates((DATA / "apt-cache-policy.txt").read_text(encoding="utf-8")) == {
        "docker.io": "26.1.5+dfsg1-9+deb13u1+b1",
        "docker-cli": "26.1.5+dfsg1-9+deb13u1+b1",
        "docker-compose": "2.26.1-4",
        "mmdebstrap": "1.3.5-7",
    }


@given(st.dictionaries(names, versions))
def test_packages_without_a_candidate_are_left_out(known: dict[str, str]) -> None:
    blocks = [f"{name}:\n  Installed: (none)\n  Candidate: {version}\n" for name, version in known.items()]
    blocks.append("-virtual:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n")
    assert parse_candidates("".join(blocks)) == known


def test_the_lines_that_tell_are_shown() -> None:
    done = failed("Reading package lists...\n", (DATA / "apt-install-unknown.txt").read_text(encoding="utf-8"))
    assert telling_lines(done) == ("E: Unable to locate package nosuch-package",)


def test_unmet_dependencies_tell() -> None:
    text = "The following packages have unmet dependencies:\n docker.io : Depends: libc6 (>= 2.38) but 2.36 is here\n"
    assert telling_lines(failed(text)) == ("docker.io : Depends: libc6 (>= 2.38) but 2.36 is here",)


def test_where_no_line_tells_the_last_ones_are_shown() -> None:
    assert telling_lines(failed("1\n2\n3\n4\n5\n")) == ("2", "3", "4", "5")


@given(st.text(), st.text())
def test_never_more_than_a_few_lines(stdout: str, stderr: str) -> None:
    assert len(telling_lines(failed(stdout, stderr))) <= 8
