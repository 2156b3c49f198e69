"""Unpacked trees below `roots/`: made once, looked at before each use, made again where something was changed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from shipml.folders import remove_tree
from shipml.store.files import BlobStore, note_use
from shipml.store.home import explained, explained_full
from shipml.store.tree_manifest import TreeManifest, describe_tree

__all__ = ["TreeStore"]


class TreeStore(BlobStore):
    """A store that has trees beside its blobs."""

    def tree(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder `roots/<name>`, made once by `make`, which fills an empty folder it is given.

        One in which something was changed since is made again.
        """
        known = self.known_tree(name)
        if known is None:
            with self.lock(f"tree-{name}"):
                known = self.known_tree(name)
                if known is None:
                    self._make_tree(name, make)
        return known or self._tree_path(name)

    def known_tree(self, name: str) -> Path | None:
        """The tree, where it is here and as it was made. Asking counts as use (see `prune`)."""
        if not self.has_tree(name):
            return None
        manifest = self.tree_manifest_path(name)
        note_use(manifest, manifest.stat().st_mtime)
        return self._tree_path(name)

    def has_tree(self, name: str) -> bool:
        """Whether the tree is here and as it was made: at a glance, or by its contents where times leave doubts."""
        path, manifest = self._tree_path(name), self._tree_manifest(name)
        if manifest is None or not path.is_dir():
            return False
        if not manifest.needs_reading and manifest.seems_whole(path):
            return True
        try:
            now = describe_tree(path)
        except OSError:
            return False
        if manifest.first_difference(now) is not None:
            return False
        self.write_file(self.tree_manifest_path(name), now.to_bytes())
        return True

    def verify_tree(self, name: str) -> str | None:
        """The first path in the tree that is not as it was made; None where all are, or where nothing is known of it.

        A tree that differs is removed, and so is one of which nothing is written down.
        """
        manifest = self._tree_manifest(name)
        try:
            differs = manifest.first_difference(describe_tree(self._tree_path(name))) if manifest else None
        except OSError as error:
            differs = str(error.filename)
        if manifest is None or differs is not None:
            self.remove_tree(name)
        return differs

    def remove_tree(self, name: str) -> None:
        """Remove the tree, and what is written down of it."""
        remove_tree(self._tree_path(name))
        self.tree_manifest_path(name).unlink(missing_ok=True)

    def tree_manifest_path(self, name: str) -> Path:
        """The file that says what was in the tree; its time says when the tree was last used, to the day."""
        return self.home / "tree-manifests" / f"{name}.json"

    def _tree_path(self, name: str) -> Path:
        return self.home / "roots" / name

    def _make_tree(self, name: str, make: Callable[[Path], None]) -> None:
        self.remove_tree(name)
        with explained(self.home):
            work = Path(tempfile.mkdtemp(dir=self.home / "tmp"))
        try:
            with explained_full(self.home):
                work.chmod(0o755)  # mkdtemp's 0700 would be the mode of `/` for whoever runs in the tree
                make(work)
                self.write_file(self.tree_manifest_path(name), describe_tree(work).to_bytes())
                work.rename(self._tree_path(name))
        finally:
            remove_tree(work)

    def _tree_manifest(self, name: str) -> TreeManifest | None:
        with explained(self.home):
            try:
                return TreeManifest.parse(self.tree_manifest_path(name).read_bytes())
            except FileNotFoundError:
                return None
