"""A row store that an enemy writes into, for tests."""

import hashlib
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from facestats.cli.doctor_surroundings import describe_rows
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.removal import forget_rows
from facestats.rows.store import RowStore
from facestats.rows.usage import measure, prune

COLUMNS = {"key": pa.string(), "sha256": pa.string(), "crop": pa.string()}
SCHEMA = pa.schema(list(COLUMNS.items()), metadata={"stage": "preprocess", "recipe": "a" * 64})
PHOTO = "f" * 64


class Store:
    """A store that an enemy writes into, beside a home that is none of the store's."""

    def __init__(self, folder):
        self.home, self.path = folder / "home", folder / ".dvc/facestats-rows"
        self.recipe = self.path / "preprocess" / ("a" * 32)
        (self.recipe / "files").mkdir(parents=True)
        self.home.mkdir()
        for name in (".bashrc", ".netrc", "thesis.parquet", "b" * 32, f".{'0' * 32}.1"):
            (self.home / name).write_bytes(b"mine")
        (folder / "faces.parquet").unlink(missing_ok=True)
        pd.DataFrame({"key": ["kept"]}).to_parquet(folder / "faces.parquet")
        (folder / "dvc.lock").write_text(
            "stages: {preprocess: {outs: [{path: faces.parquet, md5: abcdef}]}}"
        )
        self.cache = DvcCache(folder, folder / ".dvc/cache")
        self.before = self.homes_files()
        self.warnings = []

    def homes_files(self):
        return {path.name: path.read_bytes() for path in self.home.iterdir()}

    def plant(self, table: pa.Table, name: str | None = None, **options):
        """Write a segment that fits its name, in the store's own format unless `options` differ."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, **{"use_dictionary": False} | options)
        path = self.recipe / (name or f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.parquet")
        path.write_bytes(buffer.getvalue())
        return path

    def run(self):
        """A run that wants a row and adds it."""
        with RowStore(
            self.path, "preprocess", "a" * 64, COLUMNS, cache=self.cache, warn=self.warnings.append
        ) as rows:
            stored = rows.lookup(["1", "2"])
            rows.files.place("../" * 9 + str(self.home / "b"), self.home.parent / "placed.jpg")
            md5 = rows.files.save(b"crop", self.home.parent / "out/a.jpg")
            rows.add({"key": "1", "sha256": PHOTO, "crop": md5})
        return stored["key"].to_pylist()

    def everything(self):
        """All commands that write into the store, as users give them."""
        self.run()
        list(describe_rows(self.home.parent))
        measure(self.path, self.cache)
        forget_rows(self.path, self.cache, [PHOTO], ["a.jpg"])
        prune(self.path, self.cache)
        assert self.homes_files() == self.before


def row(crop, key="1"):
    crops, keys = (value if isinstance(value, list) else [value] for value in (crop, key))
    columns = {"key": keys, "sha256": [PHOTO] * len(keys), "crop": crops}
    return pa.table(columns, schema=SCHEMA)
