"""What a profile serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.config import Config
from builder.errors import UsageError
from builder.profiles import Profile
from builder.server.models.make import Model, make_model
from builder.server.models.sizes import MADE, shape_of

_MAGIC = b"GGUF"


@dataclass(frozen=True)
class ServedModel:
    """The model file of a profile.

    Attributes:
        made: what is known of it where it was made on the spot; None for a user's own.
    """

    path: Path
    made: Model | None


def model_of(name: str, config: Config, models: Path, say: Callable[[str], None]) -> ServedModel:
    """The model that a profile serves: its own, else one made on the spot, tiny where it names none.

    Args:
        name: the profile's.
        models: folder of the models that are made.
        say: told what is waited for or made anew.

    Raises:
        UsageError: the profile names no model file, and none that can be made.
        MachineError: the disk is full or may not be written to.
    """
    profile = config.settings.profiles[name]
    if not profile.model or profile.model.startswith(MADE):
        kind, shape = shape_of(profile.model or f"{MADE}tiny", embeddings=profile.embeddings)
        made = make_model(kind, models, shape, say=say)
        return ServedModel(made.path, made)
    return ServedModel(_own(name, profile, config), None)


def tiny_model(profile: Profile, models: Path, say: Callable[[str], None]) -> ServedModel:
    """The tiny model of a profile's kind, whatever the profile serves.

    Args:
        models: folder of the models that are made.
        say: told what is waited for or made anew.

    Raises:
        MachineError: the disk is full or may not be written to.
    """
    kind, shape = shape_of(f"{MADE}tiny", embeddings=profile.embeddings)
    made = make_model(kind, models, shape, say=say)
    return ServedModel(made.path, made)


def _own(name: str, profile: Profile, config: Config) -> Path:
    key = f"profiles.{name}.model"
    in_file = config.file is not None and config.sources[key] == str(config.file)
    folder = config.file.absolute().parent if in_file and config.file else Path.cwd()
    path = folder / Path(profile.model).expanduser()
    try:
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) == _MAGIC:
                return path.resolve()
    except OSError as error:
        raise UsageError(f"The model {path} of {key} cannot be read: {error.strerror}.", "Name a GGUF file.") from error
    raise UsageError(f"The model {path} of {key} is no GGUF file.", "Name one that is.")
