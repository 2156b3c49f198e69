"""What code needs beyond what it imports: each case is a line of code and what it adds to the requirements."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from shipml.project import read_project
from shipml.project.data.needs import Names


def added(folder: Path, code: str, *listed: str) -> list[str]:
    """What is asked for besides `listed` and what is imported under the name of its package."""
    (folder / "app.py").write_text(code)
    (folder / "requirements.txt").write_text("".join(f"{one}\n" for one in listed))
    requirements = read_project(folder, None).requirements
    assert requirements is not None
    assert {one.kind for one in requirements.changes} <= {"added"}
    assert all(one.source.startswith("app.py:") for one in requirements.changes)
    return [one.after for one in requirements.changes]


PANDAS = "import pandas as pd\n"


@pytest.mark.parametrize(
    ("code", "listed", "expected"),
    [
        ("import keras\n", "keras", "tensorflow"),
        ("import keras\n", "keras==2.3.1", "tensorflow<2.3"),
        ("import os\nos.environ['KERAS_BACKEND'] = 'jax'\nimport keras\n", "keras", "jax"),
        ("import keras\n", "keras torch", ""),
        ("import keras\n", "keras tensorflow-cpu", ""),
        ("import tensorflow\n", "tensorflow-cpu", ""),
        ("import tensorflow_hub as hub\n", "tensorflow-hub", "tensorflow"),
        ("from transformers import pipeline\npipeline('sentiment-analysis')\n", "transformers", "torch"),
        ("from transformers import pipeline\npipeline('sentiment-analysis')\n", "transformers tensorflow", ""),
        ("from transformers import AutoTokenizer\nAutoTokenizer.from_pretrained('x')\n", "transformers", ""),
        (
            "import transformers as t\nt.AutoModelForCausalLM.from_pretrained('x', device_map='auto')\n",
            "transformers",
            "torch accelerate",
        ),
        (
            "from transformers import TFAutoModel\nTFAutoModel.from_pretrained('x')\n",
            "transformers==4.30.0",
            "tensorflow",
        ),
        (
            "from transformers import T5Tokenizer as T\nT.from_pretrained('x')\n",
            "transformers",
            "sentencepiece protobuf",
        ),
        ("import dask.dataframe as dd\n", "dask", "dask[dataframe]"),
        ("from dask import dataframe\n", "dask[dataframe]", ""),
        (PANDAS + "pd.read_excel('a.xlsx')\n", "pandas", "openpyxl"),
        (PANDAS + "def f(upload):\n    return pd.read_excel(upload)\n", "pandas", "openpyxl"),
        (PANDAS + "pd.read_excel('a.xls')\n", "pandas", "xlrd"),
        (PANDAS + "PATH = 'old/' + 'a.XLS'\npd.read_excel(PATH)\n", "pandas", "xlrd"),
        (PANDAS + "pd.read_excel('a.xlsx')\n", "pandas==1.1.5", "xlrd<2"),
        (PANDAS + "pd.read_excel('a.xlsb')\n", "pandas", "pyxlsb"),
        (PANDAS + "pd.read_excel(f'{1}.ods')\n", "pandas", "odfpy"),
        (PANDAS + "pd.DataFrame().to_excel('a.xlsx')\n", "pandas", "openpyxl"),
        (PANDAS + "pd.DataFrame().to_excel('a.xlsx', engine='xlsxwriter')\n", "pandas", "XlsxWriter"),
        (PANDAS + "pd.DataFrame().to_excel('a.xlsx')\n", "pandas XlsxWriter", ""),
        ("import polars\npolars.read_csv('a').to_excel('a')\n", "polars", ""),
        (PANDAS + "pd.read_parquet('a')\n", "pandas", "pyarrow"),
        (PANDAS + "pd.read_parquet('a')\n", "pandas fastparquet", ""),
        (PANDAS + "pd.read_csv('a').to_feather('b')\n", "pandas", "pyarrow"),
        (PANDAS + "pd.read_csv('a', engine='pyarrow')\n", "pandas", "pyarrow"),
        (PANDAS + "pd.HDFStore('a')\n", "pandas", "tables"),
        (PANDAS + "pd.read_html('a')\n", "pandas", "lxml"),
        (PANDAS + "pd.read_csv('a').style.format('x')\n", "pandas", "jinja2"),
        (PANDAS + "pd.read_csv('a').style.background_gradient()\n", "pandas", "jinja2 matplotlib"),
        (PANDAS + "pd.read_csv('a')['b'].plot.bar()\n", "pandas", "matplotlib"),
        (PANDAS + "print(pd.read_csv('a').to_markdown())\n", "pandas", "tabulate"),
        (PANDAS + "pd.read_csv('s3://b/a.csv')\n", "pandas", "s3fs"),
        (PANDAS + "pd.read_csv(f'gs://{1}/a.csv')\n", "pandas", "gcsfs"),
        (PANDAS + "url = 'abfs://a/b'\npd.read_csv(url)\n", "pandas", "adlfs"),
        (PANDAS + "pd.read_csv('https://example.org/a')\nprint('s3://a')\n", "pandas", ""),
        (PANDAS + "pd.read_sql('select 1', 'sqlite:///a')\n", "pandas", "sqlalchemy"),
        (
            "import os, sqlalchemy\nsqlalchemy.create_engine(os.getenv('URL', 'postgresql://u:p@db/x'))\n",
            "sqlalchemy",
            "psycopg2-binary",
        ),
        ("import sqlalchemy as s\ns.create_engine('postgresql://x')\n", "sqlalchemy psycopg2", ""),
        ("import sqlalchemy as s\ns.create_engine('mysql+pymysql://x')\n", "sqlalchemy", "pymysql"),
        ("import sqlalchemy as s\ns.create_engine('mssql+pyodbc://x')\n", "sqlalchemy", "pyodbc"),
        ("import sqlalchemy as s\ns.create_engine('sqlite:///x')\n", "sqlalchemy", ""),
        ("print('postgresql://x')\n", "click", ""),
        ("from pymongo import MongoClient\nMongoClient('mongodb+srv://x')\n", "pymongo==3.12.0", "dnspython"),
        ("from pymongo import MongoClient\nMongoClient('mongodb+srv://x')\n", "pymongo", ""),
        (
            "from fastapi import FastAPI, Form, UploadFile\nasync def f(a: UploadFile): ...\n",
            "fastapi",
            "python-multipart",
        ),
        ("from fastapi import FastAPI, Form\n", "fastapi", ""),
        ("from fastapi.testclient import TestClient\nTestClient(1)\n", "fastapi", "httpx"),
        ("from fastapi.templating import Jinja2Templates\nJinja2Templates('a')\n", "fastapi", "jinja2"),
        ("from fastapi import FastAPI\napp = FastAPI()\n@app.websocket('/')\ndef f(): ...\n", "fastapi", "websockets"),
        ("from passlib.context import CryptContext\nCryptContext(schemes=['bcrypt'])\n", "passlib", "bcrypt<4.1"),
        ("from passlib.context import CryptContext\nCryptContext(schemes=['argon2'])\n", "passlib", "argon2-cffi"),
        ("import plotly.graph_objects as go\ngo.Figure().write_image('a.png')\n", "plotly numpy", "kaleido"),
        ("import plotly.express as px\npx.scatter(1, trendline='ols')\n", "plotly numpy", "statsmodels"),
        ("import networkx as nx\nnx.draw(1)\n", "networkx numpy scipy", "matplotlib"),
        ("from networkx.drawing.nx_pydot import to_pydot\nto_pydot(1)\n", "networkx", "pydot"),
        (
            "from sklearn.metrics import ConfusionMatrixDisplay as C\nC.from_predictions(1, 2)\n",
            "scikit-learn",
            "matplotlib",
        ),
        ("from xgboost import XGBClassifier\nXGBClassifier()\n", "xgboost", "scikit-learn"),
        ("import lightgbm as lgb\nlgb.LGBMRegressor()\n", "lightgbm", "scikit-learn"),
        ("from bs4 import BeautifulSoup\nBeautifulSoup('', 'lxml')\n", "beautifulsoup4", "lxml"),
        ("from bs4 import BeautifulSoup\nBeautifulSoup('', 'html.parser')\n", "beautifulsoup4", ""),
        ("import seaborn as sns\nsns.regplot(x=1, lowess=True)\n", "seaborn scipy", "statsmodels"),
        ("import evaluate\nevaluate.load('rouge')\n", "evaluate nltk", "rouge-score"),
        ("from torch.utils.tensorboard import SummaryWriter\n", "torch", "tensorboard"),
        ("import xarray as xr\nxr.open_dataset('a.nc')\n", "xarray", "netCDF4"),
        ("import jwt\njwt.decode('x', 'k', algorithms=['RS256'])\n", "pyjwt", "cryptography"),
        (
            "from pydantic import BaseModel, EmailStr\nclass A(BaseModel):\n    a: EmailStr\n",
            "pydantic",
            "email-validator",
        ),
        ("from celery import Celery\nCelery('a', broker='redis://x')\n", "celery", "redis"),
    ],
)
def test_what_code_needs_besides(tmp_path: Path, code: str, listed: str, expected: str) -> None:
    """By calls, arguments, suffixes and URLs; nothing where another package serves as well."""
    assert " ".join(added(tmp_path, code, *listed.split())) == expected


def test_each_entry_of_the_table_can_be_met() -> None:
    """Keys are known, requirements parse, and each entry has evidence of some kind."""
    text = resources.files("shipml.project.data").joinpath("needs.toml").read_text(encoding="utf-8")
    known = {"add", "instead", "calls", "imports", "texts", "arguments", "unless", "beside", "where", "of"}
    for entry in tomllib.loads(text)["need"]:
        assert entry.keys() <= known
        assert entry.keys() & {"calls", "imports", "texts"}
        assert all(Requirement(one) for key in ("add", "of") for one in entry.get(key, "").split())


def test_passwords_in_urls_are_not_shown(tmp_path: Path) -> None:
    """Of a URL that is evidence the scheme alone is said."""
    (tmp_path / "app.py").write_text("import sqlalchemy\nsqlalchemy.create_engine('postgresql://u:hunter2@db/x')\n")
    (tmp_path / "requirements.txt").write_text("sqlalchemy\n")
    requirements = read_project(tmp_path, None).requirements
    assert requirements is not None
    assert "hunter2" not in requirements.changes[0].sentence


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("pandas.read_excel", True),
        ("x.keras.y.load_img", True),
        ("keras.load_img", False),
        ("load_img", False),
        (".save", True),
        ("a.save", False),
        ("", False),
    ],
)
def test_names_with_stars(name: str, fits: bool) -> None:
    """Stars stand for any text, an empty one too; what stands between them comes in its order and does not overlap."""
    assert Names.of(["pandas.read_excel", "*.keras.*.load_img", ".save"]).fit(name) == fits
    assert not Names.of(["ab*ba"]).fit("aba")
    assert Names.of(["*.XLS"], ignores_case=True).fit("a.xls")
