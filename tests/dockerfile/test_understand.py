"""Which Dockerfiles are understood, and as what."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.dockerfile.understand import understand_dockerfile
from shipml.errors import ConfigurationError
from shipml.facts.dockerfile import (
    Copied,
    DockerfileCommand,
    DockerfileUser,
    FollowedDockerfile,
    UnsupportedInstruction,
)
from shipml.project import read_project

USUAL = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.11
FROM python:${VERSION}-slim-bookworm
LABEL maintainer="me <me@example.org>"
ENV PYTHONUNBUFFERED=1 \\
    MODE="a b"
WORKDIR /srv/app
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 ffmpeg=5.* \\
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache pip install --no-cache-dir --upgrade pip && \\
    pip install --no-cache-dir -r requirements.txt "gunicorn>=20" --extra-index-url https://example.org/simple
COPY . .
RUN useradd --create-home -u 1001 runner && chown -R runner /srv/app
USER runner
EXPOSE 8000/tcp
HEALTHCHECK CMD curl -f http://localhost:8000/health || exit 1
CMD ["gunicorn", "-b", "0.0.0.0:8000", "app:app"]
"""


def understood(text: str) -> FollowedDockerfile:
    found = understand_dockerfile(text)
    assert isinstance(found, FollowedDockerfile), found
    return found


def test_a_usual_dockerfile_is_understood_whole() -> None:
    """Base, packages of both kinds, files, environment, user, port, health and command."""
    assert understood(USUAL) == FollowedDockerfile(
        base="python:3.11-slim-bookworm",
        python="3.11",
        image="debian:bookworm",
        working_dir="/srv/app",
        copies=(Copied("requirements.txt", "/srv/app/", 10), Copied("", "/srv/app/", 13)),
        environment=(("PYTHONUNBUFFERED", "1"), ("MODE", "a b")),
        labels=(("maintainer", "me <me@example.org>"),),
        exposed_ports=(8000,),
        user="1001:1001",
        home="/home/runner",
        folders=("/home/runner",),
        users=(DockerfileUser("runner", 1001, 1001, "/home/runner"),),
        command=DockerfileCommand((), ("gunicorn", "-b", "0.0.0.0:8000", "app:app"), "", 18),
        system_packages=(("libgomp1", 8), ("ffmpeg", 8)),
        requirement_files=(("requirements.txt", 11),),
        requirements=(("gunicorn>=20", 11),),
        index_options=("--extra-index-url https://example.org/simple",),
        health_path="/health",
    )


@pytest.mark.parametrize(
    ("body", "line", "because"),
    [
        ("RUN make\n", 2, "make is not understood"),
        ("WORKDIR /a\nRUN pip install x | tee log", 3, "| needs a shell"),
        ("RUN curl -O https://example.org/x", 2, "it downloads https://example.org/x"),
        ("RUN wget -q https://example.org/x | tar xz", 2, "it downloads https://example.org/x"),
        ("RUN pip install ./lib", 2, "what lies in the project"),
        ("RUN pip install --no-deps x", 2, "--no-deps is not understood"),
        ("RUN python train.py", 2, "only an engine keeps"),
        ("RUN cat a > b", 2, "it writes b"),
        ("RUN git clone https://example.org/x", 2, "git clone"),
        ("RUN npm ci", 2, "npm is not understood"),
        ("RUN pip install -r requirements.txt", 2, "requirements.txt is not copied before it is installed"),
        ("COPY --from=x a b", 2, "from the image x"),
        ("COPY --from=ghcr.io/astral-sh/uv:latest /etc/x /x", 2, "from the image ghcr.io"),
        ("COPY ../x /x", 2, "lies outside"),
        ("ADD https://example.org/x /x", 2, "ADD of an address"),
        ("FROM scratch", 2, "has no Python"),
        ("FROM $NAME", 2, "a variable that is not set"),
        ("RUN python3 <<EOF\nprint()\nEOF", 2, "here-documents"),
        ("RUN pip install 'x", 2, "cannot be split"),
        ("RUN [ -d /data ] || mkdir /data", 2, "[ is not understood"),
        ("RUN true || mkdir /data", 2, "|| needs a shell"),
        ("RUN [ -d /data ]", 2, "[ is not understood"),
        ('COPY ["a" "b"]', 2, "not a JSON list of strings"),
        ("COPY [1, 2]", 2, "not a JSON list of strings"),
        ("ENV GREETING=it's", 2, "quotes or brackets do not match"),
        ("LABEL description=it's", 2, "quotes or brackets do not match"),
        ("ARG A='x", 2, "quotes or brackets do not match"),
        ("RUN X=$(date) pip install x", 2, "needs a shell"),
        ("EXPOSE x", 2, "not a TCP port"),
    ],
)
def test_the_first_instruction_that_is_not_understood_is_named(body: str, line: int, because: str) -> None:
    """With its line and the reason."""
    found = understand_dockerfile(f"FROM python:3.11\n{body}\nRUN false\n")
    assert isinstance(found, UnsupportedInstruction)
    assert found.line == line
    assert because in found.sentence


