"""One very large wheel: shipml's splicing beside what no builder can avoid, inflating and hashing the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from isal import isal_zlib

from benchmarks.measure import run
from benchmarks.scenarios import Results

__all__ = ["measure_torch"]

VARIABLE = "SHIPML_BENCH_TORCH_WHEEL"
_PIECE_BYTES = 1 << 20


def measure_torch(rounds: int, results: Results) -> None:
    """Splice the wheel that SHIPML_BENCH_TORCH_WHEEL names, and inflate and hash it, in turns."""
    wheel = os.environ.get(VARIABLE)
    if not wheel:
        results.notes.append(f"torch: not measured, since {VARIABLE} names no wheel file")
        return
    for _ in range(rounds):
        for work in ("limit", "splice"):
            done = run([sys.executable, "-m", "benchmarks.torch_wheel", work, wheel])
            answer = json.loads(done.stdout.splitlines()[-1])
            results.add("torch wheel", work, answer["seconds"])
            peak = results.peak_memory_bytes.get(f"torch {work}", 0)
            results.peak_memory_bytes[f"torch {work}"] = max(peak, answer["peak"])


def inflate_and_hash(path: Path) -> None:
    """The limit, in one thread: inflate every file with ISA-L; SHA-256 of what came out and of the wheel itself."""
    inflated, packed = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as stream, zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            stream.seek(entry.header_offset + 26)
            name_bytes, extra_bytes = (int.from_bytes(stream.read(2), "little") for _ in range(2))
            stream.seek(name_bytes + extra_bytes, os.SEEK_CUR)
            inflater = isal_zlib.decompressobj(wbits=-15)
            left_bytes = entry.compress_size
            while left_bytes:
                piece = stream.read(min(_PIECE_BYTES, left_bytes))
                left_bytes -= len(piece)
                packed.update(piece)
                inflated.update(piece if entry.compress_type == zipfile.ZIP_STORED else inflater.decompress(piece))


def splice(path: Path) -> None:
    """The layer of the wheel without bytecode: written to disk, with its digest and diff id."""
    # Only the process that splices loads the wheel machinery.
    from shipml.facts.plan import LockedWheel
    from shipml.oci.digest import Digest
    from shipml.oci.layer_writer import LayerWriter
    from shipml.store import Store
    from shipml.wheels.archive import Archive
    from shipml.wheels.bytecode import Bytecode
    from shipml.wheels.install import placement_of
    from shipml.wheels.splice import write_wheel

    name, version = path.name.split("-")[:2]
    wheel = LockedWheel(name, version, path.as_uri(), path.stat().st_size, Digest.of(b""), path.name)
    placement = placement_of(Archive(path, path.name), wheel, python="3.11")
    with TemporaryDirectory() as folder, (Path(folder) / "layer").open("wb") as out, LayerWriter(out) as writer:
        write_wheel(writer, placement, lambda: Bytecode(None, (), 0), store=Store(Path(folder) / "home"), python="3.11")
        writer.close()


def main() -> None:
    """Do one of the two in this process; print seconds and peak memory."""
    started = time.perf_counter()
    {"limit": inflate_and_hash, "splice": splice}[sys.argv[1]](Path(sys.argv[2]))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
