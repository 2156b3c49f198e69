from flask import Flask
from sklearn.tree import DecisionTreeClassifier

app = Flask(__name__)


@app.get("/")
def home() -> str:
    return str(DecisionTreeClassifier())