def test_a_name_after_an_address_is_no_remark() -> None:
    """What follows `#egg=` counts; what follows a # that begins a word does not."""
    found = understood(
        "FROM python:3.11\nRUN pip install git+https://example.org/x#egg=y && pip install z # a remark\n"
    )
    assert [text for text, _ in found.requirements] == ["git+https://example.org/x#egg=y", "z"]


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        ('ENTRYPOINT ["a"]\nCMD ["b"]', DockerfileCommand(("a",), ("b",), "", 3)),
        ("CMD python app.py --x $PORT", DockerfileCommand((), (), "python app.py --x $PORT", 2)),
        ('CMD ["a"]\nCMD ["b"]', DockerfileCommand((), ("b",), "", 3)),
        ('ENTRYPOINT python app.py\nCMD ["x"]', DockerfileCommand((), (), "python app.py", 2, is_entrypoint=True)),
        ('CMD ["b"]\nENTRYPOINT ["a"]', DockerfileCommand(("a",), ("b",), "", 3)),
        ('CMD python x.py\nCMD ["b"]', DockerfileCommand((), ("b",), "", 3)),
        ('CMD ["b"]\nENTRYPOINT python app.py', DockerfileCommand((), (), "python app.py", 3, is_entrypoint=True)),
        ('ENTRYPOINT python x.py\nENTRYPOINT ["a"]', DockerfileCommand(("a",), (), "", 3)),
        ('ENTRYPOINT ["a"]\nENTRYPOINT []\nCMD ["b"]', DockerfileCommand((), ("b",), "", 4)),
    ],
)
def test_entrypoint_and_command_follow_dockers_rules(lines: str, command: DockerfileCommand) -> None:
    """Exec and shell form; the last one counts; a shell's entrypoint ignores CMD."""
    assert understood(f"FROM debian:bookworm-slim\n{lines}\n").command == command


def test_arguments_can_be_given() -> None:
    """--build-arg wins over the default."""
    found = understand_dockerfile("ARG V=3.9\nFROM python:$V\nARG P=1\nEXPOSE $P\n", {"V": "3.11", "P": "9000"})
    assert isinstance(found, FollowedDockerfile)
    assert (found.python, found.exposed_ports) == ("3.11", (9000,))


def test_a_requirements_file_that_is_not_there_is_an_error_where_the_dockerfile_is_followed(tmp_path: Path) -> None:
    """As it is for docker; left aside, the Dockerfile's line does not matter."""
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\nCOPY . .\nRUN pip install -r gone.txt\nCMD python app.py\n")
    (tmp_path / "app.py").write_text("print(1)\n")
    with pytest.raises(ConfigurationError, match=r"Dockerfile:3 installs gone\.txt, which is not in the project"):
        read_project(tmp_path, None, dockerfile="follow")
    assert read_project(tmp_path, None).requirements is None


