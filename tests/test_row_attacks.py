"""Attacks on a shared row store: other files stay, nothing hangs, unusable rows are recomputed."""

import base64
import fcntl
import hashlib
import io
import os
import re
import shutil
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facestats.cli.doctor_surroundings import describe_rows
from facestats.core import tables
from facestats.core.files import temporary_name, write_bytes
from facestats.errors import InputError
from facestats.faces.preprocess import ROW_COLUMNS
from facestats.faces.tables import FACES
from facestats.labels.manual import alone, replace_file
from facestats.rows import segments
from facestats.rows.checks import check_face_rows, check_photo_rows
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.folder import Folder, open_below, open_store
from facestats.rows.pages import chunks, pages
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


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def row(crop, key="1"):
    crops, keys = (value if isinstance(value, list) else [value] for value in (crop, key))
    columns = {"key": keys, "sha256": [PHOTO] * len(keys), "crop": crops}
    return pa.table(columns, schema=SCHEMA)


@pytest.mark.parametrize(
    "crop",
    [
        "{home}/.bashrc",
        "../../../../../home/.bashrc",
        "../../../../home/.netrc",
        "",
        "a\0b",
        "A" * 32,
    ],
)
@pytest.mark.parametrize("command", ["forget", "prune", "everything"])
def test_no_file_goes_that_a_row_names_outside_of_the_store(store, crop, command):
    planted = store.plant(row(crop.format(home=store.home)))
    if command == "forget":
        forget_rows(store.path, store.cache, [PHOTO], [])
    elif command == "prune":
        prune(store.path, store.cache)
    else:
        store.everything()
        assert any(
            str(planted) in warning and "names a file that can't be in the store" in warning
            for warning in store.warnings
        )
    assert store.homes_files() == store.before
    assert not planted.exists()


@pytest.mark.parametrize("place", ["recipe", "files", "stage", "other"])
def test_a_link_to_a_folder_is_no_part_of_the_store(store, place):
    """The link to a home made an ordinary run delete its hidden files, and `rows prune` all."""
    target = {
        "recipe": store.recipe,
        "files": store.recipe / "files",
        "stage": store.recipe.parent,
        "other": store.recipe.with_name("c" * 32),
    }[place]
    shutil.rmtree(target, ignore_errors=True)
    target.symlink_to(store.home)
    store.everything()
    assert target.is_symlink()
    assert (
        place == "other"
        or f"{target} is a link; the store has none, so remove it" in store.warnings[0]
    )


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "hard link", "folder", "device"])
@pytest.mark.parametrize(
    "name",
    [
        "{recipe}/{segment}.parquet",
        "{recipe}/files/{md5}",
        "{recipe}.lock",
        "../.gitignore",
        "{recipe}/.{md5}.1",
    ],
)
def test_what_is_no_plain_file_is_neither_read_nor_written(store, kind, name):
    place = store.recipe.parent / name.format(
        recipe=store.recipe.name, segment="d" * 64, md5=hashlib.md5(b"crop").hexdigest()
    )
    if kind == "device" and os.geteuid():
        pytest.skip("only root makes devices")
    make = {
        "link": lambda: place.symlink_to(store.home / ".bashrc"),
        "dangling": lambda: place.symlink_to(store.home / "new"),
        "pipe": lambda: os.mkfifo(place),
        "hard link": lambda: os.link(store.home / ".bashrc", place),
        "folder": place.mkdir,
        "device": lambda: os.mknod(place, 0o20666, os.makedev(1, 5)),
    }
    make[kind]()
    ended = threading.Event()
    worker = threading.Thread(
        target=lambda: (store.everything(), ended.set()), daemon=True
    )  # which a pipe would hold up for ever
    worker.start()
    worker.join(20)
    assert ended.is_set()


def test_a_store_that_is_a_link_is_used_only_if_it_is_ones_own(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "rows").symlink_to("elsewhere")
    with open_store(tmp_path / "rows") as folder:
        assert folder.path == tmp_path / "rows"
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    os.lchown(tmp_path / "rows", 4712, -1) if os.getuid() == 0 else None
    warnings = []
    with RowStore(tmp_path / "rows", "preprocess", "a" * 64, COLUMNS, warn=warnings.append) as rows:
        rows.add({"key": "1", "sha256": PHOTO, "crop": None})
    assert "a link that belongs to another user" in warnings[0]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_put_in_place_between_check_and_use_leads_nowhere(store, monkeypatch):
    """Whenever a folder's names are listed, a link to the home replaces it before they are used."""
    names, seen = Folder.names, []

    def replaced(self, pattern):
        stored = names(self, pattern)
        if self.path.name == "files" and not self.path.is_symlink():
            seen.append(self.path)
            self.path.rename(self.path.with_name(f"moved{len(seen)}"))
            self.path.symlink_to(store.home)
        return [*stored, "b" * 32, ".bashrc"]

    for md5 in ("b" * 32, "c" * 32):
        (store.recipe / "files" / md5).write_bytes(b"crop")
    monkeypatch.setattr(Folder, "names", replaced)
    forget_rows(store.path, store.cache, [PHOTO], [])
    prune(store.path, store.cache)
    assert seen
    assert store.homes_files() == store.before


