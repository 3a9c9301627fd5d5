"""What CMake made of a plan: its cache, its output and the compiler's commands, against what was asked."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.errors import BuildError
from builder.plan.architectures import compiler_codes
from builder.plan.plan import BuildPlan, Definition, PlannedFeature, Provision, Variant

_ENTRY = re.compile(r'^(?:"(?P<quoted>[^"]+)"|(?P<name>[^"#/:=\s][^:=]*)):(?P<type>[A-Z]+)=(?P<value>.*)$')
_UNUSED = re.compile(
    r"Manually-specified variables were not used by the project:\s*\n((?:[ \t]*\n|[ \t]+\S+[ \t]*\n?)+)"
)
_COMPILER = re.compile(r"The CUDA compiler identification is NVIDIA (?P<version>[\d.]+)")
_FINISHED = "Build files have been written to"
_MACRO = re.compile(r"(?:^|\s)-D(\w+)")
_CODE = re.compile(r"\bcode=\[?([\w,]+)")
_TRUE = frozenset({"1", "ON", "YES", "TRUE", "Y"})
_FALSE = frozenset({"", "0", "OFF", "NO", "FALSE", "N", "IGNORE", "NOTFOUND"})


@dataclass(frozen=True)
class CacheEntry:
    """One line of CMakeCache.txt.

    Attributes:
        type: `BOOL`, `STRING`, ...; `UNINITIALIZED` where the command line set it and no project declared it.
    """

    type: str
    value: str


@dataclass(frozen=True)
class Proof:
    """What shows that something was given.

    Attributes:
        subject: a feature's name, `definitions`, `architectures` or `targets`.
        shown: sentence, what CMake left that says so.
    """

    subject: str
    shown: str


@dataclass(frozen=True)
class CompilerCommands:
    """What the compilers would be told.

    Attributes:
        sources: files compiled for CUDA.
        macros: by such a file, what is defined for it.
        codes: what is generated for GPUs, such as `sm_90`, `compute_90`.
        outputs: object files, whatever they are compiled from.
    """

    sources: tuple[str, ...]
    macros: Mapping[str, frozenset[str]]
    codes: frozenset[str]
    outputs: tuple[str, ...]


def parse_cache(text: str) -> Mapping[str, CacheEntry]:
    """The entries of a CMakeCache.txt by name."""
    entries = {}
    for line in text.split("\n"):
        if match := _ENTRY.match(line.rstrip("\r")):
            entries[match["quoted"] or match["name"]] = CacheEntry(match["type"], match["value"])
    return entries


def parse_unused(log: str) -> tuple[str, ...]:
    """The names that CMake says the project did not use."""
    return tuple(name for block in _UNUSED.findall(log) for name in block.split())


def parse_commands(text: str) -> CompilerCommands:
    """A compile_commands.json.

    Raises:
        BuildError: it is not one.
    """
    try:
        entries = [(str(entry["file"]), str(entry["command"])) for entry in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise BuildError(
            f"CMake left no readable compile_commands.json: {error!r}.",
            "The tree must set CMAKE_EXPORT_COMPILE_COMMANDS, or set it to ON in build.definitions.",
        ) from error
    cuda = {file: command for file, command in entries if file.endswith(".cu")}
    return CompilerCommands(
        tuple(cuda),
        {file: frozenset(_MACRO.findall(command)) for file, command in cuda.items()},
        frozenset(code for command in cuda.values() for codes in _CODE.findall(command) for code in codes.split(",")),
        tuple(command.partition(" -o ")[2].split(" ", 1)[0] for _, command in entries),
    )


def judge(plan: BuildPlan, cache_text: str, log_text: str, commands_text: str) -> tuple[Proof, ...]:
    """Hold what CMake left against the plan.

    Args:
        cache_text: CMakeCache.txt.
        log_text: CMake's whole output.
        commands_text: compile_commands.json.

    Returns:
        What proves the definitions, targets, architectures and each feature.

    Raises:
        BuildError: CMake did not finish; a definition was never declared, not used, or came out otherwise; a target
            is not there; the CUDA release is another one; an architecture or a feature does not show.
    """
    if _FINISHED not in log_text:
        raise BuildError("CMake did not finish configuring.", "See its output in the log.")
    cache, commands = parse_cache(cache_text), parse_commands(commands_text)
    proofs = [_judge_definitions(plan, cache, parse_unused(log_text)), _judge_targets(plan, commands)]
    if plan.variant is Variant.CUDA:
        _judge_compiler(plan, log_text)
        proofs.append(_judge_architectures(plan, commands))
    proofs.extend(_judge_feature(feature, commands) for feature in plan.features)
    return tuple(proofs)


def _judge_definitions(plan: BuildPlan, cache: Mapping[str, CacheEntry], unused: tuple[str, ...]) -> Proof:
    """The stamp's definitions are in no declaration: that the tree uses them was read from its CMakeLists.txt."""
    stamp = {definition.name for definition in plan.stamp.definitions}
    undeclared = [
        definition.name
        for definition in plan.definitions
        if definition.name not in stamp and _is_undeclared(definition.name, cache)
    ]
    asked = {definition.name for definition in plan.definitions}
    if names := list(dict.fromkeys([*undeclared, *(name for name in unused if name in asked)])):
        raise _ignored(names, cache)
    if differing := [wrong for definition in plan.definitions if (wrong := _difference(definition, cache))]:
        raise BuildError(
            f"CMake did not take what was asked: {'; '.join(differing)}.",
            "See its output in the log for why the project changed it.",
        )
    return Proof("definitions", f"All {len(plan.definitions)} are in CMake's cache as asked; none was left unused.")


