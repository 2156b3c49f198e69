"""Builds by ACR Tasks: the real SDK at the stand-in, which puts an image into the real CNCF registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shipml.azure.runs import Run, RunLog, Runs
from shipml.azure.session import AzureOptions, AzureSession
from shipml.build.builder import BuildContext
from shipml.build.choose import DockerOptions
from shipml.build_elsewhere.acr_tasks import AcrTasksBuilder, Patience
from shipml.build_elsewhere.in_azure import AzureBuild
from shipml.errors import (
    BuildError,
    NotAllowedError,
    PlanError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UntrustedInputError,
    UsageError,
)
from shipml.events import (
    Event,
    Notice,
    OutputReceived,
    StepFinished,
    StepProgressed,
    StepStarted,
)
from shipml.facts.plan import Decision, Plan
from shipml.oci.image import read_config
from shipml.oci.reference import Reference
from shipml.project import Settings
from shipml.store import Store
from tests.azure_fixtures import ActAs
from tests.peers.acr_tasks import AcrTasks
from tests.peers.azure_cloud import AzureCloud
from tests.peers.faults import Fault
from tests.peers.marks import find_marks
from tests.peers.task_builds import Job, assemble

pytestmark = [pytest.mark.engine]

NAME = Reference.parse("demoint.azurecr.io/ml/churn:1.0")
HASTY = Patience(first_seconds=0.01, longest_seconds=0.05)
DOCKERFILE = 'FROM python:3.11-slim\nWORKDIR /srv\nENV STAGE=cloud\nCOPY . .\nCMD ["python", "app.py"]\n'


@pytest.fixture
def azure(azure_cloud: AzureCloud, act_as: ActAs) -> Iterator[AzureSession]:
    """A session as who may do everything in the subscription."""
    act_as("developer")
    with AzureSession(AzureOptions(cloud="public")) as session:
        yield session
    azure_cloud.tasks.reset()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a Dockerfile, something to leave out, and something that nobody should send."""
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "app.py").write_text("print('hi')\n")
    (folder / "data.csv").write_text("1\n" * 1000)
    (folder / ".dockerignore").write_text("*.csv\n")
    (folder / ".env").write_text("TOKEN=x\n")
    return folder


def _builder(azure: AzureSession, home: Path, options: DockerOptions | None = None) -> AcrTasksBuilder:
    runs = Runs(azure.manager(), azure.registry(NAME.registry), pause_seconds=0)
    return AcrTasksBuilder(runs, (NAME, NAME.with_tag("stable")), home=home, options=options, patience=HASTY)


def _no_plan() -> Plan:
    raise AssertionError("the folder has a Dockerfile")


def test_a_folder_with_a_dockerfile_becomes_an_image_in_the_registry(
    azure: AzureSession, project: Path, store: Store
) -> None:
    """Under all its names; the report has its digest, and the store knows it without having its layers."""
    seen: list[Event] = []
    names = (Reference.parse("ml/churn:1.0"), NAME.with_tag("stable"))
    labels = (("org.example.note", 'a "quoted" word'),)
    build = AzureBuild(project, names, Settings(), DockerOptions(labels=labels), Decision("builder", "acr", "asked"))
    report = build.run(azure, store, seen.append, _no_plan)
    assert report.references == (str(NAME), str(NAME.with_tag("stable")))
    assert (report.builder, report.platform, len(report.layers)) == ("acr", "linux/amd64", 1)
    image = store.image(report.digest)
    assert store.resolve(str(NAME)).digest == report.digest
    assert not store.has_blob(image.layers[0].digest, image.layers[0].size_bytes)
    config = read_config(image)["config"]
    assert (config["Cmd"], config["WorkingDir"]) == (["python", "app.py"], "/srv")
    assert config["Labels"] == {"org.example.note": 'a "quoted" word'}
    output = b"".join(event.data for event in seen if isinstance(event, OutputReceived))
    assert b"Step 1/6 : FROM python:3.11-slim" in output
    assert output.rstrip().endswith(b"was successful")
    assert find_marks("".join(map(repr, seen))) == []


