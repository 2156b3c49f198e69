"""Text → the secrets in it. What only looks like one (a placeholder, a hash, an image in a notebook) is not."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from shipml.facts.plan import ApplicationFile
from shipml.facts.secrets import FoundSecret
from shipml.reading import read_data
from shipml.secrets.patterns import PATTERNS, SecretPattern

__all__ = ["allowed_by", "scan_environment", "scan_files", "scan_text"]

_LIMIT_BYTES = 16 << 20
"""A larger file is data, or a model."""
_HEAD_BYTES = 8192
_LONG_RUN = re.compile(r"[A-Za-z0-9+/=]{1024,}")
"""An image or model in Base64."""
_PLACEHOLDER = re.compile(
    r"example|your|placeholder|change.?me|insecure|dummy|redacted|sample|xxxx|\*\*\*|\.\.\.|1234567|0000000|[<>${}]",
    re.IGNORECASE,
)
_USUAL_PASSWORDS = frozenset({"password", "passwd", "secret", "postgres", "minioadmin", "rabbitmq"})
_HASH = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f-]{36})\Z")
_SECRET_NAME = re.compile(
    r"(?:.*_)?(?:PASSWORD|PASSWD|SECRET|SECRET_KEY|TOKEN|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS)\Z", re.IGNORECASE
)
_LEAST_LENGTH = 8
_LEAST_BITS = 3.5
"""Of Shannon's entropy a character: words have less, random letters and digits more."""
_GENERIC = "password or key"


def scan_text(path: str, text: str) -> Iterator[FoundSecret]:
    """The secrets in the text of a file; a notebook's text is its JSON, outputs included."""
    text = _LONG_RUN.sub("", text)
    spans: list[tuple[int, int]] = []
    for pattern in PATTERNS:
        if not any(anchor in text for anchor in pattern.anchors):
            continue
        for match in pattern.regex.finditer(text):
            group = 1 if pattern.regex.groups else 0
            start, end = match.span(group)
            if _is_real(match[group], pattern) and not any(start < last and first < end for first, last in spans):
                spans.append((start, end))
                line = text.count("\n", 0, match.start()) + 1
                yield FoundSecret(path, line, pattern.kind, _fingerprint(match[group]))


def scan_files(folder: Path, files: Iterable[ApplicationFile]) -> Iterator[FoundSecret]:
    """The secrets in the text files among `files`; what cannot be read is somebody else's error."""
    for file in files:
        if file.kind == "file" and 0 < file.size_bytes <= _LIMIT_BYTES and (text := _text(folder / file.path)):
            yield from scan_text(file.path, text)


def scan_environment(source: str, environment: Sequence[tuple[str, str]]) -> Iterator[FoundSecret]:
    """The secrets among variables that an image would carry.

    Args:
        source: the file that sets them.
        environment: names and values.
    """
    for name, value in environment:
        path = f"{source} [env] {name}"
        found = next(scan_text(path, value), None)
        if found is not None:
            yield FoundSecret(path, 0, found.kind, found.fingerprint)
        elif _SECRET_NAME.match(name) and len(value) >= _LEAST_LENGTH and not _PLACEHOLDER.search(value):
            yield FoundSecret(path, 0, _GENERIC, _fingerprint(value))


def allowed_by(allow: Sequence[str], found: FoundSecret) -> bool:
    """Whether `[secrets] allow` names it, by place or by hash."""
    return found.source in allow or found.fingerprint in allow


def _text(path: Path) -> str:
    try:
        data = read_data(path, _LIMIT_BYTES)
    except OSError:
        return ""
    head = data[:_HEAD_BYTES]
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    return data.decode(encoding, "replace")


def _is_real(secret: str, pattern: SecretPattern) -> bool:
    if _PLACEHOLDER.search(secret) or secret.lower() in _USUAL_PASSWORDS:
        return False
    if pattern.kind != _GENERIC:
        return True
    has_both = any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))
    return has_both and not _HASH.match(secret) and "/" not in secret and _bits(secret) >= _LEAST_BITS


def _bits(text: str) -> float:
    """Shannon's entropy a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def _fingerprint(secret: str) -> str:
    return f"sha256:{hashlib.sha256(secret.encode('utf-8', 'surrogateescape')).hexdigest()}"
