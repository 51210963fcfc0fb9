"""Every wrong parameter is named, with its value, what is allowed and the nearest known key."""

import copy
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from facestats.errors import ParamsError
from facestats.params.project import Params, check_params, load_params

ROOT = Path(__file__).parents[1]


@pytest.fixture
def raw():
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_shipped_params_are_valid(raw):
    assert check_params(raw).mlp.hidden == [256, 64]


@pytest.mark.parametrize(
    "key", ["split.stratify", "score.traits", "labels.drop_raters", "labels.raters"]
)
def test_dvc_can_empty_a_list_again(tmp_path, key):
    """It breaks a file where a comment stands behind the list."""
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    section, name = key.split(".")
    for value in ("[a,b]", "[]", "[c]", "[]"):
        apply_overrides(path, [f"{key}={value}"])
        assert yaml.safe_load(path.read_text())[section][name] == yaml.safe_load(value)


def test_hidden_takes_a_number_or_a_list(raw):
    raw["mlp"]["hidden"] = 256
    assert check_params(raw).mlp.hidden == 256


@pytest.mark.long
@pytest.mark.parametrize(
    "written",
    [
        "5e-05",
        "5e-5",
        "5E-5",
        "+5e-05",
        "0.00005",
        ".00005",
        "0.000_05",
        "50.e-6",
        "'0.00005'",
        '" 5e-5 "',
    ],
)
def test_a_number_may_be_written_in_any_way(tmp_path, written):
    usual = (ROOT / "params.yaml").read_text()
    for key, value in (("lr", "0.001"), ("weight_decay", "1.0"), ("C", "auto")):
        usual = usual.replace(f"{key}: {value} ", f"{key}: {written} ", 1)
    (tmp_path / "params.yaml").write_text(usual)
    params = load_params(tmp_path / "params.yaml")
    assert [params.mlp.lr, params.mlp.weight_decay, params.attributes.targets["gender"].C] == [
        5e-05
    ] * 3  # the same bits, for hashes are made of them


@pytest.mark.parametrize("commit", ["7e12345", "1234567"])
def test_a_commit_that_dvc_takes_for_a_number_is_to_be_quoted(tmp_path, commit):
    usual = (ROOT / "params.yaml").read_text()
    for written in (commit, f"'{commit}'"):
        (tmp_path / "params.yaml").write_text(
            usual.replace("revision: null", f"revision: {written}")
        )
        if written == commit:
            with pytest.raises(ParamsError, match=r"clip\.revision = .*put it in quotes"):
                load_params(tmp_path / "params.yaml")
    assert load_params(tmp_path / "params.yaml").clip.revision == commit


@pytest.mark.long
@pytest.mark.parametrize(
    "written", ["100", "1e2", "1E+2", "+100", "1_00", "100.0", "100.", "0100", "'100'"]
)
def test_a_whole_number_may_be_written_in_any_way(tmp_path, written):
    usual = (ROOT / "params.yaml").read_text()
    for key, value in (
        ("epochs: ", "200"),
        ("hidden: [256, ", "64"),
        ("k: [4, ", "12"),
        ("max_megabytes: ", "256"),
    ):
        assert key + value in usual
        usual = usual.replace(key + value, key + written)
    (tmp_path / "params.yaml").write_text(usual)
    params = load_params(tmp_path / "params.yaml")
    values = [
        params.mlp.epochs,
        params.mlp.hidden[1],
        params.clusters.k[1],
        params.preprocess.max_megabytes,
    ]
    assert values == [100] * 4
    assert {type(number) for number in values} == {
        int
    }  # 100 and 100.0 are other texts, and so other keys of rows


def test_what_has_room_for_text_is_left_alone(raw):
    raw["composites"]["women"]["filter"] |= {
        "gender": "1e3",
        "cluster": ["3", 1.0],
        "age_range": ["2e1", 30],
    }
    chosen = check_params(raw).composites["women"].filter
    assert (chosen.gender, chosen.cluster, chosen.age_range) == ("1e3", [3, 1], [20.0, 30.0])


@pytest.mark.long
@pytest.mark.parametrize(
    "written",
    [
        "0,5",
        "1:30",
        "1e",
        "e5",
        "1e-5x",
        "0.1.2",
        "--1",
        "nan",
        "inf",
        ".inf",
        ".nan",
        "1e999",
        "true",
        "'٣'",
        "5e-5 6",
        "9" * 5000,
        "2026-13-45",
    ],
)
def test_what_is_no_number_stays_an_error(tmp_path, written):
    usual = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(usual.replace("lr: 0.001 ", f"lr: {written} "))
    with pytest.raises(ParamsError, match=r"mlp\.lr = .* is not possible|is not valid YAML"):
        load_params(tmp_path / "params.yaml")


