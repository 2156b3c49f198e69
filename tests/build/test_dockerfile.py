"""The equivalent Dockerfile."""

from __future__ import annotations

import dataclasses

from shipml.build.dockerfile import dockerfile
from shipml.facts.plan import ImageBasePin, Plan
from shipml.oci.digest import Digest


def test_every_part_of_the_plan_is_in_the_dockerfile(plan: Plan) -> None:
    """Python, system packages, pinned wheels, environment, user, files and command all appear."""
    text = dockerfile(plan)
    for part in (
        "FROM --platform=linux/amd64 python:3.11-slim-bookworm",
        "libgomp1",
        f"'joblib==1.5.2 --hash={plan.wheels[0].digest}'",
        'ENV LANG="C.UTF-8"',
        'PATH="/opt/venv/bin:/usr/bin"',
        "USER 65532",
        'COPY --chown=65532:65532 ["app.py", "go.sh", "./"]',
        "RUN ln -s -- models/weights.bin ./latest && chown -h 65532:65532 ./latest",
        'COPY --chown=65532:65532 ["models/", "./models/"]',
        "EXPOSE 8080",
        'CMD ["python", "app.py"]',
    ):
        assert part in text


def test_an_image_as_base_is_pinned_and_its_own_python_used(plan: Plan) -> None:
    """FROM names the digest, the environment is made by the image's Python, and its entrypoint is not inherited."""
    digest = Digest("5" * 64)
    base = ImageBasePin(
        "registry.example.org/py:1", digest, "3.11.2", "2.36", "/opt/conda/bin/python3.11", plan.platform, ()
    )
    text = dockerfile(dataclasses.replace(plan, base=base))
    assert f"FROM --platform=linux/amd64 registry.example.org/py:1@{digest}\n" in text
    assert "RUN /opt/conda/bin/python3.11 -m venv --without-pip /opt/venv" in text
    assert " && /opt/conda/bin/python3.11 -m pip --python /opt/venv/bin/python install" in text
    assert "ENTRYPOINT []" in text


def test_values_cannot_break_out_of_their_instruction(plan: Plan) -> None:
    """Quotes, dollars and line ends in a value are escaped."""
    assert r'title="the \"iris\" \$project"' in dockerfile(plan)
    hostile = dataclasses.replace(plan, environment=(("A", 'x"\nRUN touch /owned'),))
    assert "\nRUN touch" not in dockerfile(hostile)


def test_what_is_left_out_is_told_for_the_dockerignore(plan: Plan) -> None:
    """Patterns that shipml excludes are listed, since COPY would take those files."""
    assert "#   .env" in dockerfile(plan, ignored=[".env", ".git"])
    assert ".dockerignore" not in dockerfile(plan)


def test_a_root_image_adds_no_user(plan: Plan) -> None:
    """As root nothing is chowned and no user is made."""
    text = dockerfile(dataclasses.replace(plan, user="root"))
    assert "useradd" not in text
    assert "chown" not in text
