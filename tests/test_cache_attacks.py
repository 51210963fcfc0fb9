"""What DVC would follow out of the project, in its cache, dvc.lock, `.dvc` files and remotes, is
named without a traceback or a wait, and then no command lets DVC look at it.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.utils import dict_sha256

from facestats.__main__ import main
from facestats.cli import doctor_remote
from facestats.cli.doctor_remote import examine
from facestats.dvc_files.cache import examine_cache, require_sound_cache
from facestats.errors import InputError
from programs import run_program
from resources import ROOT

HASH = "0123456789abcdef0123456789abcdef"
AWAY = "aa/../../../../../home/.bashrc"
CLOUD = {"cloud": {"storage": {"md5": AWAY}}}


@pytest.fixture
def root(tmp_path):
    """A project with an empty cache, and a remote in a folder."""
    root = tmp_path / "repo"
    (root / ".dvc/cache/files/md5/01").mkdir(parents=True)
    (root / ".dvc/config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n"
        f"['remote \"storage\"']\n    url = {tmp_path / 'remote'}\n"
    )
    return root


def listing(root, store=".dvc/cache"):
    path = root / store / "files/md5/01" / f"{HASH[2:]}.dir"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def lock(root, more="", **out):
    outs = [{"path": "out", "hash": "md5"} | out]
    content = {"schema": "2.0", "stages": {"make": {"cmd": "c", "outs": outs}}}
    (root / "dvc.lock").write_text(yaml.safe_dump(content, sort_keys=False) + more)


def params(value):
    """A further stage of a dvc.lock, with a param of this value."""
    return f"  zz:\n    cmd: c\n    params:\n      params.yaml:\n        x: {value}\n"


def entry(root, store=".dvc/cache", **more):
    """An entry of the run cache under its own key."""
    content = {"cmd": "c", "outs": [{"path": "out", "hash": "md5"} | more]}
    key = dict_sha256({"cmd": "c", "outs": ["out"]})
    path = root / store / "runs" / key[:2] / key / ("b" * 64)
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(content))
    return path


def pointer(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def aliases():
    """1 kB that stands for 10**9 texts."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "cmd: c\nouts: []\nparams:\n" + "".join(f"  {line}\n" for line in lines)


def only_problem(root):
    problems = examine_cache(root).problems
    assert len(problems) == 1, problems
    return problems[0].message


