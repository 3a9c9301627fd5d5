"""What is to be otherwise in a profile, as a person writes it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.engine.images import Image
from builder.errors import UsageError
from builder.performance.settings import parse_changes, vary
from builder.performance.subject import subjects_of
from builder.profiles import Profile, profile

PROFILES = {"chat": profile("chat"), "embedding": profile("embedding")}


def varied(*words: str, name: str = "chat") -> list[Profile]:
    changes = parse_changes(words, PROFILES)
    return [variation.profile for variation in vary(name, PROFILES[name], changes)]


@pytest.mark.parametrize("key", ["ubatch", "ubatch-size", "ubatch_size"])
def test_a_key_is_known_by_the_names_of_the_file_and_of_the_server(key: str) -> None:
    assert [one.ubatch for one in varied(f"chat.{key}=64")] == [64]


def test_values_are_compared_one_after_the_other() -> None:
    assert [one.ubatch for one in varied("chat.ubatch=16,64,128")] == [16, 64, 128]


def test_two_lists_give_every_combination() -> None:
    found = varied("chat.ubatch=32,64", "chat.cache-type-k=f16,q8_0")
    assert [(one.ubatch, one.cache_type_k) for one in found] == [(32, "f16"), (32, "q8_0"), (64, "f16"), (64, "q8_0")]


def test_nothing_otherwise_is_the_profile_itself() -> None:
    assert varied() == [PROFILES["chat"]]


@pytest.mark.parametrize(("word", "wanted"), [("off", False), ("on", True), ("false", False), ("1", True)])
def test_switches_are_taken_in_words(word: str, wanted: bool) -> None:
    words = ("chat.cache-type-v=f16", f"chat.flash-attn={word}")
    assert [one.flash_attention for one in varied(*words)] == [wanted]


def test_a_variable_is_set_and_an_empty_value_leaves_it_out() -> None:
    without, with_it = varied("chat.environment.GGML_CUDA_DISABLE_GRAPHS=,1")
    assert without.environment == {}
    assert with_it.environment == {"GGML_CUDA_DISABLE_GRAPHS": "1"}


def test_further_words_are_split_and_may_hold_commas() -> None:
    assert varied("chat.extra-arguments=--threads 2 --name 'a,b'")[0].extra_arguments == (
        "--threads",
        "2",
        "--name",
        "a,b",
    )


def test_a_micro_batch_above_the_batch_takes_it_along_and_says_so() -> None:
    below, above = vary("chat", PROFILES["chat"], parse_changes(["chat.ubatch=64,512"], PROFILES))
    assert (below.profile.batch, below.notes) == (128, ())
    assert above.profile.batch == 512
    assert above.notes == ("With ubatch 512 goes batch 512: the profile's batch of 128 would limit it.",)
    assert above.words == "ubatch=512"


@pytest.mark.parametrize(
    ("words", "cause", "remedy"),
    [
        (["chat.ubacth=64"], "There is no key 'ubacth' to set.", "Did you mean `ubatch`?"),
        (["caht.ubatch=64"], "There is no profile 'caht' to set.", "Did you mean `chat`?"),
        (["chat.ubatch"], "'chat.ubatch' says no value of a profile's key.", "Write PROFILE.KEY=VALUE"),
        (["ubatch=64"], "'ubatch=64' says no value", "Write PROFILE.KEY=VALUE"),
        (["chat.=64"], "'chat.=64' says no value", "Write PROFILE.KEY=VALUE"),
        (["chat.kind=embedding"], "The kind of a profile cannot be otherwise.", "Measure another profile."),
        (
            ["chat.ubatch=many"],
            "profiles.chat.ubatch in --set cannot be 'many'.",
            "It takes 1 or more: the most",
        ),
        (["chat.ubatch=64,"], "profiles.chat.ubatch in --set cannot be ''.", "It takes"),
        (["chat.cache-type-k=q9"], "profiles.chat.cache-type-k in --set cannot be 'q9'.", "It takes: one of f32"),
        (["chat.ubatch=64,64"], "'chat.ubatch=64,64' has the value '64' twice.", "Compare different values."),
        (["chat.ubatch=64", "chat.ubatch=128"], "chat.ubatch is set twice.", "chat.ubatch=VALUE,VALUE"),
        (["chat.ubatch=64", "chat.ubatch-size=32"], "chat.ubatch is set twice.", "chat.ubatch=VALUE,VALUE"),
        (["chat.flash-attention=off"], "does not fit together: ", "Change one of the two."),
        (["chat.ubatch=256", "chat.batch=128"], "ubatch 256 is more than batch 128", "Change one of the two."),
        (["chat.environment=A"], "`environment` is no key of a profile.", "Write environment.NAME=VALUE"),
        (["chat.ubatch.size=4"], "`ubatch.size` is no key of a profile.", "only variables have a second part"),
        (["chat.extra-arguments='a"], "cannot be split into words", "Close every quote."),
        (["embedding.ubatch=64"], "--set changes the profile embedding, and chat is measured.", "Change chat."),
        (["chat.slots=1,2,3,4", "chat.ubatch=1,2,4,8"], "16 combinations of values are too many.", "12 at most"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(words: list[str], cause: str, remedy: str) -> None:
    with pytest.raises(UsageError) as refused:
        varied(*words)
    assert cause in refused.value.cause
    assert remedy in refused.value.remedy


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused_in_words(word: str) -> None:
    with suppress(UsageError):
        assert varied(word)


def test_subjects_are_every_image_with_every_variation() -> None:
    images = [("old", image("1")), ("new", image("2"))]
    pair = subjects_of(images, "chat", PROFILES["chat"])
    assert [(one.name, one.title) for one in pair] == [("A", "old"), ("B", "new")]
    changes = parse_changes(["chat.ubatch=64,128"], PROFILES)
    four = subjects_of(images, "chat", PROFILES["chat"], changes)
    assert [(one.name, one.title) for one in four] == [
        ("1", "old ubatch=64"),
        ("2", "old ubatch=128"),
        ("3", "new ubatch=64"),
        ("4", "new ubatch=128"),
    ]
    assert [one.profile.ubatch for one in four] == [64, 128, 64, 128]


def test_no_image_is_refused() -> None:
    with pytest.raises(UsageError, match="No image"):
        subjects_of([], "chat", PROFILES["chat"])


@pytest.mark.parametrize(("labels", "on_gpu"), [({"local.builder.variant": "cuda"}, True), ({}, False)])
def test_the_labels_tell_what_a_subject_computes_on(labels: dict[str, str], on_gpu: bool) -> None:
    (subject,) = subjects_of([("it", image("1", labels))], "chat", PROFILES["chat"])
    assert subject.on_gpu is on_gpu


def image(identity: str, labels: dict[str, str] | None = None) -> Image:
    return Image(identity, (), (), 0, labels or {}, (), "", "amd64")
