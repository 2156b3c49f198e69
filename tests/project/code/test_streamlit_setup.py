"""Scripts that write Streamlit's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.facts.plan import ApplicationFile
from shipml.project.code.streamlit_setup import find_streamlit_setups

USUAL = """\
mkdir -p ~/.streamlit/

echo "\\
[server]\\n\\
headless = true\\n\\
port = $PORT\\n\\
" > ~/.streamlit/config.toml
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (USUAL, True),
        ("#!/bin/sh\nmkdir -p ~/.streamlit && echo '[server]' >> ~/.streamlit/config.toml", True),
        (USUAL + "python -m nltk.downloader punkt\n", False),
        ("mkdir -p ~/.streamlit; rm -rf data", False),
        ("echo hello", False),
    ],
)
def test_only_what_writes_settings_and_nothing_else_counts(text: str, expected: bool, tmp_path: Path) -> None:
    """A script that also downloads or removes something is not one."""
    (tmp_path / "setup.sh").write_text(text)
    files = [ApplicationFile("setup.sh", "file", len(text))]
    assert (find_streamlit_setups(tmp_path, files) == ("setup.sh",)) is expected
