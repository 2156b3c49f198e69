"""Data that code reads: recognised, fetched once, hashed and kept; or named with what gets it."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shipml.data_files import FoundData, find_data
from shipml.data_files.layer import data_layer
from shipml.errors import UntrustedInputError
from shipml.events import Event, Notice
from shipml.facts.data import DataUse
from shipml.facts.plan import LayerPlan, LockedWheel, Plan
from shipml.facts.project import Lock, Project
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan.layering import plan_layers
from shipml.project import read_project
from shipml.session import Session
from shipml.store import Store
from tests.data_files.publishers import COMMIT, environment, serve_publishers
from tests.peers.small_server import SmallServer

AMD64 = Platform("linux", "amd64")


@pytest.fixture
def publishers(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallServer]:
    """Stand-ins for NLTK, Hugging Face and spaCy, named by the documented variables."""
    with serve_publishers() as server:
        for name, value in environment(server.url).items():
            monkeypatch.setenv(name, value)
        yield server


def uses(folder: Path, code: str) -> set[tuple[str, str]]:
    """(kind, name) of the data that the code reads."""
    (folder / "app.py").write_text(code)
    return {(use.kind, use.name) for use in read_project(folder, None).data}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import nltk\nnltk.download('stopwords')\n", {("nltk", "stopwords")}),
        ("import nltk\nnltk.download(['punkt', 'wordnet'], quiet=True)\n", {("nltk", "punkt"), ("nltk", "wordnet")}),
        (
            "import nltk\nfor one in ['punkt', 'words']:\n    nltk.download(one)\n",
            {("nltk", "punkt"), ("nltk", "words")},
        ),
        ("import nltk, sys\nnltk.download(sys.argv[1])\n", set()),
        (
            "import spacy\ndef load(name='en_core_web_sm'):\n    return spacy.load(name)\n",
            {("spacy", "en_core_web_sm")},
        ),
        (
            "from peft import AutoPeftModel as M\ndef f(self):\n    self.n = 'acme/tiny'; M.from_pretrained(self.n)\n",
            {("huggingface", "acme/tiny")},
        ),
        ("from nltk.corpus import stopwords\nstopwords.words('english')\n", {("nltk", "stopwords")}),
        ("from nltk import word_tokenize as split\nsplit('a b')\n", {("nltk", "punkt")}),
        (
            "from nltk.sentiment import SentimentIntensityAnalyzer\nSentimentIntensityAnalyzer()\n",
            {("nltk", "vader_lexicon")},
        ),
        ("import nltk\nnltk.data.find('tokenizers/punkt')\n", {("nltk", "punkt")}),
        ("from nltk.stem import PorterStemmer\nPorterStemmer()\n", set()),
        ("import spacy\nNLP = spacy.load('en_core_web_sm')\n", {("spacy", "en_core_web_sm")}),
        ("import spacy\nspacy.load('./model')\nspacy.blank('en')\n", set()),
        ("import en_core_web_md\n", {("spacy", "en_core_web_md")}),
        ("import os\nos.system('python -m spacy download de_core_news_sm')\n", {("spacy", "de_core_news_sm")}),
        (
            "from transformers import AutoModel\nNAME = 'acme/tiny'\nAutoModel.from_pretrained(NAME)\n",
            {("huggingface", "acme/tiny")},
        ),
        ("from transformers import AutoModel\nAutoModel.from_pretrained('models/mine.bin')\n", set()),
        ("from transformers import AutoModel\nAutoModel.from_pretrained('./mine')\n", set()),
        (
            "from transformers import pipeline\npipeline('summarization', model='acme/tiny')\n",
            {("huggingface", "acme/tiny")},
        ),
        (
            "from transformers import pipeline\npipeline('sentiment-analysis')\n",
            {("huggingface", "distilbert/distilbert-base-uncased-finetuned-sst-2-english")},
        ),
        (
            "from sentence_transformers import SentenceTransformer\nSentenceTransformer('all-MiniLM-L6-v2')\n",
            {("huggingface", "sentence-transformers/all-MiniLM-L6-v2")},
        ),
        ("import whisper\nwhisper.load_model('base')\n", {("other", "Whisper's model base")}),
        ("import torchvision\ntorchvision.models.resnet18(pretrained=True)\n", {("other", "torchvision's weights")}),
        ("import torchvision\ntorchvision.models.resnet18()\n", set()),
    ],
)
def test_data_is_recognised_in_code(tmp_path: Path, code: str, expected: set[tuple[str, str]]) -> None:
    """By calls and their literal arguments; paths of the project are not data of others."""
    assert uses(tmp_path, code) == expected


def test_lists_for_other_hosts_name_data_too(tmp_path: Path) -> None:
    """Heroku's nltk.txt has a name on each line; a folder of the project under a model's name is the project's own."""
    (tmp_path / "nltk.txt").write_text("stopwords\n# not this\npunkt\n")
    assert uses(tmp_path, "print(1)\n") == {("nltk", "stopwords"), ("nltk", "punkt")}
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text("{}")
    (tmp_path / "nltk.txt").unlink()
    assert uses(tmp_path, "from transformers import BertModel\nBertModel.from_pretrained('bert')\n") == set()


