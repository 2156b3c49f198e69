"""Dockerfiles that install with other tools than pip, in stages, and with what a shell would do."""

from __future__ import annotations

import pytest

from shipml.dockerfile.follow import process_of
from shipml.dockerfile.understand import understand_dockerfile
from shipml.facts.dockerfile import FollowedDockerfile

START = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\n"


def understood(text: str) -> FollowedDockerfile:
    found = understand_dockerfile(text)
    assert isinstance(found, FollowedDockerfile), found
    return found


@pytest.mark.parametrize(
    ("body", "files", "itself", "requirements"),
    [
        ("RUN pip install poetry && poetry install --no-root --only main", ("pyproject.toml",), False, ()),
        ("RUN poetry config virtualenvs.create false && poetry install", ("pyproject.toml",), True, ()),
        (
            "RUN pip install poetry\nRUN poetry export -o r.txt\nRUN pip install -r r.txt",
            ("pyproject.toml",),
            False,
            (),
        ),
        ("RUN poetry export > r.txt && pip install -r r.txt gunicorn", ("pyproject.toml",), False, ("gunicorn",)),
        (
            "RUN curl -sSL https://install.python-poetry.org | python3 - && poetry install",
            ("pyproject.toml",),
            True,
            (),
        ),
        ("RUN pip install pipenv && pipenv install --system --deploy", ("Pipfile",), False, ()),
        ("RUN pip install uv && uv sync --frozen --no-install-project", ("pyproject.toml",), False, ()),
        ("RUN curl -LsSf https://astral.sh/uv/install.sh | sh && uv sync", ("pyproject.toml",), True, ()),
        ("RUN uv pip install --system fastapi", (), False, ("fastapi",)),
        ("RUN conda env create -f env.yml && conda clean -afy", ("env.yml",), False, ()),
        ("RUN micromamba install -y -n base -f environment.yaml", ("environment.yaml",), False, ()),
        ("RUN python -m pip install .", ("pyproject.toml",), True, ()),
        ("RUN pip install -e .[serve]", ("pyproject.toml",), True, ()),
        ("RUN python -m venv /opt/venv && /opt/venv/bin/pip install six", (), False, ("six",)),
        ("RUN PIP_NO_CACHE_DIR=1 pip install six || true", (), False, ("six",)),
        ("RUN set -eux; cd /app && export A=1 && pip install six", (), False, ("six",)),
        ("RUN <<EOF\nset -e\n# first\npip install \\\n  six\nEOF", (), False, ("six",)),
        ("RUN python -m spacy download en_core_web_sm", (), False, ("en-core-web-sm",)),
    ],
)
def test_what_a_tool_installs_is_what_the_projects_own_file_says(
    body: str, files: tuple[str, ...], itself: bool, requirements: tuple[str, ...]
) -> None:
    """The tool itself is not needed; a file that it exports stands for the project's own."""
    found = understood(f"{START}{body}\n")
    assert (found.project_files, found.installs_itself) == (files, itself)
    assert tuple(text for text, _ in found.requirements) == requirements
    assert found.skipped == ()


def test_conda_installs_by_name_and_pip_takes_constraints() -> None:
    """Both are kept with their lines; a file is looked for where `cd` has led."""
    found = understood(
        f"{START}RUN conda install -y -c conda-forge numpy=1.26\nRUN cd sub && pip install -c c.txt six\n"
    )
    assert found.conda_packages == (("numpy=1.26", 4),)
    assert found.constraint_files == (("sub/c.txt", 5),)


BUILDER = "FROM python:3.12 AS build\nWORKDIR /app\nCOPY requirements.txt pyproject.toml ./\n"


@pytest.mark.parametrize(
    ("first", "second", "sources", "files"),
    [
        ("RUN pip install --prefix=/install -r requirements.txt\n", "COPY --from=build /install /usr/local", (), True),
        ("RUN pip install --user -r requirements.txt\n", "COPY --from=build /root/.local /root/.local", (), True),
        (
            "RUN python -m venv /opt/venv\nRUN /opt/venv/bin/pip install -r requirements.txt\n",
            "COPY --from=0 /opt/venv /opt/venv",
            (),
            True,
        ),
        (
            "RUN pip wheel -w /wheels -r requirements.txt\n",
            "COPY --from=build /wheels /wheels\nRUN pip install /wheels/*",
            (),
            True,
        ),
        ("RUN pip install -r requirements.txt\nCOPY src src\n", "COPY --from=build /app/src /srv", ("src",), False),
        ("COPY . .\n", "COPY --from=build /app/models/m.pkl /m/", ("models/m.pkl",), False),
    ],
)
def test_a_last_stage_takes_over_files_and_packages(
    first: str, second: str, sources: tuple[str, ...], files: bool
) -> None:
    """Of a stage that is understood: where its files came from, and what it installed."""
    found = understood(f"{BUILDER}{first}FROM python:3.12-slim\n{second}\n")
    assert tuple(copied.source for copied in found.copies) == sources
    assert bool(found.requirement_files) == files


