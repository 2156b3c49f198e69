"""Projects with pins of years ago, from the folder to runs in the sandbox and in an engine; nothing is configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml import PlanRequest, Shipml
from shipml.plan import Plan
from tests.peers.engine import Engine

pytestmark = [pytest.mark.network, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

_IRIS = """\
import joblib
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

data = load_iris(as_frame=True)
frame = pd.concat([data.data, data.target], axis=1)
model = LogisticRegression(max_iter=500).fit(frame.iloc[:, :4].values, frame.target)
joblib.dump(model, "model.joblib")
print("accuracy:", round(joblib.load("model.joblib").score(frame.iloc[:, :4].values, frame.target), 4))
"""
_FLASK = """\
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/predict")
def predict():
    return jsonify(species="setosa", petal=float(request.args.get("petal", 1.4)))


if __name__ == "__main__":
    app.run(debug=True)
"""


@pytest.fixture(scope="module")
def session(shared_home: Path) -> Iterator[Shipml]:
    """A session where the base is."""
    with Shipml(home=shared_home) as opened:
        yield opened


def built(session: Shipml, folder: Path, requirements: str, program: str) -> Plan:
    folder.mkdir()
    (folder / "requirements.txt").write_text(requirements)
    (folder / "app.py").write_text(program)
    session.build(PlanRequest(folder=folder), load=False)
    return session.plan(PlanRequest(folder=folder))


def versions(plan: Plan) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in plan.wheels}


@pytest.fixture(params=["sandbox", "docker"])
def runtime(request: pytest.FixtureRequest, docker_20: Engine, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each runtime in turn."""
    monkeypatch.setenv("DOCKER_HOST", docker_20.host)
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def tutorial(session: Shipml, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The tutorial's Iris with the pins of December 2021."""
    folder = tmp_path_factory.mktemp("old") / "tutorial"
    return built(session, folder, "scikit-learn==1.0.2\npandas==1.3.5\njoblib==1.1.0\n", _IRIS)


def test_the_tutorials_pins_get_the_numpy_of_their_time(tutorial: Plan, session: Shipml, runtime: str) -> None:
    """Today's numpy 2 would end in "numpy.dtype size changed"; on the newest Python there is no wheel at all."""
    assert (tutorial.python, versions(tutorial)["numpy"], versions(tutorial)["scipy"]) == ("3.9", "1.21.5", "1.7.3")
    assert any(one.what == "index" and one.value.startswith("as of 2021-12") for one in tutorial.decisions)
    result = session.run("tutorial", runtime=runtime)
    assert result.passed, result.output
    assert result.measures["accuracy"] > 0.9


@pytest.fixture(scope="module")
def of_2019(session: Shipml, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Pins of 2019, for Pythons that no base has any more."""
    folder = tmp_path_factory.mktemp("old") / "of-2019"
    program = "import numpy, idna\nprint('accuracy:', numpy.ones(3).mean())\n"
    return built(session, folder, "numpy==1.17.4\nidna==2.8\n", program)


def test_a_project_of_2019_runs(of_2019: Plan, session: Shipml, runtime: str) -> None:
    """The pin without a wheel for any Python at hand moves to the next release that has one, and this is said."""
    found = versions(of_2019)
    assert found["idna"] == "2.8"
    assert found["numpy"].startswith("1.")
    if found["numpy"] != "1.17.4":
        assert any("numpy==1.17.4 → numpy==" in one.value for one in of_2019.decisions)
    assert dict(session.run("of-2019", runtime=runtime).measures) == {"accuracy": 1.0}


@pytest.fixture(scope="module")
def flask_app(session: Shipml, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A Flask app of 2020; today's MarkupSafe, Jinja2 and Werkzeug would break it."""
    folder = tmp_path_factory.mktemp("old") / "flask-app"
    return built(session, folder, "Flask==1.1.2\ngunicorn==20.0.4\n", _FLASK)


def test_a_flask_app_of_2020_answers_a_prediction(flask_app: Plan, session: Shipml, runtime: str) -> None:
    """Its server is gunicorn, and its own route is asked over HTTP."""
    assert flask_app.command[-4:] == ("gunicorn", "--bind", "0.0.0.0:$PORT", "app:app")
    assert versions(flask_app)["werkzeug"].startswith("1.")
    result = session.run("flask-app", runtime=runtime)
    assert result.passed, result.output
    assert "/predict answered 200" in result.because
