"""`import --append` of tables that spell their columns otherwise, or rate another trait."""

import json

import pytest

import datasets
from datasets import put, write
from facestats.errors import InputError, LabelError
from facestats.importers.content import Choices
from facestats.importers.registry import DATASETS, KNOWN
from facestats.importers.run import import_dataset
from facestats.labels.dataset import FACTS
from test_import_append import unchanged
from test_import_datasets import table
from test_import_pitfalls import joined

GENDERS, AGES = ("female", "male"), (19, 30, 40, 50)


def bring(tmp_path, name, append=True, traits=(), **choices):
    """Import a small copy of a public dataset."""
    source = tmp_path / f"of_{name}"
    if not source.exists():
        source.mkdir()
        datasets.MAKERS[name](source)
    return import_dataset(
        *(DATASETS[name], KNOWN, source, tmp_path / "data", Choices(traits, **choices)),
        append=append,
    )


def bring_table(tmp_path, header, *rows, append=True, name="csv", **choices):
    """Import a table whose first column names the photos."""
    source = tmp_path / f"own_{name}"
    source.mkdir(exist_ok=True)
    put(source, *(row[0] for row in rows))
    write(source, "table.csv", "\n".join(",".join(row) for row in (header, *rows)) + "\n")
    columns = {"image": header[0]}
    return import_dataset(
        *(DATASETS["csv"], KNOWN, source, tmp_path / "data"),
        Choices(columns=columns, **{"scale": (1.0, 5.0), **choices}),
        append=append,
    )


def people():
    return [
        [f"k{i}.jpg", GENDERS[i % 2], ("black", "white")[i % 2], str(AGES[i]), str(1 + i), f"p{i}"]
        for i in range(4)
    ]


HEADERS = [
    ("image", "gender", "ethnicity", "age", "rating", "person"),
    ("Image", "Gender", "Ethnicity", "Age", "Rating", "Person"),
    ("file", "sex", "race", "age", "score", "identity"),
    ("photo", "Sex", "Race", "Alter", "Bewertung", "subject"),
    ("Bild", "Geschlecht", "Ethnic group", "Age (years)", "Mean rating", "Person ID"),
]


