"""Application files → layers."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from pathlib import Path

import pytest

from shipml.build.application import application_layer, owner_of
from shipml.errors import BuildError
from shipml.facts.plan import Plan
from shipml.oci.image import LayerValue
from shipml.oci.unpack import unpack_layer
from shipml.store import Store


def entries(layer: LayerValue) -> dict[str, tarfile.TarInfo]:
    with layer.open() as stream, tarfile.open(fileobj=io.BytesIO(stream.read()), mode="r:gz") as archive:
        return {entry.name: entry for entry in archive.getmembers()}


def test_the_application_layer_holds_code_links_and_empty_folders(plan: Plan, folder: Path, store: Store) -> None:
    """Code, execute bits, links and empty folders lie under /app, owned by the image's user."""
    found = entries(application_layer(plan, plan.layers[1], folder, store))
    assert sorted(found) == ["app", "app/app.py", "app/go.sh", "app/latest", "app/models", "app/models/empty"]
    assert found["app/go.sh"].mode == 0o755
    assert found["app/app.py"].mode == 0o644
    assert found["app/latest"].linkname == "models/weights.bin"
    assert {entry.uid for entry in found.values()} == {65532}
    assert {entry.mtime for entry in found.values()} == {0}


def test_weights_are_stored_uncompressed_in_a_layer_of_their_own(plan: Plan, folder: Path, store: Store) -> None:
    """Weights get one layer each, not compressed, below folders that belong to the image's user."""
    layer = application_layer(plan, plan.layers[0], folder, store)
    found = entries(layer)
    assert list(found) == ["app", "app/models", "app/models/weights.bin"]
    assert {entry.uid for entry in found.values()} == {65532}
    assert layer.size_bytes > 256 * 64


def test_a_second_layer_of_the_same_files_is_not_written_again(plan: Plan, folder: Path, store: Store) -> None:
    """A layer is known by its files' digests: the folder is not read again while its facts are there."""
    first = application_layer(plan, plan.layers[1], folder, store)
    (folder / "app.py").unlink()
    assert application_layer(plan, plan.layers[1], folder, store).digest == first.digest


def test_a_layer_whose_bytes_were_pruned_is_written_again_when_it_is_opened(
    plan: Plan, folder: Path, store: Store
) -> None:
    """Facts without bytes are enough to build; the bytes come back on demand, the same."""
    layer = application_layer(plan, plan.layers[1], folder, store)
    with layer.open() as stream:
        before = stream.read()
    store.blob_path(layer.digest).unlink()
    with application_layer(plan, plan.layers[1], folder, store).open() as stream:
        assert stream.read() == before


def test_a_file_that_changed_since_the_plan_is_refused(plan: Plan, folder: Path, store: Store) -> None:
    """What is built is what was planned: other content is an error, and no layer of it is kept."""
    (folder / "app.py").write_bytes(b"print('accuracy: 0.1')\n")
    with pytest.raises(BuildError, match=r"app\.py changed"):
        application_layer(plan, plan.layers[1], folder, store)
    assert not list((store.home / "tmp").iterdir())


def test_a_file_that_became_a_link_is_refused(plan: Plan, folder: Path, store: Store, tmp_path: Path) -> None:
    """A link put in a file's place after the plan is not followed out of the project."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"print('accuracy: 1.0')\n")
    (folder / "app.py").unlink()
    (folder / "app.py").symlink_to(secret)
    with pytest.raises(BuildError, match=r"app\.py"):
        application_layer(plan, plan.layers[1], folder, store)


def test_another_user_owns_the_files_when_the_settings_say_so(plan: Plan, folder: Path, store: Store) -> None:
    """The owner follows the image's user, and is part of the layer's key."""
    as_root = dataclasses.replace(plan, user="root")
    assert {e.uid for e in entries(application_layer(as_root, plan.layers[1], folder, store)).values()} == {0}
    assert {e.uid for e in entries(application_layer(plan, plan.layers[1], folder, store)).values()} == {65532}


def test_files_in_the_root_leave_the_root_folder_to_the_base(
    plan: Plan, folder: Path, store: Store, tmp_path: Path
) -> None:
    """A Dockerfile without WORKDIR works in "/": no entry of the layer makes that the user's."""
    layer = application_layer(dataclasses.replace(plan, working_dir="/"), plan.layers[1], folder, store)
    assert sorted(entries(layer)) == ["app.py", "go.sh", "latest", "models", "models/empty"]
    root = tmp_path / "root"
    root.mkdir()
    with layer.open() as stream:
        assert unpack_layer(stream, layer.media_type, root) == layer.diff_id


def test_files_among_the_base_s_own_leave_its_folders_as_they_are(plan: Plan, folder: Path, store: Store) -> None:
    """/bin stays a link into /usr (as a folder it would hide /bin/sh), and /tmp stays open to all."""
    elsewhere = (("app.py", "/tmp/app.py"), ("go.sh", "/bin/go.sh"))
    found = entries(application_layer(dataclasses.replace(plan, places=elsewhere), plan.layers[1], folder, store))
    assert "bin" not in found
    assert found["usr/bin/go.sh"].isfile()
    assert (found["tmp"].mode, found["tmp"].uid) == (0o1777, 0)
    assert found["tmp/app.py"].isfile()


@pytest.mark.parametrize(("user", "owner"), [("1000:100", 1000), ("root", 0), ("nonroot", 65532), ("0", 0)])
def test_the_owner_is_the_user_part(user: str, owner: int) -> None:
    """Numbers, number pairs and the base's names are understood."""
    assert owner_of(user) == owner
