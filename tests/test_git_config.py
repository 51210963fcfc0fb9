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
    (tmp_path / "program").write_text(f"#!/bin/sh\n{run}\n")
    (tmp_path / "program").chmod(0o700)
    (root / ".gitattributes").write_text("file filter=f\n")
    (root / "folder/file").write_text("2")
    signed = ["gpgsig -----BEGIN PGP SIGNATURE-----", " ", " -----END PGP SIGNATURE-----", "", "x"]
    commit = git("cat-file", "commit", "HEAD").split("\n\n")[0]
    (tmp_path / "commit").write_text("\n".join([commit, *signed]))
    signed = git("hash-object", "-t", "commit", "-w", str(tmp_path / "commit"))
    git("update-ref", "--create-reflog", "-m", "x", "refs/exps/stash", signed)
    for key, value in {
        "core.repositoryformatversion": "1",
        "core.fsmonitor": run,
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": str(tmp_path / "up.git"),
        "remote.origin.uploadpack": run,
        "log.showSignature": "true",
        "gpg.program": str(tmp_path / "program"),
        "filter.f.clean": run,
    }.items():
        git("config", key, value)
    return root


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        ("ls-tree", "-r", "HEAD", "--", "folder/"),
        ("ls-files", "-m"),
        ("status", "-s"),
        ("reflog", "show", "--format=%H", "refs/exps/stash"),
    ],
)
def test_reading_runs_nothing_that_the_configuration_names(repo, tmp_path, command):
    run_program(["git", *command], repo)
    assert (tmp_path / "ran").exists()  # what git does by itself
    (tmp_path / "ran").unlink()
    read_git(repo, *command)
    assert not (tmp_path / "ran").exists()


def test_what_it_reads_is_what_git_reads(repo):
    for command in (
        ("ls-files", "-s"),
        ("rev-parse", "HEAD"),
        ("for-each-ref",),
        ("reflog", "show", "--format=%H", "refs/exps/stash"),
    ):
        own = run_program(["git", "-c", "log.showSignature=false", *command], repo)
        assert read_git(repo, *command).stdout.decode() == own.stdout


def test_linked_work_trees_and_folders_without_git(repo, tmp_path):
    run_program(["git", "worktree", "add", "--no-checkout", "-q", "../tree"], repo, check=True)
    tree = tmp_path / "tree"
    assert read_git(tree, "rev-parse", "HEAD").stdout == read_git(repo, "rev-parse", "HEAD").stdout
    assert read_git(tree, "ls-files").stdout == b""  # of its own index
    done = read_git(tmp_path, "ls-files")
    assert done.returncode == 128
    assert not done.stdout
