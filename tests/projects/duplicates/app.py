import dvc
