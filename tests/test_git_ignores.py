"""What stages make never gets into git: DVC writes its .gitignore only when a run has succeeded."""

import re

import pytest
import yaml

from programs import run_program
from resources import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
VARS = {"key": "of_mine", "item": "of_mine"} | {
    name: value
    for group in PIPELINE["vars"]
    if isinstance(group, dict)
    for name, value in group.items()
}


def outs() -> set[str]:
    """Outs in DVC's cache, of stages with a key that of a target or group of somebody's own."""
    found = set()
    for stage in PIPELINE["stages"].values():
        for out in stage.get("do", stage).get("outs", ()):
            path, facts = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            if facts.get("cache", True):
                found.add(re.sub(r"\$\{(\w+)\}", lambda name: str(VARS[name[1]]), path))
    return found


def test_every_out_is_ignored_before_dvc_says_so():
    paths = sorted(outs())
    assert "models/attributes/of_mine_clf.safetensors" in paths
    done = run_program(["git", "check-ignore", "--no-index", *paths], ROOT)
    if done.returncode == 128:
        pytest.skip("not a git repository")
    assert done.stdout.splitlines() == paths
