"""Stage `ship`: put the model into the package, and write down what was put there.

Reads   model/
Writes  metrics/shipped.json: sha256 of each file; and, outside of this DVC project, the package's
        folder
Alone   python ship.py model ../src/facestats/checkpoints/tiny_model metrics/shipped.json
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from facestats.core.fingerprint import sha256_file

MOST_BYTES = 8_000_000  # of the weights


def main(model: Path, package: Path, metrics: Path) -> None:
    size = (model / "model.safetensors").stat().st_size
    if size > MOST_BYTES:
        sys.exit(
            f"the weights have {size:,} bytes; what ships with the package may have {MOST_BYTES:,}"
        )
    package.mkdir(exist_ok=True)
    for path in sorted(model.iterdir()):
        shutil.copyfile(path, package / f".{path.name}")
        (package / f".{path.name}").replace(package / path.name)
    for path in package.iterdir():
        if not (model / path.name).exists():
            path.unlink()
    hashes = {path.name: sha256_file(path) for path in sorted(model.iterdir())}
    metrics.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")
    print(f"{len(hashes)} files, weights of {size / 1e6:.1f} MB, in {package}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
