"""Images that a registry has and the engine may not."""

from __future__ import annotations

from collections.abc import Iterator

from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.values import is_digest
from builder.channels.promotion.digests import Published, published
from builder.channels.promotion.publishing import Publisher
from builder.channels.promotion.target import is_build_of
from builder.channels.registry.faults import BadReference
from builder.channels.registry.reference import Reference
from builder.channels.words import several


def find_there(publisher: Publisher, ledger: Ledger, word: str) -> Published | None:
    """The image of the registry's repository that a word means: a tag, a whole name, a digest, or a build's name.

    Raises:
        UsageError: several builds have that name.
        RegistryError: the registry does not answer, or not as it should.
    """
    for reference in _references(publisher, ledger, word):
        if found := publisher.place.registry.find(reference):
            return published(publisher.place, found, publisher.kind)
    return _only_build(publisher, word)


def _references(publisher: Publisher, ledger: Ledger, word: str) -> Iterator[Reference]:
    digest = word.rpartition("@")[2]
    if is_digest(digest):
        yield from (
            publisher.place.reference.pinned(one) for one in dict.fromkeys((digest, *ledger.images.same(digest)))
        )
        return
    named = _parsed(word)
    if named and named.tag and (named.host, named.repository) == (publisher.place.reference.host, _name(publisher)):
        yield named
    elif ":" not in word and "/" not in word:
        try:
            yield publisher.place.reference.tagged(word)
        except BadReference:
            return


def _only_build(publisher: Publisher, word: str) -> Published | None:
    tags = [tag for tag in publisher.place.registry.tags(publisher.place.reference) if is_build_of(tag, word)]
    there = {}
    for tag in tags:
        if found := publisher.place.registry.find(publisher.place.reference.tagged(tag)):
            there[found.digest] = published(publisher.place, found, publisher.kind)
    if len(there) > 1:
        raise several(word, [str(publisher.place.reference.tagged(tag)) for tag in tags])
    return next(iter(there.values()), None)


def _parsed(word: str) -> Reference | None:
    try:
        return Reference.parse(word)
    except BadReference:
        return None


def _name(publisher: Publisher) -> str:
    return publisher.place.reference.repository
