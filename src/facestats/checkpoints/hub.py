"""Download the needed files of a CLIP variant from a model hub, or explain why it fails."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from facestats.checkpoints.folder import (
    CONFIG,
    CONFIG_FILES,
    INDEX,
    SHARDS,
    WEIGHTS,
    check_config,
    foreign_layout,
)
from facestats.errors import ModelError, did_you_mean, nearest_names

WAYS_OUT = (
    "There are three ways out: run it once where the hub can be reached, so that the model lies "
    "in the hub's own cache (HF_HOME); put the files into a local folder and set clip.variant to "
    "its path; or use clip.variant=tiny, which ships with this package."
)
KNOWN = (
    "tiny",
    "openai/clip-vit-base-patch32",
    "openai/clip-vit-base-patch16",
    "openai/clip-vit-large-patch14",
    "openai/clip-vit-large-patch14-336",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "patrickjohncyh/fashion-clip",
)
# OpenAI's own names, and open_clip's.
OTHER_NAMES = {
    "vitb32": KNOWN[1],
    "vitb16": KNOWN[2],
    "vitl14": KNOWN[3],
    "vitl14336": KNOWN[4],
    "vitl14336px": KNOWN[4],
}
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


def looks_like_an_id(variant: str) -> bool:
    """Whether a variant looks like a Hugging Face id, `organisation/name`; else it is a path."""
    return bool(re.fullmatch(r"[\w.-]+(/[\w.-]+)?", variant)) and not variant.startswith(
        (".", "/", "~")
    )


def nearest_variant(variant: str) -> str | None:
    """The variant that was probably meant: the id in a URL, or a known one with a similar name."""
    address = re.match(r"(?:https?://[\w.:-]+/|hf://)(?:models/)?([\w.-]+/[\w.-]+)", variant)
    if address:
        return address[1]
    plain = variant.strip()
    other = OTHER_NAMES.get(
        re.sub(r"[^a-z0-9]", "", plain.lower().removeprefix("openai/clip").removeprefix("openai"))
    )
    if other or plain in KNOWN:
        return other or plain
    by_name = {name.lower(): name for name in KNOWN} | {
        name.split("/")[-1].lower(): name for name in KNOWN
    }
    near = nearest_names(plain, by_name, likeness=0.8)
    return by_name[near[0]] if near else None


def download(variant: str, revision: str | None) -> Path:
    """Download a repository; returns its snapshot in the hub's own cache.

    The configuration comes first: a repository that is not a CLIP, or has no usable weights, is not
    downloaded. Safetensors are preferred.

    Raises
    ------
    ModelError
        The repository, the hub or the connection has a problem; the text includes the message of
        the hub's client.
    """
    folder = _snapshot(variant, revision, CONFIG_FILES)
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"clip.variant {variant} has no {CONFIG}, so it is not in Hugging Face layout: "
            f"{_layout(variant, folder.name)}"
        )
    check_config(folder, variant)
    for single, index, shards in zip(WEIGHTS, INDEX, SHARDS, strict=True):
        _snapshot(variant, folder.name, (single, index))
        if not (folder / single).is_file():
            _snapshot(variant, folder.name, (shards,))
        if (folder / single).is_file() or any(folder.glob(shards)):
            return folder
    raise ModelError(
        f"clip.variant {variant} has no weights that can be used ({' or '.join(WEIGHTS)}): "
        f"{_layout(variant, folder.name)}"
    )


def cached_snapshot(variant: str, revision: str | None) -> Path | None:
    """Where the hub's own cache has a variant's configuration, or None; asks no hub."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(variant, CONFIG, revision=revision)
    except HFValidationError:
        return None
    return Path(config).parent if isinstance(config, str) else None


def find_refusal(variant: str, revision: str | None, timeout: float) -> str | None:
    """Why the hub would refuse a repository, by one request and without a download.

    Parameters
    ----------
    variant : str
        Hugging Face id.
    revision : str or None
        Branch, tag or commit.
    timeout : float
        Seconds for the answer; resolving the hub's name may take longer.

    Returns
    -------
    str or None
        Empty if it would not refuse; None if the hub can't be asked.
    """
    import huggingface_hub

    try:
        huggingface_hub.get_hf_file_metadata(
            huggingface_hub.hf_hub_url(variant, CONFIG, revision=revision), timeout=timeout
        )
    except Exception as error:  # as in `_snapshot`
        kinds, status = _kinds(error), _status(error)
        if "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
            return f"clip.variant {variant} has no {CONFIG}, so it is not in Hugging Face layout"
        problem = _problem_of_repository(kinds, status, variant, revision)
        return problem and f"clip.variant {variant}: {problem}"
    return ""


