"""The image that a person means, on the engine or brought there, and the image before the one that is adopted."""

from __future__ import annotations

from collections.abc import Callable

from builder.channels.promotion.digests import Published, learn
from builder.channels.promotion.scene import Scene
from builder.channels.promotion.searching import find_there
from builder.channels.promotion.target import Target, find_here, target_of
from builder.channels.words import several
from builder.engine.naming import absent
from builder.errors import NothingMoved
from builder.plan.plan import Variant
from builder.promotion import ChannelTags


def bring(scene: Scene, word: str, say: Callable[[str], None], *, dry_run: bool) -> tuple[Target, Published | None]:
    """The image that a word means, and what the registry has of it; what the engine lacks is pulled by its digest.

    Args:
        dry_run: nothing is pulled.

    Raises:
        UsageError: there is no such image, or several.
        NothingMoved: its own tag is another image's in the registry, or nothing is known of it without pulling it.
        MachineError: engine, registry or ledger do not answer, or not as they should.
    """
    image = find_here(scene.reach.engine, scene.ledger, scene.config.settings, word)
    if image:
        target = target_of(image, scene.repository)
        there = scene.publisher.find(target) if scene.publisher else None
    else:
        target, there = _from_registry(scene, word, say, dry_run=dry_run)
    learn(scene.ledger, target, there, scene.kind)
    return target, there


def before_adopted(scene: Scene) -> str:
    """What a rollback goes back to where nobody says: what `previous` names, else what was adopted before.

    Right after a rollback it is what is adopted: who asks twice does not want the broken image again.

    Raises:
        UsageError: each variant has such an image.
        NothingMoved: there is none.
        MachineError: engine, registry or ledger do not answer.
    """
    tags, variant = _tags_of_previous(scene)
    adopted = scene.reach.tags.read(f"{scene.repository}:{tags.adopted}")
    last = scene.ledger.promotions.adopted(scene.repository, tags.adopted, variant)
    if last and last.action == "rollback" and adopted in scene.ledger.images.same(last.after):
        return last.after
    if previous := _previous(scene, tags):
        if previous == adopted:
            raise NothingMoved(f"{tags.previous} names what is adopted: there is nothing to go back to.", _NAME_ONE)
        return tags.previous
    if last and last.action == "promote" and last.before and last.before != last.after:
        return last.before
    raise NothingMoved(f"Nothing was adopted before what {scene.repository}:{tags.adopted} names.", _NAME_ONE)


_NAME_ONE = "Name an image with `--to`; `builder history` lists what was adopted."


def _from_registry(scene: Scene, word: str, say: Callable[[str], None], *, dry_run: bool) -> tuple[Target, Published]:
    engine = scene.reach.engine
    there = find_there(scene.publisher, scene.ledger, word) if scene.publisher and word.strip() else None
    if scene.publisher is None or there is None:
        plain = word.strip() and not set(word) & set(":/@")
        raise absent(engine, f"{scene.repository}:{word}" if plain else word)
    image_id = there.id_in(scene.kind)
    image = engine.image(image_id)
    if image is None and not dry_run:
        say(f"Pulling {scene.publisher.place.reference.pinned(there.whole.digest)}.")
        scene.publisher.pull(there)
        image = engine.image(image_id)
    if image:
        return target_of(image, scene.repository), there
    known = scene.ledger.images.find(image_id)
    if known is None or known.labels is None:
        pinned = scene.publisher.place.reference.pinned(there.whole.digest)
        raise NothingMoved(
            f"The engine does not have {word}, and a dry run pulls nothing.", f"Pull it with `docker pull {pinned}`."
        )
    return Target(image_id, known.labels, word, is_here=False), there


def _tags_of_previous(scene: Scene) -> tuple[ChannelTags, str]:
    """The tags of the one variant that has a previous image or was ever adopted, and its name."""
    channels = scene.config.settings.channels
    if not channels.per_variant:
        return channels.tags(""), ""
    found = [
        (tags, variant.value)
        for variant in Variant
        if (tags := channels.tags(variant.value))
        and (scene.ledger.promotions.adopted(scene.repository, tags.adopted, variant.value) or _previous(scene, tags))
    ]
    if len(found) > 1:
        raise several("The image before", [tags.previous for tags, _ in found])
    return found[0] if found else (channels.tags(Variant.CUDA.value), Variant.CUDA.value)


def _previous(scene: Scene, tags: ChannelTags) -> str | None:
    """What the engine calls the image that `previous` names; where it names none there, the registry's."""
    if here := scene.reach.tags.read(f"{scene.repository}:{tags.previous}"):
        return here
    there = find_there(scene.publisher, scene.ledger, tags.previous) if scene.publisher else None
    return there.id_in(scene.kind) if there else None