def test_bare_names_alone_are_opened(store):
    with open_below(store.path, "preprocess") as folder:
        for name in ("..", ".", "", "../x", "/etc/passwd", "a/b", "a\0b"):
            for use in (
                folder.opened,
                folder.below,
                folder.size,
                lambda name: folder.write(name, b""),
            ):
                with pytest.raises(OSError, match="not the name of a file"):
                    use(name)
            folder.remove(name)


@pytest.mark.parametrize(
    "segment",
    [
        pa.table({"key": pa.array([None], pa.string()), "sha256": [PHOTO], "crop": [None]}),
        pa.table({"key": [1], "sha256": [PHOTO], "crop": [None]}),
        pa.table({"key": ["1"], "sha256": [[PHOTO]], "crop": [None]}),
        pa.table({"key": ["1"], "sha256": [PHOTO], "crop": [b"x"]}),
        pa.table({"sha256": [PHOTO]}),
        pa.table({"key": pa.array(["1"] * 3).dictionary_encode(), "sha256": [PHOTO] * 3}),
        pa.table({"key": ["1"], "crop": pa.array([{"a": 1}])}),
        pa.table({}),
    ],
    ids=range(8),
)
def test_columns_of_another_kind_are_named_and_computed_again(store, segment):
    path = store.plant(segment)
    assert store.run() == []
    assert str(path) in store.warnings[0]
    assert not path.exists()
    store.plant(segment)
    store.everything()


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", b"PAR1" * 100, os.urandom(1000), b"PAR1" + bytes(50) + b"\xff\xff\xff\x7fPAR1"],
)
def test_bytes_that_fit_their_name_and_are_no_table_are_named(store, data):
    path = store.recipe / f"{hashlib.sha256(data).hexdigest()}.parquet"
    path.write_bytes(data)
    assert store.run() == []
    assert "not a readable parquet file" in store.warnings[0]
    assert not path.exists()


def test_a_segment_is_read_up_to_a_size(store, monkeypatch):
    path = store.recipe / f"{'e' * 64}.parquet"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole
    assert store.run() == []
    assert "larger than" in store.warnings[0]
    store.plant(row([None] * 5000, [str(number) for number in range(5000)]))
    assert store.run() == ["1"]
    assert "5000 rows, 0 MB are more than a segment holds" in store.warnings[-1]
    bomb = store.plant(row([None], ["k" * 3_000_000]), compression="zstd")
    monkeypatch.setattr("facestats.rows.segments._LARGEST", 1_000_000)
    assert bomb.stat().st_size < 10_000
    assert store.run() == ["1"]
    assert "1 rows, 3 MB are more than a segment holds" in store.warnings[-1]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"use_dictionary": True}, "dictionary encoding, which the store does not write"),
        (
            {"column_encoding": {"sha256": "DELTA_BYTE_ARRAY"}},
            "an encoding that the store does not write",
        ),
    ],
    ids=["dictionary", "prefixes"],
)
def test_a_small_segment_of_much_content_is_not_unpacked(store, options, why, monkeypatch):
    """4 kB became 3 GB."""
    tables_read = []
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: tables_read.append(1))
    bomb = pa.table(
        {"key": list("12"), "sha256": ["x" * 1_000_000] * 2, "crop": [None] * 2}, schema=SCHEMA
    )
    path = store.plant(bomb, compression="zstd", **options)
    assert path.stat().st_size < 10_000
    store.run()
    assert (
        f"{path} in the row store is left out: not a readable parquet file: {why}"
        in (store.warnings[0])
    )
    assert tables_read == []
    assert not path.exists()


