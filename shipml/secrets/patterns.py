"""What secrets look like. Each pattern is linear, and only tried where its literal beginning occurs.

The forms are those of the services' own documentation and of detect-secrets (Yelp), whose import alone takes longer
than this scan may.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["PATTERNS", "SecretPattern"]


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """One kind of secret."""

    kind: str
    anchors: tuple[str, ...]
    """One of them is in every text that holds such a secret."""
    regex: re.Pattern[str]
    """Its first group is the secret, or all of it where there is none."""


def _token(kind: str, body: str, *anchors: str) -> SecretPattern:
    """A token with a beginning of its own, which is not a part of a longer word."""
    start = "|".join(map(re.escape, anchors))
    return SecretPattern(kind, anchors, re.compile(rf"(?<![A-Za-z0-9_+/-])(?:{start}){body}(?![A-Za-z0-9_])"))


PATTERNS: tuple[SecretPattern, ...] = (
    SecretPattern(
        "private key",
        ("PRIVATE KEY", "PuTTY-User-Key-File"),
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr])+[A-Za-z0-9+/=:-]{8}"
            r"|PuTTY-User-Key-File-\d: "
        ),
    ),
    _token("AWS access key", r"[A-Z0-9]{16}", "AKIA", "ASIA", "ABIA"),
    SecretPattern(
        "AWS secret key",
        ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        re.compile(
            r"aws_secret_access_key[\"'\\\]]{0,4}[ \t]{0,9}[=:,][ \t]{0,9}[\"'\\]{0,3}"
            r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
            re.IGNORECASE,
        ),
    ),
    SecretPattern(
        "Azure storage key",
        ("AccountKey=", "SharedAccessKey="),
        re.compile(r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{42,86}={1,2})"),
    ),
    SecretPattern(
        "Azure shared access signature", ("&sig=", "?sig="), re.compile(r"[?&]sig=([A-Za-z0-9%+/]{43,64}(?:%3D|=))")
    ),
    _token("Hugging Face token", r"[A-Za-z0-9]{34,}", "hf_", "api_org_"),
    _token("GitHub token", r"[A-Za-z0-9]{36,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _token("GitHub token", r"[A-Za-z0-9_]{60,}", "github_pat_"),
    _token("GitLab token", r"[A-Za-z0-9_-]{20,}", "glpat-", "gldt-", "glrt-", "glptt-", "gloas-"),
    _token("OpenAI key", r"[A-Za-z0-9_-]{0,100}T3BlbkFJ[A-Za-z0-9_-]{20,}", "sk-"),
    _token("OpenAI key", r"[A-Za-z0-9_-]{40,}", "sk-proj-", "sk-svcacct-"),
    _token("Anthropic key", r"[A-Za-z0-9_-]{32,}", "sk-ant-"),
    _token("Google API key", r"[A-Za-z0-9_-]{35}", "AIza"),
    _token("Google OAuth secret", r"[A-Za-z0-9_-]{24,}", "GOCSPX-"),
    _token("Slack token", r"[A-Za-z0-9-]{20,}", "xoxa-", "xoxb-", "xoxp-", "xoxo-", "xoxs-", "xoxr-", "xapp-"),
    SecretPattern(
        "Slack webhook",
        ("hooks.slack.com/services/",),
        re.compile(r"hooks\.slack\.com/services/T[A-Za-z0-9_]{6,16}/B[A-Za-z0-9_]{6,16}/[A-Za-z0-9_]{20,40}"),
    ),
    _token("Stripe key", r"[A-Za-z0-9]{24,}", "sk_live_", "rk_live_"),
    _token("SendGrid key", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", "SG."),
    _token("npm token", r"[A-Za-z0-9]{36}", "npm_"),
    _token("package index token", r"[A-Za-z0-9_-]{70,}", "pypi-AgEI", "pypi-AgEN"),
    _token("Databricks token", r"[a-f0-9]{32}(?:-\d)?", "dapi"),
    _token("Docker Hub token", r"[A-Za-z0-9_-]{27,}", "dckr_pat_", "dckr_oat_"),
    _token("Replicate token", r"[A-Za-z0-9]{37}", "r8_"),
    _token("DigitalOcean token", r"[a-f0-9]{64}", "dop_v1_", "doo_v1_"),
    _token("Groq key", r"[A-Za-z0-9]{52}", "gsk_"),
    _token("Vault token", r"[A-Za-z0-9_-]{24,}", "hvs."),
    SecretPattern(
        "Weights & Biases key",
        ("WANDB_API_KEY", "wandb.login", "api.wandb.ai"),
        re.compile(
            r"(?:WANDB_API_KEY|wandb\.login\(|api\.wandb\.ai)[^\r\na-f0-9]{0,40}(?:key[^\r\na-f0-9]{0,4})?([a-f0-9]{40})(?![a-z0-9])"
        ),
    ),
    SecretPattern(
        "password in a URL",
        ("://",),
        re.compile(
            r"://[A-Za-z0-9._%+-]{0,64}:([^\s:/?#@\"'\\`$<>{}()*\[\],|]{6,128})@(?!localhost|127\.|0\.0\.0\.0|example)[A-Za-z0-9]"
        ),
    ),
    SecretPattern(
        "password or key",
        ("assw", "ASSW", "ecret", "ECRET", "pi_key", "PI_KEY", "piKey", "ccess_", "ACCESS_", "uth_token", "UTH_TOKEN"),
        re.compile(
            r"(?:passwd|password|secret|secret_?key|api_?key|access_?key|access_?token|auth_?token)"
            r"(?:\\?[\"'])?\]?[ \t]{0,9}[:=][ \t]{0,9}\\?[\"']([^\s\"'\\]{16,128})\\?[\"']",
            re.IGNORECASE,
        ),
    ),
)
