"""Files and folders whose names say that they hold credentials: of clouds, of tools, of people."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["is_public_certificate", "names_secret", "names_secret_folder"]

_FOLDERS = frozenset(
    {".aws", ".azure", ".ssh", ".gnupg", ".kube", ".docker", ".gcloud", ".kaggle", ".huggingface", ".wandb", ".mlflow"}
    | {".snowflake", ".snowsql", ".password-store", ".oci", ".secrets", ".ipython", ".jupyter", ".databricks", ".modal"}
    | {".bluemix", ".terraform.d", ".pip", ".m2", ".cargo-credentials", ".lightning", ".comet", ".neptune"}
)
_FOLDERS_IN = frozenset({(".config", "gcloud"), (".config", "gh"), (".config", "hub"), (".config", "rclone")})
_FILES = frozenset(
    {".netrc", "_netrc", "netrc", ".pypirc", ".git-credentials", ".pgpass", "pgpass.conf", ".npmrc", ".yarnrc"}
    | {".yarnrc.yml", ".htpasswd", "htpasswd", "pip.conf", "pip.ini", ".envrc", "credentials", ".credentials"}
    | {"aws_credentials", "credentials.csv", "accesskeys.csv", "rootkey.csv", "kube_config", "kubeconfig"}
    | {"kaggle.json", "hf_token", "hf_token.txt", ".hf_token", "token.json", "token.pickle", "token.txt", ".token"}
    | {"auth.json", "cookies.txt", "cookies.json", ".databrickscfg", ".modal.toml", ".boto", ".s3cfg", ".dockercfg"}
    | {".vault-token", ".vault_pass", "vault_pass", "vault_pass.txt", ".vault_pass.txt", ".terraformrc"}
    | {"terraform.rc", ".my.cnf", ".mylogin.cnf", ".gitconfig", ".hgrc", ".comet.config", ".snowsql"}
    | {"azureprofile.json", "azureauth.json", "accesstokens.json", "msal_token_cache.json", "gcp-key.json"}
    | {"application_default_credentials.json", "deploy_key", "deploy-key", "rclone.conf", ".rclone.conf"}
    | {".secrets", ".secret", "secret_key.txt", "local_settings.secret", ".age-key", ".condarc.secret"}
    | {".bash_history", ".zsh_history", ".sh_history", ".python_history", ".psql_history", ".mysql_history"}
    | {".sqlite_history", ".history", ".node_repl_history", ".lesshst", ".rhistory", ".irb_history"}
)
_ENDINGS = r"(?:\.(?:json|toml|ya?ml|ini|cfg|conf|txt|properties|csv|env))"
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\.env|\.env[._-].*",
        r".+\.env|\.envrc.*|env\.(?:bak|old|orig|save|local|prod|production|dev|staging)",
        r".+\.env\.(?:local|prod|production|dev|staging|test|override)",
        r".+\.(?:pem|key|p8|p12|pfx|jks|keystore|kdbx|kdb|ppk|der|gpg|pgp|asc|keytab|ovpn|agekey|jceks)",
        r"id_(?:rsa|dsa|ecdsa|ed25519|ecdsa_sk|ed25519_sk)(?:[_.-].*)?(?<!\.pub)",
        r".*service[_-]?account.*\.json",
        r".*-firebase-adminsdk-.*\.json",
        r"(?:.*[_.-])?(?:gcp|gcs|sa|google|firebase|vertex|bigquery)[_-]?(?:key|keys|credentials?|creds)(?:[_.-].*)?\.json",
        rf"(?:.*[_.-])?(?:credentials?|creds){_ENDINGS}",
        rf"(?:.*[_.-])?secrets?{_ENDINGS}",
        r"(?:client|app)_secrets?.*\.json",
        r".+\.tfstate(?:\..+)?|.*\.tfvars(?:\.json)?",
        r".+\.(?:kubeconfig|publishsettings)|kubeconfig.*|kube_?config(?:\.ya?ml)?",
        r"(?:.+_)?deploy[_-]key(?:\..*)?(?<!\.pub)",
        r"(?:api|access|auth|hf|github|openai|wandb)[_-]?(?:token|key)s?(?:\.(?:txt|json))?",
        r"core\.\d+",
    )
)
_BACKUP = re.compile(r"(?:[~]|[._-](?:bak|backup|old|orig|save|saved|copy|swp|tmp|disabled|prev|[0-9]{1,8}))\Z")
_TEMPLATE = re.compile(r"[._-](?:example|sample|template|dist|tpl|tmpl)(?:\.[a-z]+)?\Z")
"""What is made to be shared: `.env.example`. It is scanned as any other text."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_CERTIFICATES = frozenset({b"CERTIFICATE", b"TRUSTED CERTIFICATE", b"X509 CRL", b"PUBLIC KEY", b"RSA PUBLIC KEY"})
_READ_BYTES = 4 << 20


def names_secret(path: str) -> bool:
    """Whether the name of the file `path` (with `/`, lower case), or of a folder above it, speaks of a secret."""
    *folders, name = path.split("/")
    if any(names_secret_folder("/".join(folders[:depth])) for depth in range(1, len(folders) + 1)):
        return True
    if path.endswith(".dvc/config.local"):
        return True
    if _TEMPLATE.search(name) and not name.endswith((".key", ".pem")):
        return False
    return _is_secret(name) or any(_is_secret(one) for one in _originals(name))


def names_secret_folder(path: str) -> bool:
    """Whether a folder (lower case, with `/`) holds credentials."""
    parts = ("", *path.split("/"))
    return parts[-1] in _FOLDERS or (parts[-2], parts[-1]) in _FOLDERS_IN


def is_public_certificate(path: Path) -> bool:
    """Whether a file holds certificates or public keys in PEM, and nothing else that PEM can hold."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_READ_BYTES + 1)
    except OSError:
        return False
    kinds = set(_BLOCK.findall(data))
    return bool(kinds) and kinds <= _CERTIFICATES and len(data) <= _READ_BYTES and b"PRIVATE KEY" not in data


def _originals(name: str) -> list[str]:
    """What an editor's or a person's copy is a copy of: `key.pem.bak` → `key.pem`."""
    found = []
    while match := _BACKUP.search(name):
        name = name[: match.start()]
        found.append(name)
    return found


def _is_secret(name: str) -> bool:
    return name in _FILES or any(pattern.fullmatch(name) for pattern in _NAMES)
