"""The report in headless Chromium: it asks for nothing, complains of nothing, fits a phone and
paper, and its tables sort by keyboard.
"""

import pytest

from browser import chromium
from cards import trained_run
from facestats.report.document import report
from reports import material_of

pytestmark = pytest.mark.browser
COLUMN = (
    "Array.from(document.querySelectorAll('#photos tbody tr'), row => "
    "row.cells[{}].textContent.trim())"
)
HEAD = "document.querySelectorAll('#photos th[scope=col]')[1]"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    path = folder / "report.html"
    path.write_text(report(material_of(folder, trained_run(), rejected=12))[0], encoding="utf-8")
    return path


@pytest.fixture
def tab(tmp_path):
    with chromium(tmp_path) as page:
        yield page


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_quiet_and_fits(tab, path, width):
    tab.open(path, width)
    assert (tab.requests(), tab.complaints()) == ([], [])
    assert (
        tab.evaluate("document.documentElement.scrollWidth") == width
    )  # wide tables scroll inside of their own boxes
    assert (
        tab.evaluate(
            "Array.from(document.images).filter(image => !image.complete || "
            "!image.naturalWidth).length"
        )
        == 0
    )
    assert (
        tab.evaluate("getComputedStyle(document.body).maxWidth") != "none"
    )  # the policy lets the page's own style in


@pytest.mark.long
def test_a_phone_scrolls_plots_and_shows_the_value_beside_each_parameter(tab, path):
    tab.open(path, 390)
    tab.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    plots = (
        "Array.from(document.querySelectorAll('#scores img, #attributes img, #groups img, "
        "#clusters .wide img'), image => image.clientWidth)"
    )
    assert min(tab.evaluate(plots)) >= 500  # px; words of 10 px in figures of 700 to 1,100 px
    values = (
        "Array.from(document.querySelectorAll('#run details td'), cell => "
        "cell.getBoundingClientRect().left)"
    )
    assert max(tab.evaluate(values)) < 390 / 2
    assert tab.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.long
def test_tables_sort_by_keyboard_and_say_so(tab, path):
    tab.open(path)
    assert tab.evaluate(COLUMN.format(1)) == ["11", "1"]
    tab.evaluate(f"{HEAD}.querySelector('button').focus()")
    tab.press("Enter", "\r")
    assert tab.evaluate(COLUMN.format(1)) == ["1", "11"]  # as numbers
    assert tab.evaluate(COLUMN.format(0)) == ["no face found", "empty file"]
    assert tab.evaluate(f"{HEAD}.getAttribute('aria-sort')") == "ascending"
    tab.press(" ", " ")
    assert tab.evaluate(COLUMN.format(1)) == ["11", "1"]
    assert tab.evaluate(f"{HEAD}.getAttribute('aria-sort')") == "descending"
    assert tab.complaints() == []


@pytest.mark.long
def test_what_was_not_measured_stays_below(tab, path):
    tab.open(path)
    column = (
        "Array.from(document.querySelectorAll('#scores tbody tr'), row => "
        "row.cells[3].textContent.trim())"
    )
    head = "document.querySelectorAll('#scores th[scope=col]')[3].querySelector('button').click()"
    for _ in range(2):
        tab.evaluate(head)
        shown = tab.evaluate(column)
        assert shown[-1] == "–"
        assert "–" not in shown[:-1]
    numbers = [float(cell.split()[0]) for cell in shown[:-1]]
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark_follow_the_reader(tab, path, scheme, dark):
    tab.send(
        "Emulation.setEmulatedMedia",
        media="",
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    tab.open(path)
    brightness = (
        "getComputedStyle(document.body).{}.match(/\\d+/g).slice(0, 3).reduce((sum, part) => "
        "sum + Number(part), 0)"
    )
    paper, ink = (tab.evaluate(brightness.format(name)) for name in ("backgroundColor", "color"))
    assert (paper < ink) is dark
    assert abs(paper - ink) > 3 * 150


A4 = 718  # px between margins of 1 cm, at 96 px an inch
HIDDEN = (
    "Array.from(document.querySelectorAll('main :not(th > button)')).filter(it => "
    "!it.checkVisibility()).length"
)
CUT_OFF = (
    "Array.from(document.querySelectorAll('table, img')).filter(it => "
    "it.getBoundingClientRect().right > innerWidth + 1).length"
)


@pytest.mark.long
def test_paper_holds_what_is_folded_and_whole_tables(tab, path):
    tab.open(path, A4)
    assert tab.evaluate(HIDDEN) > 10
    assert tab.evaluate(CUT_OFF) > 0
    tab.send("Emulation.setEmulatedMedia", media="print")
    assert tab.evaluate(HIDDEN) == 0  # of `main`: the links of the head lead nowhere on paper
    assert tab.evaluate(CUT_OFF) == 0
    assert tab.evaluate("document.documentElement.scrollWidth") == A4


@pytest.mark.long
def test_folded_parts_open_for_the_printer_and_close_again(tab, path):
    """Browsers that do not know the style for it listen to the script."""
    tab.open(path)
    folded = "document.querySelectorAll('details:not([open])').length"
    tab.evaluate("document.querySelector('details').open = true")
    before = tab.evaluate(folded)
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert (before > 0, tab.evaluate(folded)) == (True, 0)
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate(folded) == before  # what the reader had opened stays open


@pytest.mark.long
def test_the_guard_against_requests_counts_them(tab, tmp_path):
    """A page that does ask is seen to: the tests above would fail."""
    (tmp_path / "asks.html").write_text(
        '<img src="http://127.0.0.1:9/x.png"><script>console.error("no")</script>'
    )
    tab.open(tmp_path / "asks.html")
    assert tab.requests() == ["http://127.0.0.1:9/x.png"]
    assert tab.complaints()
