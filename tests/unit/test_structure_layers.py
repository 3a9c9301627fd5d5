"""What an image's layers hold, from archives such as `docker save` writes."""

from __future__ import annotations

import gzip
import tarfile
from io import BytesIO

import pytest

from builder.gates.structure.layers import Layers, read_layers


def archive_of(*files: tuple[str, bytes]) -> bytes:
    whole = BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return whole.getvalue()


TOKEN = b"token = ghp_0123456789abcdefghijABCD\n"
LOWER = archive_of(("root/app.conf", TOKEN), ("root/.netrc", b"machine"), ("usr/lib/sample", TOKEN), ("etc/fine", b"x"))
UPPER = archive_of(("root/.wh.app.conf", b""))


@pytest.mark.parametrize(
    "layers",
    [
        [("1/layer.tar", LOWER), ("2/layer.tar", UPPER)],
        [("blobs/sha256/1", gzip.compress(LOWER)), ("blobs/sha256/2", gzip.compress(UPPER))],
    ],
    ids=["plain", "packed"],
)
def test_what_a_later_layer_hides_is_found(layers: list[tuple[str, bytes]]) -> None:
    saved = archive_of(*layers, ("manifest.json", b"[]"), ("blobs/sha256/3", b'{"config": 1}'))
    assert read_layers(BytesIO(saved)) == Layers(2, 0, ("/root/.netrc", "/root/app.conf"))


def test_a_layer_that_cannot_be_unpacked_is_counted() -> None:
    saved = archive_of(("1/layer.tar", LOWER), ("blobs/sha256/2", b"\x28\xb5\x2f\xfd" + b"x" * 600))
    assert read_layers(BytesIO(saved)) == Layers(1, 1, ("/root/.netrc", "/root/app.conf"))


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_saved_image_that_is_cut_off_is_refused(size: int) -> None:
    saved = archive_of(("1/layer.tar", LOWER))
    assert len(saved) > size
    with pytest.raises(tarfile.TarError):
        read_layers(BytesIO(saved[:size]))
