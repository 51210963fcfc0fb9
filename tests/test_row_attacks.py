"""Attacks on a shared row store: other files stay, nothing hangs, unusable rows are recomputed."""

import fcntl
import hashlib
import io
import os
import shutil
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attacked_store import COLUMNS, PHOTO, Store, row
from facestats.core import tables
from facestats.core.files import temporary_name, write_bytes
from facestats.errors import InputError
from facestats.faces.preprocess import ROW_COLUMNS
from facestats.faces.tables import FACES
from facestats.labels.manual import alone, replace_file
from facestats.rows import rewriting
from facestats.rows.checks import check_face_rows, check_photo_rows
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.folder import Folder
from facestats.rows.place import open_below, open_store
from facestats.rows.removal import forget_rows
from facestats.rows.segments import DamagedSegmentError
from facestats.rows.store import RowStore
from facestats.rows.usage import prune


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.mark.long
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


@pytest.mark.parametrize("command", ["forget", "prune"])
def test_a_segment_that_reads_otherwise_the_second_time_is_removed(store, command, monkeypatch):
    """As a failing disk gives it, or an answer of a bucket that is cut off."""
    planted = store.plant(row(None))

    def read_again(folder, name):
        raise DamagedSegmentError("its bytes are not those that were written")

    monkeypatch.setattr(rewriting, "read_any_segment", read_again)
    if command == "forget":
        forget_rows(store.path, store.cache, [PHOTO], [])
    else:
        prune(store.path, store.cache)
    assert not planted.exists()


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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