def test_azure_builds_on_allowed_bases_alone(
    azure_cloud: AzureCloud, azure: AzureSession, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The organisation's rule counts for each stage of a Dockerfile, before anything is sent."""
    rules = project.parent / "company.toml"
    rules.write_text('allowed-bases = ["python:3.12-*"]\n')
    monkeypatch.setenv("SHIPML_CONFIG", str(rules))
    jobs: list[Job] = []
    azure_cloud.tasks.build = lambda job: jobs.append(job) or assemble(job)  # type: ignore[func-returns-value]
    with pytest.raises(PlanError) as caught:
        _builder(azure, project.parent / "home").build_folder(BuildContext(project, lambda _: None))
    assert "python:3.12-*" in caught.value.hint
    assert not jobs


def test_what_is_sent_is_what_docker_would_send(azure_cloud: AzureCloud, azure: AzureSession, project: Path) -> None:
    """.dockerignore counts, progress is told in bytes, and a file that may hold a secret is named."""
    seen: list[Event] = []
    jobs: list[Job] = []
    azure_cloud.tasks.build = lambda job: jobs.append(job) or assemble(job)  # type: ignore[func-returns-value]
    options = DockerOptions(build_arguments=(("A", "b"),), no_cache=True)
    _builder(azure, project.parent / "home", options).build_folder(BuildContext(project, seen.append))
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(jobs[0].context), mode="r:gz") as archive:
        assert sorted(archive.getnames()) == [".dockerignore", ".env", "Dockerfile", "app.py"]
    asked = jobs[0].asked
    assert asked["arguments"] == [{"name": "A", "value": "b", "isSecret": False}]
    assert (asked["noCache"], asked["imageNames"]) == (True, ["ml/churn:1.0", "ml/churn:stable"])
    assert asked["platform"] == {"os": "Linux", "architecture": "amd64"}
    sent = [event for event in seen if isinstance(event, StepProgressed) and event.name == "context"]
    assert sent[-1].done == sent[-1].total == len(jobs[0].context)
    warnings = [event.message for event in seen if isinstance(event, Notice) and event.level == "warning"]
    assert warnings == [".env may hold secrets, and are sent to Azure: name them in .dockerignore"]


def test_a_folder_without_a_dockerfile_is_built_from_its_plan(
    azure_cloud: AzureCloud, azure: AzureSession, plan: Plan, folder: Path, tmp_path: Path
) -> None:
    """By the Dockerfile that `shipml dockerfile` prints, with the plan's files and nothing else."""
    jobs: list[Job] = []
    azure_cloud.tasks.build = lambda job: jobs.append(job) or assemble(job)  # type: ignore[func-returns-value]
    remote = replace(plan, wheels=tuple(one for one in plan.wheels if not one.url.startswith("file:")))
    built = _builder(azure, tmp_path / "home").build(remote, BuildContext(folder, lambda _: None))
    assert built.references[0] == NAME
    assert built.digest.hex
    assert jobs[0].asked["dockerFilePath"] == "Dockerfile"


def test_the_wait_for_a_machine_shows(azure_cloud: AzureCloud, azure: AzureSession, project: Path) -> None:
    """It is a step of its own, which ends when the run begins."""
    seen: list[Event] = []
    azure_cloud.tasks.queue.clear()

    def let_it_begin(event: Event) -> None:
        seen.append(event)
        if isinstance(event, StepStarted) and event.name == "queue":
            azure_cloud.tasks.queue.set()

    _builder(azure, project.parent / "home").build_folder(BuildContext(project, let_it_begin))
    started = next(event for event in seen if isinstance(event, StepStarted) and event.name == "queue")
    assert "waits for a machine in Azure" in started.detail
    assert [event.name for event in seen if isinstance(event, StepFinished)] == ["context", "queue"]


