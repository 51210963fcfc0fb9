"""The TFLite files of MediaPipe that find faces, landmarks, irises and outlines, and their hashes.

Two face detectors, the face mesh; the iris model, which only measurements use, and the selfie
segmentation, which only composites use (Apache-2.0).
"""

import hashlib
from pathlib import Path

from facestats.errors import ModelError

DETECTOR_FILE = "face_detection_short_range.tflite"
DISTANT_FILE = "face_detection_full_range_sparse.tflite"
MESH_FILE = "face_landmark.tflite"
IRIS_FILE = "iris_landmark.tflite"
SEGMENTATION_FILE = "selfie_segmentation.tflite"
NEEDED = (DETECTOR_FILE, DISTANT_FILE, MESH_FILE)  # without the iris model faces are found as well

# sha256 of the files inside mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl as PyPI has it.
SHA256 = {
    DETECTOR_FILE: "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    DISTANT_FILE: "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    MESH_FILE: "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    IRIS_FILE: "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
    SEGMENTATION_FILE: "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
}
WHEEL = "mediapipe==0.10.21"

WAYS_OUT = (
    f"Two ways out: point pip at an index that has {WHEEL} (`pip config set global.index-url "
    f"URL`), or put {DETECTOR_FILE}, {DISTANT_FILE} and {MESH_FILE} into a folder and name it in "
    f"params.yaml, `landmarker.source: DIR`; {IRIS_FILE} beside them finds the pupils"
)


def model_hashes(model_dir: str | Path) -> dict[str, str]:
    """sha256 of the files that find landmarks in a folder, by name; ModelError if one is missing.

    The key of a face's row depends on them, and not on the iris model.
    """
    return {name: file_sha256(Path(model_dir) / name) for name in NEEDED}


def file_sha256(path: Path) -> str:
    """sha256 of one of the files; ModelError if it is missing or can't be read."""
    if path.exists() and not path.is_file():
        raise ModelError(f"{path} is no regular file. {WAYS_OUT}")
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file. {WAYS_OUT}") from None
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror}). {WAYS_OUT}") from error