DOCKER_INIT = """\
# syntax=docker/dockerfile:1
ARG PYTHON_VERSION=3.11.9
FROM python:${PYTHON_VERSION}-slim as base
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
WORKDIR /app
ARG UID=10001
RUN adduser \\
    --disabled-password \\
    --gecos "" \\
    --home "/nonexistent" \\
    --shell "/sbin/nologin" \\
    --no-create-home \\
    --uid "${UID}" \\
    appuser
RUN --mount=type=cache,target=/root/.cache/pip \\
    --mount=type=bind,source=requirements.txt,target=requirements.txt \\
    python -m pip install -r requirements.txt
USER appuser
COPY . .
EXPOSE 8000
CMD uvicorn app:app --host=0.0.0.0 --port=8000
"""


def test_what_docker_init_writes_is_followed() -> None:
    """A user by `adduser` with an empty option, requirements that are mounted for one RUN."""
    found = understood(DOCKER_INIT)
    assert (found.user, found.home, found.folders) == ("10001:10001", "/nonexistent", ())
    assert [path for path, _ in found.requirement_files] == ["requirements.txt"]


@pytest.mark.parametrize(
    ("body", "user", "home"),
    [
        ("RUN useradd -m -u 1001 a\nUSER a", "1001:1001", "/home/a"),
        ("RUN useradd -ms /bin/bash a\nUSER a", "1000:1000", "/home/a"),
        ("RUN useradd -r a\nUSER a", "999:999", "/home/a"),
        ("RUN groupadd -g 2000 g && useradd -u 1500 -g g -d /srv/a a\nUSER a", "1500:2000", "/srv/a"),
        ("RUN groupadd --gid 2000 g\nRUN useradd -u 1500 -g g a\nUSER a", "1500:2000", "/home/a"),
        ("RUN useradd b\nRUN useradd a\nUSER a", "1001:1001", "/home/a"),
        ('RUN adduser --system --group --gecos "" a\nUSER a', "100:100", "/home/a"),
    ],
)
def test_users_are_those_that_docker_makes(body: str, user: str, home: str) -> None:
    """Id, group and home by the rules of shadow and of Debian's adduser."""
    found = understood(f"FROM python:3.11\n{body}\n")
    assert (found.user, found.home) == (user, home)


def test_unset_variables_are_empty_where_no_shell_reads_them() -> None:
    """In ENV and LABEL; the PATH of the base stays, to be put in later."""
    found = understood("FROM python:3.11\nARG SHA\nENV A=/x:$A B=${B} PATH=/x/bin:${PATH}\nLABEL sha=$SHA\n")
    assert dict(found.environment) == {"A": "/x:", "B": "", "PATH": "/x/bin:$PATH"}
    assert dict(found.labels) == {"sha": ""}


def test_a_folder_is_one_without_a_slash_at_its_end() -> None:
    """`COPY . /app` makes what a later RUN in it reads; what pip is asked to install is kept, uv too."""
    found = understood(
        "FROM python:3.11\nWORKDIR /app\nCOPY . /app\nRUN pip install -r requirements.txt\n"
        "RUN pip install pip uv setuptools\n"
    )
    assert [path for path, _ in found.requirement_files] == ["requirements.txt"]
    assert [text for text, _ in found.requirements] == ["uv", "setuptools"]


def test_a_dockerignore_of_the_dockerfiles_own_comes_first(tmp_path: Path) -> None:
    """As BuildKit has it: the other one is not read."""
    for name, text in {
        "Dockerfile": "FROM python:3.11\n",
        "Dockerfile.dockerignore": "a.txt\n",
        ".dockerignore": "b.txt\n",
        "a.txt": "a",
        "b.txt": "b",
        "app.py": "",
    }.items():
        (tmp_path / name).write_text(text)
    sent = {file.path for file in read_project(tmp_path, None).files}
    assert {"b.txt", "app.py"} <= sent
    assert "a.txt" not in sent


def test_output_that_is_thrown_away_needs_no_shell() -> None:
    """`> /dev/null 2>&1` changes nothing of what is installed."""
    found = understood("FROM python:3.11\nRUN pip install -q six > /dev/null 2>&1 && echo done\n")
    assert [text for text, _ in found.requirements] == ["six"]
