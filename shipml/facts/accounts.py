"""The accounts of a base of Debian packages: the text of its /etc/passwd."""

from __future__ import annotations

from shipml.facts.plan import USER_ID

__all__ = ["NOBODY_ID", "PASSWD"]

NOBODY_ID = 65534
PASSWD = f"""\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:{NOBODY_ID}:{NOBODY_ID}:nobody:/nonexistent:/sbin/nologin
nonroot:x:{USER_ID}:{USER_ID}:nonroot:/home/nonroot:/sbin/nologin
"""
