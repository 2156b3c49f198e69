from setuptools import find_packages, setup

HYPHEN_E_DOT = "-e ."
REQUIRES = ["pandas>=1.3", "sklearn"]

setup(
    name="churn",
    packages=find_packages(),
    python_requires=">=3.8",
    install_requires=REQUIRES,
)
raise SystemExit("it was run")