def test_weights_may_be_learned(raw):
    assert check_params(raw).score.weights.model_dump() == {"geometric": 0.6, "holistic": 0.4}
    raw["score"]["weights"] = "learned"
    assert check_params(raw).score.weights == "learned"


@pytest.mark.parametrize("written", ["0x" + "f" * 5000, "0b" + "1" * 50_000, "9" * 5000])
def test_a_number_without_end_is_an_error(tmp_path, written):
    (tmp_path / "params.yaml").write_text(f"a: {written}\n")
    with pytest.raises(ParamsError, match=r"params\.yaml is not valid YAML: a number has 50"):
        load_params(tmp_path / "params.yaml")


def test_raters_may_be_named_by_numbers(raw):
    raw["labels"]["drop_raters"] = [7, "ann"]
    assert check_params(raw).labels.drop_raters == ["7", "ann"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("mlp.hiden", 3, ["unknown key mlp.hiden", "3", "Did you mean mlp.hidden?"]),
        ("mlp.hidden", "a", ["mlp.hidden = 'a'", "valid integer or", "valid list"]),
        ("mlp.hidden", [256, 0], ["mlp.hidden.1 = 0", "greater than or equal to 1"]),
        ("mlp.epochs", 2.5, ["mlp.epochs = 2.5", "valid integer"]),
        ("mlp.epochs", True, ["mlp.epochs = True", "valid integer"]),
        ("mlp.lr", -1, ["mlp.lr = -1", "greater than 0"]),
        ("mlp.lr", float("inf"), ["mlp.lr = inf", "finite"]),
        ("mlp.folds", 1, ["mlp.folds = 1", "one fold leaves nothing to train on"]),
        ("mlp.schedule", "step", ["mlp.schedule = 'step'", "constant"]),
        ("geometry.folds", 1, ["geometry.folds = 1", "one fold leaves nothing to train on"]),
        ("geometry.appearance", "yes", ["geometry.appearance = 'yes'", "boolean"]),
        ("geometry.apearance", True, ["Did you mean geometry.appearance?"]),
        (
            "attributes.abstain_below",
            0.5,
            [
                "unknown key attributes.abstain_below (value 0.5)",
                "attributes.targets.<target>.precision",
            ],
        ),
        (
            "attributes.targets.gender.precision",
            1.0,
            ["attributes.targets.gender.precision = 1.0", "less than 1"],
        ),
        (
            "attributes.targets.gender.C",
            "Auto",
            ["attributes.targets.gender.C = 'Auto'", "'auto'", "number"],
        ),
        ("mlps", {}, ["unknown key mlps", "Did you mean mlp?"]),
        ("clip", {"varant": "tiny"}, ["clip.variant is missing", "Did you mean clip.variant?"]),
        ("preprocess.align", "eye", ["preprocess.align = 'eye'", "'eyes' or 'none'"]),
        (
            "labels.rating_scale",
            "automatic",
            ["labels.rating_scale = 'automatic'", "'auto'", "valid list"],
        ),
        ("labels.rating_scale", [5, 1], ["labels.rating_scale = [5, 1]", "5.0 is above 1.0"]),
        ("labels.rating_scale", [1, 1], ["labels.rating_scale = [1, 1]", "must differ"]),
        ("labels.drop_raters", "ann", ["labels.drop_raters = 'ann'", "'auto'", "valid list"]),
        ("labels.drop_raters", [7.5], ["labels.drop_raters.0 = 7.5", "valid string", "in quotes"]),
        ("split.val", 0.9, ["split = ", "val + test must stay below 1"]),
        (
            "score.weights.geometric",
            0.9,
            [
                (
                    "score.weights = {'geometric': 0.9, 'holistic': 0.4} is not possible: the "
                    "weights must add up to 1"
                )
            ],
        ),
        (
            "score.weights.geometric",
            1.4,
            ["score.weights.geometric = 1.4", "less than or equal to 1"],
        ),
        (
            "score.weights",
            "lerned",
            ["score.weights = 'lerned'", "a mapping of geometric, holistic or", "'learned'"],
        ),
        (
            "score.weights",
            {"geometrc": 0.6, "holistic": 0.4},
            ["Did you mean score.weights.geometric?"],
        ),
        ("score.weights", {"geometric": 1.0}, ["score.weights.holistic is missing"]),
        ("mlp", 3, ["mlp = 3", "a mapping of batch_size, calibration"]),
        (
            "attributes.targets.gender.kind",
            "clasification",
            ["attributes.targets.gender.kind", "'classification'"],
        ),
        (
            "attributes.targets.gender.c",
            1,
            ["attributes.targets.gender.c", "Did you mean attributes.targets.gender.C?"],
        ),
        (
            "attributes.targets.age.alpha",
            "x",
            ["attributes.targets.age.alpha = 'x'", "valid number"],
        ),
        (
            "attributes.targets.filename",
            {"kind": "regression"},
            ["attributes.targets", "filename can't be a target"],
        ),
        (
            "attributes.targets.age_bucket",
            {"kind": "regression"},
            ["attributes.targets", "age_bucket can't be a target; it is a column of the results"],
        ),
        (
            "attributes.targets.age",
            {"kind": "classification", "alpha": 1.0},
            ["unknown key attributes.targets.age.alpha", "Known keys there: C, class_weight, kind"],
        ),
        ("composites.women", {"filter": {}}, ["composites.women.render is missing"]),
        ("composites.women.filter.gendr", "x", ["Did you mean composites.women.filter.gender?"]),
        (
            "composites.women.filter.attractiveness",
            [0, 11],
            ["composites.women.filter.attractiveness.0 = 0", "1"],
        ),
        (
            "composites.women.filter.age_range",
            [9, 1],
            ["composites.women.filter.age_range = [9, 1]", "above"],
        ),
        (
            "composites.women.filter.n",
            3,
            ["composites.women.filter", "n=3 faces can never reach min_results=10"],
        ),
        (
            "composites.women.render.max_yaw",
            0,
            ["composites.women.render.max_yaw = 0", "greater than 0"],
        ),
        (
            "composites.women.render.symmetric",
            "yes",
            ["composites.women.render.symmetric = 'yes'", "boolean"],
        ),
        (
            "composites.women.filter.attributes",
            {"glasses": 1},
            ["composites.women.filter.attributes.glasses = 1", "valid string"],
        ),
        (
            "zeroshot.glasses",
            {"with": ["a"]},
            ["zeroshot.glasses = ", "two classes or more are needed", "found with"],
        ),
        ("zeroshot.glasses.with", [], ["zeroshot.glasses.with = []", "at least 1 item"]),
        ("zeroshot.glasses.with", "a pair", ["zeroshot.glasses.with = 'a pair'", "valid list"]),
        ("zeroshot.glasses.with", ["a", " "], ["zeroshot.glasses.with.1 = ' '", "prompt is empty"]),
        (
            "zeroshot.glasses",
            {"with": ["a  Hat"], "without": ["A hat"]},
            ["zeroshot.glasses = ", "'A hat' is a prompt of with"],
        ),
        (
            "zeroshot.glasses",
            {True: ["a"], False: ["b"]},
            ["zeroshot.glasses.", "the name True is not text", "quotes"],
        ),
        ("zeroshot.2", {"a": ["a"], "b": ["b"]}, ["zeroshot.2 = ", "pattern"]),
        (
            "zeroshot.glasses",
            {"unknown": ["a"], "b": ["b"]},
            ["zeroshot.glasses.unknown", "can't be a name"],
        ),
        ("zeroshot.rating", {"a": ["a"], "b": ["b"]}, ["zeroshot.rating", "label files"]),
        # a group's key that DVC's run cache would not notice
        (
            "zeroshot.gender_said",
            {"a": ["a"], "b": ["b"]},
            ["zeroshot.gender_said", "columns in the tables"],
        ),
        (
            "zeroshot.hat_prob_red",
            {"a": ["a"], "b": ["b"]},
            ["zeroshot.hat_prob_red", "columns in the tables"],
        ),
        ("zeroshot.size", {"a": ["a"], "b": ["b"]}, ["zeroshot.size = ", "run cache"]),
        (
            "zeroshot.glasses",
            {"nfiles": ["a"], "b": ["b"]},
            ["zeroshot.glasses.nfiles = ", "run cache"],
        ),
        (
            "attributes.targets.size",
            {"kind": "regression"},
            ["attributes.targets.size", "run cache"],
        ),
        (
            "zeroshot.age",
            {"young": ["a"], "60+": ["b"]},
            ["zeroshot.age holds numbers", "'young' is not a range", "18-29"],
        ),
        (
            "zeroshot.age",
            {"29-18": ["a"], "60+": ["b"]},
            ["zeroshot.age holds numbers", "'29-18' is not a range"],
        ),
        (
            "zeroshot.age",
            {"18+": ["a"], "60+": ["b"]},
            ["zeroshot.age holds numbers", "has an upper end"],
        ),
        ("composites.two words", {"filter": {}, "render": {}}, ["composites.two words", "pattern"]),
        (
            "continua.x",
            {"from": "wimen", "to": "men", "steps": 3},
            [
                "continua.x.from = 'wimen' is no composite",
                "Did you mean women?",
                "There are bottom_rated, men",
            ],
        ),
        (
            "continua.x",
            {"form": "women", "to": "men"},
            ["continua.x.from is missing", "Did you mean continua.x.from?", "from, steps, to"],
        ),
        (
            "continua.x",
            {"from": "men", "to": "men"},
            ["continua.x = ", "both are men", "two different"],
        ),
        (
            "continua." + "x" * 61,
            {"from": "women", "to": "men"},
            ["continua.xxx", "at most 60 characters"],
        ),
        (
            "continua.women_to_men.steps",
            1,
            ["continua.women_to_men.steps = 1", "greater than or equal to 2"],
        ),
        (
            "continua.women_to_men.steps",
            26,
            ["continua.women_to_men.steps = 26", "less than or equal to 25"],
        ),
        (
            "continua.women",
            {"from": "women", "to": "men"},
            ["composites.women and continua.women would share one folder"],
        ),
        (
            "continua.WOMEN",
            {"from": "women", "to": "men"},
            ["composites.women and continua.WOMEN would share one folder"],
        ),
        (
            "differences.women_to_men",
            {"of": "women", "minus": "men"},
            ["continua.women_to_men and differences.women_to_men would share"],
        ),
        ("differences.x", {"of": "men", "minus": "men"}, ["differences.x = ", "both are men"]),
        (
            "differences.x",
            {"of": "men", "minus": "nobody"},
            ["differences.x.minus = 'nobody' is no composite", "There are bottom_rated"],
        ),
    ],
)
def test_a_wrong_value_is_named(raw, key, value, expected):
    wrong = copy.deepcopy(raw)
    *path, last = key.split(".")
    section = wrong
    for part in path:
        section = section[part]
    section[last] = value
    with pytest.raises(ParamsError) as error:
        check_params(wrong)
    for text in expected:
        assert text in str(error.value)