def test_a_vector_of_any_width_takes_no_memory_for_its_nulls(store):
    wide = pa.table(
        {"key": ["1"], "box": pa.nulls(1, pa.list_(pa.float32(), 4))},
    )
    schema = pa.schema([("key", pa.string()), ("box", pa.list_(pa.float32(), 2**30))])
    buffer = io.BytesIO()
    pq.write_table(wide, buffer, use_dictionary=False)
    with pq.ParquetFile(io.BytesIO(buffer.getvalue())) as file:
        claimed = file.schema_arrow.serialize().to_pybytes()
    assert base64.b64encode(claimed)[:20] in buffer.getvalue()
    data = buffer.getvalue().replace(
        base64.b64encode(wide.schema.serialize().to_pybytes()),
        base64.b64encode(schema.serialize().to_pybytes()),
    )
    assert data != buffer.getvalue()
    path = store.recipe / f"{hashlib.sha256(data).hexdigest()}.parquet"
    path.write_bytes(data)
    assert store.run() == []
    assert "1 rows, 17179 MB are more than a segment holds" in store.warnings[0]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_the_headers_of_pages_say_what_the_footer_says(version, dictionary):
    """Of a segment as the store writes it, and of pages of the second kind."""
    table = pa.table(
        {
            "text": [f"{number} text" for number in range(4000)],
            "flag": [None, True] * 2000,
            "vector": pa.array([[0.5] * 300] * 4000, pa.list_(pa.float32(), 300)),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        use_dictionary=dictionary,
        data_page_version=version,
        use_byte_stream_split=[] if dictionary else ["vector.list.element"],
    )
    data = buffer.getvalue()
    facts = pq.ParquetFile(io.BytesIO(data)).metadata
    for column in map(facts.row_group(0).column, range(3)):
        end = column.data_page_offset + column.total_compressed_size
        if column.has_dictionary_page:
            end -= column.data_page_offset - column.dictionary_page_offset
        listed = list(pages(data, column.data_page_offset, end))
        assert sum(page.values for page in listed) == column.num_values
        assert all(page.plain for page in listed) == (not column.has_dictionary_page)
        unpacked = sum(page.size for page in listed)
        assert 0 <= column.total_uncompressed_size - unpacked < 100 * len(listed) or dictionary
        with pytest.raises(ValueError, match="page"):
            list(pages(data, column.data_page_offset, end - 1))


def test_columns_that_share_ten_thousand_pages_are_refused(store, monkeypatch):
    """980 columns of 10,000 empty pages took minutes."""
    monkeypatch.setattr(segments, "_MOST_PAGES", len(COLUMNS) - 1)
    path = store.plant(pa.table({name: ["1"] for name in COLUMNS}, SCHEMA))
    assert store.run() == []
    assert f"more than {len(COLUMNS) - 1} pages" in store.warnings[0]
    assert not path.exists()


def test_a_list_of_another_kind_than_the_format_says_is_refused(store):
    """pyarrow reads it by the format, and saw another footer than the check."""
    path = store.plant(pa.table({name: ["1"] for name in COLUMNS}, SCHEMA))
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    # A column's encodings, whole numbers of 32 bits, become a list of such of 64.
    changed, count = re.subn(rb"\x15\x0c\x19[\x15\x25\x35]", as_long, footer, count=1)
    assert count == 1
    with pytest.raises(ValueError, match="another kind than the format says"):
        chunks(with_footer(changed))


def as_long(match):
    return match[0][:-1] + bytes([match[0][-1] & 0xF0 | 6])


def test_nulls_of_wide_values_are_counted(store):
    """One row, a list of 2,000 nulls of a megabyte each."""
    nulls = pa.array([[None] * 2000], pa.list_(pa.binary(10**6)))
    table = pa.table({"key": ["1"], "wide": nulls})
    path = store.plant(table)
    assert store.run() == []
    assert "a column of list<element: fixed_size_binary" in store.warnings[0]
    assert not path.exists()


def test_what_is_no_page_is_refused():
    for start in range(200):
        data = np.random.default_rng(start).bytes(300)
        with pytest.raises(ValueError, match="page"):
            list(pages(data, start, 300))
    with pytest.raises(ValueError, match="a page has no header"):
        list(pages(b"", -5, 0))


def test_a_page_whose_sizes_are_no_numbers_is_refused():
    """The text in a number's place was an error in Python; false counts took terabytes."""
    for header in (b"\x15\x00\x18\x01a\x15\x02\x2c\x15\x02\x15\x00\0\0", b"\x18\x01a\0"):
        with pytest.raises(ValueError, match="a page has no header"):
            list(pages(header, 0, len(header)))


def test_false_facts_of_a_column_end_no_process(store):
    """Asked for such a column, pyarrow calls `std::terminate`; it only reads it."""
    path = store.plant(pa.table({name: ["1"] for name in COLUMNS}, SCHEMA))
    optional, required = b"\x25\x02\x18\x03key", b"\x25\x00\x18\x03key"
    data = path.read_bytes()
    assert data.count(optional) == 1
    path.unlink()
    data = data.replace(optional, required)
    path = path.with_name(f"{hashlib.sha256(data).hexdigest()}.parquet")
    path.write_bytes(data)
    assert store.run() == []
    assert f"{path} in the row store is left out: not a readable parquet file" in store.warnings[0]
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:-4] + b"PARE", "it has no footer"),
        (lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1", "it has no footer"),
        (
            lambda data: b"PAR1" + b"\0" * 2**21 + (2**21).to_bytes(4, "little") + b"PAR1",
            "no footer",
        ),
        (lambda data: with_footer(b"\x39\xfc\xff\xff\xff\x7f"), "a list that is too long"),
        (lambda data: with_footer(b"\x15\x02\x05\x02\x02"), "a field twice"),
        (lambda data: with_footer(b"\x49\x1c\x19\x1c\x18\x01a\0\0"), "its footer is damaged"),
        (
            lambda data: with_footer(b"\x49\x1c\x19\x1c" + FACTS.replace(b"\x3c", b"\x18\1a\x2c")),
            "another",
        ),
        (lambda data: with_footer(b"\x49\x1c\x19\x1c" + FACTS), "which the store does not write"),
        (lambda data: with_footer(b"\x05\xa2\x80\x08\x02\0"), "a field that no format names"),
        (lambda data: with_footer(b"\x49" + b"\x19" * 500 + b"\x13\0\0"), "nested too deeply"),
        (
            lambda data: with_footer(
                data[-8 - int.from_bytes(data[-8:-4], "little") : -8].replace(
                    b"\x16\x02\x19\x1c", b"\x16\x04\x19\x1c", 1
                )
            ),
            "other rows than the file",
        ),
    ],
)
def test_what_is_no_footer_is_refused(change, why):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"key": ["1"]}), buffer, use_dictionary=False)
    data = buffer.getvalue()
    [chunk] = chunks(data)
    assert sum(page.values for page in pages(data, chunk.start, chunk.end)) == 1
    with pytest.raises(ValueError, match=why):
        chunks(change(data))


