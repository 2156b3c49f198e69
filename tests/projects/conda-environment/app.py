import torch, cv2
