"""Stage `fetch_landmarker`: MediaPipe's face detector and face mesh (TFLite, Apache-2.0).

Reads   the wheel of mediapipe through pip, or the folder that `landmarker.source` names
Writes  models/landmarker/ (three .tflite files)
Alone   dvc repro -sf fetch_landmarker
"""

from facestats.run.stage import run_stage

from facestats.landmarker.fetch import fetch_landmarker


def main(params, out):
    paths = fetch_landmarker(params.landmarker.source, out)
    return f"source={params.landmarker.source} files={len(paths)}"


if __name__ == "__main__":
    run_stage(main)
