"""Failures of a model hub: the problem, the way out, and the whole message of the client."""

import errno
import shutil
import time

import huggingface_hub
import pytest
from huggingface_hub import constants

from clips import random_clip_that_reads
from facestats.checkpoints.variants import check_variant, fetch_clip
from facestats.errors import ModelError
from hubs import COMMIT, REFUSALS, Hub, serving


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return random_clip_that_reads(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def hub(repository, tmp_path, monkeypatch):
    """A hub that has org/small; the hub's own cache is empty."""
    hub = Hub(shutil.copytree(repository, tmp_path / "org-small"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in (
        "HF_TOKEN",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with serving(hub) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        hub.address = address
        yield hub


def refused(out, variant="org/small", revision=None) -> str:
    with pytest.raises(ModelError) as error:
        fetch_clip(variant, revision, out)
    message = str(error.value)
    assert variant in message
    assert "\n" not in message
    return message


def test_a_repository_is_fetched_and_no_file_that_is_not_needed(hub, tmp_path):
    (hub.folder / "tf_model.h5").write_bytes(b"0" * 100)
    (hub.folder / "pytorch_model.bin").write_bytes(b"0" * 100)
    (hub.folder / "sub").mkdir()
    (hub.folder / "sub/model.safetensors").write_bytes(b"0" * 100)
    facts = fetch_clip("org/small", None, tmp_path / "out")
    assert (facts["variant"], facts["revision"]) == ("org/small", COMMIT)
    assert set(hub.served) == {
        "config.json",
        "model.safetensors",
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("gated", ["is gated", "accept its terms", "hf auth login"]),
        ("gated, not logged in", ["is gated", "You are not logged in"]),
        (
            "misspelt",
            ["no repository of this name, or a private one", "nor is there a folder org/small"],
        ),
        (
            "misspelt or private",
            ["no repository of this name, or a private one", "You are not logged in"],
        ),
        ("no such revision", ["has no revision v9", "clip.revision"]),
        ("token", ["does not accept your token"]),
        ("forbidden", ["refuses access"]),
        ("disabled", ["has disabled this repository"]),
        ("too many", ["too many requests"]),
        ("maintenance", ["a problem of its own (status 503)", "clip.variant=tiny"]),
        ("no hub", ["does not answer as a model hub does", "HF_ENDPOINT"]),
    ],
)
def test_a_refusal_says_why_and_what_to_do(hub, tmp_path, refusal, words):
    hub.refusal = refusal
    message = refused(tmp_path / "out", revision="v9" if "revision" in refusal else None)
    for word in [*words, REFUSALS[refusal][2] or "404 Not Found"]:
        assert word in message


def test_a_gated_repository_that_lets_itself_be_listed(hub, tmp_path):
    hub.refusal, hub.refuse_files = "gated", True
    assert "is gated" in refused(tmp_path / "out")


def test_a_token_that_has_no_access_is_told_from_none(hub, tmp_path, monkeypatch):
    hub.refusal = "gated"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    message = refused(tmp_path / "out")
    assert "Your token" in message
    assert "hf_secret" not in message


@pytest.mark.parametrize(
    ("variant", "meant"),
    [
        ("openai/clip-vit-base-patch-32", "openai/clip-vit-base-patch32"),
        ("clip-vit-large-patch14", "openai/clip-vit-large-patch14"),
        ("openai/clip-vit-b-32", "openai/clip-vit-base-patch32"),
        ("ViT-B/32", "openai/clip-vit-base-patch32"),
        ("Tiny", "tiny"),
        ("ViT-L-14", "openai/clip-vit-large-patch14"),
    ],
)
def test_a_misspelt_name_gets_the_likely_one(hub, tmp_path, variant, meant):
    hub.refusal = "misspelt"
    assert f"Did you mean {meant}?" in refused(tmp_path / "out", variant)
    assert f"did you mean {meant}?" in check_variant(variant)


@pytest.mark.parametrize(
    ("variant", "meant"),
    [
        ("https://huggingface.co/openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32"),
        ("ViT-L/14@336px", "openai/clip-vit-large-patch14-336"),
        ("https://hf-mirror.com/org/small/tree/main", "org/small"),
        (" tiny ", "tiny"),
        ("models/clipp/", "clip"),
    ],
)
def test_a_name_that_is_a_path_to_nothing_gets_the_likely_one(
    tmp_path, monkeypatch, variant, meant
):
    (tmp_path / "models/clip").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    message = refused(tmp_path / "out", variant)
    assert f"did you mean {meant}?" in message
    assert check_variant(variant) == message


def test_a_page_instead_of_a_hub(hub, tmp_path):
    hub.page = True
    assert "does not answer as a model hub does" in refused(tmp_path / "out")


def test_a_name_that_no_repository_can_have(hub, tmp_path):
    assert "can't be the name of a repository" in refused(tmp_path / "out", "org/a..b")


@pytest.mark.parametrize(("proxy", "named"), [(None, False), ("HTTPS_PROXY", True)])
def test_a_hub_that_is_not_there(hub, tmp_path, monkeypatch, proxy, named):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    if proxy:
        monkeypatch.setenv(proxy, "http://user:secret@127.0.0.1:9")
    message = refused(tmp_path / "out")
    assert "http://127.0.0.1:9 can't be reached" in message
    assert "onnect" in message.partition("client says")[2]
    assert ("HTTPS_PROXY is set" in message) == named
    assert "secret" not in message


def raised(error, cause=None):
    def fail(*_, **__):
        raise error from cause

    return fail


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("ProxyError", "407 Proxy Authentication Required", "The proxy refuses"),
        (
            "ConnectError",
            "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate in certificate chain",
            "SSL_CERT_FILE",
        ),
        ("ReadTimeout", "The read operation timed out", "HF_HUB_DOWNLOAD_TIMEOUT"),
        (
            "RemoteProtocolError",
            "peer closed connection without sending complete message body",
            "The download broke off",
        ),
    ],
)
def test_ways_to_the_hub_that_fail(tmp_path, monkeypatch, kind, text, words):
    httpx = pytest.importorskip("httpx2")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", raised(getattr(httpx, kind)(text)))
    message = refused(tmp_path / "out")
    assert words in message
    assert text in message


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "The disk is full"), (errno.EACCES, "can't be written: set HF_HOME")],
)
def test_a_cache_that_takes_no_more(tmp_path, monkeypatch, number, words):
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        raised(OSError(number, "what the system says", str(tmp_path / "hub/blobs/x"))),
    )
    assert words in refused(tmp_path / "out")


