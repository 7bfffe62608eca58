"""Classifies images with the model beside this file: python predict.py IMAGE...

Prints one line of JSON per image: the probability of each class of each task, the highest first.
What cannot be read is named on standard error, and the exit code is 1 then.
It needs the packages onnxruntime, opencv-python and numpy, and computes one centre crop per image.
"""

import json
import os
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import of onnxruntime

import cv2
import numpy as np
import onnxruntime


def read_crop(path, model):  # type: ignore[no-untyped-def]
    """The centre crop ``(crop, crop, 3) uint8`` RGB as model.json has it, or a ValueError."""
    short, crop, background = (model[key] for key in ("resize_short", "crop", "background"))
    if not Path(path).is_file():
        raise ValueError("is a folder; give image files" if Path(path).is_dir() else "no such file")
    data = np.append(np.fromfile(path, np.uint8), np.uint8(0))  # OpenCV refuses no bytes at all
    image, stored = (cv2.imdecode(data, flag) for flag in (cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED))
    if image is None:
        raise ValueError("not an image that OpenCV can read")
    if stored.dtype != np.uint8:
        raise ValueError("more than 8 bits per value, expected 8")
    for factor in (2, 4, 8):  # large JPEGs are decoded at reduced scale, as in training
        if data[0] == 0xFF and min(stored.shape[:2]) // factor >= short:
            image = cv2.imdecode(data, getattr(cv2, f"IMREAD_REDUCED_COLOR_{factor}"))
    if stored.ndim == 3 and stored.shape[2] == 4:
        image, alpha = stored[:, :, :3], stored[:, :, 3:] / 255  # neither is turned upright
        image = (alpha * image + (1 - alpha) * np.array(background[::-1])).round().astype(np.uint8)
    scale = short / min(image.shape[:2])
    size = [max(short, round(side * scale)) for side in image.shape[1::-1]]
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = ((side - crop) // 2 for side in image.shape[:2])
    return cv2.cvtColor(image[top : top + crop, left : left + crop], cv2.COLOR_BGR2RGB)


def calibrate(values, scaling):  # type: ignore[no-untyped-def]
    """Probabilities ``(C,)`` scaled by a calibration, as fashionai predict --calibrated does."""
    logits = np.log(np.maximum(np.round(values, 8), 5e-9)) * scaling["weights"] + scaling["biases"]
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    folder = Path(__file__).parent
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    file, providers = str(folder / "model.onnx"), ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(file, providers=providers)
    # Whatever the terminal's encoding is; what UTF-8 cannot write becomes an escape of JSON.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    unread = 0
    for path in sys.argv[1:]:
        try:
            image = read_crop(path, model)
        except (OSError, ValueError, cv2.error) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "err", None) or error
            print(f"{path}: {reason}", file=sys.stderr)
            unread += 1
            continue
        (row,) = session.run(None, {"images": image[None]})[0].astype(np.float64)
        columns = {task: row[slice(*ends)] for task, ends in model["columns"].items()}
        for task, scaling in model.get("calibration", {}).items():
            columns[task] = calibrate(columns[task], scaling)
        tasks = {
            task: dict(
                sorted(zip(model["classes"][task], values.tolist()), key=lambda each: -each[1])
            )
            for task, values in columns.items()
        }
        print(json.dumps({"image": path, "tasks": tasks}, ensure_ascii=False))
    sys.exit(1 if unread else 0)
