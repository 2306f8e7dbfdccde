"""
The page of a report in a real browser: it works, it is fluid, and nothing in it runs or is fetched.

BROWSER_SHOTS=folder keeps pictures of it, to be looked at; -rP shows what was measured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import doteval
from doteval import Score
from doteval.metrics import Estimate
from doteval.record import Record, Usage
from doteval.reporting.compare import compare
from doteval.reporting.slices import slices
from doteval.storage import Store, open_store
from doteval.text import count, duration, percent, rate
from doteval.views.figures import change, estimate_figure, figure, interval
from doteval.views.page import report_page
from tests.browser.chromium import Browser, missing
from tests.stocked import BEGAN, HOSTILE, recorded, right, stock, wrong

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")

ENTER, ESCAPE, DOWN, RIGHT, END, TAB = "\ue007", "\ue00c", "\ue015", "\ue014", "\ue010", "\ue004"
MANY = 20_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with an empty profile."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    opened.resize(1280, 900)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with hostile experiments "base" and "now", and one of 20,000 records."""
    opened = open_store(tmp_path_factory.mktemp("store") / "one.db")
    stock(opened, "base", [hostile(n, n % 3 > 0, "before") for n in range(60)])
    now = [hostile(n, n % 4 > 0, "after") for n in range(60)]
    now += [recorded(60 + n, message=text, type=text) for n, text in enumerate(HOSTILE)]
    now += [right(80, model_response="x" * 10_000_000)]
    moves = tuple(
        {"at": 10.0 * n, "limit": 2**n, "reason": "grows", "throughput": None} for n in range(6)
    )
    stock(opened, "now", now, total=90, ended={"history": moves})
    stock(opened, "many", map(plain, range(MANY)))
    for experiment in ("first", "second"):
        for model in ("a", "b"):
            rows = [ticket(n, experiment, model) for n in range(40)]
            stock(opened, experiment, rows, evaluation=f"eval_t.py::eval_tickets[{model}]")
    for position, temperature in enumerate((0.7, 0)):
        header = {"config": {"temperature": temperature, "model": "m"}, "code": {"f": "abc"}}
        stock(opened, "two", [right(position)], header=header)
    for began, experiment in enumerate(("week 1", "week 2", "week 3")):
        for task, model in (("mail", "a"), ("mail", "b"), ("chat", "a"), ("chat", "b")):
            rows = [sliced(n, task, model) for n in range(40)]
            stock(
                opened, experiment, rows, evaluation=f"eval_g.py::eval_{task}[{model}]",
                began=BEGAN + 1_000 * began,
            )  # fmt: skip
    problem = {"problem": "no letter stands out", "result": "?"}
    unread = Score("choice", False, ("accuracy",), problem, unread=True)
    stock(opened, "two", [recorded(2, unread), wrong(3)], evaluation="eval_u.py::eval_u")
    yield opened
    opened.close()


def hostile(position: int, value: bool, when: str) -> Record:
    """A record whose every text is out to hurt."""
    text = HOSTILE[position % len(HOSTILE)]
    row = {"question": f"{text} {position}", text: text}
    scores = Score("exact", value, ("accuracy",)), Score(text, position / 7, ("mean",))
    said = f"{when}\n{text}\n" * 20
    return recorded(position, *scores, row=row, prompt=text, model_response=said)


def plain(position: int) -> Record:
    """One of many: two in ten are wrong, one in a hundred failed."""
    question = f"What is {position} plus {position}? " + "Think about it step by step. " * 8
    row = {"question": question, "answer": str(2 * position)}
    answer = "Let me think. " * 40 + f"The answer is {2 * position}."
    if position % 100 == 7:
        return recorded(position, row=row, message=f"timed out after {position} s")
    made = wrong if position % 10 < 2 else right
    return made(
        position, row=row, prompt=question, model_response=answer, duration=0.1 + position % 97 / 50
    )


def ticket(position: int, experiment: str, model: str) -> Record:
    """A record with all that there is to show: a chat, an image, what was expected, a judge."""
    before = experiment == "first"
    value = position % (3 if before else 4) > 0
    answer = (
        f"The category is {'billing' if value else 'shipping'}, {'I' if before else 'we'} think."
    )
    if position == 39 and not before:
        return recorded(position, row={"ticket": "x" * 50, "level": "easy"}, message="timed out")
    judged = "It names a category.\nVerdict: GOOD"
    return recorded(
        position,
        Score("match", value, ("accuracy",), {"result": answer, "expected": "billing"}),
        Score("near", position / 40 + (0.1 if model == "a" else 0.2) * value, ("mean",)),
        Score("judge", value, ("accuracy",), {"judgement": judged}),
        row={"ticket": "x" * 50, "level": "easy", "scan": {"base64": PNG}, "n": position},
        prompt=[{"role": "system", "content": "Sort."}, {"role": "user", "content": "A ticket"}],
        model_response=answer,
        duration=0.5 + position / 10,
    )


