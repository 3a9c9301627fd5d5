"""Which package index is asked."""

from __future__ import annotations

from pathlib import Path

from builder.console import Reporter
from builder.process import Runner
from builder.upstream.pypi import Index, configured_index


def test_the_variable_comes_first() -> None:
    assert configured_index({"PIP_INDEX_URL": "https://u:p@i.invalid/simple"}) == "https://u:p@i.invalid/simple"


def test_the_users_file_is_read(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text("[global]\nindex-url = https://i.invalid/100%/simple\n")
    assert configured_index({"HOME": str(tmp_path)}) == "https://i.invalid/100%/simple"


def test_a_named_file_wins(tmp_path: Path) -> None:
    (tmp_path / "named.conf").write_text("[global]\nindex-url = https://named.invalid/simple\n")
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "named.conf")}
    assert configured_index(environ) == "https://named.invalid/simple"


def test_a_file_that_is_none_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "named.conf").write_text("no section\n")
    assert configured_index({"PIP_CONFIG_FILE": str(tmp_path / "named.conf")}) == "https://pypi.org/simple/"


def test_kept_archives_are_ordered_as_versions(tmp_path: Path) -> None:
    for name in ("llama_cpp_python-0.3.9", "llama_cpp_python-0.3.36", "other-9.0", "llama_cpp_python-0.3.40"):
        (tmp_path / f"{name}.tar.gz.sha256").write_text("0" * 64)
        if name != "llama_cpp_python-0.3.40":
            (tmp_path / f"{name}.tar.gz").write_bytes(b"")
    (tmp_path / "unfinished.tar.gz").write_bytes(b"")
    index = Index("https://i.invalid/simple", tmp_path, Runner(), Reporter())
    assert [str(item.version) for item in index.kept("llama-cpp-python")] == ["0.3.36", "0.3.9"]
