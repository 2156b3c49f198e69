"""Programs that read registries by digest and sign what is there: oras and cosign, as Debian forky packages them."""

from __future__ import annotations

from pathlib import Path

from tests.peers.cache import kept, mmdebstrap
from tests.peers.engine import Result, run
from tests.peers.need import need

__all__ = ["cosign", "oras"]

_PASSWORD = "of-a-throwaway-key"


def oras(*arguments: str) -> Result:
    """Run oras; a failure is an AssertionError."""
    return run([str(_programs() / "oras"), *arguments])


def cosign(*arguments: str) -> Result:
    """Run cosign, which unlocks keys with a password of its own here; a failure is an AssertionError."""
    return run([str(_programs() / "cosign"), *arguments], COSIGN_PASSWORD=_PASSWORD)


def _programs() -> Path:
    """Unpacked only: of libraries they need the C library alone, an older one does."""
    need("mmdebstrap", root=True)
    packages = ["cosign", "oras"]
    return kept("artifact-tools", lambda path: mmdebstrap(path, "forky", packages, "--variant=extract")) / "usr/bin"
