"""The references of the command line and of builder.toml, written from the program itself.

`python docs/generate.py` writes them beside this file; `--check` changes nothing and ends with 1 where one is stale.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer.main

from builder.cli.app import app
from builder.config import known_keys, value_of
from builder.profiles import Profile
from builder.section import Section
from builder.settings import Settings

FOLDER = Path(__file__).resolve().parent
MAKE_ANEW = "python docs/generate.py"
_NOTE = f"<!-- Written by `{MAKE_ANEW}` from the program itself. Changes by hand are lost. -->"
_FORMS = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}
_TYPES = {str: "text", bool: "true or false", int: "number", float: "number"}


def main(words: list[str]) -> int:
    """Write what is stale, or with `--check` name it; the exit status."""
    stale = {name: text for name, text in references().items() if _present(name) != text}
    if "--check" not in words:
        for name, text in stale.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    for name in stale:
        sys.stderr.write(f"docs/{name} is not what the program says. Make it anew with `{MAKE_ANEW}`.\n")
    return 1 if stale else 0


def references() -> dict[str, str]:
    """The text of each reference by the name of its file."""
    return {
        "command-line.md": "\n".join(_command_line()) + "\n",
        "configuration.md": "\n".join(_configuration()) + "\n",
    }


def _present(name: str) -> str:
    file = FOLDER / name
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _command_line() -> Iterator[str]:
    yield from (_NOTE, "", "# The command line", "")
    yield "Options that every command takes are written before it, as in `builder --verbose status`. Exit codes are"
    yield from ("listed in the [README](../README.md#exit-codes).", "")
    yield from _command("builder", typer.main.get_command(app), 2)


def _command(path: str, command: Any, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {path}", "")
    yield from (*(line.rstrip() for line in (command.help or "").replace("\f", "").splitlines()), "")
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    arguments = [one for one in command.params if not one.opts[0].startswith("-")]
    options = [one for one in command.params if one.opts[0].startswith("-") and not one.hidden]
    yield from ("```text", " ".join((path, *_usage(arguments, options, inner))), "```", "")
    if arguments or options:
        yield from ("| option | means | default |", "|---|---|---|")
        every = (*arguments, *options)
        yield from (f"| {_spelled(one)} | {_cell(one.help or '')} | {_default(one)} |" for one in every)
        yield ""
    for name, one in inner.items():
        yield from _command(f"{path} {name}", one, min(level + 1, 4))


def _usage(arguments: list[Any], options: list[Any], inner: Mapping[str, Any]) -> Iterator[str]:
    if options:
        yield "[OPTIONS]"
    yield from (_placeholder(one) if one.required else f"[{_placeholder(one)}]" for one in arguments)
    if inner:
        yield "COMMAND"


def _placeholder(argument: Any) -> str:
    return f"{argument.name.upper()}{'...' if argument.nargs == -1 else ''}"


def _spelled(parameter: Any) -> str:
    if not parameter.opts[0].startswith("-"):
        return f"`{_placeholder(parameter)}`"
    form = f" {parameter.metavar or _form(parameter)}" if not parameter.is_flag else ""
    names = ", ".join(f"`{name}{form}`" for name in parameter.opts)
    return _cell(", ".join((names, *(f"`{name}`" for name in parameter.secondary_opts))))


def _form(parameter: Any) -> str:
    kind = _plain(parameter.type_descriptor.annotation)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    return _FORMS[kind]


def _plain(annotation: Any) -> Any:
    """The one type that an option's words are read as."""
    if get_origin(annotation) in (types.UnionType, Union, list, tuple):
        return _plain(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.default in (None, "", False) or not isinstance(parameter.default, str | int | float):
        return ""
    return f"`{str(parameter.default).lower() if parameter.default is True else parameter.default}`"


def _configuration() -> Iterator[str]:
    yield from (_NOTE, "", "# builder.toml", "")
    yield "Every key may be left out. An option wins over the variable, the variable over the file, the file over the"
    yield from ("default. `builder config` shows what holds and where each value came from.", "")
    yield "The form is what the key must look like; where it says a pattern, that is a regular expression."
    settings, table = Settings(), ""
    for key in known_keys():
        section, _, name = key.rpartition(".")
        if section != table:
            table = section
            yield from ("", f"## [{section}]", "", *_about(section))
            yield from ("| key | means | form | default | variable |", "|---|---|---|---|---|")
        yield _row(_model(section), name, value_of(settings, key), _variable(key))


def _about(section: str) -> tuple[str, ...]:
    return ((_model(section).__doc__ or "").strip(), "")


def _model(section: str) -> type[Section]:
    if section.startswith("profiles."):
        return Profile
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, Section)
    return model


def _row(model: type[Section], name: str, value: object, variable: str) -> str:
    field = next(one for key, one in model.model_fields.items() if (one.alias or key) == name)
    schema = model.model_json_schema(by_alias=True)["properties"][name]
    means = _cell(field.description or "")
    return f"| `{name}` | {means} | {_cell(_asked(field, schema))} | {_cell(f'`{_toml(value)}`')} | `{variable}` |"


def _asked(field: Any, schema: Mapping[str, Any]) -> str:
    """What a value must be like."""
    limits = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"))
        if key in schema
    ]
    pattern = [f"pattern `{schema['pattern']}`"] if len(str(schema.get("pattern", ""))) in range(1, 60) else []
    return ", ".join((_named(field.annotation), *limits, *pattern))


def _named(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) in (types.UnionType, Union):
        return " or ".join(_named(one) for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is tuple:
        return f"list of {_named(get_args(kind)[0])}"
    if isinstance(get_origin(kind), type) and issubclass(get_origin(kind), Mapping):
        return "table of text"
    if isinstance(kind, type) and issubclass(kind, Section):
        return "tables { " + ", ".join(kind.model_fields) + " }"
    return _TYPES.get(kind) or _named(getattr(kind, "__value__", str))


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_toml(one)}' for name, one in value.items())} }}" if value else "{}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _variable(key: str) -> str:
    return f"BUILDER_{key.upper().replace('.', '_').replace('-', '_')}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