class TestSpelling:
    @pytest.mark.parametrize("header", HEADERS)
    def test_every_word_for_a_column_is_understood_in_the_added_table(self, tmp_path, header):
        bring(tmp_path, "london", append=False)
        done = bring_table(tmp_path, header, *people())
        labels = table(tmp_path / "data")
        assert [*labels] == ["gender", "ethnicity", "age", "person", "view", "dataset", "rating"]
        assert labels.loc["csv/k1.jpg", ["gender", "ethnicity", "person", "rating"]].tolist() == [
            "male", "white", "csv:p1", "25.0"
        ]  # fmt: skip
        found, _ = joined(tmp_path / "data")
        for i, (image, gender, ethnicity, age, _, person) in enumerate(people()):
            row = found.loc[f"csv/{image}"]
            assert [row["gender"], row["ethnicity"]] == [gender, ethnicity]
            assert [row["person"], row["age"]] == [f"csv:{person}", float(age)]
            assert row["rating"] == 25 * i
        said = " ".join(done.notes)
        assert ("'sex' as gender" in said) == ("sex" in header)

    @pytest.mark.parametrize("header", HEADERS)
    def test_and_in_the_earlier_one(self, tmp_path, header):
        bring_table(tmp_path, header, *people(), append=False)
        bring(tmp_path, "london")
        labels = table(tmp_path / "data")
        assert {*labels} == {
            "gender", "ethnicity", "age", "rating", "person", "view", "dataset"
        }  # fmt: skip
        found, _ = joined(tmp_path / "data")
        assert found.loc["k1.jpg", ["gender", "person"]].tolist() == ["male", "p1"]
        assert found.loc["london/001_03.jpg", ["gender", "person"]].tolist() == [
            "female", "london:001"
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("word", "column", "value"),
        [("identity", "person", "folder:Women"), ("Sex", "gender", "female")],
    )
    def test_subfolders_by_another_word_are_of_the_known_column(
        self, tmp_path, word, column, value
    ):
        bring(tmp_path, "london", append=False)
        put(tmp_path / "people", "Women/a.jpg", "Men/b.jpg")

        def add(word):
            source = DATASETS["folder"], KNOWN, tmp_path / "people", tmp_path / "data"
            import_dataset(*source, Choices(subfolders=word), append=True)

        with pytest.raises(InputError, match="classes or persons"):
            add("Alter")
        add(word)
        assert table(tmp_path / "data").loc["folder/Women/a.jpg", column] == value

    @pytest.mark.parametrize("first", ["cfd", "london"])
    @pytest.mark.parametrize(
        "header",
        [
            "rating_trustworthy",
            "Rating_Trustworthy",
            "Rating Trustworthy",
            "RatingTrustworthy",
            "rating trustworthy (1-5)",
        ],
    )
    def test_means_of_a_trait_are_one_column_on_one_scale(self, tmp_path, first, header):
        bring(tmp_path, first, append=False)
        bring_table(tmp_path, ["image", header], ["a.jpg", "2"], ["b.jpg", "5"])
        labels = table(tmp_path / "data")
        assert [name for name in labels if "trust" in name.lower()] == ["rating_trustworthy"]
        assert labels.loc[["csv/a.jpg", "csv/b.jpg"], "rating_trustworthy"].tolist() == [
            "25.0", "100.0"
        ]  # fmt: skip
        found, _ = joined(tmp_path / "data", chosen=["attractive", "trustworthy"], level=False)
        assert found.loc["csv/b.jpg", "rating_trustworthy"] == 100
        if first == "cfd":
            assert labels.loc["CFD-AF-200-228-N.jpg", "rating_trustworthy"] == "41.6667"

    def test_earlier_means_of_another_spelling_are_brought_to_the_scale(self, tmp_path):
        bring_table(tmp_path, ["image", "Rating Dominant"], ["a.jpg", "2"], append=False)
        bring(tmp_path, "cfd", traits=("attractive", "dominant"))
        assert table(tmp_path / "data").loc["a.jpg", "rating_dominant"] == "25.0"

    def test_words_in_a_column_called_rating_stay(self, tmp_path):
        bring(tmp_path, "london", append=False)
        rows = ["a.jpg", '"2,5"', "very sure"], ["b.jpg", "5", ""]
        columns = ["rating_dominant", "rating_comment"]
        bring_table(tmp_path, ["image", *columns], *rows)
        assert table(tmp_path / "data").loc["csv/a.jpg", columns].tolist() == ["37.5", "very sure"]
        bring(tmp_path, "cfd")
        assert table(tmp_path / "data").loc["csv/a.jpg", columns].tolist() == ["37.5", "very sure"]

    @pytest.mark.parametrize("header", ["dataset", "Dataset"])
    def test_a_column_dataset_of_ones_own_is_kept_under_another_name(self, tmp_path, header):
        bring(tmp_path, "london", append=False)
        bring(tmp_path, "fairface")
        done = bring_table(tmp_path, ["image", header, "csv_dataset"], ["a.jpg", "mine", "b"])
        row = table(tmp_path / "data").loc["csv/a.jpg"]
        assert [row["dataset"], row["csv_dataset_"], row["csv_dataset"]] == ["csv", "mine", "b"]
        assert header not in {*table(tmp_path / "data")} - {"dataset"}
        assert any(f"{header!r} of csv is csv_dataset_" in note for note in done.notes)

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            ("sex", "Geschlecht"),
            ("Race", "Ethnie"),
            ("identity", "who"),
            ("Rating Dominant", "rating_dominant"),
            ("rating", "Rating"),
            ("VIEW", "View"),
        ],
    )
    def test_two_columns_that_would_be_one_are_both_named(self, tmp_path, one, two):
        bring(tmp_path, "london", append=False)
        add = lambda: bring_table(tmp_path, ["image", one, two], ["a.jpg", "1", "2"])  # noqa: E731
        unchanged(tmp_path / "data", add, LabelError, rf"table\.csv.*'{one}' and '{two}'")

    def test_further_columns_take_the_earlier_spelling_but_units_differ(self, tmp_path):
        header = ["image", "Glasses", "height (cm)", "Ethnicity"]
        bring_table(tmp_path, header, ["a.jpg", "yes", "170", "Asian (East)"], append=False)
        facts = json.loads((tmp_path / "data/labels" / FACTS).read_text())
        (tmp_path / "data/labels" / FACTS).write_text(json.dumps(facts | {"name": "mine"}))
        header = ["image", "glasses", "Height [in]", "ethnicity"]
        bring_table(tmp_path, header, ["b.jpg", "no", "68", "Asian (South)"], name="more")
        row = table(tmp_path / "data").loc["csv/b.jpg"]
        assert row.to_dict() == {
            "Glasses": "no", "height (cm)": "", "Height [in]": "68",
            "ethnicity": "Asian (South)", "dataset": "csv",
        }  # fmt: skip

    def test_what_an_earlier_column_is_spelt_like_must_be_clear(self, tmp_path):
        bring(tmp_path, "london", append=False)
        path = tmp_path / "data/labels/labels.csv"
        head, _, rest = path.read_text().partition("\n")
        path.write_text(f"{head},VIEW\n" + rest.replace("_front", "_front,x"))
        add = lambda: bring_table(tmp_path, ["image", "View"], ["a.jpg", "1"])  # noqa: E731
        unchanged(tmp_path / "data", add, LabelError, "'View' could be 'view' or 'VIEW'")

    def test_ages_that_are_not_in_years_are_refused(self, tmp_path):
        with pytest.raises(LabelError, match=r"'Age \(months\)' is not in years"):
            bring_table(tmp_path, ["image", "Age (months)"], ["a.jpg", "90"], append=False)

    @pytest.mark.parametrize(
        "header",
        ["age_months", "Age (mo)", "age group", "age_days", "ageMo", "altertage", "Edad (días)"],
    )
    def test_nor_where_the_column_is_named(self, tmp_path, header):
        """A child of 36 months was an adult of 36."""
        source = tmp_path / "own"
        source.mkdir()
        put(source, "a.jpg")
        write(source, "t.csv", f"file,{header}\na.jpg,36\n")
        chosen = {"image": "file", "age": header}
        place = (DATASETS["csv"], KNOWN, source, tmp_path / "data")
        with pytest.raises(LabelError, match="is not in years; give age in years"):
            import_dataset(*place, Choices(columns=chosen))
        import_dataset(*place, Choices(columns=chosen | {"age": f"{header}:36=3"}))
        assert "3" in (tmp_path / "data/labels/labels.csv").read_text().splitlines()[1].split(",")

    def test_columns_on_raters_are_one_too(self, tmp_path):
        bring(tmp_path, "london", append=False)
        path = tmp_path / "data/labels/ratings.csv"
        path.write_text(path.read_text().replace("rater_gender", "Rater Gender", 1))
        bring(tmp_path, "3dsk")
        ratings = table(tmp_path / "data", "ratings")
        assert "rater_gender" not in ratings
        assert {*ratings["Rater Gender"]} == {"female", "male"}


