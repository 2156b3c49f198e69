"""Name the species of one flower.

    python predict.py SEPAL_LENGTH SEPAL_WIDTH PETAL_LENGTH PETAL_WIDTH    (centimetres)

Uses the model that train.py saved; where there is none, trains one first, in memory.
"""

import sys

import joblib
import pandas as pd
from sklearn.pipeline import Pipeline

from preprocessing import FEATURES
from train import MODEL_FILE, train


def load_model() -> Pipeline:
    """The saved model, else a new one."""
    if MODEL_FILE.exists():
        return joblib.load(MODEL_FILE)
    return train()[0]


def predict(model: Pipeline, measurements: list[float]) -> tuple[str, float]:
    """The most likely species, and its probability."""
    flower = pd.DataFrame([measurements], columns=FEATURES)
    probabilities = pd.Series(model.predict_proba(flower)[0], index=model.classes_)
    return str(probabilities.idxmax()), float(probabilities.max())


def main() -> None:
    try:
        measurements = [float(text) for text in sys.argv[1:]]
    except ValueError as error:
        sys.exit(f"not a number: {error}")
    if len(measurements) != len(FEATURES):
        sys.exit(f"usage: python predict.py {' '.join(FEATURES).upper()}")
    species, probability = predict(load_model(), measurements)
    print(f"{species} ({probability:.0%})")


if __name__ == "__main__":
    main()
