"""Segments whose names fit their bytes: those that the store does not write cost nothing."""

import base64
import hashlib
import io
import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attacked_store import COLUMNS, PHOTO, SCHEMA, Store, row
from facestats.rows import segments
from facestats.rows.pages import chunks, pages
from facestats.rows.usage import prune


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


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


@pytest.mark.parametrize("name", ["key", "sha256", "crop"])
def test_two_columns_of_one_name_are_damage(store, name):
    path = store.plant(pa.table([["1"], ["2"]], names=[name, name]))
    assert store.run() == []
    assert "two of its columns have one name" in store.warnings[0]
    assert not path.exists()
    store.plant(pa.table([["1"], ["2"]], names=[name, name]))
    store.everything()


def test_a_segment_is_read_up_to_a_size(store):
    path = store.recipe / f"{'e' * 64}.parquet"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole
    assert store.run() == []
    assert "larger than" in store.warnings[0]
    store.plant(row([None] * 5000, [str(number) for number in range(5000)]))
    assert store.run() == ["1"]
    assert "5000 rows, 0 MB are more than a segment holds" in store.warnings[-1]
    bomb = store.plant(row([None], ["k" * 3_000_000]), compression="zstd")
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


@pytest.mark.long
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


@pytest.mark.long
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
