"""What tells a llama.cpp tree from any other folder, and the version it gives itself."""

from __future__ import annotations

import re
from pathlib import Path

from builder.errors import SourceError

_OPTION = re.compile(r"^[ \t]*option\s*\(\s*(\w+)", re.MULTILINE | re.IGNORECASE)
_VERSION_PART = re.compile(r"^\s*set\s*\(\s*LLAMA_VERSION_(MAJOR|MINOR|PATCH)\s+(\d+)\s*\)", re.MULTILINE)
_IS_DEVELOPMENT = re.compile(r"^\s*option\s*\(\s*LLAMA_BUILD_IS_DEV\s+\"[^\"]*\"\s+ON\s*\)", re.MULTILINE)
_TELLING = frozenset({"LLAMA_NATIVE", "LLAMA_BUILD_SERVER", "LLAMA_CUDA", "LLAMA_CUBLAS"})
"""Options of the eras before June 2024, when all of them began with LLAMA_."""
_VENDORED = Path("vendor", "llama.cpp")


class NotATree(SourceError):
    """There is no llama.cpp tree."""


def require_llama_tree(folder: Path, name: str) -> None:
    """Refuse a folder that is no llama.cpp tree.

    Args:
        name: what it is, for people.

    Raises:
        NotATree: it has no CMakeLists.txt, or that declares none of llama.cpp's options.
    """
    if not (folder / "CMakeLists.txt").is_file():
        raise NotATree(f"{name} has no CMakeLists.txt.", "Name the top folder of a llama.cpp tree.")
    if not _declares_options(folder):
        raise NotATree(
            f"{name} is not llama.cpp: its CMakeLists.txt declares none of llama.cpp's options.",
            "Name the top folder of a llama.cpp tree.",
        )


def find_llama_tree(folder: Path) -> Path | None:
    """The tree in what an archive unpacked to: at the top, one folder below, or vendored in a source distribution."""
    tops = [folder, *(entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.is_symlink())]
    candidates = [*(top / _VENDORED for top in tops), *tops]
    return next((place for place in candidates if not _through_link(place) and _declares_options(place)), None)


def declared_release(tree: Path) -> str | None:
    """The version that a tree gives itself, such as `0.5.0-dev`; None for trees before August 2026."""
    text = _read(tree / "CMakeLists.txt")
    parts = dict(_VERSION_PART.findall(text))
    if len(parts) < 3:  # noqa: PLR2004
        return None
    version = f"{parts['MAJOR']}.{parts['MINOR']}.{parts['PATCH']}"
    return f"{version}-dev" if _IS_DEVELOPMENT.search(text) else version


def _declares_options(folder: Path) -> bool:
    if not (folder / "CMakeLists.txt").is_file():
        return False
    text = _read(folder / "CMakeLists.txt") + _read(folder / "ggml" / "CMakeLists.txt")
    return any(name.startswith("GGML_") or name in _TELLING for name in _OPTION.findall(text))


def _through_link(folder: Path) -> bool:
    return folder.is_symlink() or folder.parent.is_symlink()


def _read(file: Path) -> str:
    if file.is_symlink() or not file.is_file():
        return ""
    return file.read_text(encoding="utf-8", errors="replace")
