"""Parts of the HTTP service without a socket: batches, queues, deadlines, and how it starts."""

import asyncio
import threading
import time
from dataclasses import fields
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch

from facestats.__main__ import main
from facestats.cli import serve as command

fastapi = pytest.importorskip("fastapi", reason="needs the extra facestats[serve]")

import uvicorn  # noqa: E402
from uvicorn.server import ServerState  # noqa: E402

from facestats.clip.load import load_encoder  # noqa: E402
from facestats.errors import ImageError, InputError, ModelError  # noqa: E402
from facestats.service import schemas, server  # noqa: E402
from facestats.service.engine import Batcher, Engine  # noqa: E402
from facestats.service.errors import ServiceError, from_library  # noqa: E402
from facestats.service.metrics import Metrics  # noqa: E402
from facestats.service.models import BatchEncoder  # noqa: E402
from facestats.service.settings import Settings, check_access, read_tokens  # noqa: E402
from facestats.service.state import State  # noqa: E402
from facestats.serving.types import Score  # noqa: E402

SIDE = 4


class Tower:
    """Stands for an encoder's tower: notes the shapes that it is asked, and waits if told to."""

    def __init__(self):
        self.shapes, self.go = [], threading.Event()
        self.go.set()

    def __call__(self, pixels):
        self.shapes.append(tuple(pixels.shape))
        assert self.go.wait(30)
        return pixels.float().mean((1, 2)) + 1


def encoder(tower=None):
    return BatchEncoder(SimpleNamespace(batch_size=8, side=SIDE, tower=tower or Tower()))


def picture(value: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), [value, 255 - value, 0], np.uint8)


@pytest.fixture
def batcher():
    made = Batcher(8, 1, Metrics())
    yield made
    made.close()


@pytest.fixture
def engine(tmp_path):
    made = Engine(Settings(tmp_path, queue=3, threads=1), Metrics())
    yield made
    made.close()


def test_what_has_queued_up_is_one_forward_of_the_fixed_shape(batcher):
    one = encoder()
    one.encoder.tower.go.clear()
    first = batcher.submit(one, picture(0))
    while not one.encoder.tower.shapes:
        time.sleep(0.001)
    others = [batcher.submit(one, picture(value)) for value in range(1, 12)]
    one.encoder.tower.go.set()
    rows = [future.result(30) for future in (first, *others)]
    assert one.encoder.tower.shapes == [(8, SIDE, SIDE, 3)] * 3  # 1, 8 and 3 photos
    for value, row in enumerate(rows):
        expected = np.array([value, 255 - value, 0]) + 1
        assert row == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


def test_the_encoder_keeps_its_threads_whatever_others_set():
    used, before = [], torch.get_num_threads()
    one = encoder(lambda pixels: used.append(torch.get_num_threads()) or Tower()(pixels))
    batcher = Batcher(8, 2, Metrics())
    try:
        other = threading.Thread(target=torch.set_num_threads, args=(1,))
        other.start()
        other.join()
        batcher.submit(one, picture(0)).result(30)
        assert used == [2]
    finally:
        batcher.close()
        torch.set_num_threads(before)


def test_a_batch_holds_photos_of_one_run_alone(batcher):
    old, new = encoder(), encoder()
    old.encoder.tower.go.clear()
    futures = [batcher.submit(old, picture(0))]
    while not old.encoder.tower.shapes:
        time.sleep(0.001)
    futures += [batcher.submit(old if n % 2 else new, picture(n)) for n in range(6)]
    old.encoder.tower.go.set()
    for future in futures:
        future.result(30)
    assert len(old.encoder.tower.shapes) == 4
    assert len(new.encoder.tower.shapes) == 3


def test_who_has_gone_is_not_embedded(batcher):
    one = encoder()
    one.encoder.tower.go.clear()
    first = batcher.submit(one, picture(0))
    while not one.encoder.tower.shapes:
        time.sleep(0.001)
    gone = batcher.submit(one, picture(1))
    assert gone.cancel()
    one.encoder.tower.go.set()
    first.result(30)
    assert batcher.submit(one, picture(2)).result(30) is not None
    assert len(one.encoder.tower.shapes) == 2


def test_an_error_of_the_encoder_is_told_to_all_who_wait(batcher):
    broken = encoder(lambda pixels: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        batcher.submit(broken, picture(0)).result(30)
    assert batcher.submit(encoder(), picture(0)).result(30) is not None


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_depends_neither_on_its_neighbours_nor_on_its_place(clip_models, precision):
    if precision == "bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16")
    one = BatchEncoder(load_encoder(clip_models["tiny"], precision, 8))
    rng = np.random.default_rng(0)

    def some(n: int) -> list[np.ndarray]:
        return list(rng.integers(0, 256, (n, one.side, one.side, 3), dtype=np.uint8))

    (face,) = some(1)
    alone = one.embed([face])[0]
    for place in range(8):
        company = [*some(place), face, *some(7 - place)]
        assert np.array_equal(one.embed(company)[place], alone)


def test_without_padding_passes_are_small_only_where_the_bits_are_the_same():
    exact, other = Tower(), Tower()
    small = BatchEncoder(SimpleNamespace(batch_size=8, side=SIDE, tower=exact), padding=False)
    small.embed([picture(1), picture(2)])
    assert exact.shapes[-1] == (2, SIDE, SIDE, 3)
    by_shape = lambda pixels: other(pixels) + 1e-6 * len(pixels)  # noqa: E731
    padded = BatchEncoder(SimpleNamespace(batch_size=8, side=SIDE, tower=by_shape), padding=False)
    padded.embed([picture(1), picture(2)])
    assert other.shapes[-1] == (8, SIDE, SIDE, 3)


