"""`rows fill --engine ray`: the machines of a Ray cluster compute missing rows together."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from facestats.cli.rows_photos import SHA256, URI
from facestats.cli.rows_work import FaceWork, Job, PhotoWork, Report
from facestats.errors import FaceStatsError, FaultError, InputError
from facestats.machine.output import print_line

PHOTOS = 256  # a batch: a few seconds of a processor, which a lost machine costs
_BATCHES = 2  # of photos whose crops are embedded together
_PATIENCE = 10.0  # seconds for an address to answer
_STORE = 200 * 2**20  # bytes of memory for what is between the stages, of a cluster of this machine
_CROPS, _PHOTO_REPORT, _FACE_REPORT = "crops", "photos", "faces"
_TEXTS = pa.list_(pa.string())
# Ray would try for 15 minutes to reach a machine that is gone, and its own log is no message.
_SETTINGS = {"RAY_NUM_REDIS_GET_RETRIES": "1", "RAY_BACKEND_LOG_LEVEL": "fatal"}


class Totals:
    """Reports by stage, and of each by machine."""

    def __init__(self) -> None:
        self.stages: dict[str, Report] = {}
        self.nodes: dict[tuple[str, str], Report] = {}
        self.recipes: set[str] = set()
        self._messages: set[str] = set()

    def add(self, stage: str, text: str) -> None:
        """Add the report of a batch; raises `FaultError` where it could not be done."""
        report = Report.from_json(text)
        if report.error:
            raise FaultError(f"on {report.node}: {report.error}")
        for message in {*report.messages} - self._messages:
            print_line(f"warning: on {report.node}: {message}", sys.stderr)
        self._messages.update(report.messages)
        self.stages.setdefault(stage, Report()).add(report)
        self.nodes.setdefault((stage, report.node), Report()).add(report)
        self.recipes.update({report.recipe} - {""} if stage == "embed" else ())

    def speeds(self, seconds: float) -> Iterator[str]:
        """A line for each machine: the rows of each stage that it computed, also a second."""
        for node in sorted({node for _, node in self.nodes}):
            parts = [
                f"{stage} computed={report.computed} per_second={report.computed / seconds:.1f}"
                for (stage, name), report in sorted(self.nodes.items(), reverse=True)
                if name == node
            ]
            yield f"node {node}: {', '.join(parts)}"


def fill_with_ray(
    job: Job, address: str, photos: pa.Table | None, crops: list[str] | None, faces: bool
) -> Totals:
    """Fill rows on all machines of a Ray cluster.

    Parameters
    ----------
    job : Job
    address : str
        `auto`: the cluster that this machine is in; `local`: this machine alone, as a cluster for
        the time of the fill; or the address of a cluster's head.
    photos : pa.Table or None
        `uri` and `sha256` of the photos to cut faces from.
    crops : list of str or None
        Instead, names of the crops to embed.
    faces : bool
        Whether the photos' crops are embedded, too.

    Raises
    ------
    InputError
        Ray is not installed, or there is no cluster at the address.
    FaultError
        A machine can't do its part, or the cluster is gone.
    """
    totals = Totals()
    with _cluster(address) as ray, _own_errors(ray):
        rows = ray.data.from_arrow(_blocks(job, photos, crops))
        gpus = int(ray.cluster_resources().get("GPU", 0))
        cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
        both = photos is not None and faces
        if photos is not None:
            share = 0.5 if both and cpus == 1 and not gpus else 1
            rows = rows.map_batches(
                _PhotoActor, **_pool(ray, job, cpus, num_cpus=share), batch_size=1
            )
        if faces:
            if gpus:
                pool = _pool(ray, job, gpus, num_gpus=1)
            else:
                pool = _pool(ray, job, cpus, num_cpus=0.5 if both and cpus == 1 else 1)
            rows = rows.map_batches(_FaceActor, **pool, batch_size=_BATCHES)
        total = len(photos) if photos is not None else len(crops or [])
        with tqdm(total=total, unit="photo" if photos is not None else "face", disable=None) as bar:
            for batch in rows.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for column, stage in ((_PHOTO_REPORT, "preprocess"), (_FACE_REPORT, "embed")):
                    for text in batch[column].drop_null().to_pylist():
                        totals.add(stage, text)
                first = totals.stages["preprocess" if photos is not None else "embed"]
                bar.update(first.rows - bar.n)
    return totals


def _blocks(job: Job, photos: pa.Table | None, crops: list[str] | None) -> list[pa.Table]:
    """The work in batches: a table of one row each."""
    size = max(PHOTOS, 2 * job.batch_size)
    if photos is None:
        parts = [crops[at : at + size] for at in range(0, len(crops or []), size)] if crops else []
        return [_row(part, None, None) for part in parts]
    return [
        pa.table(
            {
                URI: pa.array([part[URI].to_pylist()], _TEXTS),
                SHA256: pa.array([part[SHA256].to_pylist()], _TEXTS),
            }
        )
        for part in (photos.slice(at, size) for at in range(0, len(photos), size))
    ]


def _row(crops: list[str], photos: Report | None, faces: Report | None) -> pa.Table:
    return pa.table(
        {
            _CROPS: pa.array([crops], _TEXTS),
            _PHOTO_REPORT: pa.array([photos.to_json() if photos else None], pa.string()),
            _FACE_REPORT: pa.array([faces.to_json() if faces else None], pa.string()),
        }
    )


class _Actor:
    """A process of the cluster that keeps its models from one batch to the next."""

    def __init__(self, job: Job):
        self._job, self._work = job, None

    def _done(self, make: Callable[[Job], Any], work: Callable[[Any], Report]) -> Report:
        """The report of a batch, also where this machine can't do it."""
        try:
            if self._work is None:
                self._work = make(self._job)
            report = work(self._work)
        except (FaceStatsError, OSError, MemoryError) as error:
            report = Report(error=" ".join(str(error).split()) or type(error).__name__)
        report.node = _node()
        return report