def test_a_download_that_breaks_off_goes_on_the_next_time(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the client tries again and again
    hub.cut = "model.safetensors"
    message = refused(tmp_path / "out")
    assert "half a download" in message
    assert "The download broke off" in message
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refused(tmp_path / "out")
    assert "half a download" in message
    assert "HF_HUB_OFFLINE is set" in message
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.cut = None
    fetch_clip("org/small", None, tmp_path / "out")


def test_offline_without_a_copy(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refused(tmp_path / "out")
    assert "HF_HUB_OFFLINE is set" in message
    assert "HF_HOME" in message


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"open_clip_config.json": "{}", "open_clip_pytorch_model.bin": "x"},
            "in open_clip's layout",
        ),
        ({"ViT-B-32.pt": "x"}, "a checkpoint of OpenAI's or another training program"),
        (
            {
                "modules.json": "[]",
                "0_CLIPModel/config.json": "{}",
                "0_CLIPModel/pytorch_model.bin": "x",
            },
            "a config.json lies in 0_CLIPModel",
        ),
        ({"model_index.json": "{}", "unet/config.json": "{}"}, "a pipeline that draws pictures"),
        ({"adapter_config.json": "{}", "adapter_model.safetensors": "x"}, "an adapter"),
        ({"README.md": "hello"}, "it holds README.md"),
    ],
)
def test_a_repository_in_another_layout_says_which(hub, tmp_path, files, words):
    shutil.rmtree(hub.folder)
    for name, text in files.items():
        (hub.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (hub.folder / name).write_text(text)
    message = refused(tmp_path / "out")
    assert "has no config.json" in message
    assert words in message
    assert not any(name in files for name in hub.served)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bert", "a 'bert' model"),
        ("siglip", "a 'siglip' model"),
        ("clip_vision_model", "the image tower alone"),
        (None, "of no kind that its config.json names"),
    ],
)
def test_no_clip_is_said_before_its_weights_are_downloaded(hub, tmp_path, kind, words):
    (hub.folder / "config.json").write_text(
        '{"hidden_size": 8}' if kind is None else f'{{"model_type": "{kind}"}}'
    )
    assert words in refused(tmp_path / "out")
    assert "model.safetensors" not in hub.served


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tf_model.h5", "for TensorFlow or Flax alone"),
        ("onnx/model.onnx", "for another program alone"),
        ("model.fp16.safetensors", "model.fp16.safetensors"),
    ],
)
def test_weights_of_another_kind_alone(hub, tmp_path, name, words):
    (hub.folder / "model.safetensors").unlink()
    (hub.folder / name).parent.mkdir(exist_ok=True)
    (hub.folder / name).write_text("x")
    message = refused(tmp_path / "out")
    assert "no weights that can be used" in message
    assert words in message


def test_a_hub_that_serves_pointers(hub, tmp_path):
    (hub.folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 605157884\n"
    )
    assert "model.safetensors is a pointer of git LFS" in refused(tmp_path / "out")


def test_what_the_hubs_own_cache_knows_needs_no_hub(hub, tmp_path):
    assert check_variant("org/small") is None
    (hub.folder / "config.json").write_text('{"model_type": "siglip"}')
    refused(tmp_path / "out")
    hub.refusal = "maintenance"
    assert "'siglip'" in check_variant("org/small")