class TestTraits:
    def facts(self, tmp_path, **change):
        path = tmp_path / "data/labels" / FACTS
        facts = json.loads(path.read_text()) | change
        path.write_text(json.dumps(facts))
        return facts

    @pytest.mark.parametrize(
        ("name", "traits", "trait"),
        [
            ("omi", (), "attractive"),
            ("omi", ("trustworthy", "attractive"), "trustworthy"),
            ("cfd", (), "attractive"),
            ("cfd", ("Trustworthiness",), "trustworthy"),
            ("cfd", ("measurements",), None),
            ("3dsk", (), "attractive"),
            ("3dsk", ("dom",), "dominant"),
            ("mebeauty", (), "attractive"),
            ("london", (), "attractive"),
            ("scut", (), "attractive"),
            ("10kus", (), "attractive"),
            ("fairface", (), None),
            ("celeba", ("bald",), None),
        ],
    )
    def test_the_description_says_what_the_ratings_are_of(self, tmp_path, name, traits, trait):
        bring(tmp_path, name, append=False, traits=traits)
        assert self.facts(tmp_path)["rating_trait"] == trait

    def test_of_a_table_it_is_not_known(self, tmp_path):
        bring_table(tmp_path, ["image", "rating"], ["a.jpg", "3"], append=False)
        assert self.facts(tmp_path)["rating_trait"] is None
        with pytest.raises(InputError, match="ratings of what is there are is not known"):
            bring(tmp_path, "omi", traits=("trustworthy",))
        done = bring(tmp_path, "omi")
        assert "`rating` of what is there is taken for attractive, as that of omi" in done.notes
        assert self.facts(tmp_path)["appended"][0]["rating_trait"] == "attractive"
        with pytest.raises(InputError, match="is of attractive in what is there"):
            bring(tmp_path, "cfd", traits=("trustworthy",))

    @pytest.mark.parametrize(
        ("first", "chosen", "second", "also"),
        [
            ("omi", ("trustworthy",), "cfd", ()),
            ("omi", ("trustworthy",), "10kus", ()),
            ("omi", (), "cfd", ("trustworthy", "attractive")),
            ("3dsk", (), "omi", ("trustworthy",)),
            ("cfd", ("attractive",), "3dsk", ("dominant",)),
            ("cfd", ("trustworthy",), "london", ()),
        ],
    )
    def test_ratings_of_another_trait_are_refused(self, tmp_path, first, chosen, second, also):
        bring(tmp_path, first, append=False, traits=chosen)
        before, own = [*chosen, "attractive"][0], [*also, "attractive"][0]
        unchanged(
            tmp_path / "data",
            lambda: bring(tmp_path, second, traits=also),
            InputError,
            rf"of {before} in what is there, and would be of {own} in {second}.*--trait {before}",
        )

    def test_judgements_that_name_their_traits_stand_side_by_side(self, tmp_path):
        bring(tmp_path, "omi", append=False, traits=("trustworthy",))
        bring(tmp_path, "3dsk")
        bring(tmp_path, "mebeauty")
        ratings = table(tmp_path / "data", "ratings")
        assert ratings.loc["1.jpg", "trait"] == "trustworthy"
        assert {*ratings.loc[ratings.index.str.startswith("mebeauty/"), "trait"]} == {"attractive"}
        found, _ = joined(tmp_path / "data")
        assert found.loc["1.jpg", "rating"] == 60
        assert found["rating"].notna().sum() == 1  # that of a face judged for it

    @pytest.mark.parametrize(
        ("first", "chosen", "second", "also", "rated"),
        [
            ("omi", ("trustworthy",), "cfd", ("trustworthy", "attractive"), {"cfd": 3}),
            ("cfd", ("trustworthy",), "omi", ("trustworthy",), {"cfd": 3}),
            ("cfd", (), "omi", ("attractive", "trustworthy"), {"cfd": 2}),
            ("omi", ("attractive", "trustworthy"), "10kus", (), {"10kus": 2}),
        ],
    )
    def test_all_faces_keep_ratings_of_the_same_trait(
        self, tmp_path, first, chosen, second, also, rated
    ):
        bring(tmp_path, first, append=False, traits=chosen)
        bring(tmp_path, second, traits=also)
        found, _ = joined(tmp_path / "data", level=False)
        assert found.groupby("dataset")["rating"].count().to_dict() == {"omi": 1, **rated}

    def test_a_table_of_no_known_trait_is_of_attractiveness_or_refused(self, tmp_path):
        bring(tmp_path, "omi", append=False)
        done = bring_table(tmp_path, ["image", "rating"], ["a.jpg", "3"])
        assert done.notes == ["`rating` of csv is taken for attractive, as that of what is there"]
        assert joined(tmp_path / "data", level=False)[0].loc["csv/a.jpg", "rating"] == 50

    def test_it_is_not_taken_for_another_trait(self, tmp_path):
        bring(tmp_path, "omi", append=False, traits=("trustworthy",))
        with pytest.raises(InputError, match="the ratings of csv are is not known"):
            bring_table(tmp_path, ["image", "rating"], ["a.jpg", "3"])

    def test_an_older_description_is_helped_out_by_the_judgements(self, tmp_path):
        bring(tmp_path, "omi", append=False, traits=("trustworthy",))
        self.facts(tmp_path, rating_trait=None)
        with pytest.raises(InputError, match="is of trustworthy in what is there"):
            bring(tmp_path, "cfd")

    @pytest.mark.parametrize(("known", "trait"), [("dominant", "dominant"), (None, "attractive")])
    def test_judgements_without_a_trait_get_that_of_their_dataset(self, tmp_path, known, trait):
        bring(tmp_path, "london", append=False)
        self.facts(tmp_path, rating_trait=known)
        bring(tmp_path, "3dsk")
        ratings = table(tmp_path / "data", "ratings")
        assert {*ratings.loc[~ratings.index.str.startswith("3dsk/"), "trait"]} == {trait}

    def test_or_the_first_one_of_their_file(self, tmp_path):
        bring(tmp_path, "3dsk", append=False)
        path = tmp_path / "data/labels/ratings.csv"
        text = path.read_text().replace("attractive", "healthy", 1).replace("attractive", "")
        path.write_text(text)
        bring(tmp_path, "london")
        ratings = table(tmp_path / "data", "ratings")
        earlier = ratings[~ratings.index.str.startswith("london/")]
        assert {*earlier["trait"]} == {"healthy", "dominant"}
        assert {*ratings["trait"]} == {"healthy", "dominant", "attractive"}
