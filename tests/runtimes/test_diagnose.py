"""What is proposed after a failed smoke test, from the program's own words."""

from __future__ import annotations

import pytest

from shipml.facts.plan import SmokeCheck
from shipml.runtimes.diagnose import Failure, LeftOut, SettingsPlace, remedy

LEFT_OUT = (
    LeftOut("models/m.pkl", ".dockerignore:1"),
    LeftOut("data/", "exclude"),
    LeftOut("server.pem", "may hold a secret", is_safeguard=True),
)
TRACE = 'Traceback (most recent call last):\n  File "/app/app.py", line 3, in <module>\n'


@pytest.mark.parametrize(
    ("words", "exit_code", "expected"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'models/m.pkl'", 1, ".dockerignore:1"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/app/data/x.csv'", 1, "include"),
        ("h5py: unable to open file (name = './models/m.pkl', errno = 2)", 1, 'include = ["models/m.pkl"]'),
        ("NoSuchFile: Load model from /srv/app/models/m.pkl failed", 1, ".dockerignore:1"),
        ("OSError: server.pem: no certificate", 1, 'include = ["server.pem"]'),
        ("XGBoostError: Opening model.joblib failed", 1, "train.py:5"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'model.joblib'", 1, "train.py:5"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'other.csv'", 1, "shipml plan"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/home/ann/x.csv'", 1, "another machine"),
        ("PermissionError: [Errno 13] Permission denied: '/.cache'", 1, "/tmp"),
        ("OSError: [Errno 30] Read-only file system: '/opt/venv/x'", 1, "/tmp"),
        ("    key = os.environ['OPENAI_API_KEY']\nKeyError: 'OPENAI_API_KEY'", 1, "-e OPENAI_API_KEY="),
        (
            "openai.OpenAIError: api_key must be set, missing OPENAI_API_KEY environment variable",
            1,
            "-e OPENAI_API_KEY",
        ),
        ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", 1, "--network"),
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries: NameResolutionError", 1, "--network"),
        ("ModuleNotFoundError: No module named 'shap'", 1, "shap"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'", 1, 'system-packages = ["ffmpeg"]'),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/bin/sh'", 1, "--with-shell"),
        ("  >>> nltk.download('punkt_tab')\n", 1, "punkt_tab"),
        ("OSError: [E050] Can't find model 'en_core_web_sm'.", 1, "en-core-web-sm"),
        ("", 139, "PYTHONFAULTHANDLER"),
        ("", 137, "--memory"),
        ("", 135, "--shm-size"),
        ("", 132, "another CPU"),
        ("ValueError: x", 1, "shipml build"),
    ],
)
def test_the_programs_own_words(words: str, exit_code: int, expected: str) -> None:
    """Each known way to fail has its own next step."""
    failure = Failure(
        "exit-code", exit_code, TRACE + words, left_out=LEFT_OUT, written_by={"model.joblib": "train.py:5"}
    )
    assert expected in remedy(failure, SmokeCheck())


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure("still-running"), "--timeout"),
        (Failure("still-running", listeners=("0.0.0.0:8000",)), "0.0.0.0:8000"),
        (Failure("no-answer"), "0.0.0.0"),
        (Failure("unreachable", listeners=("127.0.0.1:7860",)), "7860"),
        (Failure("http-refused"), "--http"),
        (Failure("memory"), "--memory"),
        (Failure("processes"), "fewer"),
        (Failure("cannot-start", 127, program="bash"), "--with-shell"),
        (Failure("cannot-start", 127, program="train"), "command"),
        (Failure("measure", 0, measure="acuracy", measures=("accuracy", "loss")), "did you mean accuracy"),
        (Failure("measure", 0, measure="accuracy", measures=("loss",)), "print("),
        (Failure("measure", 0), "minimum"),
        (Failure("did-nothing", 0), "command"),
        (Failure("expected", 0), "--expect"),
    ],
)
def test_each_kind_has_its_remedy(failure: Failure, expected: str) -> None:
    """What the runtime itself found out decides before the program's words."""
    assert expected in remedy(failure, SmokeCheck())


def test_with_a_network_the_network_is_not_proposed() -> None:
    """What is there already is no remedy."""
    failure = Failure("exit-code", 1, "socket.gaierror: [Errno -2] Name or service not known")
    assert "--network" not in remedy(failure, SmokeCheck(network=True))


def test_a_setting_is_named_where_it_works() -> None:
    """What is included already stays, and the line goes where the project's settings are."""
    words = TRACE + "FileNotFoundError: [Errno 2] No such file or directory: 'models/m.pkl'"
    place = SettingsPlace("pyproject.toml", ("a.bin",))
    hint = remedy(Failure("exit-code", 1, words, left_out=LEFT_OUT, settings=place), SmokeCheck())
    assert 'include = ["a.bin", "models/m.pkl"] under [tool.shipml] of pyproject.toml' in hint
