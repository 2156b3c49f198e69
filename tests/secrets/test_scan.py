"""Secrets in what files say are found, with file, line and kind; ordinary text is not taken for one."""

from __future__ import annotations

import base64
import json
import random
import string
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from shipml.errors import SecretError
from shipml.facts.secrets import FoundSecret
from shipml.oci.digest import Digest
from shipml.project import read_project
from shipml.secrets.evidence import keep_secrets, require_no_secrets
from shipml.secrets.scan import scan_environment, scan_text
from shipml.store import Store

_RANDOM = random.Random(7)  # noqa: S311 - nothing is protected by it
REPOSITORY = Path(__file__).parents[2]


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """The body of a token that nobody has."""
    return "".join(_RANDOM.choices(alphabet, k=count))


_UPPER = string.ascii_uppercase + string.digits
SECRETS = [
    ("AWS access key", "AKIA" + letters(16, _UPPER)),
    ("AWS secret key", f"AWS_SECRET_ACCESS_KEY={letters(40)}"),
    ("Hugging Face token", "hf_" + letters(34)),
    ("GitHub token", "ghp_" + letters(36)),
    ("GitHub token", f"github_pat_{letters(22)}_{letters(59)}"),
    ("GitLab token", "glpat-" + letters(20)),
    ("OpenAI key", f"sk-{letters(20)}T3BlbkFJ{letters(20)}"),
    ("Anthropic key", "sk-ant-api03-" + letters(90)),
    ("Google API key", "AIza" + letters(35)),
    ("Slack token", f"xoxb-{letters(12, string.digits)}-{letters(24)}"),
    ("Stripe key", "sk_live_" + letters(24)),
    ("Azure storage key", f"AccountName=a;AccountKey={letters(86)}==;"),
    ("Databricks token", "dapi" + letters(32, "0123456789abcdef")),
    ("password in a URL", f"postgresql://joe:{letters(12)}@db.corp.net:5432/a"),
    ("password or key", f'DB_PASSWORD = "{letters(24)}9"'),
    ("private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA"),
]


@pytest.mark.parametrize(("kind", "secret"), SECRETS, ids=[kind for kind, _ in SECRETS])
def test_a_secret_is_found_in_code_and_in_a_notebooks_output(kind: str, secret: str) -> None:
    """With its kind and line, and without the secret itself."""
    assert [(one.kind, one.line) for one in scan_text("a.py", f"import os\n\nx = '''{secret}'''\n")] == [(kind, 3)]
    outputs = [{"output_type": "stream", "text": [f"{secret}\n"]}]
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": [], "outputs": outputs}]}, indent=1)
    found = list(scan_text("a.ipynb", notebook))
    assert [one.kind for one in found] == [kind]
    assert secret not in repr(found)


def test_ordinary_text_holds_no_secret() -> None:
    """Hashes, identifiers, images of notebooks, placeholders and code that only speaks of secrets."""
    image = base64.b64encode(_RANDOM.randbytes(300_000)).decode()
    lines = [
        json.dumps({"image/png": image}),
        f"requests==2.0 --hash=sha256:{letters(64, '0123456789abcdef')}",
        f'"id": "{uuid.UUID(int=_RANDOM.getrandbits(128))}"',
        f'secret = "{letters(64, "0123456789abcdef")}"',
        'API_KEY = "your-api-key-goes-here-123"',
        'password = os.environ["DATABASE_PASSWORD"]',
        "AKIAIOSFODNN7EXAMPLE",
        "postgresql://user:password@localhost:5432/db",
        "https://${USER}:${PASSWORD}@index.corp.net/simple",
        'begins("-----BEGIN PRIVATE KEY-----")',
        "tokenizer = AutoTokenizer.from_pretrained('bert-base-uncased')",
    ]
    assert list(scan_text("a.txt", "\n".join(lines))) == []


@pytest.mark.parametrize("folder", ["example_project", "tests/projects"])
def test_the_repositorys_own_projects_hold_none(folder: str) -> None:
    """The example, and all projects that have a plan beside them."""
    found: list[FoundSecret] = []
    for path in sorted((REPOSITORY / folder).rglob("*")):
        if path.is_file():
            found += scan_text(str(path), path.read_text(errors="replace"))
    assert found == []


def test_a_long_hostile_text_is_scanned_in_time() -> None:
    """Time grows with the text's length alone."""
    started_at = time.perf_counter()
    for piece in ("://a:", "password = '", "-----BEGIN PRIVATE KEY-----", "AKIA", "hf_", "sk-", "xoxb-", "AccountKey="):
        list(scan_text("a", piece * (200_000 // len(piece))))
    assert time.perf_counter() - started_at < 8


def test_variables_of_the_settings_count() -> None:
    """By their value, or by a name that says what they are."""
    environment = [("API_TOKEN", letters(12)), ("MODE", "production"), ("X", "ghp_" + letters(36)), ("PASSWORD", "")]
    assert [one.source for one in scan_environment("shipml.toml", environment)] == [
        "shipml.toml [env] API_TOKEN",
        "shipml.toml [env] X",
    ]


def test_what_a_build_found_stops_the_push_until_it_is_allowed(tmp_path: Path) -> None:
    """By file and line or by the hash of the secret; the error is of its own kind, and shows no secret."""
    secret = "hf_" + letters(34)
    (tmp_path / "app.py").write_text(f"import os\nTOKEN = '{secret}'\n")
    with closing(Store(tmp_path / "home")) as store:
        digest = Digest.of(b"an image")
        found = read_project(tmp_path, None).secrets
        keep_secrets(store, digest, found)
        with pytest.raises(SecretError) as caught:
            require_no_secrets(store, digest, "app")
        assert (caught.value.kind, caught.value.exit_code) == ("secret", 1)
        assert "app.py:2" in caught.value.hint
        assert secret not in str(caught.value) + caught.value.hint
        for allowed in ("app.py:2", found[0].fingerprint):
            (tmp_path / "shipml.toml").write_text(f'[secrets]\nallow = ["{allowed}"]\n')
            assert read_project(tmp_path, None).secrets == ()
        keep_secrets(store, digest, ())
        require_no_secrets(store, digest, "app")
