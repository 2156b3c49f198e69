"""Train and score."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

x, y = load_iris(return_X_y=True)
print("accuracy:", LogisticRegression(max_iter=500).fit(x, y).score(x, y))
