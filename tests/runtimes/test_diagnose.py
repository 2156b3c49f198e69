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
        ("OSError: [E050] Can't find model 'en_core_web_sm'.", 1, "en_core_web_sm @ URL"),
        ("", 139, "PYTHONFAULTHANDLER"),
        ("", 137, "--memory"),
        ("", 135, "--shm-size"),
        ("", 132, "another CPU"),
        ("ValueError: x", 1, "shipml build"),
        # other libraries' words for a missing file
        ("FileNotFoundError: [Errno 2] No such file or directory: b'w.bin'", 1, "w.bin is not in the project"),
        ('FileNotFoundError: [Errno 2] No such file or directory: "it\'s.csv"', 1, "it's.csv is not in"),
        ("FileNotFoundError: [Errno 2] Failed to open local file 'x.parquet'", 1, "x.parquet is not in"),
        (
            "FileNotFoundError: [Errno 2] Unable to open file (unable to open file: name = 'w.h5', errno",
            1,
            "w.h5 is not in",
        ),
        (
            "[ WARN:0] global loadsave.cpp:268 findDecoder imread_('cat.jpg'): can't open/read file\nAttributeError: x",
            1,
            "cat.jpg",
        ),
        (
            "NoSuchFile: [ONNXRuntimeError] : 3 : NO_SUCHFILE : Load model from m.onnx failed:Load model",
            1,
            "m.onnx is not in",
        ),
        (
            "xgboost.core.XGBoostError: [1] fs.cc:2: Check failed: fp: Opening m.json failed: No such file",
            1,
            "m.json is not in",
        ),
        ("lightgbm.basic.LightGBMError: Could not open model.txt", 1, "model.txt is not in"),
        (
            "_catboost.CatBoostError: catboost/libs/model/model.cpp:1: Model file doesn't exist: m.cbm",
            1,
            "m.cbm is not in",
        ),
        ("ValueError: The provided filename m.pt does not exist", 1, "m.pt is not in"),
        ("ValueError: File not found: filepath=m.keras. Please ensure the file", 1, "m.keras is not in"),
        ("ValueError: m.bin cannot be opened for loading!", 1, "m.bin is not in"),
        ("RuntimeError: Error in f: could not open i.faiss for reading: No such file", 1, "i.faiss is not in"),
        ("FileNotFoundError: No such file or directory (os error 2): d.csv", 1, "d.csv is not in"),
        ("jinja2.exceptions.TemplateNotFound: index.html", 1, "index.html is not in"),
        # there, but elsewhere or otherwise
        ("FileNotFoundError: [Errno 2] No such file or directory: 'model.pkl'", 1, "src/model.pkl"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'Sets/train.CSV'", 1, "sets/train.csv"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'sets\\train.csv'", 1, "slashes, sets/train.csv"),
        ("ModuleNotFoundError: No module named 'helper'", 1, 'PYTHONPATH = "/app/src"'),
        # variables
        ("    n = int(os.getenv('LIMIT'))\nTypeError: int() argument must be a string, not 'NoneType'", 1, "-e LIMIT="),
        (
            "  File \"<frozen os>\", line 685, in __getitem__\n  x = os.environ['api_key']\nKeyError: 'api_key'",
            1,
            "-e api_key=",
        ),
        (
            "ValidationError: 2 validation errors for Settings\napi_key\n  Field required\nmodel\n  Field required",
            1,
            "-e API_KEY=… -e MODEL=…",
        ),
        (
            "decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default",
            1,
            "-e SECRET_KEY=",
        ),
        ('environs.EnvError: Environment variable "DB_HOST" not set', 1, "-e DB_HOST="),
        ("ImproperlyConfigured: Set the DJANGO_MODE environment variable", 1, "-e DJANGO_MODE="),
        ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", 1, "-e AWS_ACCESS_KEY_ID="),
        # network and ports
        ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", 1, "--network"),
        ("huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files", 1, "--network"),
        ('psycopg2.OperationalError: could not translate host name "db" to address', 1, "--network"),
        (
            'OperationalError: connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused',
            1,
            "localhost:5432",
        ),
        ("OSError: [Errno 98] Address already in use", 1, "twice"),
        ("[ERROR] Connection in use: ('0.0.0.0', 8080)", 1, "8080 twice"),
        ("PermissionError: [Errno 13] Permission denied", 1, "PORT = 8080"),
        # what may not be written or started
        ("PermissionError: [Errno 13] Permission denied: 'out.csv'", 1, 'open("/tmp/out.csv", "w")'),
        ("  in _execute_child\nPermissionError: [Errno 13] Permission denied: './go.sh'", 1, "chmod +x ./go.sh"),
        ("sqlite3.OperationalError: unable to open database file", 1, "/tmp/app.db"),
        ("sqlite3.OperationalError: attempt to write a readonly database", 1, "/tmp/app.db"),
        ("RuntimeError: cannot cache function 'f': no locator available for file '/app/x.py'", 1, "NUMBA_CACHE_DIR"),
        # programs, libraries, data
        ("pytesseract.pytesseract.TesseractNotFoundError: tesseract is not installed", 1, "tesseract-ocr"),
        ("pdf2image.exceptions.PDFInfoNotInstalledError: Unable to get page count.", 1, "poppler-utils"),
        ("graphviz.backend.execute.ExecutableNotFound: failed to execute PosixPath('dot')", 1, "graphviz"),
        ("/bin/sh: 1: ffmpeg: not found", 127, "ffmpeg"),
        ("OSError: libGL.so.1: cannot open shared object file: No such file or directory", 1, "libgl1"),
        ("TesseractError: (1, 'Error opening data file /usr/share/tessdata/deu.traineddata", 1, "tesseract-ocr-deu"),
        ("app.py: error: the following arguments are required: --data", 2, "--data"),
        # GPUs, memory, signals
        ("AssertionError: Torch not compiled with CUDA enabled", 1, "--accelerator cuda"),
        ("RuntimeError: Found no NVIDIA driver on your system.", 1, "--gpus all"),
        ("OSError: libcuda.so.1: cannot open shared object file: No such file or directory", 1, "--gpus all"),
        (
            "RuntimeError: Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False.",
            1,
            "map_location",
        ),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 80.0 GiB for an array", 1, "memory"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", 134, "memory"),
        ("", 134, "PYTHONFAULTHANDLER"),
        ("", 136, "divided by zero"),
    ],
)
def test_the_programs_own_words(words: str, exit_code: int, expected: str) -> None:
    """Each known way to fail has its own next step."""
    failure = Failure(
        "exit-code",
        exit_code,
        TRACE + words,
        left_out=LEFT_OUT,
        written_by={"model.joblib": "train.py:5"},
        present=("src/model.pkl", "sets/train.csv", "src/helper.py"),
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
