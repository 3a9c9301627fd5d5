"""Profiles in the words of servers of different ages; the help texts are made up in the forms that there have been."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.profiles import Profile, profile
from builder.server.flags import Arguments, Telling, arguments
from builder.server.help import Help, parse_help

INDENTED = """usage: llama-server [options]

general:

  -h,    --help, --usage          say all this
  -v,    --verbose                say more
         --verbosity N            say as much (default: 0)
  -c,    --ctx-size N             room for tokens (default: 0, 0 = the model's)
  -b,    --batch-size N           at once
  -ub,   --ubatch-size N          computed at once
  -fa,   --flash-attn             be quick (default: disabled)
  -lcs,  --lookup-static FNAME
                                  a file for looking up
         --pooling {none,mean,cls,last}
                                  how to pool, not one of
                                  --cls or --other
  -ctk,  --cache-type-k TYPE      type for K (default: f16)
  -ctv,  --cache-type-v TYPE      type for V (default: f16)
  -np,   --parallel N             so many
  -cb,   --cont-batching          join them (default: enabled)
  -nocb, --no-cont-batching       do not join them
  -m,    --model FNAME            the model
         --host HOST              where
         --port PORT              on which port
         --embedding(s)           vectors
         --metrics                figures
         --no-slots               no slots (default: enabled)

another program:

  -m,    --model                  another model
  -o,    --output FNAME           where to
"""
"""The form up to the summer of 2024."""

SWITCHES = """----- common params -----

-h,    --help, --usage                  say all this
-c,    --ctx-size N                     room for tokens (default: 4096)
                                        (env: LLAMA_ARG_CTX_SIZE)
-b,    --batch-size N                   at once
-ub,   --ubatch-size N                  computed at once
-fa,   --flash-attn                     be quick (default: disabled)
                                        (env: LLAMA_ARG_FLASH_ATTN)
-ctk,  --cache-type-k TYPE              type for K
                                        allowed values: f32, f16, q8_0, q4_0
                                        (default: f16)
-ctv,  --cache-type-v TYPE              type for V
                                        allowed values: f32, f16, q4_0
                                        (default: f16)
-ngl,  --gpu-layers, --n-gpu-layers N   so many on the GPU
-np,   --parallel N                     so many
-m,    --model FNAME                    the model (default: `models/$filename` with filename from `--hf-file`
                                        or `--model-url` if set)
--host HOST                             where
--port PORT                             on which port
-v,    --verbose, --log-verbose         say everything
-lv,   --verbosity, --log-verbosity N   say as much. Messages above are
                                        ignored.


----- example-specific params -----

--pooling {none,mean,cls,last,rank}     how to pool
-cb,   --cont-batching                  join them (default: enabled)
-nocb, --no-cont-batching               do not join them
--no-webui                              no pages (default: enabled)
--embedding, --embeddings               vectors (default: disabled)
--cache-reuse N                         reuse (default: 0)
--metrics                               figures (default: disabled)
--slots                                 slots (default: disabled)
--no-slots                              no slots
--jinja                                 templates (default: disabled)
"""
"""The form of 2025, flash attention still a switch."""

LEVELS = """load_backend: loaded CPU backend from /opt/libggml-cpu.so
----- common params -----

-h,    --help, --usage                  say all this
-c,    --ctx-size N                     room for tokens
-b,    --batch-size N                   at once
-ub,   --ubatch-size N                  computed at once
-fa,   --flash-attn [on|off|auto]       be quick ('on', 'off', or 'auto', default: 'auto')
-ctk,  --cache-type-k TYPE              type for K
                                        allowed values: f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0, q5_1
                                        (default: f16)
-ctv,  --cache-type-v TYPE              type for V
                                        allowed values: f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0, q5_1
                                        (default: f16)
-ngl,  --gpu-layers, --n-gpu-layers N   so many on the GPU, a number, 'auto', or 'all' (default: auto)
--list-devices                          name the devices and end
-m,    --model FNAME                    the model
--host HOST                             where
--port PORT                             on which port
-lv,   --verbosity, --log-verbosity N   say as much. Values:
                                         - 0: generic output
                                         - 3: info
                                         - 4: trace (more info)
                                         - 5: debug
                                        (default: 3)
--draft, --draft-n N                    the argument has been removed. use another
-np,   --parallel N                     so many (default: -1, -1 = auto)
-cb,   --cont-batching, -nocb, --no-cont-batching
                                        whether to join them (default: enabled)
--pooling {none,mean,cls,last,rank}     how to pool
--webui, --no-webui                     [DEPRECATED: use --ui/--no-ui] pages
--ui,  --no-ui                          pages (default: enabled)
--embedding, --embeddings               vectors (default: disabled)
--cache-reuse N                         reuse (default: 0)
--metrics                               figures (default: disabled)
--slots, --no-slots                     slots (default: enabled)
--jinja, --no-jinja                     templates (default: enabled)
"""
"""The form of 2026."""


def _told(help_text: str, wanted: Profile, telling: Telling = Telling.COMPUTING) -> Arguments:
    return arguments(wanted, parse_help(help_text), "/models/m.gguf", 8123, telling=telling)


def _value(told: Arguments, name: str) -> str:
    return told.words[told.words.index(name) + 1]


@pytest.mark.parametrize("text", [INDENTED, SWITCHES, LEVELS])
def test_every_word_that_is_given_is_one_that_the_server_knows(text: str) -> None:
    known = parse_help(text)
    for kind in ("chat", "embedding"):
        told = arguments(profile(kind, jinja=True, pooling="mean"), known, "/m.gguf", 1)
        assert all(known.knows(word) for word in told.words if word.startswith("-"))


def test_the_newest_form_hears_every_wish() -> None:
    told = _told(LEVELS, profile("chat", jinja=True))
    assert told.notes == ()
    assert told.words == (
        *("--model", "/models/m.gguf", "--host", "0.0.0.0", "--port", "8123"),
        *("--ctx-size", "8192", "--batch-size", "128", "--ubatch-size", "128", "--n-gpu-layers", "99"),
        *("--flash-attn", "on", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0", "--cache-reuse", "256"),
        *("--parallel", "4", "--cont-batching", "--jinja", "--metrics", "--slots", "--no-ui", "--log-verbosity", "5"),
    )


def test_wishes_without_a_word_are_told() -> None:
    told = _told(INDENTED, profile("chat", jinja=True, pooling="rank"))
    assert told.notes == (
        "This server has no word for gpu-layers = 99.",
        "This server has no word for cache-reuse = 256.",
        "This server takes no rank for pooling, only none, mean, cls, last.",
        "This server has no word for jinja = true.",
    )


def test_a_cache_type_that_is_not_among_the_allowed_is_told_and_not_given() -> None:
    told = _told(SWITCHES, profile("chat"))
    assert "--cache-type-v" not in told.words
    assert _value(told, "--cache-type-k") == "q8_0"
    assert told.notes == ("This server takes no q8_0 for cache-type-v, only f32, f16, q4_0.",)


@pytest.mark.parametrize(
    ("text", "wanted", "words"),
    [
        (INDENTED, True, ("--flash-attn", "--cache-type-k")),
        (SWITCHES, True, ("--flash-attn", "--cache-type-k")),
        (LEVELS, True, ("--flash-attn", "on")),
        (LEVELS, False, ("--flash-attn", "off")),
    ],
)
def test_flash_attention_is_a_switch_or_takes_a_value(text: str, wanted: bool, words: tuple[str, str]) -> None:
    told = _told(text, profile("chat", **{"flash-attention": wanted, "cache-type-v": "f16"}))
    place = told.words.index("--flash-attn")
    assert told.words[place : place + 2] == words


@pytest.mark.parametrize("text", [INDENTED, SWITCHES])
def test_a_switch_that_is_not_wanted_is_left_out(text: str) -> None:
    told = _told(text, profile("chat", **{"flash-attention": False, "cache-type-v": "f16"}))
    assert "--flash-attn" not in told.words
    assert not [note for note in told.notes if "flash" in note]


@pytest.mark.parametrize("text", [INDENTED, SWITCHES, LEVELS])
def test_vectors_are_asked_for_where_the_profile_gives_them(text: str) -> None:
    assert "--embeddings" in _told(text, profile("embedding")).words
    assert "--embeddings" not in _told(text, profile("chat")).words


def test_slots_are_asked_for_unless_they_are_there_anyway() -> None:
    assert "--slots" in _told(SWITCHES, profile("chat")).words
    told = _told(INDENTED, profile("chat"))
    assert "--slots" not in told.words
    assert not [note for note in told.notes if "slots" in note]


def test_slots_that_the_server_never_heard_of_are_told() -> None:
    told = _told(INDENTED.replace("--no-slots", "--no-lots"), profile("chat"))
    assert "This server has no word for the endpoint /slots = true." in told.notes


@pytest.mark.parametrize("text", [INDENTED, SWITCHES, LEVELS])
def test_batching_can_be_refused(text: str) -> None:
    told = _told(text, profile("chat", **{"continuous-batching": False}))
    assert "--no-cont-batching" in told.words
    assert "--cont-batching" not in told.words


@pytest.mark.parametrize(
    ("text", "telling", "words"),
    [
        (INDENTED, Telling.USUAL, ()),
        (INDENTED, Telling.LOADING, ()),
        (INDENTED, Telling.COMPUTING, ("--verbosity", "1")),
        (SWITCHES, Telling.COMPUTING, ("--log-verbosity", "1")),
        (LEVELS, Telling.USUAL, ()),
        (LEVELS, Telling.LOADING, ("--log-verbosity", "4")),
        (LEVELS, Telling.COMPUTING, ("--log-verbosity", "5")),
    ],
)
def test_the_log_tells_as_much_as_is_wanted(text: str, telling: Telling, words: tuple[str, ...]) -> None:
    told = _told(text, profile("chat"), telling).words
    assert told[len(told) - len(words) :] == words
    assert ("--log-verbosity" in told or "--verbosity" in told) == bool(words)


def test_words_of_the_user_come_as_they_are_and_only_how_much_is_logged_comes_after_them() -> None:
    told = _told(LEVELS, profile("chat", **{"extra-arguments": ["--log-verbosity", "0", "--anything", "a b"]}))
    assert told.words[-6:] == ("--log-verbosity", "0", "--anything", "a b", "--log-verbosity", "5")


def test_what_is_given_up_is_taken_only_where_there_is_nothing_else() -> None:
    assert parse_help(LEVELS).find("--no-webui", "--no-ui") == "--no-ui"
    assert parse_help(LEVELS).find("--no-webui") == "--no-webui"
    assert parse_help(SWITCHES).find("--no-ui", "--no-webui") == "--no-webui"


def test_what_was_removed_is_not_known() -> None:
    known = parse_help(LEVELS)
    assert not known.knows("--draft")
    assert not known.knows("--draft-n")
    assert known.knows("--list-devices")


def test_words_inside_descriptions_are_no_options() -> None:
    assert not parse_help(INDENTED).knows("--cls")
    assert not parse_help(SWITCHES).knows("--hf-file")
    assert parse_help(INDENTED).options["--model"].text == "the model"


def test_names_values_and_texts_are_read() -> None:
    option = parse_help(LEVELS).options["-ngl"]
    assert option.names == ("-ngl", "--gpu-layers", "--n-gpu-layers")
    assert option.value == "N"
    assert parse_help(LEVELS).options["-nocb"].names == ("-cb", "--cont-batching", "-nocb", "--no-cont-batching")
    assert parse_help(INDENTED).options["--lookup-static"].text == "a file for looking up"
    assert parse_help(LEVELS).options["--flash-attn"].choices == ("on", "off", "auto")


@given(st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(parse_help(text), Help)


@given(st.lists(st.from_regex(r"--[a-z]{2,9}(-[a-z]{1,9})?", fullmatch=True), min_size=1, max_size=5, unique=True))
def test_options_of_either_form_are_found(names: list[str]) -> None:
    flat = "\n".join(f"{name:<40}does it" for name in names)
    indented = "\n".join(f"         {name:<25}does it" for name in names)
    assert set(parse_help(flat).options) == set(parse_help(indented).options) == set(names)
