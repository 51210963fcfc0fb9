"""Make the README's picture from the composites of the last run.

    python docs/pictures.py
"""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("women", "men", "older_adults", "top_rated", "bottom_rated")
SIDE = 240


def main() -> None:
    strip = Image.new("RGB", (SIDE * len(SHOWN), SIDE))
    for i, name in enumerate(SHOWN):
        with Image.open(ROOT / "data/processed/composites" / name / "composite.jpg") as composite:
            strip.paste(composite.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (SIDE * i, 0))
    (ROOT / "docs/images").mkdir(exist_ok=True)
    strip.save(ROOT / "docs/images/composites.jpg", quality=90)


if __name__ == "__main__":
    main()