# A column's facts: bytes, where its pages begin, and where its dictionary does.
FACTS = b"\x3c\x76\x02\x26\x02\x26\x02\0\0\0\0"


def with_footer(footer: bytes) -> bytes:
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "large"])
def test_what_is_no_segment_costs_no_time(store, monkeypatch, kind):
    """Each took 2.6 s at every look, as if a disk might come back."""
    pauses = []
    monkeypatch.setattr("facestats.machine.faults.time.sleep", pauses.append)
    path = store.recipe / f"{'e' * 64}.parquet"
    if kind == "large":
        with path.open("wb") as file:
            file.truncate(2**30 + 1)
    else:
        make = {
            "link": lambda: path.symlink_to("/etc/passwd"),
            "folder": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
        }
        make[kind]()
    assert store.run() == []
    prune(store.path, store.cache)
    assert str(path) in store.warnings[0]
    assert pauses == []


def photo_row(**changed):
    row = dict.fromkeys(ROW_COLUMNS) | {
        "key": "1" * 64,
        "sha256": "2" * 64,
        "status": "ok",
        "width": 10,
        "height": 10,
        "face_count": 1,
        "sharpness": 0.5,
        "crop": "3" * 32,
        "perceptual_hash": "4" * 64,
        "box": [0.0] * 4,
        "landmarks": [0.5] * (468 * 3),
    }
    return pa.Table.from_pylist([row | changed], pa.schema(list(ROW_COLUMNS.items())))


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "x"},
        {"sha256": "x"},
        {"sha256": None},
        {"status": "fine"},
        {"status": None},
        {"crop": None},
        {"perceptual_hash": "zz"},
        {"perceptual_hash": None},
        {"width": None},
        {"height": 0},
        {"sharpness": float("nan")},
        {"sharpness": None},
        {"landmarks": [float("inf")] * (468 * 3)},
        {"box": [0.0, 1.0, None, 2.0]},
        {"status": "rejected", "reason": "no face found"},
        {"status": "rejected", "crop": None},
    ],
    ids=str,
)
def test_rows_of_photos_that_later_steps_would_stumble_over_are_refused(changed):
    assert check_photo_rows(photo_row()) is None
    assert (
        check_photo_rows(
            photo_row(
                status="rejected",
                reason="no face found",
                crop=None,
                box=None,
                landmarks=None,
                sharpness=None,
            )
        )
        is None
    )
    assert check_photo_rows(photo_row(**changed))


