import pandas
import yaml
import joblib
import flask
import numpy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars
try:
    import lightgbm
except ImportError:
    lightgbm = None


def later():
    import plotly
