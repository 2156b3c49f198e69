import flask
import torch
import whisper

if __name__ == "__main__":
    print(flask, torch, whisper)
