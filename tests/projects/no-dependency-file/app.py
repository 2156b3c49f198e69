import json
import os

import cv2
import joblib
import numpy as np
from google.cloud import storage
from PIL import Image

import helpers
import pySPM2