def test_a_build_that_fails_is_explained_and_keeps_its_log(azure: AzureSession, project: Path, tmp_path: Path) -> None:
    """As with the engine's builds: the cause, and where the whole log is."""
    (project / "Dockerfile").write_text("FROM python:3.11-slim\nRUN false\n")
    with pytest.raises(BuildError, match="returned a non-zero code: 1") as caught:
        _builder(azure, tmp_path / "home").build_folder(BuildContext(project, lambda _: None))
    path = Path(caught.value.hint.rpartition("the whole log: ")[2])
    assert "Step 2/2 : RUN false" in path.read_text()


def test_bytes_that_are_no_text_do_not_end_a_build(azure_cloud: AzureCloud, azure: AzureSession, project: Path) -> None:
    """What programs print is passed on as it is; how the run ended decides."""

    def noisy(job: Job) -> str:
        run = next(iter(reversed(list(_runs(azure_cloud.tasks)))))
        run.blob.data = (run.blob.data or bytearray()) + b"\xff\xfe\x80 \xe2\x82\r\n"
        return assemble(job)

    seen: list[Event] = []
    azure_cloud.tasks.build = noisy
    assert _builder(azure, project.parent / "home").build_folder(BuildContext(project, seen.append)).digest
    assert b"\xff\xfe\x80" in b"".join(event.data for event in seen if isinstance(event, OutputReceived))


def _runs(tasks: AcrTasks) -> Iterator[Any]:
    yield from tasks._runs.values()


