"""`doctor --cache` names what would make DVC write outside of a stage's outs."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from dvc.utils import dict_sha256

from facestats.__main__ import main
from facestats.dvc_files.cache import examine_cache, require_sound_cache
from programs import run_program

HASH = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def root(tmp_path):
    """A project whose cache holds one run of a stage, the listing of its out, and nothing else."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    write_entry(tmp_path)
    write_listing(tmp_path, "face_1.jpg", "album.jpg/a\\b c..jpg", "größe.jpg", "new\nline.jpg")
    write_lock(tmp_path)
    return tmp_path


def write_entry(root, *more_outs, **changes):
    """An entry of the run cache as DVC names it, then changed."""
    entry = {
        "cmd": "python stages/score.py",
        "deps": [{"path": "stages/score.py", "hash": "md5", "md5": HASH, "size": 3}],
        "params": {"params.yaml": {"score.weights": {"holistic": 0.4, "size": 1}}},
        "outs": [{"path": "models/blend.json", "hash": "md5", "md5": HASH, "size": 7, "nfiles": 1}],
    }
    named = entry | {"outs": [out["path"] for out in entry["outs"]]}
    key = dict_sha256(named, exclude=["size", "nfiles"])
    path = root / ".dvc/cache/runs" / key[:2] / key / dict_sha256(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    entry["outs"] += more_outs
    path.write_text(yaml.safe_dump(entry | changes, sort_keys=False))
    return path


def write_listing(root, *names, place=".dvc/cache/files/md5", md5=HASH):
    path = root / place / HASH[:2] / f"{HASH[2:]}.dir"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"md5": md5, "relpath": name} for name in names]))
    return path


def write_lock(root, **out):
    outs = [{"path": "models/clip", "hash": "md5", "md5": f"{HASH}.dir"} | out]
    lock = {"schema": "2.0", "stages": {"fetch_clip": {"cmd": "c", "outs": outs}}}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    return root / "dvc.lock"


def problem(root) -> tuple[str, str]:
    """Path and message of the only problem."""
    report = examine_cache(root)
    assert [problem.kind for problem in report.problems] == ["cache"]
    return report.problems[0].path, report.problems[0].message


def warning(root) -> tuple[str, str]:
    """Path and message of the only warning; there is no problem."""
    report = examine_cache(root)
    assert [report.problems, [warning.kind for warning in report.warnings]] == [[], ["site cache"]]
    return report.warnings[0].path, report.warnings[0].message


def test_a_sound_cache_has_no_problem(root):
    (root / "data").mkdir()
    (root / "data/raw.dvc").write_text(f"outs:\n- md5: {HASH}.dir\n  path: raw\n  push: false\n")
    report = examine_cache(root)
    assert (report.entries, report.listings, report.problems) == (1, 1, [])


def test_a_folder_without_dvc_has_no_problem(tmp_path):
    assert examine_cache(tmp_path).problems == []


@pytest.mark.parametrize(
    "out",
    [
        {"path": "stages/numpy.py", "hash": "md5", "md5": HASH},
        {"path": ".git/hooks/post-checkout", "hash": "md5", "md5": HASH, "isexec": True},
        {"path": "../elsewhere", "md5": HASH},
    ],
)
def test_an_entry_with_one_more_out_is_named(root, out):
    entry = write_entry(root, out)
    path, message = problem(root)
    assert path == str(entry)
    assert "was changed or cut off after DVC wrote it" in message
    assert f"`rm -rf {entry.parent}`" in message


def test_an_entry_of_another_command_is_named(root):
    entry = write_entry(root, cmd="python stages/embed.py")
    assert problem(root)[0] == str(entry)


def test_an_entry_moved_to_another_stages_folder_is_named(root):
    entry = write_entry(root)
    moved = entry.parent.parent / ("0" * 64)
    entry.parent.rename(moved)
    assert problem(root)[0] == str(moved / entry.name)


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ({"files": [{"relpath": "../stages/numpy.py", "md5": HASH}]}, "has 'files'"),
        ({"md5": "aa/../../../../data/evil.dir"}, "is no MD5"),
        ({"hash": "etag"}, "is no MD5"),
    ],
)
def test_outs_with_a_listing_or_a_path_for_a_hash_are_named(root, out, why):
    """In dvc.lock and in the run cache, whose keys do not cover them."""
    lock = write_lock(root, **out)
    path, message = problem(root)
    assert (path, why in message) == (str(lock), True)
    write_lock(root)
    outs = [{"path": "models/blend.json", "hash": "md5", "md5": HASH} | out]
    entry = write_entry(root, outs=outs)
    path, message = problem(root)
    assert (path, why in message) == (str(entry), True)


@pytest.mark.parametrize("text", ["", "a: [", "outs: [1]", "null", "- a", "cmd: x\nouts: 5"])
def test_what_is_no_entry_is_named(root, text):
    entry = write_entry(root)
    entry.write_text(text)
    assert problem(root)[0] == str(entry)


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "../../stages/numpy.py",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "./a",
        "..",
        "",
        ".git/config",
        "a/.dvc/config",
    ],
)
@pytest.mark.parametrize("place", [".dvc/cache/files/md5", ".dvc/cache"])
def test_a_listing_that_leads_out_is_named(root, place, name):
    shutil.rmtree(root / ".dvc/cache/files")
    listing = write_listing(root, "face_1.jpg", name, place=place)
    path, message = problem(root)
    assert path == str(listing)
    assert repr(name) in message


