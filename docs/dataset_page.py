"""The page of the datasets that can be imported, written from their importers."""

from __future__ import annotations

from facestats.importers.registry import DATASETS

HEAD = """# Datasets

`python -m facestats import NAME DIR` brings a dataset into `data/raw` and `data/labels`, and puts
both under DVC. Get the dataset from its authors and unpack it; DIR may lie anywhere above it. This
page is written from the importers by `python docs/reference.py`.

| option | what it does |
|---|---|
| `--list` | lists the datasets |
| `--into DIR` | makes `raw/` and `labels/` there instead of in `data` |
| `--link` | makes hard links instead of copies |
| `--limit N` | takes N photos by a hash of their names: the same every time |
| `--append` | adds the dataset to the imported one: photos in a folder of its name, ratings of \
different scales as shares of each scale from 0 to 100 |
| `--partial` | accepts a dataset most of whose photos are missing |
| `--trait TRAIT…` | takes these rated traits, the first for `rating` (`omi`, `3dsk`, `mebeauty`, \
`cfd`), or these attributes (`celeba`, `lfw`) |
| `--as COLUMN` | says what the subfolders of `folder` are |
| `--image`, `--gender`, `--ethnicity`, `--age`, `--rating`, `--person COLUMN` | say which column \
of `csv` is meant, perhaps with codes: `sex:0=female,1=male` |
| `--table FILE` | says which table is that of `csv`, where there are several |
| `--scale LOW HIGH` | gives the ends of the scale of the ratings of `csv` |

The dataset's own files are only read, and links in it are not followed. What is left out is counted
and named by reason, never guessed. If an import fails, both folders are as before. `--append`
leaves all files there that no import wrote; `labels.csv` and `ratings.csv`, perhaps changed by you,
are read as the stage `labels` reads them, and written anew with both datasets.

`data/labels` then holds `labels.csv`; `ratings.csv` where there are single judgements; and
`dataset.json`, with licence, citation, scale of the ratings, sha256 of the label files and what was
left out. Model card and report name the licence. `dataset.croissant.json` is a [Croissant
1.1](https://docs.mlcommons.org/croissant/) description for other programs.

- An official split is the column `split_official`. `split.official: true` uses it.
- A column `trait` of `ratings.csv` says what was rated. The mean of each trait is a column
  `rating_<trait>` of `labels.parquet`; `score.traits` scores it. `rating` is the first in the file.
- Raters' own columns, such as `rater_gender`, can be a condition: `labels.raters: {rater_gender:
  female}`.
- Raters of one study may call the average face 28 of 100, those of another 53. `labels.level`
  brings the mean ratings of datasets (column `dataset`) to that of the largest.

| message | what to do |
|---|---|
| `… is an archive; unpack it and give its folder` | unpack it; archives within it, too |
| `… is not FairFace; it looks like UTKFace` | give that name, or another folder |
| `… is missing; get the whole dataset` | the part named is not there: get it from the authors |
| `… are missing, such as …` | get the rest, or give `--partial` |
| `… holds two files of one name that differ` | move away the one that is not of the dataset |
| `the labels of … fit none of … there` | a table was cut: get it again |
| `… has no column …` | the table was changed: get it again |
| `… is not a regular file` | put the file there instead of the link |
| `… is not empty` | move it away; `--into`; `--append` for a second dataset |
| `the photos need more than the … MiB that are free` | `--into`, `--limit` or `--link` |
| `--link with DVC's cache.type …` | leave `--link` out |
| `… and would lose a part of it` | save your file as UTF-8, the names of the columns in its \
first line |
| `… stands in its place` | save your file as `labels.csv` or `ratings.csv` |
| `an import was stopped half way, and … was changed since` | compare both folders, keep one |
| `… has the column … twice` | remove one of them |
| `… may be a decimal number or thousands` | write a decimal point, or no comma |
| `… nearly all of them empty` | the file is damaged: get it again |
| `the scale of the ratings that are there is not known` | write its ends into \
`dataset.json`: `"rating_scale": [1, 7]` |
| `the scale of the ratings of … is not known` | `--scale 1 7`, with the ends of yours |
| `gender and race are numbers, which copies of FairFace …` | take the authors' tables |

Adding a dataset does not always help: compare before you keep it. A model of 745 OMI faces and
their ratings (`tiny`) predicts the attractiveness of 3DSK's 100 faces with r = 0.34 (0.16 to 0.48),
of women with 0.41 (0.16 to 0.63), of men with 0.32 (0.06 to 0.54).
With four fifths of 3DSK added it predicts the other fifth with r = 0.30 (0.11 to 0.45), and with
`labels.level: false` with 0.22 (0.06 to 0.38). On OMI's test faces r is 0.74, 0.74 and 0.72.
"""


def datasets_page() -> str:
    """docs/datasets.md: every dataset that can be imported."""
    lines = [
        HEAD,
        "| name | dataset | faces | labels |",
        "|---|---|---|---|",
        *(
            f"| [{d.name}](#{d.name}) | {d.title} | {d.faces} | {d.labels} |"
            for d in DATASETS.values()
        ),
        "",
    ]
    for dataset in DATASETS.values():
        more = {"folder": " --as person", "csv": " --image COLUMN --rating COLUMN"}
        facts = [
            ("licence", dataset.licence),
            ("licence's page", dataset.licence_link),
            ("files", dataset.layout),
            ("labels", dataset.columns),
            ("to know", dataset.pitfalls),
            ("cite", dataset.citation),
        ]
        lines += [
            f"## {dataset.name}",
            "",
            f"`python -m facestats import {dataset.name} DIR{more.get(dataset.name, '')}`",
            "",
            *(f"- {name}: {text}" for name, text in facts if text not in ("", "-")),
            "",
        ]
    return "\n".join(lines)
