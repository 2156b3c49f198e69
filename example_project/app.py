"""Train on Iris, print the accuracy, and name one flower. Writes no file, so it runs in a read-only container."""

from predict import predict
from train import train


def main() -> None:
    model, accuracy = train()
    print(f"accuracy: {accuracy:.4f}")
    species, probability = predict(model, [5.1, 3.5, 1.4, 0.2])
    print(f"a flower of 5.1 x 3.5 and 1.4 x 0.2 cm is {species} ({probability:.0%})")


if __name__ == "__main__":
    main()
