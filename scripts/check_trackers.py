"""Whether a tracker computes from an exported file what ``FeatureExtractor`` computes: BoxMOT or Ultralytics, by their
own code.

    python scripts/check_trackers.py boxmot FOLDER IMAGES
    python scripts/check_trackers.py ultralytics FOLDER IMAGES

FOLDER is what ``nas_reid.export tracker=...`` left, IMAGES a folder of images of people. They are laid side by side in
a frame, at up to four times their size, and the tracker gets the frame and the boxes as it does from a detector. Needs
the tracker's package, in an environment of its own: neither is a dependency of nas_reid. Prints a line of JSON.
"""

import argparse
import json
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.deploy.folder import part_of, read_folder

SCALES = (1.0, 1.7, 2.5, 4.0)
MARGIN = 20  # pixels around each person


def frame_of(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """A BGR frame [h, w, 3] with the images in it, and their boxes [N, 4] as left, upper, right, lower, not rounded."""
    pictures = []
    for number, file in enumerate(files):
        with Image.open(file) as opened:
            scale = SCALES[number % len(SCALES)]
            pictures.append(opened.convert("RGB").resize((round(opened.width * scale), round(opened.height * scale)),
                                                         Image.Resampling.BICUBIC))
    frame = np.full((max(picture.height for picture in pictures) + 2 * MARGIN,
                     sum(picture.width + MARGIN for picture in pictures) + MARGIN, 3), 127, dtype=np.uint8)
    boxes, left = [], MARGIN
    for picture in pictures:
        frame[MARGIN:MARGIN + picture.height, left:left + picture.width] = np.asarray(picture)[..., ::-1]
        boxes.append((left + 0.3, MARGIN + 0.2, left + picture.width - 0.4, MARGIN + picture.height - 0.1))
        left += picture.width + MARGIN
    return frame, np.array(boxes, dtype=np.float32)


def boxmot(model: Path, frame: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Features [N, D] by BoxMOT, and the BGR crops that it made."""
    from boxmot.reid.core.crops import extract_crops
    from boxmot.reid.core.runtime import ReID

    encoder = ReID(model)
    return encoder(frame, boxes), extract_crops(boxes, frame, encoder.model.input_shape)


def ultralytics(model: Path, frame: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same by Ultralytics, which adds a margin to every box."""
    from ultralytics.trackers.utils.reid import ReID

    sizes = boxes[:, 2:] - boxes[:, :2]
    centred = np.concatenate([boxes[:, :2] + sizes / 2, sizes], axis=1)
    encoder = ReID(str(model), device="cpu")
    return np.stack(encoder(frame, centred)), encoder._crop_detections(frame, centred)


def main() -> None:
    """Compare, and print the least cosine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracker", choices=("boxmot", "ultralytics"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=24)
    arguments = parser.parse_args()
    if find_spec(arguments.tracker) is None:
        parser.error(f"{arguments.tracker} is not installed here; docs/trackers.md says which version, and how")
    files = list(image_files(arguments.images))
    files = files[::max(1, len(files) // arguments.count)][:arguments.count]
    frame, boxes = frame_of(files)
    run = {"boxmot": boxmot, "ultralytics": ultralytics}[arguments.tracker]
    model = arguments.folder / str(part_of(read_folder(arguments.folder), ".onnx"))
    theirs, crops = run(model, frame, boxes)
    ours = FeatureExtractor(arguments.folder)(crops, colours="BGR").numpy()
    theirs, ours = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (theirs, ours))
    cosines = (theirs * ours).sum(axis=1)
    among = (ours @ ours.T)[~np.eye(len(ours), dtype=bool)]
    sys.stdout.write(json.dumps({"tracker": arguments.tracker, "version": metadata.version(arguments.tracker),
                                 "crops": len(crops), "least_cosine": float(cosines.min()),
                                 "mean_cosine": float(cosines.mean()),
                                 "least_cosine_of_different_crops": float(among.min())}) + "\n")


if __name__ == "__main__":
    main()