def test_a_stage_goes_on_from_another_and_uv_is_taken_from_its_image() -> None:
    """Variables, users and files of the earlier stage are there; stages that nothing needs do not matter."""
    found = understood(
        "FROM node:20 AS web\nRUN npm ci\nFROM python:3.12-slim AS base\nENV A=1\nRUN useradd -m me\n"
        "FROM base AS final\nCOPY --from=ghcr.io/astral-sh/uv:0.5 /uv /uvx /bin/\n"
        "RUN --mount=from=ghcr.io/astral-sh/uv,source=/uv,target=/bin/uv uv sync --no-dev\n"
        'USER me\nCMD ["uv", "run", "--no-sync", "app.py"]\n'
    )
    assert dict(found.environment) == {"A": "1"}
    assert (found.user, found.project_files) == ("1000:1000", ("pyproject.toml",))
    assert [one.command for one in process_of(found)] == ["python app.py"]


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        ('CMD ["poetry", "run", "gunicorn", "app:app"]', "gunicorn app:app"),
        ("CMD pipenv run python app.py", "python app.py"),
        ('CMD ["conda", "run", "--no-capture-output", "-n", "env", "python", "x.py"]', "python x.py"),
        ('ENTRYPOINT ["/app/.venv/bin/uvicorn"]\nCMD ["m:app"]', "uvicorn m:app"),
        ('RUN python -m venv /v\nCMD ["/v/bin/python", "x.py"]', "python x.py"),
        ('CMD ["uv", "run", "-m", "pkg"]', "python -m pkg"),
        ('CMD ["/usr/bin/env", "python", "x.py"]', "/usr/bin/env python x.py"),
    ],
)
def test_a_command_in_an_environment_is_the_command(lines: str, command: str) -> None:
    """The image has one environment: what runs a program in another is left out."""
    assert [one.command for one in process_of(understood(f"{START}{lines}\n"))] == [command]


@pytest.mark.parametrize(
    "body",
    [
        "RUN apk add --no-cache gcc",
        "RUN touch x.log && pip install six",
        "RUN ln -s /usr/bin/python3 /usr/bin/py",
        "RUN python -c \"import nltk; nltk.download('punkt')\"",
        "RUN sed -i 's/a/b/' /etc/apt/sources.list",
        "RUN pytest",
        "RUN locale-gen en_US.UTF-8",
        "USER somebody",
        "EXPOSE 53/udp",
    ],
)
def test_what_the_image_can_do_without_is_left_out(body: str) -> None:
    """It is kept with its line and a reason; what else stands in a line is carried out."""
    found = understood(f"{START}{body}\nCMD python x.py\n")
    assert [one.line for one in found.skipped] == [4]
    assert [text for text, _ in found.requirements] == ["six"] * ("six" in body)


def test_files_of_the_dockerfile_and_modes_are_kept() -> None:
    """`COPY <<EOF`, `chmod +x`, `COPY --chmod`; VOLUME changes nothing."""
    found = understood(
        f"{START}ENV NAME=you\nCOPY <<EOF /app/run.sh\n#!/bin/sh\necho $NAME\nEOF\n"
        "COPY --chmod=755 entry.sh /\nRUN chmod +x run.sh && chmod 644 app.py\nVOLUME /data\n"
    )
    assert found.written == (("/app/run.sh", "#!/bin/sh\necho you\n"),)
    assert found.executables == ("/entry.sh", "/app/run.sh")
    assert found.skipped == ()


@pytest.mark.parametrize(
    ("body", "extras", "groups"),
    [
        ("RUN uv sync --extra web --group=serve --group x", ("web",), ("serve", "x")),
        ('RUN poetry install --with a,b --extras "c d" -E e', ("c", "d", "e"), ("a", "b")),
        ("RUN poetry install --only main", (), ()),
        ("RUN pip install .[serve,web]", ("serve", "web"), ()),
    ],
)
def test_extras_and_groups_that_a_tool_names_are_kept(
    body: str, extras: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    """They are wanted as far as pyproject.toml has them."""
    found = understood(f"{START}{body}\n")
    assert (found.extras, found.groups) == (extras, groups)
