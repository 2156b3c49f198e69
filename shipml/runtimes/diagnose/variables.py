"""A variable that the program needs, and that nothing sets."""

from __future__ import annotations

import re

from shipml.runtimes.diagnose.failure import Failure, telling

__all__ = ["missing_variable"]

_READ = re.compile(r"environ(?:\[|b\[|\.pop\(|\.__getitem__)|from_env|\benv\[")
_KEY_ERROR = re.compile(r"KeyError: ['\"](?P<name>[A-Za-z_][A-Za-z0-9_]{0,100})['\"]")
_MAY_BE_NONE = re.compile(r"(?:getenv|environ\.get)\(\s*[rf]?['\"](?P<name>[A-Za-z_][A-Za-z0-9_]{0,100})['\"]\s*\)")
_NONE = re.compile(r"NoneType|\bNone\b")
_SAID = (
    re.compile(r"(?P<name>[A-Z][A-Z0-9_]{2,100}) not found\. Declare it as envvar"),  # python-decouple
    re.compile(r"[Ee]nvironment variable ['\"`]?(?P<name>[A-Za-z_][A-Za-z0-9_]{2,100})['\"`]?"),
    re.compile(r"(?:[Ss]et|[Mm]issing|[Ee]xport) (?:the )?['\"`$]?(?P<name>[A-Z][A-Z0-9_]{2,100})\b"),
    re.compile(
        r"\b(?P<name>[A-Z][A-Z0-9_]{2,100})['\"`]? "
        r"(?:environment variable|env var|(?:is|was|must be) (?:not )?(?:set|missing))"
    ),
    re.compile(r"(?P<name>[A-Z][A-Z0-9_]{2,100}(?:_KEY|_TOKEN|_SECRET|_PASSWORD|_URL|_ID|_ENDPOINT))\b"),
)
_IS_ABOUT_VARIABLES = re.compile(
    r"environment|env ?var|not set|missing|api[ _-]?key|Declare it|[Ss]et the", re.IGNORECASE
)
_VALIDATION = re.compile(r"validation errors? for (?P<model>\w{1,100})")
_FIELD = re.compile(r"^(?P<name>[A-Za-z_]\w{0,100})\n\s+[Ff]ield required", re.MULTILINE)
_IS_SETTINGS = re.compile(r"pydantic_settings|BaseSettings|[Ss]ettings|[Cc]onfig|[Ee]nv")
_CLOUDS = (
    (re.compile(r"NoCredentialsError|Unable to locate credentials"), "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    (re.compile(r"NoRegionError|You must specify a region"), "AWS_DEFAULT_REGION"),
    (re.compile(r"DefaultCredentialsError|default credentials were not found"), "GOOGLE_APPLICATION_CREDENTIALS"),
    (
        re.compile(r"DefaultAzureCredential failed|EnvironmentCredential authentication unavailable"),
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_SECRET",
    ),
)


def missing_variable(failure: Failure, image: str) -> str:
    """What helps where the program lacks a variable; "" where it names none."""
    names = _names(telling(failure.words))
    if not names:
        return ""
    options = " ".join(f"-e {name}=…" for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    given = next((f" (or --env-file {one.path})" for one in failure.left_out if _is_env_file(one.path)), "")
    return f"set it for the test: shipml run{image} {options}{given}; for push and CI: smoke.env = [{listed}]"


def _is_env_file(path: str) -> bool:
    return path.rpartition("/")[2] == ".env"


def _names(words: str) -> tuple[str, ...]:
    last = "\n".join(words.splitlines()[-15:])
    if (found := _KEY_ERROR.search(last)) and (_READ.search(words) or (found["name"].isupper() and "os.py" in words)):
        return (found["name"],)
    if (found := _VALIDATION.search(words)) and (_IS_SETTINGS.search(found["model"]) or "pydantic_settings" in words):
        return tuple(dict.fromkeys(name.upper() for name in _FIELD.findall(words)))
    for pattern, *names in _CLOUDS:
        if pattern.search(last):
            return tuple(names)
    if _NONE.search(last) and (read := list(_MAY_BE_NONE.finditer(words))):
        return (read[-1]["name"],)
    if _IS_ABOUT_VARIABLES.search(last):
        return next(((match["name"],) for pattern in _SAID if (match := pattern.search(last))), ())
    return ()
