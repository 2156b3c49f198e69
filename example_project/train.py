"""Train the classifier, measure it on held-out flowers and save it.

    python train.py [MODEL_FILE]
"""

import sys
from pathlib import Path

import joblib
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

from preprocessing import load_data, make_preprocessor

MODEL_FILE = Path("model.joblib")


def train() -> tuple[Pipeline, float]:
    """A fitted pipeline, and its accuracy (0 to 1) on the fifth of the flowers that it has not seen."""
    features, species = load_data()
    seen, unseen, seen_species, unseen_species = train_test_split(
        features, species, test_size=0.2, random_state=42, stratify=species
    )
    model = make_pipeline(make_preprocessor(), LogisticRegression(max_iter=200))
    model.fit(seen, seen_species)
    return model, float(accuracy_score(unseen_species, model.predict(unseen)))


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL_FILE
    model, accuracy = train()
    joblib.dump(model, file)
    print(f"accuracy: {accuracy:.4f}")
    print(f"saved {file}")


if __name__ == "__main__":
    main()
