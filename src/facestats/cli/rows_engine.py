"""`rows fill` of photos that a list names, and on the machines of a Ray cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from facestats.cli.rows_fill import failures
from facestats.cli.rows_photos import SHA256, URI, read_photos
from facestats.cli.rows_ray import fill_with_ray
from facestats.cli.rows_work import FaceWork, Job, PhotoWork, Report, shared_environment
from facestats.core.crops import Crops
from facestats.core.layout import CROPS, EMBEDDINGS, FACES_TABLE, LANDMARKER
from facestats.core.photo_files import check_names, list_images, refuse_links_out
from facestats.errors import FaultError
from facestats.faces import preprocess
from facestats.faces.crop import PreprocessConfig
from facestats.faces.keys import recipe_hash, row_key
from facestats.faces.landmarks import Landmarker
from facestats.machine.output import print_line
from facestats.machine.pool import count_workers
from facestats.params.project import load_params
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.fill import row_summary
from facestats.rows.segments import KEY
from facestats.rows.shard import Shard

_TOGETHER = 1024  # photos of a list that one process takes at a time


def fill_listed(
    root: Path, cache: DvcCache | None, stage: str | None, shard: Shard, path: Path
) -> Iterator[str]:
    """Compute the missing rows of a shard of the photos in a list; see `rows_fill.fill_rows`.

    Of photos whose sha256 the list has, only those of the shard whose rows are missing are read.
    """
    began, job, table = time.monotonic(), _job(root, cache), read_photos(path)
    photos = {
        uri: sha256
        for uri, sha256 in zip(table[URI].to_pylist(), table[SHA256].to_pylist(), strict=True)
        if sha256 is None or shard.has(row_key(sha256, job.recipe))
    }
    names, totals = list(photos), {"preprocess": Report()}
    with ExitStack() as opened:
        work = opened.enter_context(PhotoWork(job, count_workers(len(names))))
        faces: FaceWork | None = None
        for start in tqdm(
            range(0, len(names), _TOGETHER), unit=f"{_TOGETHER} photos", disable=None
        ):
            batch = {name: photos[name] for name in names[start : start + _TOGETHER]}
            report, crops = work(batch, shard.has)
            totals["preprocess"].add(report)
            if crops and stage is None:
                faces = faces or opened.enter_context(FaceWork(job))
                totals.setdefault("embed", Report()).add(faces(crops))
            for message in report.messages:
                _warn(message)
    yield from _lines(totals, f"shard={shard.number}/{shard.count}", began)


def fill_on_cluster(
    root: Path, cache: DvcCache | None, stage: str | None, address: str, path: Path | None
) -> Iterator[str]:
    """Compute the missing rows on all machines of a Ray cluster; see `rows_ray.fill_with_ray`.

    Without a list, those of the project's own photos and crops.
    """
    began, job, photos, crops = time.monotonic(), _job(root, cache), None, None
    if stage == "embed":
        crops = _own_crops(job)
    else:
        photos = read_photos(path) if path else _own_photos(job)
        _keep_committed_photos(job)
    recipe = _keep_committed_faces(job) if stage != "preprocess" else ""
    totals = fill_with_ray(job, address, photos, crops, stage != "preprocess")
    if totals.recipes - {recipe}:
        _warn(
            "embeddings were computed by another kind of device, or with other libraries, than "
            "this machine has: `dvc repro embed` finds them only on a machine that has the same"
        )
    yield from _lines(totals.stages, "engine=ray", began)
    yield from totals.speeds(time.monotonic() - began)


def _job(root: Path, cache: DvcCache | None) -> Job:
    root = root.resolve()
    params, models = load_params(root / "params.yaml"), root / LANDMARKER
    config = PreprocessConfig(**params.preprocess.cutting())
    Landmarker(models)  # raises for a broken file
    return Job(
        root,
        cache,
        root / params.data.images,
        config,
        params.clip.precision,
        params.clip.batch_size,
        recipe_hash(config, models),
        shared_environment(),
    )


def _own_photos(job: Job) -> pa.Table:
    """The project's photos, without hashes."""
    refuse_links_out(job.images, job.cache and job.cache.folder)
    names = list_images(job.images)
    unusable = check_names(names)
    uris = [str(job.images / name) for name in names if name not in unusable]
    return pa.table({URI: pa.array(uris, pa.string()), SHA256: pa.nulls(len(uris), pa.string())})


def _own_crops(job: Job) -> list[str]:
    """Names of the project's crops."""
    from facestats.clip.embed import list_faces

    return list_faces(Crops.of(job.root / CROPS))


def _keep_committed_photos(job: Job) -> None:
    """Keep the rows of the last committed run, for which other machines would not look."""
    earlier = preprocess.committed_rows(job.cache, job.root / FACES_TABLE, job.root / CROPS)
    if earlier is not None:
        with preprocess.open_photo_rows(
            job.config, job.root / LANDMARKER, job.cache, _warn, together=True
        ) as rows:
            rows.lookup({*earlier[KEY].to_pylist()}, lambda: earlier)


def _keep_committed_faces(job: Job) -> str:
    """The same for embeddings; returns the recipe of those that this machine computes."""
    from facestats.clip import embed

    encoder = job.encoder()
    earlier = embed.committed_rows(job.cache, job.root / EMBEDDINGS, encoder.dimension)
    if earlier is not None:
        with embed.open_face_rows(encoder, job.cache, _warn, together=True) as rows:
            rows.lookup({*earlier[KEY].to_pylist()}, lambda: earlier)
    return embed.recipe_hash(encoder)


def _lines(totals: dict[str, Report], how: str, began: float) -> Iterator[str]:
    """The line that ends each stage; raises `FaultError` for photos without a row."""
    seconds, failed = time.monotonic() - began, {}
    for stage, report in totals.items():
        counts = row_summary(
            report.rows, report.reused, report.computed, report.elsewhere, report.rejected
        )
        yield f"{stage} {how} {counts} failed={len(report.failed)} seconds={seconds:.1f}"
        failed |= report.failed
    if failed:
        raise FaultError(failures(failed))


def _warn(message: str) -> None:
    print_line(f"warning: {message}", sys.stderr)