@pytest.mark.parametrize(
    "embedding",
    [None, [0.0] * 4, [1.0, None, 0.0, 0.0], [float("nan"), 1.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]],
    ids=str,
)
def test_embeddings_that_are_none_are_refused(embedding):
    def rows(embedding):
        return pa.table(
            {"key": ["1" * 64], "embedding": pa.array([embedding], pa.list_(pa.float32(), 4))}
        )

    assert check_face_rows(rows(list(np.full(4, 0.5)))) is None
    assert check_face_rows(rows(embedding))


def test_a_table_without_rows_is_no_reason_to_warn(tmp_path):
    """Neither new photos alone, none of which the last run knew, nor an empty segment."""
    kinds = {"key": pa.string(), "embedding": pa.list_(pa.float32(), 4)}
    known = pa.table({"key": ["1" * 64], "embedding": [[1.0, 0.0, 0.0, 0.0]]}, pa.schema(kinds))
    empty = pa.schema(kinds, metadata={"stage": "embed", "recipe": "a" * 64}).empty_table()
    assert check_photo_rows(pa.schema(ROW_COLUMNS).empty_table()) is None
    warnings = []
    for _ in range(2):
        with RowStore(
            tmp_path, "embed", "a" * 64, kinds, warn=warnings.append, check=check_face_rows
        ) as rows:
            assert len(rows.lookup(["2" * 64], earlier=lambda: known)) == 0
        buffer = io.BytesIO()
        pq.write_table(empty, buffer, use_dictionary=False)
        name = f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.parquet"
        (tmp_path / "embed" / ("a" * 32) / name).write_bytes(buffer.getvalue())
    assert warnings == []


def test_a_file_of_another_user_is_copied(tmp_path, monkeypatch):
    """Linked, it would be theirs to change afterwards."""
    files = RowFiles(tmp_path / "store/preprocess" / ("a" * 32))
    md5 = files.save(b"crop", tmp_path / "a.jpg")
    assert files.place(md5, tmp_path / "b.jpg")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert files.place(md5, tmp_path / "c.jpg")
    assert (tmp_path / "b.jpg").stat().st_nlink == 3
    assert (tmp_path / "c.jpg").stat().st_nlink == 1


def test_hashes_in_dvcs_listings_lead_nowhere(tmp_path):
    cache = DvcCache(tmp_path, tmp_path / "cache")
    listing = cache.object("1" * 32 + ".dir")
    listing.parent.mkdir(parents=True)
    listing.write_text(
        '[{"md5": "../../../secret", "relpath": "a.jpg"}, {"md5": 7, "relpath": "b.jpg"}, '
        '{"md5": "%s", "relpath": "c.jpg"}]' % ("2" * 32)
    )
    (tmp_path / "dvc.lock").write_text(
        f"stages: {{preprocess: {{outs: [{{path: faces, md5: {'1' * 32}.dir}}]}}}}"
    )
    assert cache.committed_files(tmp_path / "faces") == {"c.jpg": "2" * 32}


@pytest.mark.parametrize("name", ["../../.bashrc", "/etc/passwd", "a/../../b.jpg", "..", "a\0b"])
@pytest.mark.parametrize("column", ["filename", "image"])
def test_no_name_in_a_table_leads_out_of_its_folder(tmp_path, name, column):
    """`select` removed and replaced the file that a member was called after."""
    path = tmp_path / "faces.parquet"
    columns = {"filename": ["a..b/..c.jpg", "b.jpg"], "image": ["a", "b"]}
    pq.write_table(pa.table(columns), path)
    assert len(tables.read(path, FACES, ["filename", "image"])) == 2
    pq.write_table(pa.table(columns | {column: ["a.jpg", name]}), path)
    with pytest.raises(tables.TableError, match="which is not a path below a folder"):
        tables.read(path, FACES, ["filename", "image"])


def test_a_temporary_file_is_never_written_through_a_link(tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    for path, write in (
        (tmp_path / "a.json", write_bytes),
        (tmp_path / "labels.csv", replace_file),
    ):
        for name in (temporary_name(path), path.with_name(f".{path.name}.{os.getpid()}")):
            name.symlink_to("mine")
        write(path, b"new")
        assert path.read_bytes() == b"new"
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_merge_of_labels_waits_for_a_minute_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr("facestats.labels.manual.PATIENCE", 0.3)
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="has been locked by another process for"), alone(tmp_path):
        pass
    os.close(held)
    with alone(tmp_path):
        pass
