"""Images that a registry has and the engine may not."""

from __future__ import annotations

from collections.abc import Iterator

from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.values import is_digest
from builder.channels.promotion.digests import Published, published
from builder.channels.promotion.publishing import Press
from builder.channels.promotion.target import is_build_of, several
from builder.channels.registry.faults import BadReference
from builder.channels.registry.reference import Reference


def find_there(press: Press, ledger: Ledger, word: str) -> Published | None:
    """The image of the registry's repository that a word means: a tag, a whole name, a digest, or a build's name.

    Raises:
        UsageError: several builds have that name.
        RegistryError: the registry does not answer, or not as it should.
    """
    for reference in _references(press, ledger, word):
        if found := press.place.registry.find(reference):
            return published(press.place, found, press.kind)
    return _only_build(press, word)


def _references(press: Press, ledger: Ledger, word: str) -> Iterator[Reference]:
    digest = word.rpartition("@")[2]
    if is_digest(digest):
        yield from (press.place.reference.pinned(one) for one in dict.fromkeys((digest, *ledger.images.same(digest))))
        return
    named = _parsed(word)
    if named and named.tag and (named.host, named.repository) == (press.place.reference.host, _name(press)):
        yield named
    elif ":" not in word and "/" not in word:
        try:
            yield press.place.reference.tagged(word)
        except BadReference:
            return


def _only_build(press: Press, word: str) -> Published | None:
    tags = [tag for tag in press.place.registry.tags(press.place.reference) if is_build_of(tag, word)]
    there = {}
    for tag in tags:
        if found := press.place.registry.find(press.place.reference.tagged(tag)):
            there[found.digest] = published(press.place, found, press.kind)
    if len(there) > 1:
        raise several(word, [str(press.place.reference.tagged(tag)) for tag in tags])
    return next(iter(there.values()), None)


def _parsed(word: str) -> Reference | None:
    try:
        return Reference.parse(word)
    except BadReference:
        return None


def _name(press: Press) -> str:
    return press.place.reference.repository
