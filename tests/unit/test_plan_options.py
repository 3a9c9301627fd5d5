"""What CMake files declare."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import SourceError
from builder.plan.cmake import commands
from builder.plan.options import declared, parse

_NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True).filter(lambda name: name != "CACHE")
_WORDS = st.from_regex(r"[A-Za-z0-9_./:-]{1,12}", fullmatch=True).filter(lambda word: word != "CACHE")
_HELP = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_SPACE = st.sampled_from([" ", "\n", "\t ", ' # a remark (with ) and "\n', " #[[ over\nlines ) ]] "])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_option_keeps_its_place_help_and_default() -> None:
    text = '# first\n\noption(GGML_CUDA_FA   "ggml: compile (all) kernels"   ${FA_DEFAULT}) # said\n'
    (found,) = parse(text, "ggml/CMakeLists.txt")
    assert (found.name, found.type, found.default) == ("GGML_CUDA_FA", "BOOL", "${FA_DEFAULT}")
    assert (found.line, found.help) == (3, "ggml: compile (all) kernels")
    assert found.evidence.startswith("ggml/CMakeLists.txt:3 GGML_CUDA_FA ")


def test_option_without_a_default_is_off() -> None:
    (found,) = parse('OPTION(GGML_X "x")', "f")
    assert found.default == "OFF"


def test_cache_entry_over_several_lines() -> None:
    text = 'set   (GGML_QUANTS "q4;q8" CACHE STRING\n       "pairs: \\"a\\" (each)\n of them")\n'
    text += 'set(B ON CACHE BOOL "b" FORCE)'
    first, second = parse(text, "f")
    assert (first.name, first.type, first.default) == ("GGML_QUANTS", "STRING", "q4;q8")
    assert first.help == 'pairs: "a" (each)\n of them'
    assert (second.name, second.line) == ("B", 4)


def test_dependent_option() -> None:
    (found,) = parse('cmake_dependent_option(GGML_Y "y" ON "GGML_CUDA;NOT WIN32" OFF)', "f")
    assert (found.name, found.default) == ("GGML_Y", "ON")


@pytest.mark.parametrize(
    "text",
    [
        '# option(GGML_CUDA_F16 "f16" OFF)',
        '#[[\noption(GGML_CUDA_F16 "f16" OFF)\n]]',
        'message("option(GGML_CUDA_F16 \\"f16\\" OFF)")',
        "llama_option_depr(WARNING LLAMA_CURL GGML_CURL)",
        'set(GGML_CUDA_F16 ON)\nset(GGML_OPENMP_ENABLED "ON" CACHE INTERNAL "")',
        'option(${PREFIX}_X "computed" ON)',
        "if (NOT DEFINED GGML_CUDA_GRAPHS)",
        "option(",
    ],
)
def test_what_is_not_a_declaration(text: str) -> None:
    assert parse(text, "f") == []


def test_first_declaration_of_a_tree_holds(tmp_path: Path) -> None:
    (tmp_path / "ggml" / "src" / "ggml-cpu").mkdir(parents=True)
    (tmp_path / "CMakeLists.txt").write_text('option(BUILD_SHARED_LIBS "of llama" ON)')
    (tmp_path / "ggml" / "CMakeLists.txt").write_text('option(BUILD_SHARED_LIBS "of ggml" OFF)')
    (tmp_path / "ggml/src/ggml-cpu/CMakeLists.txt").write_bytes(b'option(GGML_DEEP "\xff\xfe" OFF)')
    found = declared(tmp_path)
    assert found["BUILD_SHARED_LIBS"].help == "of llama"
    assert found["GGML_DEEP"].file == "ggml/src/ggml-cpu/CMakeLists.txt"


def test_tree_without_cmake_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no CMakeLists\.txt"):
        declared(tmp_path)


@given(_NAMES, _HELP, _WORDS, _SPACE, _SPACE, _HELP)
def test_any_option_is_found_whatever_surrounds_it(
    name: str, help_text: str, default: str, before: str, between: str, said: str
) -> None:
    text = f"message({_quoted(said)}){before}\noption({name}{between}{_quoted(help_text)}{between}{default})\nendif()"
    (found,) = parse(text, "f")
    assert (found.name, found.help, found.default) == (name, help_text, default)
    assert text.split("\n")[found.line - 1].startswith("option(")


@given(_NAMES, st.lists(_WORDS, max_size=3), _HELP)
def test_any_cache_entry_is_found(name: str, values: list[str], help_text: str) -> None:
    (found,) = parse(f"set({name} {' '.join(values)} CACHE STRING {_quoted(help_text)})", "f")
    assert (found.name, found.default, found.help) == (name, ";".join(values), help_text)


@given(st.text(alphabet='option set(CACHE)"#[]=\\\nA $', max_size=200))
def test_any_text_is_read_to_its_end(text: str) -> None:
    lines = text.count("\n") + 1
    assert all(1 <= command.line <= lines and command.name for command in commands(text))
    parse(text, "f")