def test_names_that_are_bound_to_themselves_cost_nothing(tmp_path: Path) -> None:
    """A notebook binds one name again and again, each time to what it was."""
    code = "import nltk\nx = 'stopwords'\n" + "x = str(x or x, [x, x])\n" * 200 + "nltk.download(x)\n"
    started_at = time.monotonic()
    assert uses(tmp_path, code) == {("nltk", "stopwords")}
    assert time.monotonic() - started_at < 5


def test_names_of_another_module_are_followed(tmp_path: Path) -> None:
    """Settings in a file of their own, imported by name or as a module."""
    (tmp_path / "settings.py").write_text("MODEL = 'acme/tiny'\nWORDS = 'stopwords'\n")
    code = "import nltk, settings\nfrom settings import MODEL\nfrom transformers import AutoModel\n"
    code += "AutoModel.from_pretrained(MODEL)\nnltk.download(settings.WORDS)\n"
    assert uses(tmp_path, code) == {("huggingface", "acme/tiny"), ("nltk", "stopwords")}


def found(
    store: Store, *data: DataUse, to_look: bool = False, folder: Path = Path("/nonexistent"), **versions: str
) -> tuple[FoundData, list[Event]]:
    """What is found of data, and what is said."""
    said: list[Event] = []
    project = replace(read_project(folder, None) if folder.exists() else Project(folder), data=data)
    wheels = tuple(
        LockedWheel(name, version, "https://example.org/x", 1, Digest("0" * 64), f"{name}.whl")
        for name, version in versions.items()
    )
    lock = Lock(wheels, "bookworm", "3.11", AMD64, Digest("0" * 64))
    return find_data(project, lock, session=Session(store, emit=said.append), to_look=to_look), said


def entries(plan: Plan, outcome: FoundData, store: Store) -> dict[str, bytes]:
    """Path → content of all files in the layers of data."""
    plan = replace(plan, data=outcome.outcome.pins)
    files: dict[str, bytes] = {}
    for layer in plan_layers(plan.base, (), (), data=plan.data):
        if layer.kind == "data":
            with data_layer(plan, layer, session=Session(store)).open() as stream:
                content = io.BytesIO(stream.read())
            with tarfile.open(fileobj=content, mode="r:gz") as archive:
                members = [(one.name, archive.extractfile(one)) for one in archive.getmembers()]
                files |= {name: file.read() for name, file in members if file is not None}
    return files


def test_corpora_are_fetched_and_unpacked_where_nltk_looks(publishers: SmallServer, store: Store, plan: Plan) -> None:
    """Of a package and of a collection, in tables where NLTK is new; a second build asks nobody."""
    stopwords = DataUse("nltk", "stopwords", "app.py:3")
    outcome, _ = found(store, stopwords, DataUse("nltk", "punkt", "app.py:4"), nltk="3.9.1")
    assert entries(plan, outcome, store) == {
        "opt/nltk_data/corpora/stopwords/english": b"the\na\nof\n",
        "opt/nltk_data/tokenizers/punkt/english.pickle": b"?",
        "opt/nltk_data/tokenizers/punkt_tab/english/collocations.tab": b"?",
    }
    assert outcome.outcome.environment == (("NLTK_DATA", "/opt/nltk_data"),)
    asked = len(publishers.asked)
    assert found(store, stopwords, nltk="3.9.1")[0].outcome.pins == outcome.outcome.pins[2:]
    assert len(publishers.asked) == asked
    small, _ = found(store, DataUse("nltk", "small", "app.py:3"), nltk="3.7")
    assert len(small.outcome.pins[0].files) == 2


