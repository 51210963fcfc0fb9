"""Draw the built-in sample of faces.

Reads   nothing but the section `sample` of params.yaml (n, size, seed)
Writes  OUT/images/ (drawn faces, a dozen bad files among them) and
        OUT/labels/ (labels.csv, ratings.csv, truth.csv)
Alone   dvc repro -sf sample
"""

from facestats.run.stage import run_stage

from facestats.sample import write_sample


def main(params, out):
    counts = write_sample(out, **params.sample.model_dump())
    return " ".join(f"{name}={count}" for name, count in counts.items())


if __name__ == "__main__":
    run_stage(main)