def test_beyond_the_queue_photos_are_refused(engine):
    with pytest.raises(ServiceError) as refused:
        asyncio.run(engine.answer(None, [b""] * 4, lambda face: {}))
    assert refused.value.status == 429
    assert engine.queued == 0


def state_of(engine, seconds: float) -> State:
    settings = Settings(engine.settings.root, answer_seconds=seconds)
    return State(settings, engine.metrics, engine, SimpleNamespace(run=None), None)


def request(messages=()):
    """A request whose client stays, or of which these messages are left."""
    left = list(messages)

    async def receive():
        if left:
            return left.pop(0)
        await asyncio.sleep(60)

    return SimpleNamespace(receive=receive)


@pytest.mark.parametrize(
    ("messages", "seconds", "status"),
    [((), 0.05, 503), (({"type": "http.disconnect"},), 30, 499)],
)
def test_a_late_answer_and_one_for_nobody_are_given_up(engine, messages, seconds, status):
    ended = []

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(ServiceError) as refused:
        asyncio.run(state_of(engine, seconds).in_time(request(messages), work()))
    assert refused.value.status == status
    assert ended == [True]


def test_without_models_it_is_not_ready(engine):
    with pytest.raises(ServiceError, match="models are being loaded") as refused:
        state_of(engine, 1).run()
    assert refused.value.status == 503


def test_messages_name_no_path_of_the_server(tmp_path):
    error = from_library(
        ModelError(f"{tmp_path}/models/blend.json is damaged (/usr/lib/x.py); run `dvc repro`"),
        tmp_path,
    )
    assert error.message == "models/blend.json is damaged (…); run `dvc repro`"
    assert (error.status, error.code) == (503, "model_missing")
    mixed = from_library(ModelError(f"no models/serving.json in {tmp_path}: wait"), tmp_path)
    assert mixed.message == "no models/serving.json in the project: wait"
    photo = from_library(ImageError("truncated or damaged image: 3/4 of it"), tmp_path)
    assert photo.message == "truncated or damaged image: 3/4 of it"


def test_an_answer_has_the_fields_of_the_library():
    assert set(schemas.Score.model_fields) == {field.name for field in fields(Score)}


def test_beyond_loopback_it_does_not_start_without_a_token(tmp_path):
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org"):
        with pytest.raises(InputError, match=r"lets other machines in.*--token-file"):
            check_access(host, (), no_auth=False)
        check_access(host, (b"x" * 16,), no_auth=False)
        check_access(host, (), no_auth=True)
    for host in ("127.0.0.1", "::1", "localhost"):
        check_access(host, (), no_auth=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file"),
        (b"\n\n", "is empty"),
        (b"short\n", "at least 16 ASCII characters"),
        ("sixteen letters ä".encode(), "at least 16 ASCII characters"),
    ],
)
def test_a_token_file_that_protects_nothing_is_refused(tmp_path, content, message):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_tokens(file)


def test_without_its_packages_serve_names_the_command(monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert main(["serve"]) == 2
    assert "`python -m pip install 'facestats[serve]'`" in capsys.readouterr().err


def test_without_models_serve_says_what_makes_them(tmp_path, capsys):
    assert main(["serve", "--root", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no models/serving.json in" in error
    assert "run `dvc repro`" in error


def test_flags_become_settings(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/serving.json").touch()
    (tmp_path / "token").write_text("a" * 16)
    started = []
    monkeypatch.setattr(server, "serve", started.append)
    flags = "--host 0.0.0.0 --port 1 --max-megabytes 3 --max-photos 2 --precision bfloat16"
    words = [*flags.split(), "--root", str(tmp_path), "--token-file", str(tmp_path / "token")]
    assert main(["serve", *words, "--queue", "7", "--allow-host", "x.org", "--no-padding"]) == 0
    (settings,) = started
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    assert main(["serve"]) == 0
    assert started[1].root == settings.root == tmp_path  # the nearest upwards
    assert (settings.host, settings.port, settings.tokens) == ("0.0.0.0", 1, (b"a" * 16,))
    assert (settings.photo_bytes, settings.photos, settings.queue) == (3_000_000, 2, 7)
    assert settings.padding is False
    assert (settings.precision, settings.hosts) == ("bfloat16", ("x.org",))
    assert settings.request_bytes == Settings(tmp_path).request_bytes == 100_000_000
    for wrong in ("0", "-1", "x"):
        with pytest.raises(SystemExit):
            main(["serve", "--queue", wrong])


@pytest.mark.parametrize("at_once", [True, False])
def test_junk_in_a_body_ends_the_connection(at_once, caplog):
    """After one answer: that it is junk, where it comes at once, and else the app's own."""

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"right"})

    async def talk() -> tuple[bytes, bool]:
        config = uvicorn.Config(answer, lifespan="off", ws="none", log_config=None)
        config.load()
        protocol = server.Protocol(config, ServerState(), {})
        transport = mock.Mock(is_closing=lambda: False)
        transport.get_extra_info.return_value = None
        protocol.connection_made(transport)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        if not at_once:
            await asyncio.sleep(0.1)
        protocol.data_received(b"no length of a chunk\r\n")  # h11 would raise LocalProtocolError
        await asyncio.sleep(0.1)
        written = b"".join(call.args[0] for call in transport.write.call_args_list)
        return written, transport.close.called

    written, closed = asyncio.run(talk())
    assert written.count(b"HTTP/1.1") == 1
    answer_text = b"Invalid HTTP request received." if at_once else b"right"
    assert written.endswith(answer_text + b"\r\n0\r\n\r\n")
    assert closed
    assert not [record for record in caplog.records if record.exc_info]
