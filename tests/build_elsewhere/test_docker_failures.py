"""Why builds fail: one cause, one command, recognised in what real programs print."""

from __future__ import annotations

import pytest

from shipml.build_elsewhere.failures import explain_failure
from shipml.errors import (
    BuildError,
    NotAllowedError,
    ResolutionError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
)

EXIT_1 = 'process "/bin/sh -c x" did not complete successfully: exit code: 1'

PIP_NO_VERSION = """\
Collecting tensorflow==1.15
ERROR: Could not find a version that satisfies the requirement tensorflow==1.15 (from versions: 2.16.0rc0, 2.16.1)
ERROR: No matching distribution found for tensorflow==1.15
"""
PIP_CONFLICT = """\
ERROR: Cannot install -r requirements.txt (line 1) and numpy==2.1.0 because these package versions have conflicting \
dependencies.

The conflict is caused by:
    The user requested numpy==2.1.0
    pandas 1.5.3 depends on numpy>=1.21.0; python_version >= "3.10"

ERROR: ResolutionImpossible: for help visit https://pip.example.org/topics/dependency-resolution/
"""
PIP_HASHES = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, \
please update the hashes.
"""
PIP_CERTIFICATE = """\
WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'SSLError(SSLCertVerificationError(1, \
'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:992)'))'
ERROR: Could not find a version that satisfies the requirement six (from versions: none)
ERROR: No matching distribution found for six
"""
NO_LIBRARY = """\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "/usr/local/lib/python3.11/site-packages/cv2/__init__.py", line 181, in <module>
    bootstrap()
ImportError: libGL.so.1: cannot open shared object file: No such file or directory
"""
NO_HEADER = """\
      psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory
         36 | #include <libpq-fe.h>
      compilation terminated.
      error: command '/usr/bin/gcc' failed with exit code 1
"""
RATE_LIMIT = (
    "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
)
DENIED = (
    "pull access denied for private/app, repository does not exist or may require 'docker login': denied: requested "
    "access to the resource is denied"
)


@pytest.mark.parametrize(
    ("said", "log", "kind", "cause", "command"),
    [
        (EXIT_1, "tar: write error: No space left on device\n", BuildError, "disk is full", "docker system prune"),
        ("failed to copy: write /var/lib/x: no space left on device", "", BuildError, "disk is full", "system prune"),
        (EXIT_1.replace("1", "137"), "Building wheel\nKilled\n", BuildError, "memory ran out", "more memory"),
        ("The command '/bin/sh -c x' returned a non-zero code: 137", "", BuildError, "memory ran out", "more memory"),
        (EXIT_1, "c++: fatal error: Killed signal terminated program cc1plus\n", BuildError, "memory ran out", "-j1"),
        (EXIT_1, PIP_NO_VERSION, ResolutionError, "tensorflow==1.15", "pip index versions tensorflow"),
        (EXIT_1, PIP_CONFLICT, ResolutionError, "contradict", "shipml plan"),
        (EXIT_1, PIP_HASHES, ResolutionError, "hash", "--upgrade"),
        (EXIT_1, PIP_CERTIFICATE, UnavailableError, "certificate", "export SSL_CERT_FILE="),
        (EXIT_1, NO_LIBRARY, BuildError, "libGL.so.1 is missing", "apt-get install -y --no-install-recommends libgl1"),
        (EXIT_1, NO_LIBRARY.replace("libGL.so.1", "libweird.so.3"), BuildError, "libweird.so.3", "apt-file search"),
        (EXIT_1, NO_HEADER, BuildError, "libpq-fe.h is missing", "libpq-dev"),
        ("exec /bin/sh: exec format error", "", UnavailableError, "another kind of machine", "binfmt"),
        (RATE_LIMIT, "", TryAgainError, "how often", "docker login"),
        (DENIED, "", NotAllowedError, "private", "docker login"),
        (EXIT_1, "E: Temporary failure resolving 'mirror.example.org'\n", TryAgainError, "network", "HTTPS_PROXY"),
    ],
)
def test_the_cause_and_the_command(said: str, log: str, kind: type[ShipmlError], cause: str, command: str) -> None:
    """Each known failure names its cause and the command that mends it, and where the whole log is."""
    error = explain_failure(said, log, step="RUN x", log="/home/ann/logs/build.log")
    assert type(error) is kind
    assert cause in error.message
    assert "`RUN x`" in error.message
    assert command in error.hint
    assert error.hint.endswith("the whole log: /home/ann/logs/build.log")


def test_an_unknown_failure_shows_the_programs_own_words() -> None:
    """Where no rule fits, the last line that speaks of an error is shown, not the engine's wrapping."""
    error = explain_failure(EXIT_1, "starting\nValueError: no flowers\ncleaning up\n", step="RUN python train.py")
    assert error.message == "the build failed in `RUN python train.py`: ValueError: no flowers"


def test_without_output_the_engine_is_quoted() -> None:
    """Where programs printed nothing, the engine's words are all there is."""
    assert explain_failure("dockerfile parse error line 1: unknown instruction: FORM", "").message.endswith("FORM")


def test_messages_stay_short() -> None:
    """A log line of a megabyte is not repeated in whole."""
    assert len(explain_failure(EXIT_1, "Error: " + "x" * 1_000_000).message) < 500