def test_prompts_of_a_target_that_is_a_number_are_ranges_too(raw):
    raw["attributes"]["targets"]["height"] = {"kind": "regression"}
    raw["zeroshot"]["height"] = {"small": ["a"], "tall": ["b"]}
    with pytest.raises(
        ParamsError, match=r"zeroshot\.height holds numbers, but 'small' is not a range"
    ):
        check_params(raw)
    raw["zeroshot"]["height"] = {"140-160": ["a"], "160.5-180": ["b"]}
    assert list(check_params(raw).zeroshot["height"]) == ["140-160", "160.5-180"]


@pytest.mark.parametrize(
    "name", ["rating_calm", "attractive", "trait_attractive", "Beauty_2", "score", "mean_rating"]
)
def test_no_attribute_tells_how_attractive_children_are(raw, name):
    """Scores are withheld from them; an attribute's column is not."""
    raw["attributes"]["targets"][name] = {"kind": "regression", "alpha": "auto"}
    with pytest.raises(ParamsError, match=rf"attributes\.targets\.{name} would tell .*children"):
        check_params(raw)
    raw["score"]["min_age"] = None
    check_params(raw)
    del raw["attributes"]["targets"][name]
    raw["score"]["min_age"] = 16
    raw["zeroshot"][name] = {"yes": ["a photo of a beauty"], "no": ["a photo of a person"]}
    with pytest.raises(ParamsError, match=rf"zeroshot\.{name} would tell"):
        check_params(raw)


