"""What the program starts or loads, and the image lacks: programs, shells, libraries, modules, data of packages."""

from __future__ import annotations

import re

from shipml.runtimes.diagnose.failure import Failure, around, telling

__all__ = [
    "PROGRAM_PACKAGES",
    "is_shell",
    "missing_data",
    "missing_library",
    "missing_module",
    "missing_program",
    "wrong_arguments",
]

PROGRAM_PACKAGES = {
    "avconv": "ffmpeg", "convert": "imagemagick", "curl": "curl", "dot": "graphviz", "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg", "file": "file", "g++": "g++", "gcc": "gcc", "git": "git", "gs": "ghostscript",
    "java": "default-jre-headless", "make": "make", "node": "nodejs", "pandoc": "pandoc", "pdfinfo": "poppler-utils",
    "pdftoppm": "poppler-utils", "pdftotext": "poppler-utils", "ps": "procps", "soffice": "libreoffice-core",
    "sox": "sox", "tesseract": "tesseract-ocr", "unzip": "unzip", "wget": "wget", "zip": "zip",
}  # fmt: skip
"""Programs that code starts → Debian's packages."""
_SHELLS = frozenset({"sh", "bash", "env", "dash"})
_STARTED = re.compile(r"\[Errno 2\] No such file or directory: ['\"](?P<path>[^'\"\n]{1,500})['\"]")
_SAID = (
    (re.compile(r"TesseractNotFoundError|tesseract is not installed"), "tesseract"),
    (re.compile(r"PDFInfoNotInstalledError|Is poppler installed"), "pdfinfo"),
    (re.compile(r"ExecutableNotFound: failed to execute .{0,30}dot"), "dot"),
    (re.compile(r"Bad git executable|Git executable"), "git"),
    (
        re.compile(r"Couldn't find ff(?:mpeg|probe)|[Ff][Ff]mpeg (?:was )?not found|No ffmpeg exe could be found"),
        "ffmpeg",
    ),
    (
        re.compile(r"JAVA_HOME is not set|JAVA_GATEWAY_EXITED|Java gateway process exited|Unable to locate a Java"),
        "java",
    ),
    (
        re.compile(
            r"^(?:/bin/)?(?:sh|bash)(?:: line \d+|: \d+)?: (?P<name>[\w.+-]{1,60}): (?:command )?not found",
            re.MULTILINE,
        ),
        "",
    ),
)
_LIBRARY = re.compile(r"(?P<name>lib[\w.+-]{1,80}\.so[\w.]{0,20}): cannot open shared object file")
_LIBRARY_PACKAGES = {
    "libGL.so.1": "libgl1", "libSM.so.6": "libsm6", "libXext.so.6": "libxext6", "libXrender.so.1": "libxrender1",
    "libgomp.so.1": "libgomp1", "libportaudio.so.2": "libportaudio2", "libpq.so.5": "libpq5",
    "libsndfile.so.1": "libsndfile1",
}  # fmt: skip
_NO_MODULE = re.compile(r"No module named '(?P<name>[\w.]{1,200})'")
_NLTK = re.compile(r"nltk\.download\(['\"](?P<name>[\w.-]{1,80})['\"]\)")
_SPACY = re.compile(r"\[E050\] Can't find model '(?P<name>[\w.-]{1,80})'")
_TESSDATA = re.compile(
    r"tessdata/(?P<name>[a-z_]{3,20})\.traineddata|load(?:ing)? (?:any )?languages?[^\n]{0,20}'(?P<other>[a-z_]{3,20})'"
)
_REQUIRED = re.compile(
    r"error: the following arguments are required: (?P<names>[^\n]{1,200})"
    r"|Error: Missing (?:option|argument) '(?P<one>[^'\n]{1,100})"
)


def is_shell(program: str) -> bool:
    """Whether a program is one of the shells, or what starts them."""
    return program.rpartition("/")[2] in _SHELLS


def missing_program(failure: Failure) -> str:
    """What helps where the program starts another that the image lacks; "" where that is not the matter."""
    words = telling(failure.words)
    names = [found["path"] for found in _STARTED.finditer(words)]
    names += [name or found["name"] for pattern, name in _SAID if (found := pattern.search(words))]
    for path in reversed(names):
        name = path.rpartition("/")[2]
        if is_shell(path) and (path == name or path.startswith(("/bin/", "/usr/bin/"))):
            return "images have no shell unless asked: shipml build --with-shell"
        if package := PROGRAM_PACKAGES.get(name):
            return "add the program: " + failure.settings.setting(f'system-packages = ["{package}"]')
    return ""


def missing_library(failure: Failure) -> str:
    """What helps where a shared library cannot be loaded; "" where that is not the matter."""
    found = _LIBRARY.search(telling(failure.words))
    if found is None or found["name"].startswith(("libcuda", "libcudart", "libcublas", "libcudnn", "libnvidia")):
        return ""
    package = _LIBRARY_PACKAGES.get(found["name"])
    if package is None:
        name = found["name"]
        return f"add Debian's package that has {name} to system-packages: apt-file search {name} names it"
    return "add the library: " + failure.settings.setting(f'system-packages = ["{package}"]')


def missing_module(failure: Failure) -> str:
    """What helps where a module cannot be imported; "" where that is not the matter."""
    found = _NO_MODULE.search(telling(failure.words))
    if found is None:
        return ""
    path = found["name"].replace(".", "/")
    for present in failure.present:
        if present.endswith((f"/{path}.py", f"/{path}/__init__.py")):
            folder = present.removesuffix("/__init__.py").removesuffix(".py").removesuffix(f"/{path}")
            return f'{present} is it: let Python look there: [env] PYTHONPATH = "/app/{folder}"'
    return f"add what has the module {found['name']} to the requirements, and build again"


def missing_data(failure: Failure) -> str:
    """What helps where a package lacks data that it does not bring along; "" where that is not the matter."""
    words = around(failure.words)
    if found := _NLTK.search(words):
        return (
            f"ship NLTK's data with the project: python -m nltk.downloader -d nltk_data {found['name']}, "
            'and [env] NLTK_DATA = "/app/nltk_data"'
        )
    if found := _SPACY.search(words):
        name = found["name"]
        return (
            f"a spaCy model is a wheel: add the line `{name} @ URL` to the requirements; "
            f"python -m spacy info {name} --url prints the URL"
        )
    if (found := _TESSDATA.search(words)) and (language := found["name"] or found["other"]):
        package = f"tesseract-ocr-{language.replace('_', '-')}"
        return "add the language: " + failure.settings.setting(f'system-packages = ["tesseract-ocr", "{package}"]')
    return ""


def wrong_arguments(failure: Failure) -> str:
    """What helps where the program wants arguments; "" where that is not the matter."""
    found = _REQUIRED.search(telling(failure.words))
    if found is None:
        return ""
    names = found["names"] or found["one"]
    return f"the program wants {names.strip()}: say so in its command: " + failure.settings.setting(
        'command = "python … "'
    )
