"""For tests of the pages: a project of faces with names that try to be something else, its server
and a browser; a module may have a `root` and `options` of its own.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from browser import Page, chromium
from facestats.attributes.tables import FLAGS
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import (
    COMPOSITES_MANIFEST,
    CROPS,
    EMBEDDINGS,
    FACES_TABLE,
    FINAL_TABLE,
    HALF_EMBEDDINGS,
    METADATA,
    METRICS_MANIFEST,
    REST_EMBEDDINGS,
    SERVING,
)
from facestats.core.manifests import models_sha256
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.matrix import write_matrix
from facestats.groups.tables import FLAGS_SHA256
from services import CHILD, Answer, Service, serving, with_a_child

HOSTILE = (
    """a "quoted" & 'single' <b>name.jpg""",
    "<script>alert(1)</script>.jpg",
    "\N{GRINNING FACE} %2F #1?&=+;.jpg",
    "n" * 200 + ".jpg",
    "=1+1 {{ 7 * 7 }}\n.jpg",
)
PAGES = (
    "/app/faces",
    "/app/find",
    "/app/map",
    "/app/compose",
    "/app/label",
    "/app/rate",
    "/app/run",
    "/app/rejected",
    f"/app/face/{CHILD}",
)
HTML = {"Accept": "text/html"}
CONSENT = "Adults judge faces. <script>alert(1)</script>"
# Until the picture can be seen: what is pressed before is no answer.
SEEN = "document.getElementById('picture').decode().then(() => new Promise(r => setTimeout(r, 50)))"
STATE = "parseInt(document.getElementById('state').textContent)"
CSRF = re.compile(r'<meta name="csrf-token" content="([\w-]+)">')


@pytest.fixture(scope="module")
def root(built, tmp_path_factory) -> Path:
    """The small project with hostile names and a child that gets no score."""
    root = with_a_child(built, tmp_path_factory.mktemp("pages") / "project")
    rename_faces(root, withheld=CHILD)
    return root


@pytest.fixture(scope="module")
def table(root) -> pd.DataFrame:
    """The final table, by name."""
    return pd.read_parquet(root / FINAL_TABLE).sort_values("filename", ignore_index=True)


@pytest.fixture(scope="module")
def consent(tmp_path_factory) -> Path:
    """A file with what raters agree to."""
    path = tmp_path_factory.mktemp("consent") / "consent.txt"
    path.write_text(CONSENT)
    return path


@pytest.fixture(scope="module")
def options() -> tuple[str, ...]:
    """Further options of the server."""
    return ()


@pytest.fixture(scope="module")
def service(root, consent, options, tmp_path_factory) -> Iterator[Service]:
    """A server of `facestats app` for a module."""
    folder = tmp_path_factory.mktemp("app")
    with pages(root, folder, "--consent", str(consent), *options) as running:
        yield running


@pytest.fixture
def post(service) -> Callable[..., Answer]:
    return poster(service)


@pytest.fixture(scope="module")
def address(service) -> str:
    return f"http://localhost:{service.port}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def tab(browser, address) -> Iterator[Page]:
    """The tab, which has complained of nothing at the end and asked nobody else."""
    browser.events.clear()
    yield browser
    assert not (said := browser.complaints()), said
    others = [url for url in browser.requests() if not url.startswith((address, "blob:"))]
    assert not others, others
    browser.visit("about:blank")  # which asks nothing of a server that is gone


def begin_rating(tab: Page, name: str) -> None:
    """Agree on the page Rate, and see the first face."""
    tab.wait("!document.getElementById('start').hidden")
    tab.evaluate(
        f"(() => {{ document.getElementById('rater').value = {json.dumps(name)};"
        "document.getElementById('agreed').checked = true;"
        "document.querySelector('#start button').click(); })()"
    )
    tab.wait("!document.getElementById('work').hidden")
    tab.evaluate(SEEN)


def choose_file(tab: Page, selector: str, path: Path) -> None:
    """Give a file to a field of the page."""
    node = tab.send("DOM.getDocument")["root"]["nodeId"]
    field = tab.send("DOM.querySelector", nodeId=node, selector=selector)["nodeId"]
    tab.send("DOM.setFileInputFiles", nodeId=field, files=[str(path)])


@contextmanager
def pages(root: Path, folder: Path, *options: str) -> Iterator[Service]:
    """A server of `facestats app`."""
    with serving(root, folder, "--no-browser", *options, command="app") as service:
        yield service


def csrf(service: Service, **headers: str) -> str:
    """The token that a page of the server carries."""
    found = CSRF.search(service.get("/app/find", **headers).body.decode())
    assert found
    return found[1]


def poster(service: Service) -> Callable[..., Answer]:
    """Posts fields as JSON, as a page of the server does."""
    headers = {"Content-Type": "application/json", "X-CSRF-Token": csrf(service)}
    return lambda path, **body: service.ask("POST", path, json.dumps(body).encode(), headers)


def rename_faces(
    root: Path,
    names: tuple[str, ...] = HOSTILE,
    withheld: str | None = None,
    reasons: tuple[str, ...] = (),
) -> dict[str, str]:
    """Give faces of a built project other names, in all that pages read, and `withheld` no score.

    The last of them gets `reasons` to look at it. Gives the names before by those after.
    """
    final = pq.read_table(root / FINAL_TABLE)
    if withheld:
        _withhold(root / FINAL_TABLE, withheld)
    usual = [name for name in final["filename"].to_pylist() if "/" not in name][2:]
    renamed = dict(zip(usual, names, strict=False))
    manifest = json.loads((root / SERVING).read_text())
    (root / manifest["images"]).mkdir(exist_ok=True)
    paths = [FINAL_TABLE, FACES_TABLE, EMBEDDINGS, METADATA / FLAGS.name]
    paths += map(Path, manifest["parts"]["ages"])
    for path in paths:
        _rename_in(root / path, renamed, "image" if path == FACES_TABLE else "filename")
    halves = root / HALF_EMBEDDINGS, root / REST_EMBEDDINGS
    write_matrix(EmbeddingTable(root / EMBEDDINGS), *halves)
    _flag(root / METADATA / FLAGS.name, names[-1], reasons)
    table = pq.read_table(root / FINAL_TABLE)
    sha256 = sha256_file(root / METADATA / FLAGS.name)
    facts = table.schema.metadata | {FLAGS_SHA256.encode(): sha256}
    pq.write_table(table.replace_schema_metadata(facts), root / FINAL_TABLE, compression="zstd")
    for before, after in renamed.items():
        for folder in (root / CROPS, root / manifest["images"]):
            (folder / after).parent.mkdir(parents=True, exist_ok=True)
            (folder / before).rename(folder / after)
    for part in ("faces", "embeddings", "ages"):
        files = manifest["parts"][part]
        manifest["parts"][part] = {name: sha256_file(root / name) for name in files}
    (root / SERVING).write_text(json.dumps(manifest))
    for name in (COMPOSITES_MANIFEST, METRICS_MANIFEST):
        facts = json.loads((root / name).read_text())
        facts["models_sha256"] = models_sha256(manifest["parts"])
        if FINAL_TABLE.as_posix() in facts["files"]:
            facts["files"][FINAL_TABLE.as_posix()] = sha256_file(root / FINAL_TABLE)
        (root / name).write_text(json.dumps(facts))
    return {after: before for before, after in renamed.items()}


def _flag(path: Path, name: str, reasons: tuple[str, ...]) -> None:
    flags = pq.read_table(path)
    values = {"filename": [name] * len(reasons), "reason": list(reasons)}
    columns = {one: values.get(one, [None] * len(reasons)) for one in flags.column_names}
    more = pa.Table.from_pydict(columns, flags.schema)
    pq.write_table(pa.concat_tables([flags, more]), path, compression="zstd")


def _withhold(path: Path, name: str) -> None:
    """Take the scores of a face out of the final table, as the stages do for a child."""
    schema, frame = pq.read_schema(path), pd.read_parquet(path)
    child = frame["filename"] == name
    frame.loc[child, [one for one in frame if one.startswith("attractiveness")]] = None
    frame.loc[child, ["geometric_score", "combined_score"]] = None
    frame["score_withheld"] = frame["score_withheld"].astype(object)
    frame.loc[child, "score_withheld"] = "labelled as under 18"
    path.unlink()
    table = pa.Table.from_pandas(frame, schema, preserve_index=False, safe=False)
    pq.write_table(table.replace_schema_metadata(schema.metadata), path, compression="zstd")


def _rename_in(path: Path, renamed: dict[str, str], key: str) -> None:
    table = pq.read_table(path)
    for at, name in enumerate(table.column_names):
        if name in ("filename", "image", "copy_group", "duplicate_of", "near_duplicate_of"):
            texts = [renamed.get(text, text) for text in table[name].to_pylist()]
            field = table.schema.field(name)
            table = table.set_column(at, field, pa.array(texts, type=field.type))
    ordered = table if "reason" in table.column_names and "value" in table.column_names else None
    path.unlink()  # a link into DVC's cache, perhaps
    pq.write_table(ordered or table.sort_by(key), path, compression="zstd")
