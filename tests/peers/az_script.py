"""A program `az` that is logged in to the stand-in cloud, and the folder that the real one would keep."""

from __future__ import annotations

import json
import sys
from pathlib import Path

__all__ = ["write_az", "write_az_folder"]

CLOUD_NAME = "AzureCloud"
_SCRIPT = """\
#!{python}
# Stands in for the Azure command line: it knows `account get-access-token` and `account show`.
import json, sys, time, urllib.error, urllib.parse, urllib.request, ssl

SUBSCRIPTION, TENANT = {subscription!r}, {tenant!r}

def option(name):
    words = sys.argv[1:]
    return words[words.index(name) + 1] if name in words[:-1] else ""

def fail(text):
    sys.exit("ERROR: " + text)

if sys.argv[1:3] == ["account", "show"]:
    print(json.dumps({{"id": SUBSCRIPTION, "name": "Stand-in", "tenantId": TENANT, "state": "Enabled",
                      "environmentName": {cloud!r}, "user": {{"name": "developer@example.org", "type": "user"}}}}))
elif sys.argv[1:3] == ["account", "get-access-token"]:
    with open({login!r}) as stream:
        login = json.load(stream)
    if not login:
        fail("Please run 'az login' to setup account.")
    scope = option("--scope") or option("--resource").rstrip("/") + "/.default"
    form = urllib.parse.urlencode({{"grant_type": "client_credentials", "scope": scope, **login}}).encode()
    url = {entra!r} + "/" + (option("--tenant") or TENANT) + "/oauth2/v2.0/token"
    try:
        context = ssl.create_default_context(cafile={ca!r})
        with urllib.request.urlopen(url, form, context=context) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        fail(json.load(error)["error_description"])
    expires = time.time() + found["expires_in"]
    print(json.dumps({{"accessToken": found["access_token"], "expires_on": int(expires), "tokenType": "Bearer",
                      "expiresOn": time.strftime("%Y-%m-%d %H:%M:%S.000000", time.localtime(expires)),
                      "subscription": SUBSCRIPTION, "tenant": TENANT}}))
else:
    fail("'" + " ".join(sys.argv[1:3]) + "' is misspelled or not recognized by the system.")
"""


def write_az(folder: Path, *, entra: str, ca: Path, subscription: str, tenant: str, client: tuple[str, str]) -> Path:
    """Write the program; returns the folder for PATH.

    Args:
        folder: of the stand-ins.
        entra: its URL.
        ca: whom it trusts.
        subscription: the one in use.
        tenant: the user's.
        client: id and secret of who is logged in; they stand in `folder/login.json`, `{}` in there logs out.
    """
    login = folder / "login.json"
    login.touch(mode=0o600)
    login.write_text(json.dumps({"client_id": client[0], "client_secret": client[1]}))
    program = folder / "bin" / "az"
    program.parent.mkdir()
    program.write_text(
        _SCRIPT.format(
            python=sys.executable,
            subscription=subscription,
            tenant=tenant,
            login=str(login),
            entra=entra,
            ca=str(ca),
            cloud=CLOUD_NAME,
        )
    )
    program.chmod(0o755)
    return program.parent


def write_az_folder(folder: Path, *, subscription: str, tenant: str) -> Path:
    """Write what `az login` would; returns the folder for AZURE_CONFIG_DIR."""
    folder.mkdir()
    (folder / "config").write_text(f"[cloud]\nname = {CLOUD_NAME}\n")
    one = {
        "id": subscription,
        "name": "Stand-in",
        "state": "Enabled",
        "user": {"name": "developer@example.org", "type": "user"},
        "isDefault": True,
        "tenantId": tenant,
        "environmentName": CLOUD_NAME,
    }
    (folder / "azureProfile.json").write_text(json.dumps({"subscriptions": [one]}), encoding="utf-8-sig")
    return folder