def sliced(position: int, task: str, model: str) -> Record:
    """A record of a hard or an easy row; model b is better at both, and costs more."""
    hard = position % 4 == 0
    value = position % 3 > 0 if model == "a" or hard else True
    return recorded(
        position,
        Score("match", value, ("accuracy",)),
        row={"question": f"{task} {position} " + "x" * 20, "level": "hard" if hard else "easy"},
        usage=Usage(10, 5, 0.01 if model == "a" else 0.03),
    )


PNG = (  # one red dot
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJg"
    "gg=="
)


@pytest.fixture(scope="module")
def pages(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with now.html and second.html, compared with their baselines, and many.html."""
    folder = tmp_path_factory.mktemp("pages")
    for name, baseline in (("now", "base"), ("second", "first"), ("two", None), ("many", None),
                           ("week 1", None)):  # fmt: skip
        with open(folder / f"{name}.html", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(report_page(store, [name], baseline, now=BEGAN + 900, version="1"))
    with open(folder / "weeks.html", "w", encoding="utf-8", newline="\n") as file:
        weeks = [f"week {n}" for n in (1, 2, 3)]
        file.writelines(report_page(store, weeks, now=BEGAN + 9_000, version="1"))
    return folder


@pytest.fixture
def now(browser: Browser, pages: Path) -> Browser:
    """The browser with the page of "now", fresh."""
    return opened(browser, pages / "now.html")


@pytest.fixture
def many(browser: Browser, pages: Path) -> Browser:
    """The browser with the page of 20,000 records, fresh."""
    return opened(browser, pages / "many.html")


@pytest.fixture
def second(browser: Browser, pages: Path) -> Browser:
    """The browser with the page of "second", compared with "first", fresh."""
    return opened(browser, pages / "second.html")


def opened(browser: Browser, page: Path) -> Browser:
    """Load a page, and forget what was told before."""
    browser.console()
    browser.requests()
    browser.open(page)
    browser.wait_for("document.documentElement.dataset.shown")
    return browser


def told(browser: Browser) -> str:
    """The line about how many records there are."""
    said: str = browser.run("return document.getElementById('told').textContent")
    return said


def choose(browser: Browser, only: str) -> None:
    """Press one of the filters, and wait for the table."""
    before = browser.run(  # at once: a search may be under way, which the click ends
        "const before = document.documentElement.dataset.shown;"
        f"document.querySelector('input[value={only}]').click();"
        "return before"
    )
    browser.wait_for(f"document.documentElement.dataset.shown !== '{before}'")


def search(browser: Browser, words: str) -> None:
    """Search for other words than before, and wait for the table."""
    before = browser.run("return document.documentElement.dataset.shown")
    browser.run("document.getElementById('find').select()")
    browser.enter(words)
    browser.wait_for(f"document.documentElement.dataset.shown !== '{before}'")


def first_rows(browser: Browser, n: int = 3) -> list[str]:
    """The numbers of the first rows that are there."""
    rows: list[str] = browser.run(
        "return [...document.querySelectorAll('tr.row')].map((row) => row.cells[0].textContent)"
    )
    return rows[:n]


def pictured(browser: Browser, name: str) -> None:
    """Keep a picture, where somebody wants to look."""
    folder = os.environ.get("BROWSER_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(folder) / f"{name}.png")


# ------------------------------------------------------------------------- nothing happens


def test_nothing_is_told_on_the_console_and_nothing_is_fetched(now: Browser) -> None:
    """Not on loading, nor while the page is used."""
    for only in ("failed", "wrong", "flipped", "all"):
        choose(now, only)
    for at in range(0, 70, 7):
        now.run(f"document.querySelectorAll('tr.row')[{at} % 20].click()")
        now.run("document.getElementById('detail').close()")
    search(now, "</script>")

    assert now.console() == []
    fetched = [each for each in now.requests() if not each.startswith(("chrome:", "data:"))]
    assert [each.rsplit("/", 1)[1] for each in fetched] == ["now.html"]


def test_hostile_texts_are_seen_as_texts(now: Browser) -> None:
    """None of them ran, none of them became an element, each can be read."""
    every = "document.querySelectorAll('tr.row').forEach((row) => row.click())"
    now.run(every)
    shown: list[str] = []
    for _ in range(71):
        shown.append(now.run("return document.getElementById('detail').innerText"))
        now.press(RIGHT)
    seen = "\n".join(shown)

    assert now.run("return window.hurt === undefined")
    assert (
        now.run("return document.querySelectorAll('main, img, iframe, object, form, a').length")
        == 1
    )
    for text in ("<script>window.hurt = 1</script>", "</script><img src=x", "<!-- <script> -->",
                 "abc\\u202egnp.exe\\u2069", "\\x1b[2J", "lone \\ud800", "line\\u2028separator",
                 "&lt;b&gt; &amp;"):  # fmt: skip
        assert text in seen, text
    assert not re.search("[\x00-\x08\x1b\u202a-\u202e\u2066-\u2069]", seen)
    pictured(now, "hostile")


def test_an_injected_script_would_not_run(now: Browser) -> None:
    """The policy holds even where a hole would be."""
    now.run(
        "window.held = [];"
        "addEventListener('securitypolicyviolation', (told) => held.push(told.effectiveDirective))"
    )
    now.run(
        "const script = document.createElement('script');"
        "try { script.textContent = 'window.hurt = 2' } catch (error) { return error.name }"
        "document.body.append(script)"
    )
    now.run("try { document.body.innerHTML += '<b>x</b>' } catch (error) { return error.name }")
    now.run("const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i)")

    now.wait_for("held.includes('img-src')")
    assert now.run("return held.filter((each) => each.startsWith('require-trusted')).length") == 2
    assert now.run("return window.hurt === undefined")


def test_a_text_of_10_mb_is_bounded(now: Browser) -> None:
    """The page says how much is missing."""
    search(now, "question 80")
    now.click("tr.row td button")
    shown = now.run("return document.getElementById('texts').innerText")

    assert "9,950,000 more characters are not in this file" in shown
    assert len(shown) < 60_000


# ------------------------------------------------------------------------- it works


def test_filters_leave_what_they_say(now: Browser) -> None:
    """Counts and rows agree."""
    assert told(now) == "71 records"
    for only, n in (("failed", 10), ("wrong", 15), ("right", 46), ("flipped", 25), ("worse", 10),
                    ("better", 15)):  # fmt: skip
        choose(now, only)

        assert told(now) == f"{n} of 71 records", only
        assert now.run(f"return document.querySelector('input[value={only}]').checked")
        chip = now.run(f"return document.querySelector('input[value={only}] + span').textContent")
        assert chip.endswith(f" {n}")


def test_search_finds_what_stands_in_any_text(now: Browser) -> None:
    """In rows, prompts, answers and errors; whatever its case; signs are no patterns."""
    for words, n in (
        ("AFTER", 60),
        ("(.*", 0),
        ("\\u202e", 7),
        ("question 80", 1),
        ("@everyone", 7),
    ):
        search(now, words)

        assert told(now) == (f"{n} of 71 records"), words
    search(now, "no such words")
    assert now.run("return document.getElementById('none').innerText").startswith("No record is")
    pictured(now, "empty")
    now.click("#clear")
    now.wait_for("document.getElementById('told').textContent === '71 records'")
    search(now, "pipe |")
    now.click("tr.row td button")
    assert now.run("return document.querySelectorAll('#texts mark').length") > 2


def test_a_click_on_a_column_sorts_by_it(now: Browser) -> None:
    """A second one the other way round."""
    assert first_rows(now) == ["0", "1", "2"]
    for by, direction, first in (
        ("at", "descending", "80"),
        ("is", "ascending", "60"),
        ("is", "descending", "1"),
        ("time", "descending", "0"),
        ("score1", "ascending", "0"),
        ("score1", "descending", "50"),
        ("row", "ascending", None),
        ("answer", "ascending", None),
    ):
        before = now.run("return document.documentElement.dataset.shown")
        now.run(f"document.querySelector('th button[data-by={by}]').click()")
        now.wait_for(f"document.documentElement.dataset.shown !== '{before}'")

        sorted_by = now.run(
            "return [...document.querySelectorAll('th[aria-sort]')].map((cell) => "
            "[cell.querySelector('button').dataset.by, cell.getAttribute('aria-sort')])"
        )
        assert sorted_by == [[by, direction]]
        assert first is None or first_rows(now)[0] == first, by


def test_a_record_is_read_with_the_keyboard_alone(now: Browser) -> None:
    """Arrows move between rows, Enter opens, arrows step, Escape goes back to the row."""
    now.run("document.querySelector('tr.row button').focus()")
    now.press(DOWN, DOWN, ENTER)
    assert now.run("return document.getElementById('title').textContent").startswith("Row 2 ")
    now.press(RIGHT, RIGHT)
    title = now.run("return document.getElementById('title').textContent")
    assert title.startswith("Row 4 wrong")
    shown = now.run("return document.getElementById('texts').innerText")
    assert "answer of the baseline" in shown and "before" in shown and "after" in shown
    pictured(now, "flipped")
    now.press(ESCAPE)
    # The browser first gives the focus back to where it was, and tells the page afterwards.
    now.wait_for("document.activeElement.textContent === '4'")
    now.press(END)
    assert now.run("return document.activeElement.textContent") == "80"
    now.press("/")
    assert now.run("return document.activeElement.id") == "find"


def test_the_page_tells_assistive_technology_what_it_is(now: Browser) -> None:
    """Every control has a name; the table says how long it is, a row where it is."""
    tree = now.devtools("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        node["role"]["value"]
        for node in tree
        if not node["ignored"]
        and node["role"]["value"] in ("button", "searchbox", "radio", "combobox", "link", "img",
                                      "image", "table", "dialog")
        and not node.get("name", {}).get("value")
    ]  # fmt: skip

    assert nameless == []
    assert (
        now.run("return document.getElementById('records').getAttribute('aria-rowcount')") == "72"
    )
    assert now.run("return document.querySelector('tr.row').getAttribute('aria-rowindex')") == "2"
    assert now.run("return document.documentElement.lang") == "en"


def contrast(browser: Browser, selector: str) -> float:
    """The contrast of a text to what is behind it, as WCAG 2 defines it."""
    found: float = browser.run(
        """
        const light = (color) => {
          const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((part) => {
            part /= 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        let element = document.querySelector(arguments[0]);
        const ink = light(getComputedStyle(element).color);
        const clear = (each) => /^rgba.*, 0\\)$/.test(getComputedStyle(each).backgroundColor);
        while (clear(element)) element = element.parentElement;
        const paper = light(getComputedStyle(element).backgroundColor);
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        """,
        selector,
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_either_scheme(now: Browser, scheme: str) -> None:
    """4.5 to 1 for every kind of text (WCAG 2.1, AA)."""
    now.prefer("prefers-color-scheme", scheme)
    pictured(now, f"{scheme}-top")
    now.run("document.querySelector('th button[data-by=is]').click()")
    now.run("document.getElementById('tools').scrollIntoView()")
    now.wait_for("document.querySelector('td.bad') && document.querySelector('td.good')")
    pictured(now, f"{scheme}-table")
    selectors = ("h1", ".facts", ".pill.good", ".pill.warn", ".pill.bad", "figcaption", ".chart .y",
                 ".note", "td.bad", "tr.row button", ".chip span", ".chip small", "th button",
                 "footer", "td.good")  # fmt: skip
    low = {each: contrast(now, each) for each in selectors}
    now.prefer("prefers-color-scheme", "light")

    assert {each: ratio for each, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("width", [320, 390, 768, 962, 1280, 2560])
def test_nothing_sticks_out_at_any_width(now: Browser, width: int) -> None:
    """There is no scrolling sideways, and no name is pressed to a few letters a line."""
    now.resize(width, 800)
    pictured(now, f"width-{width}")
    lines = now.run(
        "const name = document.createRange();"
        "name.selectNodeContents(document.querySelector('.scores td.name bdi'));"
        "return name.getClientRects().length"
    )
    wide = now.run("return document.documentElement.scrollWidth")
    now.run("document.querySelector('tr.row button').click()")
    dialog = now.run("return document.getElementById('detail').getBoundingClientRect().width")
    pictured(now, f"width-{width}-detail")
    now.resize(1280, 900)

    assert lines == 1
    assert wide <= width
    assert dialog <= width


def test_a_print_has_the_figures_and_the_first_records(now: Browser, tmp_path: Path) -> None:
    """And the page is as it was afterwards."""
    folder = Path(os.environ.get("BROWSER_SHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    now.print(folder / "page.pdf")

    pages = len(re.findall(rb"/Type\s*/Page\b", (folder / "page.pdf").read_bytes()))
    assert 2 <= pages <= 8
    now.wait_for("document.getElementById('told').textContent === '71 records'")


def test_a_print_unfolds_what_is_folded(now: Browser) -> None:
    """On paper nothing can be clicked on; afterwards it is folded again."""
    now.run("document.querySelector('details.evaluation').open = false")
    now.run("dispatchEvent(new Event('beforeprint'))")
    on_paper = now.run("return document.querySelector('details.evaluation').open")
    now.run("dispatchEvent(new Event('afterprint'))")

    assert on_paper is True
    assert now.run("return document.querySelector('details.evaluation').open") is False


def test_without_javascript_all_but_the_table_is_there(
    tmp_path_factory: pytest.TempPathFactory, pages: Path
) -> None:
    """The figures are, as text; and the page says what is missing."""
    profile = tmp_path_factory.mktemp("noscript")
    quiet = Browser(profile, "--blink-settings=scriptEnabled=false")
    try:
        quiet.open(pages / "now.html")
        shown: Any = quiet.devtools("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"]
    finally:
        quiet.close()

    seen = " ".join(shown)
    assert "The table of records needs JavaScript" in seen
    assert "61 of 90 scored" in seen and "75.4%" in seen and "no regression" in seen


def texts(browser: Browser, selector: str) -> list[str]:
    """What stands in each element that there is of these."""
    found: list[str] = browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)",
        selector,
    )
    return found


def test_figures_are_those_of_the_command_line(browser: Browser) -> None:
    """The page's script formats them anew; it comes to the same for any size."""
    page = Path(doteval.__file__).parent / "views" / "page.html"
    section = page.read_text(encoding="utf-8").partition("// --- figures")[2]
    source = f"//{section.partition('// --- the head')[0]}"
    sizes = [0.0, 1e-9, 1e-5, 2e-4, 0.0004, 0.0005, 0.0123, 1 / 16, 17 / 16, 1 / 3, 0.4994, 0.4995,
             0.625, 0.9949, 0.995, 0.9994, 0.9995, 1.0, 1.25, 2.5, 9.9949, 9.995, 12.345, 59.94,
             59.95, 61.0, 99.95, 100.5, 999.95, 1234.5, 3599.4, 3599.6, 7199.9, 86_400.0 * 2,
             123_456.25, 999_999.9, 1e6, 1.5e9, 123_456_789_012.0]  # fmt: skip
    wanted = {
        "count": [[count(each)] for each in sizes],
        "duration": [[duration(each)] for each in sizes],
        "rate": [[rate(each, "rows")] for each in sizes],
        "percent": [[percent(each), percent(-each)] for each in sizes],
        "figure": [[figure(each), figure(-each or 0.0)] for each in sizes],
        "change": [[change(metric, sign * each or 0.0, width)
                    for metric in ("accuracy", "mean") for sign in (1, -1)
                    for width in (None, 0.2, 1e-3)] for each in sizes],
        "narrow": [[figure(each, each / 1e5), figure(each, 1e-3), figure(each, 2.0)]
                   for each in sizes],
        "interval": [[interval(metric, Estimate(each, 9, None, each / 2, each))
                      for metric in ("accuracy", "mean")] for each in sizes],
    }  # fmt: skip

    found = browser.run(
        source
        + """
        return Object.fromEntries(Object.entries({
          count: (each) => [count(each)], duration: (each) => [duration(each)],
          rate: (each) => [rate(each, "rows")], percent: (each) => [percent(each), percent(-each)],
          figure: (each) => [figure(each), figure(-each)],
          narrow: (each) => [figure(each, each / 1e5), figure(each, 1e-3), figure(each, 2)],
          change: (each) => ["accuracy", "mean"].flatMap((metric) => [each, -each].flatMap(
            (value) => [undefined, 0.2, 1e-3].map((width) => change(metric, value, width)))),
          interval: (each) => ["accuracy", "mean"].map((metric) =>
            interval(metric, each / 2, each)),
        }).map(([name, shown]) => [name, arguments[0].map(shown)]));
        """,
        sizes,
    )

    differing = [(name, size, got, known) for name in wanted
                 for size, got, known in zip(sizes, found[name], wanted[name], strict=True)
                 if got != known]  # fmt: skip
    assert differing == []


def test_worse_and_better_are_those_of_compare(second: Browser, store: Store) -> None:
    """By the first score, or by the one that is chosen."""
    found = compare("first", "second", storage=store, examples=0).evaluations

    for column, name in ((-1, "match"), (1, "near"), (2, "judge")):
        pick(second, "score", str(column))
        scores = [score for each in found for score in each.scores if score.name == name]
        for only in ("worse", "better"):
            n = sum(getattr(score, only) for score in scores)
            choose(second, only)

            assert told(second) == f"{n} of 80 records", (name, only)
            assert texts(second, f"input[value={only}] + span")[0].endswith(f" {n}")
            choose(second, "all")
    lanes = texts(second, ".against .lane small")
    first = found[0].scores[0]
    assert lanes[0].startswith(f"{first.worse} worse, {first.better} better")


def pick(browser: Browser, name: str, value: str) -> None:
    """Choose from one of the lists, and wait for the table."""
    before = browser.run(
        "const before = document.documentElement.dataset.shown;"
        "const list = document.getElementById(arguments[0]); list.value = arguments[1];"
        "list.dispatchEvent(new Event('change', {bubbles: true})); return before",
        name,
        value,
    )
    browser.wait_for(f"document.documentElement.dataset.shown !== '{before}'")


def test_records_are_filtered_by_evaluation_and_score(second: Browser) -> None:
    """By a value where there are few, else by ranges."""
    pick(second, "which", "1")
    assert told(second) == "40 of 80 records"
    pick(second, "score", "0")
    assert texts(second, "#value option") == ["any value", "✗ (20)", "✓ (58)"]
    pick(second, "value", "is false")
    assert told(second) == "10 of 80 records"
    assert set(texts(second, "tr.row td:nth-last-child(4)")) == {"✗"}
    pick(second, "which", "-1")
    pick(second, "score", "1")
    ranges = texts(second, "#value option")
    assert len(ranges) == 6 and ranges[1].startswith("0 to 0.")
    pick(second, "value", second.run("return document.getElementById('value').options[5].value"))
    assert 10 < int(told(second).split()[0]) < 25


def test_the_address_of_what_is_seen_can_be_sent(second: Browser, pages: Path) -> None:
    """A filter, an order and an opened record are found again, by their names."""
    pick(second, "which", "1")
    pick(second, "score", "2")
    pick(second, "value", "is false")
    search(second, "SHIPPING")
    second.run("document.querySelector('th button[data-by=time]').click()")
    second.run("document.querySelectorAll('tr.row')[1].click()")
    seen = told(second), second.run("return document.getElementById('title').textContent")
    address = second.run("return location.hash")
    opened(second, pages / "many.html")

    second.run("location.href = arguments[0]", (pages / "second.html").as_uri() + address)
    second.wait_for("document.getElementById('detail')?.open")

    assert seen == (told(second), second.run("return document.getElementById('title').textContent"))
    assert seen[0] == "10 of 80 records" and seen[1].startswith("Row 32 wrong")
    assert second.run("return document.querySelector('th[aria-sort]').textContent") == "latency"
    second.run("location.hash = '#row=5%40eval_tickets%5Ba%5D'")
    second.wait_for("document.getElementById('title').textContent.startsWith('Row 5 ')")
    assert told(second) == "80 records"
    second.run("location.hash = '#only=nonsense&in=nobody&score=no&by=-what&row=999%40x'")
    second.run("document.getElementById('detail').close()")
    assert told(second) == "80 records"


def test_an_opened_record_begins_with_what_matters(second: Browser) -> None:
    """Scores, expected, answer, the baseline's with its words; then reasoning, prompt, row."""
    choose(second, "worse")
    second.run("document.querySelector('tr.row').click()")
    pictured(second, "record")

    assert texts(second, "#texts h3") == [
        "expected", "answer", "answer of the baseline", "judge: judgement", "prompt", "row",
        "row: ticket", "row: scan",
    ]  # fmt: skip
    assert texts(second, "#texts .figures:first-of-type dt")[:3] == ["match", "near", "judge"]
    assert texts(second, "#texts dd small")[0] == "✓ in first"
    assert (texts(second, "#texts ins"), texts(second, "#texts del")) == (
        ["shipping", "we"], ["billing", "I"],
    )  # fmt: skip
    assert texts(second, ".turn .role") == ["system", "user"]
    assert "It names a category.\nVerdict: GOOD" in texts(second, "#texts pre")
    assert second.run("return document.querySelector('#texts img').complete")
    assert second.run("return document.querySelector('#texts img').naturalWidth") == 1
    assert second.console() == []


def test_records_tell_whose_they_are_and_what_was_expected(second: Browser) -> None:
    """In columns of their own, as have short columns of the row."""
    heads = texts(second, "#records th button")

    assert heads == ["row", "evaluation", "verdict", "row data", "level", "n", "expected",
                     "answer or error", "match", "near", "judge", "latency"]  # fmt: skip
    first = texts(second, "tr.row:nth-child(2) td")
    assert first[1] == "[a]" and first[6] == "billing" and first[7].startswith("The category")
    for by in ("in", "cell1", "expected"):
        second.run(f"document.querySelector('th button[data-by={by}]').click()")
    assert second.run("return document.querySelector('th[aria-sort]').textContent") == "expected"


def test_two_experiments_stand_on_one_line_above_one_scale(second: Browser) -> None:
    """Each metric is named, and the scale is the same for all evaluations that have it."""
    assert texts(second, ".scores tbody tr:first-child .who .lane") == ["first", "second"]
    assert texts(second, ".scores tbody tr:first-child .name small") == ["accuracy"]
    intervals = "return document.querySelectorAll('.scores tr:nth-child(1) .interval .span').length"
    assert second.run(intervals) == 2
    ticks = [texts(second, f".scores tbody tr:nth-child({line}) .ticks") for line in (1, 4)]
    assert ticks[0] == ticks[1] and "%" in ticks[0][0]
    opened = "return [...document.querySelectorAll('details.evaluation')].map((each) => each.open)"
    assert second.run(opened) == [True, False]


def test_rows_of_several_versions_are_told_apart(browser: Browser, pages: Path) -> None:
    """By what differs in what made them."""
    two = opened(browser, pages / "two.html")

    assert texts(two, ".note.warn") == [
        "1 row made by the latest version: temperature = 0",
        "1 row made by an earlier version: temperature = 0.7",
    ]


def test_answers_that_could_not_be_read_are_no_wrong_ones(browser: Browser, pages: Path) -> None:
    """They are counted and left apart, and an opened record says why."""
    two = opened(browser, pages / "two.html")

    for only, n in (("unread", 1), ("wrong", 1)):
        choose(two, only)
        assert told(two) == f"{n} of 4 records"
    choose(two, "unread")
    two.run("document.querySelector('tr.row').click()")
    assert two.run("return document.getElementById('title').textContent") == "Row 2 unread"
    assert "no letter stands out" in texts(two, "#texts pre")
    assert "answers that could not be read" in texts(two, ".evaluation dd small")


def test_on_a_phone_and_on_paper_the_score_is_seen(second: Browser) -> None:
    """On paper the latency too, and first what failed or is wrong."""
    seen = (
        "return [...document.querySelectorAll('#records th')].filter((each) => "
        "getComputedStyle(each).display !== 'none').map((each) => each.textContent)"
    )
    second.resize(390, 800)
    phone = second.run(seen)
    second.resize(680, 900)  # A4 between its margins
    second.devtools("Emulation.setEmulatedMedia", media="print")
    paper = second.run(seen)
    verdicts = second.run(  # at once: the window was resized, and may draw what is in sight
        "dispatchEvent(new Event('beforeprint'));"
        "return [...document.querySelectorAll('tr.row .pill')].map((each) => each.textContent)"
    )
    second.devtools("Emulation.setEmulatedMedia", media="")
    second.run("dispatchEvent(new Event('afterprint'))")
    second.resize(1280, 900)

    assert phone == ["row", "verdict", "row data", "answer or error", "match"]
    assert {"evaluation", "expected", "match", "near", "latency"} <= {*paper}
    assert verdicts == ["failed"] * 2 + ["wrong"] * 20 + ["right"] * 58


def test_the_file_of_the_page_opens_as_it_is(browser: Browser) -> None:
    """Without data there is nothing to show, and nothing that fails."""
    browser.console()
    browser.open(Path(doteval.__file__).parent / "views" / "page.html")

    assert texts(browser, "#plain") == ["Nothing was run yet."]
    assert browser.console() == []


# ------------------------------------------------------------------------- it is fluid


def test_20000_records_are_there_in_a_moment(now: Browser, pages: Path) -> None:
    """Loaded, parsed and in the table; only the rows in sight exist."""
    before = now.spent()
    many = opened(now, pages / "many.html")
    seconds = many.spent() - before
    print("seconds of computing", round(seconds, 2))

    assert told(many) == "20,000 records"
    assert many.run("return document.querySelectorAll('tr.row').length") < 120
    assert 0 < seconds < 2  # about 0.5 where nothing else runs


def test_scrolling_through_20000_records_is_fluid(many: Browser) -> None:
    """Each step draws its rows well within a frame."""
    before = many.spent()
    many.run(
        """
        const height = document.documentElement.scrollHeight;
        return (async () => {
          for (let step = 0; step < 60; step++) {
            scrollTo(0, height * step / 60);
            await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
          }
        })();
        """
    )
    step = 1_000 * (many.spent() - before) / 60
    print("milliseconds of computing a step", round(step, 1))

    assert many.run("return document.querySelectorAll('tr.row').length") < 120
    assert step < 50  # less than 17 where nothing else runs


def test_20000_records_are_searched_sorted_and_filtered(many: Browser) -> None:
    """All texts, and the page answers meanwhile."""
    many.run(
        "window.gaps = []; let last = performance.now(); (function tick() { "
        "const now = performance.now(); gaps.push(now - last); last = now; setTimeout(tick) })()"
    )
    search(many, "answer is 39998")
    assert told(many) == "1 of 20,000 records"
    print("longest pause while searching, ms", round(many.run("return Math.max(...gaps)")))
    assert many.run("return Math.max(...gaps)") < 1_500
    search(many, "plus")
    choose(many, "failed")
    assert told(many) == "200 of 20,000 records"
    many.run("document.querySelector('th button[data-by=time]').click()")
    choose(many, "wrong")

    assert told(many) == "4,000 of 20,000 records"


def test_the_head_of_the_table_stays_below_the_tools(many: Browser) -> None:
    """Wherever one has scrolled to, and at any width that has room for it."""
    for width in (1280, 800):
        many.resize(width, 900)
        many.run("scrollTo(0, 300000)")
        gap = (
            "document.getElementById('records').tHead.getBoundingClientRect().top"
            " - document.getElementById('tools').getBoundingClientRect().bottom"
        )
        many.wait_for(f"Math.abs({gap}) < 1")
    many.resize(1280, 900)
    pictured(many, "middle")


def test_the_end_of_20000_records_is_reached(many: Browser) -> None:
    """By the keyboard, and by the scroll bar."""
    many.run("document.querySelector('tr.row button').focus()")
    many.press(END)
    assert many.run("return document.activeElement.textContent") == "19,999"
    many.press(ENTER)
    many.wait_for("document.getElementById('detail').open")
    assert "19,999" in many.run("return document.getElementById('title').textContent")
    many.press(ESCAPE)
    pictured(many, "end")


def test_the_number_of_the_last_row_has_room_on_a_phone(many: Browser) -> None:
    """It does not run into what stands beside it."""
    many.resize(390, 800)
    many.run("document.querySelector('tr.row button').focus()")
    many.press(END)
    room = many.run(
        "const number = document.activeElement, cell = number.closest('td');"
        "return cell.getBoundingClientRect().right - number.getBoundingClientRect().right"
    )
    pictured(many, "end-phone")
    many.resize(1280, 900)

    assert room >= 2


# ------------------------------------------------------------------------- side by side


def tables(browser: Browser) -> dict[str, list[list[str]]]:
    """The tables that are set side by side: their cells, by their captions."""
    found: dict[str, list[list[str]]] = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('#beside table')].map((table) =>"
        "[table.caption.textContent, [...table.rows].map((row) =>"
        "[...row.cells].map((cell) => cell.textContent))]))"
    )
    return found


def test_evaluations_that_differ_in_brackets_are_a_matrix(browser: Browser, pages: Path) -> None:
    """A line for what stands in the brackets, a column for what stands before them."""
    page = opened(browser, pages / "week 1.html")

    assert tables(page)["match"] == [
        ["", "eval_mail", "eval_chat"],
        ["a", "65%", "65%"],
        ["b", "90%", "90%"],
    ]
    pictured(page, "side by side")


def test_slices_count_as_the_command_line_does(browser: Browser, pages: Path, store: Store) -> None:
    page = opened(browser, pages / "week 1.html")
    (hard, easy) = slices(store, "week 1", "eval_g.py::eval_mail[a]", ["level"])

    shown = tables(page)["match by level"]

    estimates = [each.scores["match"]["accuracy"].estimate for each in (hard, easy)]
    assert shown[0] == ["", hard.by["level"], easy.by["level"]]
    assert shown[1] == [
        "eval_mail[a]",
        *(f"{estimate_figure('accuracy', each)}n = {each.n}" for each in estimates),
    ]


def test_a_slice_leads_to_its_records_and_has_an_address(browser: Browser, pages: Path) -> None:
    page = opened(browser, pages / "week 1.html")
    page.run("document.querySelectorAll('#beside button')[4].click()")
    page.wait_for("document.getElementById('told').textContent.includes(' of ')")

    assert told(page) == "10 of 160 records"
    assert page.run("return decodeURIComponent(location.hash)") == (
        "#in=eval_mail[a]&slice=level=hard"
    )
    page.run("document.getElementById('slice').value = 'level=easy';"
             "document.getElementById('slice').dispatchEvent(new Event('change'))")  # fmt: skip
    page.wait_for("document.getElementById('told').textContent.startsWith('30 of')")


def test_scores_stand_against_cost_and_over_experiments(browser: Browser, pages: Path) -> None:
    """Each evaluation is a point, and each has its line over the weeks."""
    page = opened(browser, pages / "weeks.html")

    titles: list[str] = page.run(
        "return [...document.querySelectorAll('#beside figure b')].map((each) => each.textContent)"
    )
    points: list[str] = page.run(
        "return [...document.querySelectorAll('.plane span')].map((each) => each.title)"
    )
    weeks = page.run("return document.querySelector('#beside svg').getAttribute('aria-label')")

    assert titles[:2] == ["match and cost a row", "match and latency, p50"]
    assert titles[2:] == [
        f"match of eval_{task}[{model}], over experiments" for task in ("mail", "chat")
        for model in "ab"
    ]  # fmt: skip
    assert "week 1 · eval_mail[a]: 65% at 0.01" in points
    assert weeks.endswith("week 1 65%, week 2 65%, week 3 65%")
    assert page.console() == []
    pictured(page, "over experiments")


def test_one_evaluation_stands_beside_nothing(browser: Browser, pages: Path) -> None:
    assert opened(browser, pages / "many.html").run(
        "return document.getElementById('across').hidden"
    )
