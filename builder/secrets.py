"""What looks like a secret by its name: a variable's, a label's, or an option's of a program."""

from __future__ import annotations

import re
from collections.abc import Sequence

STARS = "***"
"""What is shown in a secret's place."""
_NAMES = re.compile(
    r"((?<!MAX_)(?<!MIN_)(?<!NUM_)TOKEN|PASSW(OR)?D|PASSPHRASE|SECRET|CREDENTIAL|(API|ACCESS|PRIVATE|SECRET)_?KEY)S?"
    r"(_?\d+|_VALUE)?$|(^|_)(PASS|PAT|AUTH)(_?\d+)?$|^AWS_",
    re.IGNORECASE,
)
_HARMLESS = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PAGER"})
_DOUBTFUL = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)(_\w*|\d*)$", re.IGNORECASE)
_PLACE = re.compile(r"_(FILE|PATH|DIR)$", re.IGNORECASE)
"""Names of what says where a secret is kept."""
_OPTION = re.compile(r"-{1,2}(?P<name>[A-Za-z][\w-]*)")
_OPTION_IN_ONE = re.compile(r"-{1,2}(?P<name>[A-Za-z][\w-]*)=(?=.)", re.DOTALL)
_VARIABLE = re.compile(r"(?:-{1,2}\w[\w-]*=)?(?P<name>[A-Za-z_]\w*)=(?=.)", re.DOTALL)
"""Also behind an option, as in `--env=HF_TOKEN=...`."""
_SHORT = frozenset({"hft"})
"""Options of llama-server that take a secret and do not say so."""


def is_secret_name(name: str) -> bool:
    """Whether it is a secret that a variable, a label or an option of this name holds, such as `HF_TOKEN`."""
    plain = name.rpartition(".")[2].replace("-", "_")
    return plain.upper() not in _HARMLESS and bool(_NAMES.search(plain))


def may_be_secret(name: str) -> bool:
    """Whether what a variable of this name holds is better not shown, such as `SIGNING_KEY_OLD`."""
    return not _PLACE.search(name) and (is_secret_name(name) or bool(_DOUBTFUL.search(name)))


def is_secret_option(name: str) -> bool:
    """Whether a secret follows an option of this name, without its dashes, such as `api-key`."""
    plain = name.replace("-", "_")
    return name in _SHORT or (not name.startswith("no-") and not _PLACE.search(plain) and is_secret_name(plain))


def without_secrets(words: Sequence[str]) -> list[str]:
    """Words of a command with stars for what variables and options hold whose names look like a secret's."""
    pairs = zip(("", *words), words, strict=False)
    return [STARS if _takes_secret(last) else _masked(word) for last, word in pairs]


def _takes_secret(word: str) -> bool:
    """Whether a word is an option that a secret follows."""
    option = _OPTION.fullmatch(word)
    return option is not None and is_secret_option(option["name"])


def _masked(word: str) -> str:
    for form, is_secret in ((_OPTION_IN_ONE, is_secret_option), (_VARIABLE, may_be_secret)):
        if (given := form.match(word)) and is_secret(given["name"]):
            return f"{word[: given.end()]}{STARS}"
    return word
