"""docs/composites.md: its parameters are valid ones, its pictures are there and small, and made of drawn faces."""

import re
import shutil

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from PIL import Image

from facestats.params import check_params, load_params
from facestats.params_composites import Continuum, Difference, Filter, Render
from resources import ROOT

PAGE = (ROOT / "docs/composites.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL))
def test_a_block_of_parameters_is_valid(block):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, entries in yaml.safe_load(block).items():
        params[section] |= entries
    check_params(params)


@pytest.mark.parametrize("override", sorted({*re.findall(r"dvc exp run -S '([^']+)'", PAGE),
                                             *re.findall(r"-S '(\+?(?:composites|continua|differences)\.[^']+)'", README)}))
def test_a_choice_on_the_command_line_is_valid(tmp_path, override):
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    before = load_params(tmp_path / "params.yaml")
    apply_overrides(tmp_path / "params.yaml", [override])  # as DVC does it
    assert load_params(tmp_path / "params.yaml") != before


@pytest.mark.parametrize("page", [PAGE, README], ids=["composites.md", "README.md"])
def test_they_may_be_tried_one_after_another(tmp_path, page):
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    for override in re.findall(r"-S '([+~]?(?:composites|continua|differences)\.[^']+)'", page):
        apply_overrides(tmp_path / "params.yaml", [override])
    assert len(load_params(tmp_path / "params.yaml").continua) >= 2


def test_every_option_stands_on_the_page():
    for section in (Filter, Render, Continuum, Difference):
        for name, field in section.model_fields.items():
            assert re.search(rf"[`{{ ]{field.alias or name}[`:]", PAGE), name


def test_the_pictures_are_there_small_and_in_use():
    used = set(re.findall(r"\(images/([^)]+)\)", PAGE))
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs/images").glob("*.jpg")}
    assert used <= set(sizes)
    assert set(sizes) - used <= set(re.findall(r"docs/images/([^)]+)", README))
    assert max(sizes.values()) <= 80_000
    assert sum(sizes.values()) < 600_000
    for name in sizes:
        with Image.open(ROOT / "docs/images" / name) as picture:
            picture.load()
            assert picture.width <= 1200
