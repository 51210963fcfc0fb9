"""Photos in, faces out: a bounded queue, threads that decode, and batches for the encoder."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from facestats.errors import FaceStatsError, ModelError
from facestats.faces.crop import FaceCrop, PreprocessConfig, crop_face
from facestats.machine.faults import fault, is_fault
from facestats.photos.containers import HEAD, check_head
from facestats.photos.decoder import start_decoder
from facestats.service.errors import ServiceError, busy, from_library
from facestats.service.metrics import Metrics
from facestats.service.models import BatchEncoder, Run
from facestats.service.settings import Settings
from facestats.serving.answers import Face
from facestats.serving.models import Models, decoded

GATHER_SECONDS = 0.005  # that the encoder waits for more photos
Result = TypeVar("Result")


@dataclass
class _Waiting:
    """A picture that waits for the encoder."""

    encoder: BatchEncoder
    pixels: np.ndarray
    future: Future[np.ndarray]


class Batcher:
    """A thread that embeds what has queued up, a batch of one shape at a time.

    Parameters
    ----------
    size : int
        Pictures a batch.
    threads : int
        Of torch.
    metrics : Metrics
    """

    def __init__(self, size: int, threads: int, metrics: Metrics):
        self.size, self.threads, self.metrics = size, threads, metrics
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._held: list[_Waiting] = []  # of other models than the batch before
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def submit(self, encoder: BatchEncoder, pixels: np.ndarray) -> Future[np.ndarray]:
        """Queue a picture, uint8 (side, side, 3), for an encoder; gives its embedding (d,)."""
        waiting = _Waiting(encoder, pixels, Future())
        self._queue.put(waiting)
        return waiting.future

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        _use_threads(self.threads)
        while (batch := self._gather()) is not None:
            live = [each for each in batch if each.future.set_running_or_notify_cancel()]
            if not live:
                continue
            self.metrics.batches.observe(len(live))
            try:
                rows = live[0].encoder.embed([each.pixels for each in live])
            except Exception as error:
                for each in live:
                    each.future.set_exception(error)
                continue
            for each, row in zip(live, rows, strict=True):
                each.future.set_result(row)

    def _gather(self) -> list[_Waiting] | None:
        """The next batch, all of one encoder; None at the end."""
        batch, self._held = self._held[: self.size], self._held[self.size :]
        if not batch:
            first = self._queue.get()
            if first is None:
                return None
            batch = [first]
        end = time.monotonic() + GATHER_SECONDS
        while len(batch) < self.size and not self._held:
            try:
                each = self._queue.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                break
            if each is None:
                self._queue.put(None)
                break
            if each.encoder is not batch[0].encoder:
                self._held.append(each)
                break
            batch.append(each)
        return batch


@dataclass(frozen=True)
class _Cut:
    """A face that was cut out, and what the encoder takes of it."""

    crop: FaceCrop
    jpeg: bytes
    pixels: np.ndarray


class Engine:
    """All work on photos.

    Parameters
    ----------
    settings : Settings
    metrics : Metrics
    """

    def __init__(self, settings: Settings, metrics: Metrics):
        self.settings, self.metrics = settings, metrics
        self.queued = 0  # photos that are worked on or wait
        self._cutters = ThreadPoolExecutor(settings.threads, "photos", _begin)
        self._finishers = ThreadPoolExecutor(settings.threads, "answers", _begin)
        self._drawers = ThreadPoolExecutor(1, "drawing", _begin)
        self._drawing = 0
        self.batcher = Batcher(settings.batch_size, torch.get_num_threads(), metrics)

    def close(self) -> None:
        for pool in (self._cutters, self._finishers, self._drawers):
            pool.shutdown(cancel_futures=True)
        self.batcher.close()

    def check_room(self, photos: int = 1) -> None:
        """Refuse photos where too many wait."""
        if self.queued + photos > self.settings.queue:
            raise busy()

    async def answer(
        self,
        run: Run,
        photos: list[bytes],
        finish: Callable[[Face | FaceCrop], Result],
        embed: bool = True,
    ) -> list[Result | ServiceError]:
        """Work on the photos of a request.

        Parameters
        ----------
        run : Run
        photos : list of bytes
        finish : callable
            Makes the answer of a `Face`, or without `embed` of a `FaceCrop`; runs in a thread.
        embed : bool
            Whether it needs the embedding.

        Returns
        -------
        list
            Answers in the order of the photos; an error in place of each that has none.
        """
        self.check_room(len(photos))
        self.queued += len(photos)
        self.metrics.queue.set(self.queued)
        try:
            return list(
                await asyncio.gather(*(self._one(run, each, finish, embed) for each in photos))
            )
        finally:
            self.queued -= len(photos)
            self.metrics.queue.set(self.queued)

    async def _one(
        self, run: Run, photo: bytes, finish: Callable, embed: bool
    ) -> Any | ServiceError:
        loop = asyncio.get_running_loop()
        try:
            cut = await loop.run_in_executor(self._cutters, self._cut, run, photo, embed)
            if isinstance(cut, FaceCrop):
                return await loop.run_in_executor(self._finishers, finish, cut)
            waiting = self.batcher.submit(run.encoder, cut.pixels)
            embedding = await asyncio.wrap_future(waiting)
            if not np.isfinite(embedding).all():
                raise ModelError("the embedding is not finite; try --precision float32")
            face = Face(run.models, cut.crop, cut.jpeg, embedding)
            return await loop.run_in_executor(self._finishers, finish, face)
        except FaceStatsError as error:
            refused = from_library(error, run.models.root)
        except ServiceError as error:
            refused = error
        except (MemoryError, RuntimeError, OSError) as error:
            if not is_fault(error):
                raise
            refused = from_library(fault("a photo", error), run.models.root)
        self.metrics.rejected.labels(refused.code).inc()
        return refused

    def _crop_settings(self, models: Models) -> PreprocessConfig:
        crop = dict(models.serving["crop"])
        crop["max_pixels"] = min(crop["max_pixels"], self.settings.photo_pixels)
        return PreprocessConfig(**crop)

    def start_decoder(self, models: Models) -> None:
        """Start the process that decodes the next photo, in the background."""
        crop = self._crop_settings(models)
        start_decoder(crop.max_pixels, crop.max_seconds)

    def _cut(self, run: Run, photo: bytes, embed: bool) -> _Cut | FaceCrop:
        if not photo:
            raise ServiceError(400, "no_photo", "the photo is empty")
        check_head(photo[:HEAD])
        landmarker = run.landmarkers.get()
        try:
            crop = crop_face(photo, self._crop_settings(run.models), landmarker)
        finally:
            run.landmarkers.put(landmarker)
        if not embed:
            return crop
        jpeg = run.models.jpeg(crop)
        return _Cut(crop, jpeg, run.models.encoder.transform.pixels(decoded(jpeg)))

    async def draw(self, work: Callable[[], Result]) -> Result:
        """Do what takes long, one at a time; few may wait."""
        if self._drawing >= 4:
            raise busy()
        self._drawing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._drawers, work)
        finally:
            self._drawing -= 1

    async def think(self, work: Callable[[], Result]) -> Result:
        """Do what takes a few milliseconds beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._finishers, work)


def _begin() -> None:
    _use_threads(1)


def _use_threads(number: int) -> None:
    """Have torch compute on so many threads in this one.

    A thread takes over the number that any other has set last when it first computes, or asks for
    the number; what it sets before that is lost.
    """
    torch.get_num_threads()
    torch.set_num_threads(number)