COMMAND = "cmd: touch x\nouts:\n- path: raw\n"
FOLLOWED = {
    "cloud in an out": lambda root: lock(root, **CLOUD),
    "cloud over a hash": lambda root: lock(root, md5=HASH, **CLOUD),
    "cloud in a file": lambda root: lock(root, files=[{"relpath": "a", "md5": HASH, **CLOUD}]),
    "files": lambda root: lock(root, files=[{"relpath": "a", "md5": HASH}]),
    "checksum": lambda root: lock(root, md5=HASH, checksum=AWAY),
    "cloud in an entry": lambda root: entry(root, **CLOUD),
    "key of a mapping": lambda root: lock(root, params("{[a]: b}"), md5=AWAY),
    "tag of a value": lambda root: lock(root, params("="), md5=AWAY),
    "impossible date": lambda root: lock(root, params("2001-99-99"), md5=AWAY),
    "wdir null": lambda root: pointer(root, "data/raw.dvc", COMMAND + "wdir: null\n"),
    "meta": lambda root: pointer(root, "data/raw.dvc", COMMAND + "meta: {[a]: b}\n"),
    "date": lambda root: pointer(root, "a.dvc", "meta: 2001-99-99\n"),
    "hidden folder": lambda root: pointer(root, ".github/ci.dvc", COMMAND),
    "folder of outs": lambda root: pointer(root, "data/interim/x.dvc", COMMAND),
    "not frozen": lambda root: pointer(root, "a.dvc", "deps:\n- path: /x\nouts:\n- path: raw\n"),
    "import that was not fetched": lambda root: pointer(
        root,
        "data/x.dvc",
        "frozen: true\ndeps:\n- path: ../../home/.netrc\n  hash: md5\n"
        f"  md5: {HASH}\nouts:\n- path: x\n  hash: md5\n",
    ),
    "import of a repository": lambda root: pointer(
        root,
        "data/x.dvc",
        "frozen: true\ndeps:\n- path: x\n  repo: {url: ../home, rev_lock: main}\n"
        "outs:\n- path: x\n",
    ),
    "code beside": lambda root: pointer(
        root, "data/x.dvc", f"outs:\n- path: ../stages/numpy.py\n  md5: {HASH}\n"
    ),
    "folder of the file": lambda root: pointer(
        root, "data/x.dvc", f"outs:\n- path: .\n  md5: {HASH}.dir\n"
    ),
    "other folder": lambda root: pointer(
        root, "data/x.dvc", f"wdir: ../stages\nouts:\n- path: numpy.py\n  md5: {HASH}\n"
    ),
    "address": lambda root: pointer(root, "a.dvc", "outs:\n- path: ssh://host/x\n"),
    "md5 of a file": lambda root: listing(root).write_text(
        json.dumps([{"md5": AWAY, "relpath": "a"}])
    ),
    "cloud in a listing": lambda root: listing(root).write_text(
        json.dumps([{"md5": HASH, "relpath": "a", **CLOUD}])
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("make", FOLLOWED.values(), ids=FOLLOWED)
def test_what_dvc_does_not_write_is_named(root, make):
    make(root)
    only_problem(root)
    with pytest.raises(InputError, match="DVC would follow it, so it was not asked"):
        require_sound_cache(root)


def test_a_listing_in_a_folder_of_another_name_is_named(root):
    path = root / ".dvc/cache/files/md5/zz/evil.dir"
    path.parent.mkdir()
    path.write_text(json.dumps([{"md5": HASH, "relpath": "../stages/numpy.py"}]))
    assert "../stages/numpy.py" in only_problem(root)


ENDLESS = {
    "pipe as listing": lambda root: os.mkfifo(listing(root)),
    "pipe as dvc.lock": lambda root: os.mkfifo(root / "dvc.lock"),
    "pipe as a dvc.yaml below": lambda root: os.mkfifo(root / "dvc.yaml"),
    "device as dvc.yaml": lambda root: (root / "dvc.yaml").symlink_to("/dev/zero"),
    "device": lambda root: listing(root).symlink_to("/dev/zero"),
    "folder as listing": lambda root: listing(root).mkdir(),
    "aliases": lambda root: entry(root).write_text(aliases()),
    "alias of itself": lambda root: entry(root).write_text("cmd: &a [*a]"),
    "nested": lambda root: entry(root).write_text("cmd: " + "[" * 200_000),
    "nested lock": lambda root: (root / "dvc.lock").write_text("stages: " + "[" * 200_000),
    "nested pointer": lambda root: (root / "a.dvc").write_text("{a: " * 100_000),
    "large": lambda root: (root / "a.dvc").write_text("#" * (3 << 20)),
    "long number": lambda root: listing(root).write_text("[" + "9" * 5_000_000 + "]"),
    "surrogate": lambda root: listing(root).write_text(
        json.dumps([{"md5": HASH, "relpath": "\ud800/../a"}])
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("make", ENDLESS.values(), ids=ENDLESS)
def test_what_cannot_be_read_is_named_at_once(root, make, capsys):
    make(root)
    assert main(["doctor", "--cache", "--root", str(root)]) == 1
    output = capsys.readouterr().out
    assert "problems=1\n" in output
    assert len(output) < 1000


@pytest.mark.parametrize("link", ["runs", "files/md5/02", "files"])
def test_a_link_in_the_cache_is_removed_and_not_followed(root, tmp_path, link):
    thesis = tmp_path / "home/Documents/thesis"
    thesis.mkdir(parents=True)
    (thesis / "text.tex").write_text("mine")
    place = root / ".dvc/cache" / link
    if place.exists():
        place.rename(place.with_name("before"))
    place.symlink_to(tmp_path / "home")
    command = only_problem(root).split("`")[-2]
    assert command == f"rm -f {place}"
    run_program(["sh", "-c", command], check=True)
    assert examine_cache(root).problems == []
    assert (thesis / "text.tex").read_text() == "mine"


def test_an_object_that_is_a_link_is_named(root, tmp_path):
    (tmp_path / "secret").write_text("private")
    (root / ".dvc/cache/files/md5/01" / HASH[2:]).symlink_to(tmp_path / "secret")
    assert "is a link" in only_problem(root)


@pytest.mark.parametrize("place", ["fs", "fs/local", "fs/local/0a", "fs/local/0a/b"])
def test_an_import_that_is_a_link_is_named(root, tmp_path, place):
    """DVC gives it a name of its own, so that nothing else can be told from it."""
    kept = root / ".dvc/cache/fs/local/0b/c"
    (tmp_path / "secret").mkdir()
    if place != "fs":
        kept.parent.mkdir(parents=True)
        kept.touch()
    assert examine_cache(root).problems == []
    path = root / ".dvc/cache" / place
    if path.exists():
        path.rename(root / "before")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path / "secret")
    assert only_problem(root).endswith(f"remove it (`rm -f {path}`)")


def test_an_import_that_was_fetched_is_sound(root):
    for url in ("/srv/l.csv", "https://host/l.csv"):
        pointer(
            root,
            "data/l.csv.dvc",
            f"frozen: true\ndeps:\n- path: {url}\n  hash: md5\n  md5: {HASH}\n"
            f"outs:\n- path: l.csv\n  hash: md5\n  md5: {HASH}\n",
        )
        assert examine_cache(root).problems == []


def test_the_command_for_a_folder_in_place_of_a_listing_removes_it(root):
    listing(root).mkdir()
    run_program(["sh", "-c", only_problem(root).split("`")[-2]], check=True)
    assert examine_cache(root).problems == []


@pytest.mark.parametrize(("out", "name"), [("lnk/.bashrc", "x"), ("out", "a/lnk/x"), ("lnk", "x")])
def test_an_out_behind_a_link_is_named(root, tmp_path, out, name):
    (tmp_path / "home").mkdir()
    (root / "out/a").mkdir(parents=True)
    for place in (root / "lnk", root / "out/a/lnk"):
        place.symlink_to(tmp_path / "home")
    listing(root).write_text(json.dumps([{"md5": HASH, "relpath": name}]))
    pointer(root, "x.dvc", f"outs:\n- path: {out}\n  md5: {HASH}.dir\n  hash: md5\n")
    assert "lies behind a link" in only_problem(root)


@pytest.mark.long
@pytest.mark.parametrize(
    ("out", "link"),
    [
        ("models/clip", "models"),
        ("models/clip", "models/clip"),
        ("models/${key}/parts", "models/men"),
        ("${here}/faces", "data"),
    ],
)
@pytest.mark.parametrize("kind", ["outs", "metrics"])
def test_a_stages_out_behind_a_link_is_named_before_any_run(root, tmp_path, out, link, kind):
    """DVC removes the out before it runs the stage, whether dvc.lock names it or not."""
    (tmp_path / "home/clip").mkdir(parents=True)
    stage = {"cmd": "true", kind: ["kept", {out: {"cache": False}}]}
    pipeline = {"vars": [{"here": "data"}], "stages": {"make": {"foreach": ["men"], "do": stage}}}
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    (root / "models/women").mkdir(parents=True)
    (root / "models/a.json").symlink_to(root / ".dvc/cache/x")  # an out with cache.type symlink
    assert examine_cache(root).problems == []
    if link == "models":
        shutil.rmtree(root / link)
    (root / link).symlink_to(tmp_path / "home")
    message = only_problem(root)
    shown = out.replace("${here}", "data")
    assert f"dvc.yaml: its out '{shown}' lies behind a link, '{link}'" in message
    run_program(["sh", "-c", message.split("`")[1]], check=True)
    assert examine_cache(root).problems == []


@pytest.mark.parametrize("out", [".git", ".dvc", "data/.git", ".GIT"])
def test_an_out_among_the_files_of_git_or_dvc_is_named(root, out):
    pointer(root, f"{out.rpartition('/')[0] or '.'}/x.dvc", f"outs:\n- path: {Path(out).name}\n")
    assert "lies among the files of git or of DVC itself" in only_problem(root)


@pytest.mark.parametrize("command", ["--cache", "--remote=storage"])
def test_all_of_the_project_is_checked_from_any_folder_of_it(root, tmp_path, capsys, command):
    lock(root, md5=AWAY)
    (root / "docs/deep").mkdir(parents=True)
    for folder in ("docs", "docs/deep"):
        assert main(["doctor", command, "--root", str(root / folder)]) == 1
        assert f"{root / 'dvc.lock'}: the hash of 'out' is no MD5" in capsys.readouterr().out
    (tmp_path / "elsewhere").mkdir()
    assert main(["doctor", command, "--root", str(tmp_path / "elsewhere")]) == 2
    assert "there is no `.dvc` here or above" in capsys.readouterr().err


def test_dvc_is_not_asked_while_its_cache_has_a_problem(root, tmp_path, monkeypatch, capsys):
    def opened(*_, **__):
        raise AssertionError("DVC was asked")

    monkeypatch.setattr("dvc.repo.Repo.__init__", opened)
    lock(root, **CLOUD)
    (root / "dvc.yaml").write_text("stages: {}\n")
    shutil.copy(ROOT / "params.yaml", root)
    for command in (["doctor"], ["doctor", "--remote", "storage"]):
        assert main([*command, "--root", str(root)]) == 1
        assert "'cloud'" in capsys.readouterr().out
    (root / "data/raw").mkdir(parents=True)
    forget = ["forget", "a.jpg", "--cache", "--root", str(root)]
    assert main(forget) != 0
    assert "'cloud'" in capsys.readouterr().err
    monkeypatch.chdir(root)
    assert main(["import", "omi", str(tmp_path)]) != 0
    assert "'cloud'" in capsys.readouterr().err


@pytest.mark.parametrize("is_local", [True, False], ids=["folder", "server"])
@pytest.mark.parametrize("place", ["listing", "blanks", "entry", "name"])
def test_a_remote_that_leads_out_is_named_before_anything_is_fetched(
    root, tmp_path, monkeypatch, is_local, place
):
    if not is_local:
        monkeypatch.setattr(doctor_remote, "_is_local", lambda _: False)
    pointer(root, "raw.dvc", f"outs:\n- md5: {HASH}.dir\n  path: raw\n  hash: md5\n")
    listing(tmp_path, "remote").write_text(json.dumps([{"md5": HASH, "relpath": "a"}]))
    if place in ("listing", "blanks"):
        blanks = " " * 40_000 if place == "blanks" else ""  # more than one file of a listing takes
        text = json.dumps([{"md5": AWAY, "relpath": "a"}]).replace("{", "{" + blanks)
        listing(tmp_path, "remote").write_text(text)
    else:
        path = entry(tmp_path, "remote", **(CLOUD if place == "entry" else {}))
        if place == "name":
            path.rename(path.parent.parent / "c")
    problems = examine(root, "storage", mend=False)
    assert len(problems) == 1
    assert problems[0].endswith("ask who can write there")