class _PhotoActor(_Actor):
    def __call__(self, batch: pa.Table) -> pa.Table:
        (uris,), (sha256,) = batch[URI].to_pylist(), batch[SHA256].to_pylist()
        crops: list[str] = []

        def work(photos: PhotoWork) -> Report:
            report, found = photos(dict(zip(uris, sha256, strict=True)))
            crops.extend(found)
            return report

        report = self._done(PhotoWork, work)
        return _row(crops, report, None)


class _FaceActor(_Actor):
    def __call__(self, batch: pa.Table) -> pa.Table:
        crops = sorted({crop for part in batch[_CROPS].to_pylist() for crop in part})
        report = self._done(FaceWork, lambda faces: faces(crops)) if crops else Report(node=_node())
        texts = pa.array([report.to_json(), *[None] * (len(batch) - 1)], pa.string())
        return batch.set_column(batch.column_names.index(_FACE_REPORT), _FACE_REPORT, texts)


def _pool(ray: Any, job: Job, most: int, **resources: float) -> dict[str, Any]:
    """How a stage's actors run: from one to `most`, the last batch of each its own."""
    return {
        "fn_constructor_args": (job,),
        "compute": ray.data.ActorPoolStrategy(min_size=1, max_size=most),
        "batch_format": "pyarrow",
        **resources,
    }


def _node() -> str:
    """Name of this machine in the cluster: its address, and the beginning of its number."""
    import ray  # pyright: ignore[reportMissingImports]  an extra

    context = ray.get_runtime_context()
    return f"{ray.util.get_node_ip_address()} ({context.get_node_id()[:6]})"


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Join a cluster, or begin one, and leave it at the end."""
    os.environ.update({name: os.environ.get(name, value) for name, value in _SETTINGS.items()})
    try:
        import ray  # pyright: ignore[reportMissingImports]  an extra
        import ray.data  # pyright: ignore[reportMissingImports]  an extra
    except ImportError:
        raise InputError(
            "--engine ray needs a further package: pip install 'facestats[ray]'"
        ) from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    _check_address(address)
    own = {"num_cpus": _processors(), "object_store_memory": _STORE, "include_dashboard": False}
    try:
        with _without_stderr():
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **(own if address == "local" else {}),
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"there is no Ray cluster at {address} ({' '.join(str(error).split())}); `ray start "
            "--head` begins one, and --address local needs none"
        ) from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Nothing on standard error: libraries in C++ write lines of their own there."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_address(address: str) -> None:
    """Refuse an address where nothing answers, for Ray would try for minutes."""
    address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"there is no Ray cluster at {address} ({error}); --address is auto, local, or HOST:"
            "PORT as `ray start --head` prints it"
        ) from None


@contextmanager
def _own_errors(ray: Any) -> Iterator[None]:
    """Say of Ray's errors what they mean here."""
    try:
        yield
    except (ray.exceptions.RayError, ray.exceptions.RayChannelError) as error:
        lines = str(error).strip().splitlines()
        raise FaultError(
            f"Ray ended the fill ({lines[-1].strip() if lines else type(error).__name__}); rows "
            "that were written are kept: fill again. Ray's own log lies in /tmp/ray/session_latest"
        ) from None
