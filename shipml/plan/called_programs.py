"""Programs and libraries that packages call at run time, which no ELF file shows. Each line has its evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

__all__ = ["called_packages", "uncalled"]

_CALLED: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        # programs that are run
        "pytesseract": (("tesseract-ocr",), "pytesseract runs the program tesseract"),
        "tesserocr": (("tesseract-ocr",), "tesserocr reads tesseract's data"),
        "pdf2image": (("poppler-utils",), "pdf2image runs pdftoppm"),
        "pdftotext": (("libpoppler-cpp0v5",), "pdftotext loads poppler"),
        "pydub": (("ffmpeg",), "pydub runs ffmpeg"),
        "ffmpeg-python": (("ffmpeg",), "ffmpeg-python runs ffmpeg"),
        "openai-whisper": (("ffmpeg",), "whisper runs ffmpeg to read audio"),
        "whisper-timestamped": (("ffmpeg",), "whisper runs ffmpeg to read audio"),
        "audioread": (("ffmpeg",), "audioread runs ffmpeg for compressed audio (librosa calls it)"),
        "yt-dlp": (("ffmpeg",), "yt-dlp runs ffmpeg to join what it downloads"),
        "youtube-dl": (("ffmpeg",), "youtube-dl runs ffmpeg to join what it downloads"),
        "sk-video": (("ffmpeg",), "scikit-video runs ffmpeg"),
        "graphviz": (("graphviz",), "the package graphviz runs dot"),
        "pydot": (("graphviz",), "pydot runs dot"),
        "pydotplus": (("graphviz",), "pydotplus runs dot"),
        "pydot-ng": (("graphviz",), "pydot-ng runs dot"),
        "gitpython": (("git",), "GitPython runs git when it is imported"),
        "pypandoc": (("pandoc",), "pypandoc runs pandoc"),
        "pdfkit": (("wkhtmltopdf",), "pdfkit runs wkhtmltopdf"),
        "imgkit": (("wkhtmltopdf",), "imgkit runs wkhtmltoimage"),
        "camelot-py": (("ghostscript",), "camelot runs ghostscript"),
        "ocrmypdf": (("ghostscript", "tesseract-ocr"), "ocrmypdf runs ghostscript and tesseract"),
        "rpy2": (("r-base-core",), "rpy2 runs R"),
        "pyttsx3": (("espeak-ng",), "pyttsx3 speaks through espeak"),
        # Java
        "pyspark": (("default-jre-headless",), "pyspark starts a Java virtual machine"),
        "h2o": (("default-jre-headless",), "h2o starts a Java virtual machine"),
        "tabula-py": (("default-jre-headless",), "tabula-py runs Java"),
        "language-tool-python": (("default-jre-headless",), "language-tool-python runs Java"),
        "konlpy": (("default-jre-headless",), "konlpy starts a Java virtual machine"),
        "jpype1": (("default-jre-headless",), "JPype starts a Java virtual machine"),
        "tika": (("default-jre-headless",), "tika runs Java"),
        "pyserini": (("default-jre-headless",), "pyserini starts a Java virtual machine"),
        # libraries that are loaded by name
        "python-magic": (("libmagic1",), "python-magic loads libmagic.so.1 by name"),
        "pyzbar": (("libzbar0",), "pyzbar loads libzbar.so.0 by name"),
        "pylibdmtx": (("libdmtx0b",), "pylibdmtx loads libdmtx.so.0 by name"),
        "sounddevice": (("libportaudio2",), "sounddevice loads libportaudio.so.2 by name"),
        "cairosvg": (("libcairo2",), "cairosvg loads libcairo.so.2 by name"),
        "cairocffi": (("libcairo2",), "cairocffi loads libcairo.so.2 by name"),
        "weasyprint": (
            ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"),
            "weasyprint loads Pango and HarfBuzz by name",
        ),
        "pyvips": (("libvips42",), "pyvips loads libvips.so.42 by name"),
        "wand": (("libmagickwand-6.q16-6",), "Wand loads ImageMagick by name"),
        "pyenchant": (("libenchant-2-2",), "pyenchant loads libenchant-2.so.2 by name"),
        "pyusb": (("libusb-1.0-0",), "pyusb loads libusb by name"),
        "opuslib": (("libopus0",), "opuslib loads libopus.so.0 by name"),
        "pyglet": (("libgl1", "libglu1-mesa"), "pyglet loads OpenGL by name"),
        "pyopengl": (("libgl1",), "PyOpenGL loads OpenGL by name"),
        "vtk": (("libgl1", "libxrender1"), "vtk loads OpenGL when it draws"),
        "open3d": (("libgl1", "libgomp1", "libx11-6"), "open3d loads OpenGL and X11"),
    }
)
"""By normalised name of the distribution."""

_STANDARD_LIBRARY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "tkinter": ("python3-tk", "Debian keeps the module tkinter in a package of its own"),
        "turtle": ("python3-tk", "Debian keeps the module tkinter, which turtle draws with, in a package of its own"),
        "lib2to3": ("python3-lib2to3", "Debian keeps the module lib2to3 in a package of its own"),
    }
)
"""Modules of Python that Debian splits off."""

_USED_BY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "audioread": frozenset({"librosa", "resampy", "essentia", "pyacoustid"}),
        "cairocffi": frozenset({"cairosvg", "weasyprint", "xcffib", "qtile", "igraph"}),
        "ffmpeg-python": frozenset({"openai-whisper", "spleeter", "demucs", "auto-editor"}),
        "gitpython": frozenset({"dagshub", "dvc", "pydriller", "scmrepo", "nbdime", "copier"}),
        "graphviz": frozenset(
            {"torchviz", "diagrams", "dtreeviz", "eralchemy", "causalnex", "lolviz", "dowhy", "pm4py"}
        ),
        "jpype1": frozenset({"konlpy", "jaydebeapi", "pyterrier", "python-terrier"}),
        "openai-whisper": frozenset({"whisper-timestamped", "whisperx", "stable-ts"}),
        "pdf2image": frozenset({"unstructured", "layoutparser", "pdfplumber", "doctr"}),
        "pydot": frozenset({"pgmpy", "eralchemy", "causal-learn"}),
        "pyglet": frozenset({"gym", "pyrender", "trimesh"}),
        "pyopengl": frozenset({"pyrender", "vispy", "pyqtgraph"}),
        "pypandoc": frozenset({"unstructured"}),
        "pyspark": frozenset(
            {"spark-nlp", "koalas", "pydeequ", "graphframes", "delta-spark", "h2o-pysparkling", "sparkdl"}
        ),
        "pytesseract": frozenset({"unstructured", "layoutparser", "img2table"}),
        "python-magic": frozenset({"unstructured"}),
        "sounddevice": frozenset({"python-sounddevice", "realtimestt"}),
        "vtk": frozenset({"pyvista", "mayavi", "vedo", "itkwidgets"}),
        "yt-dlp": frozenset({"spotdl"}),
    }
)
"""Those whose import, or use, runs what the distribution calls, though the program does not import it itself."""

_TK_BY_PACKAGE = {"pysimplegui": "PySimpleGUI", "customtkinter": "customtkinter", "python-tk": "python-tk"}


def uncalled(distributions: Collection[str], imported: Collection[str]) -> frozenset[str]:
    """Those of the distributions that call something by name, and that nothing runs: some package lists them.

    Args:
        distributions: normalised names of what is installed.
        imported: normalised names of what the program imports, in functions, too.
    """
    there = set(imported)
    calling = {name for name in distributions if name in _CALLED or name in _TK_BY_PACKAGE}
    return frozenset(name for name in calling if name not in there and not _USED_BY.get(name, frozenset()) & there)


def called_packages(distributions: Collection[str], modules: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Debian packages for what is called or loaded by name, each with the reason; sorted by distribution.

    Args:
        distributions: normalised names of what is installed.
        modules: top-level modules of the standard library that the project's code imports.
    """
    for name in sorted(distributions):
        packages, because = _CALLED.get(name, ((), ""))
        yield from ((package, because) for package in packages)
        if name in _TK_BY_PACKAGE:
            yield "python3-tk", f"{_TK_BY_PACKAGE[name]} draws with tkinter"
    for module in sorted(modules):
        if module in _STANDARD_LIBRARY:
            package, because = _STANDARD_LIBRARY[module]
            yield package, because