def test_a_scored_trait_is_no_attribute_too(raw):
    """`evaluate` measured it as both, and ended with a traceback."""
    raw["score"] |= {"traits": ["attractive", "calm"], "min_age": None}
    raw["attributes"]["targets"]["rating_calm"] = {"kind": "regression", "alpha": "auto"}
    with pytest.raises(ParamsError, match="rating_calm is scored already"):
        check_params(raw)


@pytest.mark.parametrize("none", [{}, None])
def test_no_prompts_at_all_are_allowed(raw, none):
    raw["zeroshot"] = none
    assert check_params(raw).zeroshot == {}


def test_no_continua_and_no_differences_are_allowed(raw):
    raw["continua"] = raw["differences"] = {}
    assert check_params(raw).continua == {} == check_params(raw).differences


def test_a_missing_or_broken_file_is_an_error(tmp_path):
    with pytest.raises(ParamsError, match="no such file"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1\n")
    with pytest.raises(ParamsError, match="not valid YAML"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("value", ["!!int ''", "!!bool x", "!!timestamp x", "!!set x", "!!int [1]"])
def test_a_tag_that_its_value_does_not_fit_is_an_error(tmp_path, value):
    path = tmp_path / "params.yaml"
    path.write_text(f"sample: {{n: {value}}}\n")
    with pytest.raises(ParamsError, match=r"params\.yaml (has a tag|is not valid YAML)"):
        load_params(path)


def _bomb(section: str, first: str) -> str:
    """A kilobyte of aliases that stand for billions of values."""
    return f"{section}:\n  b0: &b0 {first}\n" + "".join(
        f"  b{i}: &b{i} {{{', '.join(f'k{j}: *b{i - 1}' for j in range(9))}}}\n"
        for i in range(1, 11)
    )


def _merge_bomb(section: str) -> str:
    """Half a kilobyte of merge keys; each level holds nine times the keys of the one before."""
    return f"{section}:\n  k0: &k0 {{x: 1}}\n" + "".join(
        f"  k{i}: &k{i} {{<<: [{', '.join([f'*k{i - 1}'] * 9)}]}}\n" for i in range(1, 11)
    )


@pytest.mark.long
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("section", "text", "expected"),
    [
        ("more", _merge_bomb("more"), "merges more than 20000 keys"),
        ("zeroshot", _bomb("zeroshot", "{x: [p], y: [r]}"), "more than 20000 values"),
        ("composites", _bomb("composites", "{a: 1}"), "more than 20000 values"),
        ("more", _bomb("more", "[1, 2]"), "more than 20000 values"),
        ("continua", "continua: &all {a: *all}\n", "contains itself"),
        ("differences", f"differences: {'[' * 5000}{']' * 5000}\n", "nested too deeply"),
        ("mlp", f"mlp: {{hidden: '{'1' * 100_000}e'}}\n", "mlp.hidden"),
        ("more", "\n".join(f"k{i}: [{'x, ' * 50}]" for i in range(300)), "and 200 more keys"),
        ("score", "score: {min_age: 18, min_age: null}\n", "'min_age' stands there twice"),
        ("score", "score: {min_age: 18}\nscore: {min_age: null}\n", "'score' stands there twice"),
    ],
)
def test_a_file_made_to_hang_or_to_mislead_is_an_error(tmp_path, raw, section, text, expected):
    raw.pop(section, None)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw) + text)
    with pytest.raises(ParamsError) as error:
        load_params(tmp_path / "params.yaml")
    assert expected in str(error.value)
    assert len(str(error.value)) < 50_000


