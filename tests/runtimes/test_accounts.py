from __future__ import annotations

import pytest

from shipml.errors import ConfigurationError
from shipml.runtimes.accounts import Account, resolve_user

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nbroken line\napp:x:1000:1001:App:/home/app:/bin/sh\n"
_GROUP = "root:x:0:\nusers:x:1001:\nvideo:x:44:other,app\naudio:x:29:app\n"


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ("", Account(0, 0, (), "/root")),
        ("root", Account(0, 0, (), "/root")),
        ("app", Account(1000, 1001, (29, 44), "/home/app")),
        ("1000", Account(1000, 1001, (29, 44), "/home/app")),
        ("app:video", Account(1000, 44, (), "/home/app")),
        ("app:7", Account(1000, 7, (), "/home/app")),
        ("65532", Account(65532, 0, (), "/")),
        ("65532:65532", Account(65532, 65532, (), "/")),
    ],
)
def test_users(user: str, account: Account) -> None:
    """Names, numbers and groups are resolved as Docker does, with home and supplementary groups."""
    assert resolve_user(user, _PASSWD, _GROUP) == account


@pytest.mark.parametrize("user", ["nobody-here", "app:nogroup", "-1", "99999999999", "4294967295", "x/../y"])
def test_unknown_users(user: str) -> None:
    """A name that the image does not know, or an impossible number, is an error that names it."""
    with pytest.raises(ConfigurationError) as caught:
        resolve_user(user, _PASSWD, _GROUP)
    assert caught.value.hint
