"""Photos a second and latency of `facestats serve`, beside the plain way to write such a service.

    python -m benchmarks.service [--root .] [--images data/sample/images] [--clients 1 4 16 64]
        [--seconds 10] [--rounds 3] [--memory 5000]

Needs a project that `dvc repro` has built, and the extra `facestats[serve]`. CLIP is a ViT-B/32 of
`CLIPConfig()` with random weights: how long it takes does not depend on what it has learned. Four
servers run, each in a process of its own and asked in turn: `serve` in float32, in bfloat16 and
without padding, and the plain way: a FastAPI handler that cuts the face out as `serve` does, embeds
it by transformers' CLIPModel and asks the regressor, one photo at a time in float32. The plain way
gives the holistic score alone; `serve` also checks the age, measures the geometric score and looks
for doubts. Clients send a photo as the body and, when they have the answer, the next one; they
share the processors with the servers. Before that, the encoder alone is measured on full batches:
no server that embeds every photo can be faster. /healthz is asked all the while.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import torch
import uvicorn
from benchmarks.limits import machine_facts
from benchmarks.serving import build_project, usable
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPModel

from facestats.clip.encoder import choose_device
from facestats.clip.load import load_encoder
from facestats.errors import DoubtWarning
from facestats.serving.loading import load
from facestats.serving.models import decoded

SIZES = (512, 3000)  # px, long side
BATCH = 8
PORT = 8930
WAYS = {  # options of `serve`; None: the plain way
    "plain way, float32": None,
    "serve, float32": ["--precision", "float32"],
    "serve, bfloat16": ["--precision", "bfloat16"],
    "serve --no-padding, float32": ["--precision", "float32", "--no-padding"],
}


def plain_server(root: Path, port: int) -> None:
    """The plain way; it stands here for comparison."""
    models, lock = load(root), threading.Lock()
    clip = CLIPModel.from_pretrained(root / "models/clip").eval()
    processor = CLIPImageProcessorPil.from_pretrained(root / "models/clip")
    app = FastAPI()

    def score(photo: bytes) -> float:
        with lock, torch.inference_mode():
            face = decoded(models.jpeg(models.crop(photo)))
            pixels = processor(images=face, return_tensors="pt")["pixel_values"]
            embedding = clip.get_image_features(pixel_values=pixels)
            embedding = getattr(embedding, "pooler_output", embedding)
            embedding = (embedding / embedding.norm(dim=-1, keepdim=True)).numpy()
            return float(models.regressor.predict(embedding)[0])

    @app.post("/v1/score")
    async def handler(request: Request) -> dict[str, float]:
        return {"raw": await run_in_threadpool(score, await request.body())}

    @app.get("/readyz")
    @app.get("/healthz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    uvicorn.run(app, port=port, log_level="error", access_log=False)


def start(root: Path, way: str, port: int) -> psutil.Popen:
    """Start the server of a way; returns when it is ready."""
    settings = WAYS[way]
    command = [sys.executable, "-m"]
    if settings is None:
        command += ["benchmarks.service", "--plain", str(root), "--port", str(port)]
    else:
        command += ["facestats", "serve", "--root", str(root), "--port", str(port), *settings]
    server = psutil.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            return server
        except OSError:
            time.sleep(0.2)
            assert server.poll() is None, f"{way}: ended with {server.returncode}"
    raise AssertionError(f"{way}: not ready")


@dataclass
class Load:
    """What clients saw.

    Attributes
    ----------
    seconds : list of float
        Latency of each answer.
    refused : int
        Answers other than 200.
    health : list of float
        Latency of /healthz.
    """

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    health: list[float] = field(default_factory=list)


async def ask(port: int, head: str, body: bytes, streams=None):
    """One request on a kept connection: the status, and the connection."""
    reader, writer = streams or await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"{head}\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in answer.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(answer.split(b" ")[1]), (reader, writer)


async def put_load(port: int, photos: list[bytes], clients: int, seconds: float) -> Load:
    """Ask a server by so many clients for so long."""
    load, end = Load(), time.perf_counter() + seconds

    async def client(number: int) -> None:
        streams = None
        at = number
        while time.perf_counter() < end:
            started = time.perf_counter()
            head = "POST /v1/score HTTP/1.1\r\nContent-Type: image/jpeg"
            status, streams = await ask(port, head, photos[at % len(photos)], streams)
            load.seconds.append(time.perf_counter() - started)
            load.refused += status != 200
            at += 1

    async def look() -> None:
        streams = None
        while time.perf_counter() < end:
            started = time.perf_counter()
            _, streams = await ask(port, "GET /healthz HTTP/1.1", b"", streams)
            load.health.append(time.perf_counter() - started)
            await asyncio.sleep(0.1)

    await asyncio.gather(look(), *(client(number) for number in range(clients)))
    return load


def encoder_bound(folder: Path, precision: str, seconds: float = 3) -> float:
    """Photos a second of the encoder alone, on full batches and all processors."""
    encoder = load_encoder(folder, precision, BATCH)
    pixels = torch.zeros((BATCH, encoder.side, encoder.side, 3), dtype=torch.uint8)
    encoder.tower(pixels)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        encoder.tower(pixels)
        best = min(best, time.perf_counter() - started)
    return BATCH / best


def at_size(photo: Path, side: int) -> bytes:
    """A photo as a JPEG whose long side has so many px."""
    with Image.open(photo) as image:
        factor = side / max(image.size)
        size = (round(image.width * factor), round(image.height * factor))
        out = io.BytesIO()
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=92)
        return out.getvalue()


def megabytes(server: psutil.Popen) -> float:
    return server.memory_info().rss / 1e6


def compare(root: Path, photos: list[Path], options: argparse.Namespace) -> None:
    servers = {
        way: (PORT + number, start(root, way, PORT + number)) for number, way in enumerate(WAYS)
    }
    try:
        for size in options.sizes:
            bodies = [at_size(photo, size) for photo in photos]
            print(f"\n{size} px ({np.mean([len(body) for body in bodies]) / 1e6:.2f} MB a photo)\n")
            print(
                "| clients | way | photos/s | of plain | ms: median | 95 % | 99 % | CPU ms/photo "
                "| /healthz, ms at most |\n|" + "---|" * 9
            )
            for clients in options.clients:
                runs: dict[str, list] = {way: [] for way in WAYS}
                for port, _ in servers.values():  # warm
                    asyncio.run(put_load(port, bodies, min(clients, 4), 1))
                for _ in range(options.rounds):
                    for way, (port, server) in servers.items():
                        before, started = sum(server.cpu_times()[:2]), time.perf_counter()
                        load = asyncio.run(put_load(port, bodies, clients, options.seconds))
                        took = time.perf_counter() - started
                        spent = sum(server.cpu_times()[:2]) - before
                        assert not load.refused, f"{way}: {load.refused} refused"
                        runs[way].append((len(load.seconds) / took, spent, load))
                plain = float(np.median([run[0] for run in runs["plain way, float32"]]))
                for way, rounds in runs.items():
                    rate = float(np.median([run[0] for run in rounds]))
                    seconds = np.concatenate([run[2].seconds for run in rounds])
                    cpu = 1000 * sum(run[1] for run in rounds) / len(seconds)
                    middle, high, highest = 1000 * np.percentile(seconds, [50, 95, 99])
                    health = 1000 * max(max(run[2].health) for run in rounds)
                    print(
                        f"| {clients} | {way} | {rate:.1f} | {rate / plain:.2f} | {middle:.0f} | "
                        f"{high:.0f} | {highest:.0f} | {cpu:.0f} | {health:.0f} |",
                        flush=True,
                    )
    finally:
        for _, server in servers.values():
            server.terminate()
            server.wait(60)


def watch_memory(root: Path, photos: list[Path], count: int, precision: str) -> None:
    """Print the memory of `serve` after 500 photos and after `count`."""
    server = start(root, f"serve, {precision}", PORT + 9)
    try:
        bodies = [at_size(photo, size) for photo in photos for size in SIZES]
        done, marks = 0, {}
        while done < count:
            load = asyncio.run(put_load(PORT + 9, bodies, 16, 5))
            done += len(load.seconds)
            if "first" not in marks and done >= 500:
                marks["first"] = (done, megabytes(server))
            print(json.dumps({"photos": done, "megabytes": round(megabytes(server))}), flush=True)
        (first, before), after = marks["first"], megabytes(server)
        print(
            f"memory: {before:.0f} MB after {first} photos, {after:.0f} MB after {done}: "
            f"{100 * (after / before - 1):+.1f} %"
        )
    finally:
        server.terminate()
        server.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path(), help="a project that was built")
    parser.add_argument("--images", type=Path, help="folder of photos (default: the sample's)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=10, help="a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, help="instead: memory after so many photos")
    parser.add_argument("--precision", default="float32", help="of --memory")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_server(options.plain, options.port)
        return
    warnings.simplefilter("ignore", DoubtWarning)
    images = options.images or options.root / "data/sample/images"
    photos = sorted(p for p in images.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))[:24]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        photos = usable(build_project(options.root.resolve(), None, "float32", root), photos)
        print(f"{machine_facts(choose_device())}\n{len(photos)} photos of a face each")
        if options.memory:
            watch_memory(root, photos, options.memory, options.precision)
            return
        for precision in ("float32", "bfloat16"):
            bound = encoder_bound(root / "models/clip", precision)
            print(f"encoder alone, batches of {BATCH}, {precision}: {bound:.1f} photos/s")
        compare(root, photos, options)


if __name__ == "__main__":
    main()