def _snapshot(variant: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    import huggingface_hub
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    try:
        return Path(
            huggingface_hub.snapshot_download(
                variant, revision=revision, allow_patterns=list(patterns)
            )
        )
    except Exception as error:
        # The hub's client raises a dozen kinds: connection, rights, names, revisions.
        at = f" at revision {revision}" if revision else ""
        raise ModelError(
            f"could not get clip.variant {variant}{at} from the model hub: "
            f"{explain(error, variant, revision)} "
            f"The hub's client says: {_whole_text(error)}"
        ) from None


def _layout(variant: str, revision: str) -> str:
    """The content of a repository that can't be used."""
    import huggingface_hub

    try:
        return foreign_layout(huggingface_hub.HfApi().list_repo_files(variant, revision=revision))
    except Exception as error:  # as above; only the hint is lost
        return f"its files can't be listed ({_whole_text(error)})"


def explain(error: Exception, variant: str, revision: str | None) -> str:
    """The problem and the way out in whole sentences.

    Errors are told by the names of their classes, which come from the hub's client and two
    libraries below it, and change with its version.
    """
    from huggingface_hub import constants

    kinds, status = _kinds(error), _status(error)
    numbers = {getattr(cause, "errno", None) for cause in _chain(error)}
    if numbers & {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"The disk is full: free some space below {constants.HF_HUB_CACHE}, or set "
            "HF_HOME to a larger disk."
        )
    if numbers & {errno.EACCES, errno.EPERM, errno.EROFS}:
        return (
            f"The hub's own cache, {constants.HF_HUB_CACHE}, can't be written: set "
            "HF_HOME to a folder of yours."
        )
    problem = _problem_of_repository(kinds, status, variant, revision)
    if problem:
        return problem
    half = (
        "Only a part of it lies in the hub's own cache (half a download), and the rest can't be "
        "fetched. "
        if "IncompleteSnapshotError" in kinds or cached_snapshot(variant, revision)
        else ""
    )
    return f"{half}{_problem_of_hub(kinds, status, _whole_text(error))} {WAYS_OUT}".strip()


def _problem_of_repository(
    kinds: set[str], status: int | None, variant: str, revision: str | None
) -> str | None:
    """The problem of the repository, or of the right to read it; None if there is none."""
    from huggingface_hub import constants, get_token

    hub = constants.ENDPOINT
    token = (
        "Your token (HF_TOKEN or `hf auth login`)"
        if get_token()
        else "You are not logged in (`hf auth login`, or set HF_TOKEN). Your account"
    )
    if "GatedRepoError" in kinds:
        return (
            f"The repository is gated: open {hub}/{variant} in a browser, accept its terms, and "
            "wait until access is granted. "
            f"{token} must be of the account that has access."
        )
    if "DisabledRepoError" in kinds:
        return "The hub has disabled this repository: choose another clip.variant."
    if "RevisionNotFoundError" in kinds:
        return (
            f"The repository has no revision {revision or 'main'}: {hub}/{variant}/commits/main "
            "lists its commits; clip.revision is a commit, "
            "a tag or a branch, or null for the newest."
        )
    if kinds & {"HFValidationError", "HfUriError"}:
        return f"{variant!r} can't be the name of a repository, organisation/name.{_meant(variant)}"
    if "RepositoryNotFoundError" in kinds:
        return (
            f"The hub has no repository of this name, or a private one.{_meant(variant)} An id is "
            f"organisation/name, as in the address {hub}/…; "
            f"nor is there a folder {variant} here. {token} must have access to a private one."
        )
    if status == 401:
        return (
            "The hub does not accept your token: it is mistyped, expired or revoked. `hf "
            "auth login` again, or unset HF_TOKEN for a public repository."
        )
    if status == 403:
        return f"The hub refuses access. {token} must be allowed to read {variant}."
    return None


def _problem_of_hub(kinds: set[str], status: int | None, text: str) -> str:
    """The problem of the hub or of the connection; empty if unknown."""
    from huggingface_hub import constants

    hub = f"{constants.ENDPOINT}{' (HF_ENDPOINT)' if os.environ.get('HF_ENDPOINT') else ''}"
    proxy = "".join(
        f" {name} is set: is that proxy right?"
        for name in PROXIES
        if os.environ.get(name) or os.environ.get(name.lower())
    )
    if "OfflineModeIsEnabled" in kinds:
        return (
            "HF_HUB_OFFLINE is set, so the hub is not asked, and its own cache, "
            f"{constants.HF_HUB_CACHE}, lacks files: unset HF_HUB_OFFLINE."
        )
    if "ProxyError" in kinds:
        return f"The proxy refuses.{proxy}"
    if "CERTIFICATE_VERIFY_FAILED" in text or kinds & {"SSLError", "SSLCertVerificationError"}:
        return (
            f"The certificate of {hub} is not trusted, as behind a proxy that opens encrypted "
            "connections: set SSL_CERT_FILE to your "
            f"organisation's certificates.{proxy}"
        )
    if kinds & {"TimeoutException", "Timeout", "TimeoutError"}:
        return (
            f"{hub} did not answer in time; HF_HUB_ETAG_TIMEOUT and "
            f"HF_HUB_DOWNLOAD_TIMEOUT (seconds) make it wait longer.{proxy}"
        )
    if status == 429:
        return (
            "The hub has had too many requests from here: wait, or log in (`hf auth "
            "login`), and run again."
        )
    if status is not None and status >= 500:
        return f"The hub has a problem of its own (status {status}): run again later."
    if status == 404 or kinds & {
        "JSONDecodeError",
        "UnsupportedProtocol",
        "InvalidURL",
        "LocalProtocolError",
    }:
        return (
            f"{hub} does not answer as a model hub does; HF_ENDPOINT is the hub's "
            "address, https://… without a path."
        )
    if (
        kinds
        & {
            "ReadError",
            "RemoteProtocolError",
            "ProtocolError",
            "ChunkedEncodingError",
            "IncompleteRead",
        }
        or "onsistency check failed" in text
    ):
        return "The download broke off: run again, and it goes on where it stopped."
    return (
        f"{hub} can't be reached.{proxy}"
        if kinds & {"ConnectError", "ConnectionError", "NetworkError"}
        else ""
    )


def _meant(variant: str) -> str:
    near = nearest_variant(variant)
    return did_you_mean([near] if near and near != variant else [])


def _kinds(error: Exception) -> set[str]:
    """Names of the classes of an error, of its causes, and of their bases."""
    return {kind.__name__ for cause in _chain(error) for kind in type(cause).__mro__}


def _status(error: Exception) -> int | None:
    """The HTTP status that the hub answered with, if it answered."""
    responses = (getattr(cause, "response", None) for cause in _chain(error))
    return next((response.status_code for response in responses if response is not None), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _whole_text(error: BaseException) -> str:
    """An error's text on one line, or its class if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
