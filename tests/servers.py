"""Servers that the tests start on the loopback address, each for the time of a `with` block."""

import getpass
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from programs import run_program, start_program

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
_PATIENCE = 60  # seconds that a busy machine may take to start one


@dataclass(frozen=True)
class SshServer:
    """An OpenSSH server: its port, who may enter with which key, and its host key as a known_hosts
    file says it.
    """

    port: int
    user: str
    key: Path
    known_hosts: Path


@contextmanager
def sshd(folder: Path, *settings: str) -> Iterator[SshServer]:
    """OpenSSH's server with keys of its own below `folder`; skips where it is not installed."""
    if not (Path(SSHD).is_file() and shutil.which("ssh-keygen") and find_spec("dvc_ssh")):
        pytest.skip(
            "needs OpenSSH's sshd (Debian and Ubuntu: apt-get install openssh-server) and "
            "the package dvc-ssh (tests/requirements-servers.txt)"
        )
    folder.mkdir(parents=True)
    for name in ("host", "key"):
        run_program(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    port = free_port()
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/key.pub",
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PidFile none",
        "Subsystem sftp internal-sftp",
        *settings,
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    (folder / "known_hosts").write_text(f"[localhost]:{port} {(folder / 'host.pub').read_text()}")
    Path("/run/sshd").mkdir(exist_ok=True) if getpass.getuser() == "root" else None
    with _running([SSHD, "-D", "-f", str(folder / "sshd_config")], port):
        yield SshServer(port, getpass.getuser(), folder / "key", folder / "known_hosts")


@contextmanager
def s3() -> Iterator[str]:
    """An S3 API server (moto's) with an empty bucket `our-bucket`; yields its address."""
    if not all(map(find_spec, ("moto", "flask", "dvc_s3"))):
        pytest.skip("needs the packages moto[server] and dvc-s3 (tests/requirements-servers.txt)")
    port = free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        address = f"http://127.0.0.1:{port}"
        bucket_client(address).create_bucket(Bucket="our-bucket")
        yield address


def bucket_client(address: str) -> Any:
    """boto3's client of the server that `s3` yields."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    server = start_program(command)
    try:
        wait_for(port, server)
        yield
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int, server: subprocess.Popen) -> None:
    """Return when something answers at the port."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, f"{server.args[0]} ended with {server.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{server.args[0]} does not answer")