def test_aliases_and_merged_keys_are_read(tmp_path, raw):
    raw.pop("composites")
    raw.pop("continua")
    raw.pop("differences")
    text = (
        "composites:\n"
        "  a: {filter: &f {gender: female, n: 30}, render: &r {align: none}}\n"
        "  b: {filter: {<<: *f, n: 40}, render: *r}\n"
        "continua: {}\ndifferences: {}\n"
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw) + text)
    assert load_params(tmp_path / "params.yaml").composites["b"].filter.n == 40


# What a project chooses for itself; everything else has a default, in the model alone.
CHOICES = {
    "data": {"images", "labels", "manual_labels", "manual_ratings"},
    "clip": {"variant"},
    "attributes": {"targets"},
    "score": {"weights"},
}


@pytest.mark.long
@pytest.mark.parametrize(
    "section",
    [name for name, field in Params.model_fields.items() if isinstance(field.annotation, type)],
)
def test_params_yaml_has_the_defaults_of_the_models(section):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))[section]
    model = Params.model_fields[section].annotation
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    assert required == CHOICES.get(section, set())
    by_default = model.model_validate({name: raw[name] for name in required}).model_dump()
    assert model.model_validate(raw).model_dump() == by_default
    assert {field.alias or name for name, field in model.model_fields.items()} == set(raw)
