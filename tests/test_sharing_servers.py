"""Sharing over SSH and in an S3-compatible bucket, as docs/sharing.md says it, with real servers on
the loopback address.
"""

from pathlib import Path

import pytest

from documented import block
from programs import run_program, start_program
from project import Project, executed
from servers import free_port, s3, sshd, wait_for
from sharing import CLEAN, STAGES, colleague, copy_office, document, open_office

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def office(built, tmp_path_factory) -> Project:
    return open_office(built, tmp_path_factory.mktemp("servers"), *STAGES)


def pulls_all(office: Project, folder: Path, *local: tuple[str, str]) -> Project:
    """A colleague with a clone, own settings and all files, who has nothing to compute."""
    office.git("push", "-q")
    other = colleague(office, folder)
    for name, value in local:
        other.dvc("remote", "modify", "--local", "storage", name, value)
    other.dvc("pull", "-q")
    assert CLEAN in other.dvc("status").stdout
    assert executed(other.dvc("repro").stdout) == set()
    return other


@pytest.mark.thorough
def test_ssh_through_a_tunnel_that_checks_the_host_key(office, tmp_path):
    office = copy_office(office, tmp_path / "office")
    local = free_port()
    with sshd(tmp_path / "server") as server:
        # The documented command, with the test's address, key and known hosts, as a child that ends
        # with the test.
        script = block("docs/sharing.md", "tunnel").text.replace(
            "2222:localhost:22 you@server",
            f"{local}:127.0.0.1:{server.port} {server.user}@localhost",
        )
        options = (
            f"-p {server.port} -i {server.key} -o IdentitiesOnly=yes -o UserKnownHostsFile={{}} "
        )
        command = script.replace("-fN", options + "-N")
        stranger = tmp_path / "stranger"
        stranger.write_text(server.known_hosts.read_text()[:-20] + "A" * 20)
        refused = run_program(["bash", "-c", command.format(stranger)])
        assert refused.returncode == 255
        assert "Host key verification failed" in refused.stderr

        tunnel = start_program(["bash", "-c", "exec " + command.format(server.known_hosts)])
        try:
            wait_for(local, tunnel)
            places = {
                "server": f"localhost:{local}{tmp_path}/remote",
                "user": f"user {server.user}",
                "key": server.key,
            }
            document(office, "ssh", **places)
            pulls_all(
                office, tmp_path / "other", ("user", server.user), ("keyfile", str(server.key))
            )
        finally:
            tunnel.terminate()
            tunnel.wait()
    assert len(list((tmp_path / "remote/files/md5").glob("*/*"))) > 200


@pytest.mark.thorough
def test_ssh_with_a_wrong_key_or_without_the_right_to_write(office, tmp_path):
    office = copy_office(office, tmp_path / "office")
    remote = tmp_path / "remote"
    with sshd(tmp_path / "server", "ForceCommand internal-sftp -R") as server:
        office.dvc("remote", "add", "-d", "storage", f"ssh://localhost:{server.port}{remote}")
        office.dvc("remote", "modify", "storage", "verify", "true")
        office.dvc("remote", "modify", "--local", "storage", "user", server.user)
        office.dvc(
            "remote", "modify", "--local", "storage", "keyfile", str(server.key.with_name("host"))
        )
        assert "Permission denied" in office.dvc("push", check=False).stderr  # a wrong key
        assert (
            "Permission denied"
            in office.facestats("doctor", "--remote", "storage", check=False).stderr
        )
        office.dvc("remote", "modify", "--local", "storage", "keyfile", str(server.key))
        office.dvc("remote", "add", "disk", str(remote))
        office.dvc("push", "-q", "-r", "disk")
        office.commit("remote")
        pulls_all(office, tmp_path / "other", ("user", server.user), ("keyfile", str(server.key)))
        (office.folder / "data/raw/face_0003.jpg").unlink()
        office.dvc("add", "-q", "data/raw")
        before = sorted(path.name for path in remote.rglob("*"))
        assert office.dvc("push", check=False).returncode
        assert sorted(path.name for path in remote.rglob("*")) == before
    assert office.damaged_objects() == []


@pytest.mark.thorough
def test_a_bucket(office, tmp_path):
    office = copy_office(office, tmp_path / "office")
    with s3() as address:
        keys = {
            "AWS_ACCESS_KEY_ID": "your-key",
            "AWS_SECRET_ACCESS_KEY": "your-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        office.environment |= keys
        document(office, "s3", endpoint=address)
        office.git("push", "-q")
        other = colleague(office, tmp_path / "other")
        other.environment |= keys
        other.dvc("pull", "-q")
        assert CLEAN in other.dvc("status").stdout
        assert executed(other.dvc("repro").stdout) == set()
        assert " 0 damaged or missing" in other.facestats("doctor", "--remote", "storage").stdout