def test_ctrl_c_cancels_the_run_in_azure(azure_cloud: AzureCloud, azure: AzureSession, project: Path) -> None:
    """A machine there would go on, and be paid for."""
    azure_cloud.tasks.queue.clear()
    seen: list[Event] = []

    def interrupt(event: Event) -> None:
        seen.append(event)
        if "waits for a machine" in str(getattr(event, "detail", "")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _builder(azure, project.parent / "home").build_folder(BuildContext(project, interrupt))
    assert azure_cloud.log.find("arm", "POST", "/cancel$", 200)
    assert any(isinstance(event, Notice) and "is cancelled in Azure" in event.message for event in seen)


REFUSED = {
    Fault.TASKS_NOT_ALLOWED: (NotAllowedError, "shipml build --builder embedded"),
    Fault.FIREWALL: (UnavailableError, "az acr agentpool create --registry demoint"),
    Fault.NO_ARM: (NotAllowedError, "az role assignment create"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_azure_refuses_is_explained(
    azure_cloud: AzureCloud, azure: AzureSession, project: Path, fault: Fault
) -> None:
    """Subscriptions without Tasks, registries that let no machine of Azure in, identities without the right."""
    kind, hint = REFUSED[fault]
    with azure_cloud.fault(fault), pytest.raises(ShipmlError) as caught:
        _builder(azure, project.parent / "home").build_folder(BuildContext(project, lambda _: None))
    assert isinstance(caught.value, kind)
    assert hint in caught.value.hint


def test_a_registry_closed_to_the_internet_takes_no_context(
    azure_cloud: AzureCloud, azure: AzureSession, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said before anything is sent."""
    monkeypatch.setattr(azure_cloud.int.settings, "public_network", False)
    with pytest.raises(UnavailableError, match="is closed to the internet"):
        _builder(azure, project.parent / "home").build_folder(BuildContext(project, lambda _: None))
    assert azure_cloud.log.find("blob") == []


def test_roles_of_repositories_take_the_callers_own_right(
    azure_cloud: AzureCloud, azure: AzureSession, project: Path, store: Store
) -> None:
    """The run pushes as who asked for it; an image that this identity may not read is built all the same."""
    seen: list[Event] = []
    build = AzureBuild(project, (NAME,), Settings(), DockerOptions(), Decision("builder", "acr", "asked"))
    with azure_cloud.fault(Fault.ABAC):
        report = build.run(azure, store, seen.append, _no_plan)
    assert report.digest
    assert report.layers == ()
    notices = [event.message for event in seen if isinstance(event, Notice)]
    assert any("you may not look at it" in notice for notice in notices)


def test_the_settings_say_where_to_when_nothing_was_typed(azure: AzureSession, project: Path, store: Store) -> None:
    """Registry and repository of the only [registries.NAME] of Azure; a name that was typed keeps its own."""
    table = (("kind", "acr"), ("name", "demoint"), ("repository", "team/churn"))
    settings = Settings(registries=(("int", table),))
    for typed, expected in ((False, "team/churn:latest"), (True, "churn:9")):
        names = (Reference.parse("churn:9"),)
        decision = Decision("builder", "acr", "asked")
        build = AzureBuild(project, names, settings, DockerOptions(), decision, are_typed=typed)
        report = build.run(azure, store, lambda _: None, _no_plan)
        assert report.references == (str(Reference.parse(f"demoint.azurecr.io/{expected}")),)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("docker.io/team/churn:1", "r.example.org/churn:1"), "only, not into r.example.org"),
        (("one.azurecr.io/a:1", "two.azurecr.io/a:1"), "not into one.azurecr.io, two.azurecr.io"),
    ],
)
def test_azure_builds_into_one_of_its_own_registries_only(
    azure: AzureSession, project: Path, store: Store, names: tuple[str, ...], said: str
) -> None:
    """Before anything is asked."""
    references = tuple(map(Reference.parse, names))
    build = AzureBuild(project, references, Settings(), DockerOptions(), Decision("builder", "acr", "asked"))
    with pytest.raises(UsageError, match=said):
        build.run(azure, store, lambda _: None, _no_plan)


def test_options_that_tasks_do_not_have_are_refused(azure: AzureSession, project: Path) -> None:
    """Secrets and ssh need an engine."""
    builder = _builder(azure, project.parent / "home", DockerOptions(secrets=("id=a,src=b",)))
    with pytest.raises(UsageError, match="no --secret, --ssh or --pull"):
        builder.check()


def test_an_upload_is_tried_again_and_its_url_is_never_told(
    azure_cloud: AzureCloud, azure: AzureSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has the URL may write there: it stands in no error."""
    context = tmp_path / "context"
    context.write_bytes(b"x" * 100_000)
    runs = Runs(azure.manager(), azure.registry(NAME.registry), pause_seconds=0)
    sent: list[int] = []
    with context.open("rb") as stream:
        assert runs.upload(stream, 100_000, sent.append).startswith("source/")
        assert sent[-1] == 100_000
        monkeypatch.setattr(azure_cloud.storage, "new", _elsewhere(azure_cloud))
        with pytest.raises(TryAgainError, match="it answered 403") as caught:
            runs.upload(stream, 100_000, sent.append)
    assert find_marks(f"{caught.value.message} {caught.value.hint}") == []
    assert len(azure_cloud.log.find("blob", "PUT", status=403)) == 4


def _elsewhere(cloud: AzureCloud) -> Callable[[str, str], object]:
    """Gives out URLs of blobs that are not there."""
    new = cloud.storage.new

    def away(path: str, kind: str) -> object:
        blob, url = new(path, kind)
        return blob, url.replace("/source/", "/gone/")

    return away


def test_a_log_that_cannot_be_read_for_a_moment_is_no_failure(azure: AzureSession) -> None:
    """Networks fail for a second, and so does Azure; a URL that has run out is asked for anew."""
    asked: list[str] = []

    def find() -> str:
        asked.append("asked")
        if len(asked) == 1:
            raise TryAgainError("Azure failed to read the log")
        return "https://standin.blob.core.windows.net/nothing/here"

    log = RunLog(find, azure.identity(NAME.registry).session)
    assert [log.read() for _ in range(3)] == [b""] * 3
    assert len(asked) == 3
    assert not log.is_complete


@pytest.mark.parametrize("document", [{}, {"properties": None}, {"properties": {"runId": "a"}}, {"properties": []}])
def test_a_run_that_is_described_oddly_is_no_crash(document: dict[str, object]) -> None:
    """The answer comes from outside."""
    with pytest.raises(UntrustedInputError):
        Run.from_arm(document)
