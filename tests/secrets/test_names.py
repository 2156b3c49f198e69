"""Files whose names say that they hold credentials stay out of the image, public certificates stay in."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.project import read_project
from shipml.secrets.names import names_secret

SECRETS = """
.env .env~ .env_prod .env-prod .env.local env.bak prod.env config.env .aws.env docker-compose.override.env
.netrc.bak netrc key.pem.bak server.key.old pip.ini kubeconfig.yaml kube_config aws_credentials credentials
credentials.yaml terraform.tfvars .streamlit/secrets.toml kaggle.json .kaggle/x .huggingface/token
hf_token.txt .wandb/settings .mlflow/credentials .databrickscfg .dvc/config.local .modal.toml .snowflake/a
.config/gcloud/application_default_credentials.json app-firebase-adminsdk-x1.json gcp-key.json sa-key.json
google-credentials.json azureprofile.json azureauth.json .boto .s3cfg .oci/config .dockercfg .vault-token
.vault_pass .terraformrc .config/gh/hosts.yml .my.cnf .yarnrc.yml .gitconfig .hgrc .bash_history
.python_history .ipython/history.sqlite .jupyter/a.json a.p8 a.der a.gpg a.asc a.keytab a.ovpn deploy_key
.password-store/a secrets.json secrets.yaml .secrets cookies.txt token.json token.pickle auth.json core.1234
my-service-account.json client_secret_1.json id_rsa id_ed25519_work terraform.tfstate.backup app/.env
"""
ORDINARY = """
app.py environment.yml environment.py env.py tokenizer.json tokens.py secrets.py credentials.py keys.py key.py
config.json config.yaml data/keywords.csv core.py monkey.jpg .env.example id_rsa.pub model.keras vocab.txt
auth.py history.csv token_counts.csv sample.enviroment README.md special_tokens_map.json apple-touch-icon.png
"""


@pytest.mark.parametrize("path", SECRETS.split())
def test_a_name_of_a_secret_is_known(path: str) -> None:
    """Of clouds, ML tools, editors' copies and histories."""
    assert names_secret(path)


@pytest.mark.parametrize("path", ORDINARY.split())
def test_an_ordinary_name_is_left_alone(path: str) -> None:
    """Also where it looks a little like one."""
    assert not names_secret(path)


def test_what_is_sent_of_a_project(tmp_path: Path) -> None:
    """Secrets and caches of ML tools stay out, public certificates and what `include` names go along."""
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBg\n-----END PRIVATE KEY-----\n"
    files = {
        "app.py": "print(1)\n",
        "shipml.toml": 'include = ["netrc"]\n',
        "ca.pem": certificate,
        "both.pem": certificate + key,
        ".streamlit/secrets.toml": "a = 1\n",
        ".streamlit/config.toml": "a = 1\n",
        "netrc": "machine a\n",
        "prod.env": "A=1\n",
        "mlruns/0/meta.yaml": "a: 1\n",
        "wandb/run/a.txt": "a\n",
        ".dvc/cache/a": "a\n",
        "lightning_logs/a": "a\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    sent = {file.path for file in read_project(tmp_path, None).files if file.kind == "file"}
    assert sent == {"app.py", "ca.pem", ".streamlit/config.toml", "netrc"}