def test_a_repository_of_the_hub_comes_as_its_cache_has_it(publishers: SmallServer, store: Store, plan: Plan) -> None:
    """One set of weights, settings, and what `main` is; nothing leaves the folder of the snapshot."""
    outcome, _ = found(store, DataUse("huggingface", "acme/tiny", "app.py:3"), torch="2.4")
    folder = "opt/huggingface/hub/models--acme--tiny"
    files = entries(plan, outcome, store)
    assert sorted(files) == [
        f"{folder}/refs/main",
        *(f"{folder}/snapshots/{COMMIT}/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json")),
    ]
    assert files[f"{folder}/refs/main"] == COMMIT.encode()
    assert outcome.outcome.environment == (("HF_HOME", "/opt/huggingface"),)
    tokenizer, _ = found(store, DataUse("huggingface", "acme/tiny", "app.py:3", is_small=True), torch="2.4")
    assert not any("model" in file.path.rpartition("/")[2] for file in tokenizer.outcome.pins[0].files)
    for_tensorflow, _ = found(store, DataUse("huggingface", "acme/tiny", "app.py:3"), tensorflow="2.15")
    assert any(file.path.endswith("tf_model.h5") for file in for_tensorflow.outcome.pins[0].files)


def test_a_model_of_spacy_is_a_package_for_the_spacy_that_is_there(publishers: SmallServer, store: Store) -> None:
    """The newest version for it; where there is none, that is said."""
    model = DataUse("spacy", "en_core_web_sm", "app.py:2")
    (wheel,) = found(store, model, spacy="3.7.5")[0].wheels
    assert (wheel.name, wheel.version, wheel.direct) == ("en-core-web-sm", "3.7.1", True)
    assert store.has_blob(wheel.digest)
    assert len(found(store, model, spacy="3.2.0")[0].outcome.missing) == 1


def test_a_plan_downloads_lists_alone(publishers: SmallServer, store: Store) -> None:
    """What the build will fetch is said with its size."""
    outcome, _ = found(
        store,
        DataUse("nltk", "stopwords", "app.py:3"),
        DataUse("huggingface", "acme/tiny", "app.py:4"),
        to_look=True,
        torch="2.4",
    )
    assert [(use.name, size > 0) for use, size in outcome.outcome.planned] == [("stopwords", True), ("acme/tiny", True)]
    assert not any(".zip" in asked.path or "resolve" in asked.path for asked in publishers.asked)


def test_publishers_out_of_reach_leave_a_warning_with_the_command(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each names the data, what reads it, and what gets it; a publisher is asked once."""
    for name, value in environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    outcome, said = found(
        store,
        DataUse("nltk", "stopwords", "app.py:3"),
        DataUse("spacy", "en_core_web_sm", "app.py:4"),
        DataUse("huggingface", "acme/tiny", "app.py:5"),
        DataUse("other", "Whisper's model base", "app.py:6", what="whisper.load_model"),
        spacy="3.7.5",
    )
    assert outcome.outcome.pins == ()
    notices = [one for one in said if isinstance(one, Notice)]
    assert [one.level for one in notices] == ["warning"] * 3 + ["info"]
    for notice, words in zip(
        notices,
        (
            ("app.py:3", "stopwords", "python -m nltk.downloader -d nltk_data stopwords"),
            ("app.py:4", "en_core_web_sm", "en_core_web_sm-3.7.0-py3-none-any.whl"),
            ("app.py:5", "acme/tiny", "hf download acme/tiny"),
            ("app.py:6", "Whisper's model base", "whisper.load_model"),
        ),
        strict=True,
    ):
        assert all(word in notice.message for word in words)


def test_what_the_project_has_itself_is_not_fetched(store: Store, tmp_path: Path) -> None:
    """Its folders are made known to the readers."""
    for folder in ("nltk_data/corpora/stopwords", "cache/hub/models--acme--tiny"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x").write_text("x")
    outcome, said = found(
        store,
        DataUse("nltk", "stopwords", "app.py:3"),
        DataUse("huggingface", "acme/tiny", "app.py:5"),
        folder=tmp_path,
    )
    assert said == []
    assert outcome.outcome.environment == (("HF_HOME", "/app/cache"), ("NLTK_DATA", "/app/nltk_data"))


def test_hostile_and_damaged_data_is_not_taken(publishers: SmallServer, store: Store, plan: Plan) -> None:
    """A path that leaves its folder is refused; what the index's checksum does not fit is missing."""
    evil, _ = found(store, DataUse("nltk", "evil", "app.py:3"))
    layer = LayerPlan("data", ("nltk evil",))
    with pytest.raises(UntrustedInputError):
        data_layer(replace(plan, data=evil.outcome.pins), layer, session=Session(store))
    torn, _ = found(store, DataUse("nltk", "torn", "app.py:3"))
    assert torn.outcome.pins == ()
    assert len(torn.outcome.missing) == 1
