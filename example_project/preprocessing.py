"""Load the Iris measurements and prepare them for a model."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
"""Names of the input columns; all lengths in centimetres."""


def load_data() -> tuple[pd.DataFrame, pd.Series]:
    """The 150 flowers: one row of FEATURES each, and the name of its species. Needs no network."""
    iris = load_iris()
    features = pd.DataFrame(iris.data, columns=FEATURES)
    species = pd.Series(iris.target_names[iris.target], name="species")
    return features, species


def make_preprocessor() -> ColumnTransformer:
    """Scale every measurement to mean 0 and variance 1; other columns are dropped."""
    return ColumnTransformer([("scale", StandardScaler(), FEATURES)])
