import cv2, yaml
from PIL import Image
import sklearn.svm