@pytest.mark.parametrize("text", ["", "{}x", '{"relpath": "a"}', '["a"]', "[" * 100_000, "5"])
def test_what_is_no_listing_is_named(root, text):
    listing = write_listing(root)
    listing.write_text(text)
    assert problem(root)[0] == str(listing)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("cmd: touch here\n", "holds a command"),
        (f"- md5: {HASH}\n  path: ../../home/.bashrc\n", "outside of the project"),
        (f"- md5: {HASH}\n  path: /etc/passwd\n", "outside of the project"),
        (f"- md5: {HASH}\n  hash: md5\n", "one of its outs has no path"),
        (f"- md5: {HASH}\n  path: b\nwdir: ../..\n", "outside of the project"),
    ],
)
def test_a_dvc_file_that_is_a_program_is_named(root, more, why):
    (root / "data").mkdir()
    pointer = root / "data/raw.dvc"
    pointer.write_text(f"outs:\n- md5: {HASH}.dir\n  path: raw\n{more}")
    path, message = problem(root)
    assert (path, why in message) == (str(pointer), True)


def test_the_cache_may_lie_elsewhere(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    (root / ".dvc/config").write_text(f"[cache]\n    dir = {folder}\n")
    shutil.copytree(root / ".dvc/cache", folder, dirs_exist_ok=True)
    shutil.rmtree(root / ".dvc/cache")
    assert examine_cache(root).entries == 1


@pytest.mark.parametrize("level", ["global", "local"])
@pytest.mark.long
def test_a_site_cache_that_others_can_write_to_is_named(root, monkeypatch, tmp_path, level):
    """DVC unpickles what lies there; a project's own setting goes before the user's."""
    monkeypatch.delenv("DVC_SITE_CACHE_DIR")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setattr(
        "facestats.dvc_files.cache.find_exposed",
        lambda folder: None if "home" in folder.parts else folder.parent,
    )
    expected = Path("/var/tmp/dvc")
    if level == "local":
        expected = Path("/open")
        (root / ".dvc/config").write_text("[core]\n    site_cache_dir = /open\n")
    path, message = warning(root)
    assert path == str(expected / "repo")
    assert f"other users of this machine can write to it, through {expected}" in message
    require_sound_cache(root)
    run_program(["sh", "-c", message.split("`")[1]], root, check=True)
    assert (root / ".dvc/config.local").exists() == (level == "local")
    assert (tmp_path / "home/.cache/dvc-site").stat().st_mode & 0o777 == 0o700
    assert examine_cache(root).warnings == []
    way = "set DVC_SITE_CACHE_DIR to a folder that only you may enter"
    monkeypatch.setattr("facestats.dvc_files.cache.find_exposed", lambda folder: tmp_path)
    assert way in warning(root)[1]  # in a home folder of several people the command does not help
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "/open")
    assert way in warning(root)[1]


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [".dvc/tmp/repro.dat", ".dvc/tmp/exps/celery/broker/in/1.msg", ".dvc/config.local"]
)
def test_what_a_commit_brings_into_dvcs_own_folders_is_named(root, name):
    """`dvc exp run` unpickles the first, `dvc queue start` runs the command in the second."""

    def git(*arguments):
        names = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        run_program(["git", *names, *arguments], root, check=True)

    git("init", "-q")
    (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()
    assert examine_cache(root).problems == []
    git("add", "-A")
    git("commit", "-qm", "own")
    assert examine_cache(root).problems == []
    git("add", "-f", name)
    git("commit", "-qm", "stranger's")
    path, message = problem(root)
    assert path == str(root / name)
    run_program(["sh", "-c", message.split("`")[1]], root, check=True)
    git("commit", "-qm", "mended")
    assert examine_cache(root).problems == []


def git(root, *arguments):
    names = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    run_program(["git", *names, *arguments], root, check=True)


def test_what_an_experiment_brings_into_dvcs_own_folders_is_named(root):
    """`dvc exp apply` puts it there, and git does not show it."""
    git(root, "init", "-q")
    git(root, "commit", "-qm", "own", "--allow-empty")
    (root / ".dvc/tmp").mkdir(exist_ok=True)
    (root / ".dvc/tmp/1_x.celery.msg").touch()
    git(root, "add", "-f", ".dvc/tmp/1_x.celery.msg")
    git(root, "commit", "-qm", "stranger's")
    git(root, "update-ref", "refs/exps/18/9d7f/evil", "HEAD")
    git(root, "reset", "-q", "HEAD~")
    path, message = problem(root)
    assert path == str(root / ".dvc/tmp/1_x.celery.msg")
    assert "the experiment refs/exps/18/9d7f/evil holds it" in message
    run_program(["sh", "-c", message.split("`")[1]], root, check=True)
    assert examine_cache(root).problems == []


def test_a_commit_that_links_dvcs_own_folder_is_named(root):
    """What lies in `.dvc/tmp` is then nothing below `.dvc` for git."""
    git(root, "init", "-q")
    (root / ".dvc").rename(root / "conf")
    (root / ".dvc").symlink_to("conf")
    assert examine_cache(root).problems == []
    git(root, "add", ".dvc")
    git(root, "commit", "-qm", "stranger's")
    path, message = problem(root)
    assert path == str(root / ".dvc")
    assert "git holds it" in message


def test_git_that_does_not_answer_is_named(root, tmp_path_factory, monkeypatch):
    """As where the folder is somebody else's; a repository without a commit holds nothing."""
    git(root, "init", "-q")
    assert examine_cache(root).problems == []
    (root / "a").touch()
    git(root, "add", "a")
    git(root, "commit", "-qm", "own")
    assert examine_cache(root).problems == []
    (root / ".git/config").write_text("[core")
    path, message = problem(root)
    assert path == str(root)
    assert "git does not say what its last commit holds (fatal: bad config" in message


def test_a_folder_of_the_run_cache_without_entry_is_named(root):
    """DVC takes the newest entry of the folder, and fails where there is none."""
    entry = next((root / ".dvc/cache/runs").glob("*/*/*"))
    entry.unlink()
    path, message = problem(root)
    assert path == str(entry.parent)
    run_program(["sh", "-c", message.split("`")[-2]], check=True)
    assert examine_cache(root).problems == []


@pytest.mark.long
@pytest.mark.parametrize("name", [".DS_Store", ".nfs0001", "x.tmp", "README"])
@pytest.mark.parametrize("place", ["runs", "runs/*", "files/md5", "files/md5/*"])
def test_files_that_dvc_does_not_look_at_may_lie_in_its_cache(root, place, name):
    (folder,) = (root / ".dvc/cache").glob(place)
    (folder / name).touch()
    assert examine_cache(root).problems == []


@pytest.mark.parametrize("place", ["runs/00", "files/md5/00", "files/md5/.DS_Store"])
def test_a_file_or_a_link_in_place_of_a_folder_is_named(root, tmp_path, place):
    path = root / ".dvc/cache" / place
    path.symlink_to(tmp_path) if path.name.startswith(".") else path.touch()
    assert problem(root)[0] == str(path)


def test_doctor_prints_what_it_looked_through(root, capsys):
    assert main(["doctor", "--root", str(root), "--cache"]) == 0
    assert capsys.readouterr().out == "cache: entries=1 listings=1 problems=0\n"
    listing = write_listing(root, "../a")
    assert main(["doctor", "--root", str(root), "--cache", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [problem["path"] for problem in answer["problems"]] == [str(listing)]
    assert answer["cache"] == {"run_cache_entries": 1, "listings": 1}


@pytest.mark.first_cases(1)
@pytest.mark.slow
@pytest.mark.parametrize("way", ["entry", "listing"])
def test_real_dvc_follows_what_doctor_names_and_nothing_else(tmp_path, way):
    """Without the check a doctored entry or listing writes `evil.py`.

    Removed as told, it does not.
    """
    (tmp_path / "dvc.yaml").write_text(
        "stages: {make: {cmd: mkdir out && echo 1 > out/a, deps: [dep], outs: [out]}}"
    )
    (tmp_path / "dep").write_text("1")

    def dvc(*arguments):
        environment = os.environ | {
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        }
        return run_program([sys.executable, "-m", "dvc", *arguments], tmp_path, environment, True)

    dvc("init", "--no-scm", "-q")
    dvc("repro", "-q")
    assert examine_cache(tmp_path).problems == []
    evil = {"md5": "b026324c6904b2a9cb4b88d6d61c81d1", "relpath": "../evil.py"}  # echo 1
    cache = tmp_path / ".dvc/cache"
    listing = next(cache.glob("files/md5/*/*.dir"))
    entry = next(cache.glob("runs/*/*/*"))
    if way == "listing":
        doctored = listing
        content = [*json.loads(listing.read_bytes()), evil]
        listing.chmod(0o644)
        listing.write_text(json.dumps(content))
        listing.chmod(0o444)  # DVC hashes an object that can be written
    else:
        doctored = entry
        more = {"path": "evil.py", "hash": "md5", "md5": evil["md5"]}
        content = yaml.safe_load(entry.read_bytes())
        entry.write_text(yaml.safe_dump(content | {"outs": [*content["outs"], more]}))
    path, message = problem(tmp_path)
    assert path == str(doctored)

    def start_anew():
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "dvc.lock").unlink()
        shutil.rmtree(tmp_path / "site", ignore_errors=True)
        dvc("repro", "-q")

    start_anew()
    assert (tmp_path / "evil.py").is_file()
    (tmp_path / "evil.py").unlink()
    run_program(["sh", "-c", message.split("`")[-2]], check=True)
    assert not doctored.exists()
    assert examine_cache(tmp_path).problems == []
    start_anew()
    assert (tmp_path / "out/a").is_file()
    assert not (tmp_path / "evil.py").exists()