def _is_undeclared(name: str, cache: Mapping[str, CacheEntry]) -> bool:
    """CMake's own variables stay UNINITIALIZED in the cache; of those that nothing reads, its warning tells."""
    if name.startswith("CMAKE_") or name == "BUILD_SHARED_LIBS":
        return False
    return name not in cache or cache[name].type == "UNINITIALIZED"


def _ignored(names: list[str], cache: Mapping[str, CacheEntry]) -> BuildError:
    known = [name for name, entry in cache.items() if entry.type not in ("UNINITIALIZED", "INTERNAL", "STATIC")]
    near = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.8) for name in names}
    hints = [f"for {name} it has {close[0]}" for name, close in near.items() if close]
    return BuildError(
        f"The project does not know what it was given: {', '.join(names)}.",
        f"Leave it out of build.definitions{'; nearest by name, ' + ', '.join(hints) if hints else ''}.",
    )


def _difference(definition: Definition, cache: Mapping[str, CacheEntry]) -> str | None:
    entry = cache.get(definition.name)
    if entry is None:
        return f"{definition.name} is not in the cache"
    if plain(entry.value) == plain(definition.value):
        return None
    return f"{definition.name} is {entry.value!r}, not {definition.value!r}"


def plain(value: str) -> str | bool:
    """A value as CMake's `if` takes it: True or False for its many words for them, any other as it is."""
    upper = value.upper()
    if upper in _TRUE:
        return True
    return False if upper in _FALSE else value


def _judge_targets(plan: BuildPlan, commands: CompilerCommands) -> Proof:
    missing = [
        target for target in plan.targets if not any(f"CMakeFiles/{target}.dir/" in it for it in commands.outputs)
    ]
    if missing:
        raise BuildError(
            f"The configured project does not build {', '.join(missing)}.",
            "A definition in build.definitions may have turned it off.",
        )
    return Proof("targets", f"Sources of {', '.join(plan.targets)} are compiled.")


def _judge_compiler(plan: BuildPlan, log: str) -> None:
    match = _COMPILER.search(log)
    if not match:
        raise BuildError("CMake found no CUDA compiler.", "Check the devel image: it must have nvcc and the toolkit.")
    if not f"{match['version']}.".startswith(f"{plan.cuda}."):
        raise BuildError(
            f"CUDA {plan.cuda} was planned, but the devel image's compiler is {match['version']}.",
            "Set build.cuda to the release that the devel image holds, or name another devel image.",
        )


def _judge_architectures(plan: BuildPlan, commands: CompilerCommands) -> Proof:
    found = {word: sorted(compiler_codes(word) & commands.codes) for word in plan.architectures}
    if missing := [word for word, codes in found.items() if not codes]:
        raise BuildError(
            f"No CUDA source is compiled for {', '.join(missing)}.",
            f"The compiler's commands have {', '.join(sorted(commands.codes)) or 'no GPU code at all'}.",
        )
    shown = ", ".join(code for codes in found.values() for code in codes)
    return Proof("architectures", f"{len(commands.sources)} CUDA sources are compiled for {shown}.")


def _judge_feature(feature: PlannedFeature, commands: CompilerCommands) -> Proof:
    missing = list(_missing_traces(feature, commands))
    if missing:
        raise BuildError(
            f"{feature.name} was asked for and is not given: {'; '.join(missing)}.",
            f"Expected: {feature.proof}",
        )
    asked = [f"{definition.name}={definition.value} in CMake's cache" for definition in feature.definitions]
    return Proof(feature.name, f"{'; '.join([*asked, *_seen_traces(feature, commands)])}.")


def _missing_traces(feature: PlannedFeature, commands: CompilerCommands) -> Iterator[str]:
    traces = feature.traces
    for ending in traces.sources:
        if not any(source.endswith(ending) for source in commands.sources):
            yield f"no CUDA source *{ending} is compiled"
    for macro in traces.macros:
        if any(macro not in macros for macros in commands.macros.values()):
            yield f"{macro} is not defined for every CUDA source"
    for macro in traces.without:
        if any(macro in macros for macros in commands.macros.values()):
            yield f"{macro} is defined for a CUDA source"


def _seen_traces(feature: PlannedFeature, commands: CompilerCommands) -> Iterator[str]:
    traces, count = feature.traces, len(commands.sources)
    for ending in traces.sources:
        compiled = sum(source.endswith(ending) for source in commands.sources)
        yield f"{ending.strip('/')} is compiled" if compiled == 1 else f"{compiled} sources *{ending} are compiled"
    for macro in traces.macros:
        yield f"{macro} is defined for all {count}"
    for macro in traces.without:
        yield f"{macro} is defined for none of {count}"
    if feature.provision is Provision.ARCHITECTURE:
        yield feature.evidence
