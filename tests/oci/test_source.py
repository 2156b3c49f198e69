"""Sources: what `oci:DIR[:NAME]` and `docker-archive:FILE[:NAME]` mean, and the name that an image has there."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import UsageError
from shipml.oci.archive import write_docker_archive
from shipml.oci.layout import write_layout
from shipml.oci.reference import Reference
from shipml.oci.source import Source
from tests.image_fixtures import MakeImage

NAME = Reference.parse("registry.example.org:5000/team/app:1.4")


@pytest.mark.parametrize("text", ["iris", "iris:1", "localhost:5000/oci:1", "oci", "", "./oci-folder"])
def test_names_are_no_sources(text: str) -> None:
    """What does not begin with a kind of source is left to others."""
    assert Source.parse(text) is None


def test_a_path_may_have_colons(tmp_path: Path, make_image: MakeImage) -> None:
    """The longest path that exists is the path, what follows is the name in it."""
    folder = tmp_path / "a:b"
    image = make_image()
    write_layout(image, folder, [NAME])
    for text, reference in ((f"oci:{folder}", None), (f"oci:{folder}:1.4", "1.4"), (f"oci:{folder}:{NAME}", str(NAME))):
        source = Source.parse(text)
        assert source == Source("oci", folder, reference)
        assert str(source) == text
        assert source is not None
        assert source.read().digest == image.digest
        assert source.name_of(image.digest) == str(NAME)


def test_a_missing_path_is_an_error() -> None:
    """Nothing at the path ends with a hint."""
    for text in ("oci:/nonexistent/a:1", "docker-archive:", "oci:relative/nowhere"):
        with pytest.raises(UsageError, match="there is nothing at") as caught:
            Source.parse(text)
        assert caught.value.hint


def test_an_archive_has_its_name(tmp_path: Path, make_image: MakeImage) -> None:
    """The name comes from the archive's index; an archive without names has none."""
    image = make_image()
    for names, expected in (([NAME], str(NAME)), ([], "")):
        path = tmp_path / f"image-{len(names)}.tar"
        write_docker_archive(image, path, names)
        source = Source.parse(f"docker-archive:{path}")
        assert source is not None
        assert source.read().digest == image.digest
        assert source.name_of(image.digest) == expected
