"""Label files of sixty faces, for the tests of how they are read."""

import openpyxl
import pandas as pd

from facestats.labels.joining import join_labels

IMAGES = [f"{i:02d}.jpg" for i in range(60)]


FACES = pd.DataFrame({"image": IMAGES, "filename": IMAGES})


THREE = [["female", 30.0], ["male", 34.5], ["female", 28.0]]


PLAIN = "image,gender,age\n00.jpg,female,30\n01.jpg,male,34.5\n02.jpg,female,28\n"


def join_files(folder, raters=None, **files):
    """Write files by name, text as bytes or rows of a workbook, and join them."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        if isinstance(content, list):
            workbook({"Sheet1": content}).save(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return join_labels(FACES, folder, folder / "manual.csv", "auto", None, raters)


def workbook(sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return book


def labels(joined, *columns):
    """What is known of the first three faces."""
    return (
        joined.table.set_index("filename")
        .loc[IMAGES[:3], list(columns)]
        .astype(object)
        .values.tolist()
    )
