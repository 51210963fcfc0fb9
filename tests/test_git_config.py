"""Commands in the `.git/config` of a folder that somebody sent: reading it runs none of them."""

import pytest

from facestats.machine.git import read_git
from programs import run_program


@pytest.fixture
def repo(tmp_path):
    """A repository whose last commit lacks a tree; git would fetch that by a program of its own."""

    def git(*arguments):
        names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return run_program(["git", *names, *arguments], root, check=True).stdout.strip()

    root = tmp_path / "sent"
    (root / "folder").mkdir(parents=True)
    git("init", "-q")
    (root / "folder/file").write_text("1")
    git("add", ".")
    git("commit", "-qm", "own")
    tree = git("rev-parse", "HEAD:folder")
    (root / ".git/objects" / tree[:2] / tree[2:]).unlink()
    run = f"touch {tmp_path / 'ran'}; false"
    for key, value in {
        "core.repositoryformatversion": "1",
        "core.fsmonitor": run,
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": str(tmp_path / "up.git"),
        "remote.origin.uploadpack": run,
    }.items():
        git("config", key, value)
    return root


@pytest.mark.parametrize(
    "command", [("ls-tree", "-r", "HEAD", "--", "folder/"), ("ls-files", "-m"), ("status", "-s")]
)
def test_reading_runs_nothing_that_the_configuration_names(repo, tmp_path, command):
    run_program(["git", *command], repo)
    assert (tmp_path / "ran").exists()  # what git does by itself
    (tmp_path / "ran").unlink()
    read_git(repo, *command)
    assert not (tmp_path / "ran").exists()
