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

from doteval import Score
from doteval.records import Record
from doteval.reporting.html import report_page
from doteval.storage import Store, open_store
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


@pytest.fixture(scope="module")
def pages(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with now.html, compared with the baseline, and many.html."""
    folder = tmp_path_factory.mktemp("pages")
    for name, baseline in (("now", "base"), ("many", None)):
        with open(folder / f"{name}.html", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(report_page(store, [name], baseline, now=BEGAN + 900, version="1"))
    return folder


@pytest.fixture
def now(browser: Browser, pages: Path) -> Browser:
    """The browser with the page of "now", fresh."""
    return opened(browser, pages / "now.html")


@pytest.fixture
def many(browser: Browser, pages: Path) -> Browser:
    """The browser with the page of 20,000 records, fresh."""
    return opened(browser, pages / "many.html")


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
        "name.selectNodeContents(document.querySelector('.scores td.name'));"
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
    """And the page says so."""
    profile = tmp_path_factory.mktemp("noscript")
    quiet = Browser(profile, "--blink-settings=scriptEnabled=false")
    try:
        quiet.open(pages / "now.html")
        shown: Any = quiet.devtools("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"]
    finally:
        quiet.close()

    seen = " ".join(shown)
    assert "The table of records needs JavaScript" in seen and "In flight" in seen


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
