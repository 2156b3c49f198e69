import argparse

from sklearn.dummy import DummyClassifier

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=5)
    print(parser.parse_args().depth, DummyClassifier())
