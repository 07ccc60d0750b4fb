"""The book in a browser: what a reader sees of it, at a desk and on a phone."""

import functools
import http.server
import importlib.util
import io
import re
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from helpers import settings

pytestmark = pytest.mark.browser


PAGES = [
    *re.findall(r"(?:root|file): (\S+)", (settings.ROOT / "_toc.yml").read_text()),
    "search",
    "genindex",
    "404",
]
SECTIONS = [each for each in PAGES if re.match(r"book/\d", each)]
SCREENS = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}

TRACEBACK = re.compile(r"Traceback \(most recent call last\)")
RAW_MARKUP = re.compile(
    r"\{(?:doc|ref|numref|eq|term|math|cite(?::\w+)?)\}"  # roles
    r"|:::|```"  # directives
    r"|\*\*|\]\(|\$[^$]+\$|\\[(\[]"  # emphasis, links, formulas
)

# Waits until everything is shown and drawn.
SETTLE = """async () => {
    document.querySelectorAll("details").forEach(each => each.open = true);
    await window.MathJax?.startup?.promise;
    await document.fonts.ready;
    for (const image of document.images) image.loading = "eager";
    await Promise.allSettled([...document.images].map(each => each.decode()));
    await Promise.allSettled(document.getAnimations().map(each => each.finished));
}"""

LOOK = """() => {
    const all = selector => [...document.querySelectorAll(selector)];
    const name = each => each.outerHTML.slice(0, 120);
    const prose = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
        if (!walker.currentNode.parentElement.closest("pre, code, script, style, noscript"))
            prose.push(walker.currentNode.data);

    return {
        text: document.body.textContent,
        prose: prose,
        links: all("a[href]").map(each => each.href),
        broken: all("img").filter(each => !each.complete || !each.naturalWidth).map(name),
        undrawn: [
            ...all(".math").filter(each => !each.querySelector("mjx-container")),
            ...all("mjx-merror, mjx-mtext[style*='color: red']"),
        ].map(name),
    };
}"""

# What sticks out at the right, except where one can scroll to it.
MEASURE = """() => {
    const page = document.documentElement;
    const scrolls = each => ["auto", "scroll"].includes(getComputedStyle(each).overflowX);
    const isWithinScroller = (each, article) =>
        each !== article && (scrolls(each) || isWithinScroller(each.parentElement, article));
    const wide = [...document.querySelectorAll("article *")].filter(
        each => each.getBoundingClientRect().right > page.clientWidth + 1
            && !isWithinScroller(each.parentElement, each.closest("article")));
    return [
        ...(page.scrollWidth > page.clientWidth ? [`page of ${page.scrollWidth} pixels`] : []),
        ...wide.map(each => each.outerHTML.slice(0, 120)),
    ];
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Site:
    """A folder of HTML that is served on this machine, and looked at in a browser."""

    def __init__(self, browser, folder, address):
        self.browser, self.folder, self.address = browser, folder, address
        self.faults = functools.cache(self._faults)

    @contextmanager
    def visitor(self, screen="desktop", light="light"):
        """A page of somebody who comes for the first time, and can reach no other host."""
        elsewhere = re.compile(f"^(?!{re.escape(self.address)})")
        options = {"viewport": SCREENS[screen], "color_scheme": light}
        with self.browser.new_context(**options) as context:
            context.route(elsewhere, lambda route: route.abort())
            yield context.new_page()

    def _faults(self, name):
        """What is wrong with a page, by kind."""
        with self.visitor() as page:
            heard = self._listen(page)
            page.goto(f"{self.address}{name}.html")
            page.evaluate(SETTLE)
            seen = page.evaluate(LOOK)
            overflow = {}
            for screen, size in SCREENS.items():
                page.set_viewport_size(size)
                overflow[f"overflow on a {screen}"] = page.evaluate(MEASURE)
        faults = {
            "broken images": seen["broken"],
            "dead links": [each for each in seen["links"] if self._is_dead(each)],
            "raw formulas": seen["undrawn"],
            "raw markup": [each for each in seen["prose"] if RAW_MARKUP.search(each)],
            "tracebacks": TRACEBACK.findall(seen["text"]),
        }
        return faults | heard | overflow

    def _listen(self, page):
        """Lists that fill with what goes wrong while a page is open."""
        errors, failed, foreign = [], [], []

        def note_message(message):
            # Resources that do not load are noted below.
            if message.type == "error" and not message.text.startswith("Failed to load resource"):
                errors.append(message.text)

        def note_response(response):
            if response.status >= 400:
                failed.append(f"{response.status} {response.url}")

        def note_failure(request):
            (failed if self._is_own(request.url) else foreign).append(request.url)

        page.on("console", note_message)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("response", note_response)
        page.on("requestfailed", note_failure)
        return {"errors": errors, "failed requests": failed, "other hosts": foreign}

    def _is_own(self, url):
        return url.startswith(self.address)

    def _is_dead(self, url):
        """Whether a link leads nowhere within the folder."""
        if not self._is_own(url):
            return False
        path, _, fragment = unquote(url.removeprefix(self.address)).partition("#")
        target = self.folder / path.partition("?")[0]
        if not target.is_file():
            return True
        return bool(fragment) and f'id="{fragment}"' not in target.read_text()


@contextmanager
def served(browser, folder):
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(browser, folder, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


@pytest.fixture(scope="module")
def book(browser, html):
    with served(browser, html.parent) as site:
        yield site


@pytest.fixture(params=PAGES)
def faults(request, book):
    """What is wrong with a page of the book."""
    return book.faults(request.param)


def test_every_page_of_the_book_is_visited(html):
    built = {f"{html.name}/{each.stem}" for each in html.glob("*.html")}
    assert built | {"search", "genindex", "404"} == set(PAGES)


def test_a_page_runs_its_scripts_without_an_error(faults):
    assert faults["errors"] == []


def test_a_page_gets_everything_that_it_asks_for(faults):
    assert faults["failed requests"] == []


def test_a_page_needs_no_other_host(faults):
    assert faults["other hosts"] == []


def test_a_page_shows_all_its_images(faults):
    assert faults["broken images"] == []


def test_a_page_links_to_places_that_exist(faults):
    assert faults["dead links"] == []


def test_a_page_shows_no_tracebacks_and_no_raw_markup(faults):
    assert faults["tracebacks"] == []
    assert faults["raw markup"] == []


def test_a_page_draws_its_formulas(faults):
    assert faults["raw formulas"] == []


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_fits_the_screen(faults, screen):
    assert faults[f"overflow on a {screen}"] == []


def test_the_methods_have_formulas_to_draw(html):
    assert (html / "method.html").read_text().count('class="math') >= 50


HEAVIEST = 800_000
"""Bytes."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_and_all_that_it_loads_is_light(book, name):
    with book.visitor() as page:
        loaded = []
        page.on("response", lambda response: loaded.append(response))
        page.goto(f"{book.address}{name}.html")
        page.evaluate(SETTLE)
        assert sum(len(each.body()) for each in loaded if each.status == 200) < HEAVIEST


SHARE_OF_CODE = """() => {
    const height = each => each.getBoundingClientRect().height;
    const code = [...document.querySelectorAll(".cell_input")].map(height);
    return code.reduce((a, b) => a + b, 0) / height(document.querySelector("article"));
}"""


@pytest.mark.parametrize("name", SECTIONS)
def test_code_is_a_small_part_of_a_page(book, name):
    with book.visitor() as page:
        page.goto(f"{book.address}{name}.html")
        assert page.evaluate(SHARE_OF_CODE) < 0.15


HIDDEN_PARTS_OF_TABLES = """() => [...document.querySelectorAll("article table")].filter(table => {
    for (let box = table.parentElement; box.tagName !== "ARTICLE"; box = box.parentElement)
        if (getComputedStyle(box).overflowX !== "visible" && (
                box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1))
            return true;
    return table.getBoundingClientRect().right > document.documentElement.clientWidth;
}).map(table => table.textContent.replace(/\\s+/g, " ").slice(0, 80))"""


@pytest.mark.parametrize(
    ("name", "screen"), [("book/05-lesion-tests", "phone"), ("book/08-double-lesions", "desktop")]
)
def test_pictures_on_a_page_answer_when_they_are_asked(book, name, screen):
    with book.visitor(screen) as page:
        page.goto(f"{book.address}{name}.html")
        page.evaluate(SETTLE)
        said = []
        for label in ("first", "last"):
            getattr(page.locator(".explorer label[data-marks]:visible"), label).click()
            said.append(page.locator(".explorer .said").inner_text())
        assert len(set(said)) == 2


@pytest.mark.parametrize("name", [*SECTIONS, "book/method", "book/re-execute"])
def test_no_box_cuts_a_table_on_a_desktop(book, name):
    with book.visitor() as page:
        page.goto(f"{book.address}{name}.html")
        assert page.evaluate(HIDDEN_PARTS_OF_TABLES) == []


FIGURES = "article :is(svg.drawing, .cell_output img, figure img)"


@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_figure_is_blank_or_framed(book, name, light):
    with book.visitor(light=light) as page:
        page.goto(f"{book.address}{name}.html")
        page.evaluate(SETTLE)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        ground = [int(each) for each in re.findall(r"\d+", ground)[:3]]
        for figure in page.locator(FIGURES).all():
            with Image.open(io.BytesIO(figure.screenshot())) as picture:
                pixels = np.asarray(picture.convert("RGB")).astype(int)
            drawn = np.abs(pixels - ground).max(axis=2) > 24
            label = figure.get_attribute("aria-label") or figure.get_attribute("alt")
            assert drawn.mean() > 0.002, f"blank: {label}"
            edge = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
            assert edge.mean() < 0.5, f"framed: {label}"


PIXELS_OF_A_POINT = """() => [...document.querySelectorAll("svg.drawing[width$=pt]")].map(
    each => each.getBoundingClientRect().width / parseFloat(each.getAttribute("width")))"""


@pytest.mark.parametrize(("screen", "least"), [("desktop", 0.999 * 96 / 72), ("phone", 1)])
@pytest.mark.parametrize("name", [*SECTIONS, "book/method"])
def test_a_point_in_a_figure_is_a_point_on_a_desktop_and_a_pixel_on_a_phone(
    book, name, screen, least
):
    with book.visitor(screen) as page:
        page.goto(f"{book.address}{name}.html")
        sizes = page.evaluate(PIXELS_OF_A_POINT)
        assert sizes
        assert min(sizes) > least


FIRST_FIGURE = """() => {
    const figure = document.querySelector(".bd-article figure");
    const others = [...document.querySelectorAll(".bd-article :is(.cell_input, table)")];
    const follows = Node.DOCUMENT_POSITION_FOLLOWING;
    const before = others.filter(each => each.compareDocumentPosition(figure) & follows);
    return [figure.getBoundingClientRect().top, before.length];
}"""


@pytest.mark.parametrize("name", SECTIONS)
def test_a_figure_comes_before_code_and_tables_and_on_the_first_screen(book, name):
    with book.visitor() as page:
        page.goto(f"{book.address}{name}.html")
        top, n_before = page.evaluate(FIRST_FIGURE)
    assert top < 600
    assert not n_before


CONTRAST = """each => {
    const channels = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const luminance = colour => channels(colour)
        .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const [a, b] = [getComputedStyle(each).color, getComputedStyle(document.body).backgroundColor]
        .map(luminance).sort((a, b) => b - a);
    return (a + 0.05) / (b + 0.05);
}"""


@pytest.mark.parametrize("light", ["light", "dark"])
def test_links_stand_out_from_the_ground(book, light):
    with book.visitor(light=light) as page:
        page.goto(f"{book.address}book/method.html")
        for kind in ("article p a.internal", "article h2 > a.headerlink", "nav.bd-links a"):
            assert page.locator(kind).first.evaluate(CONTRAST) >= 4.5


@pytest.fixture(scope="module")
def axe():
    path = settings.ROOT / "tests" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        pytest.skip("no axe-core here; `npm ci --prefix tests` brings it")
    return path.read_text()


@pytest.mark.parametrize(
    ("screen", "light"), [("desktop", "light"), ("desktop", "dark"), ("phone", "light")]
)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_on_a_page_keeps_readers_out(book, axe, name, screen, light):
    with book.visitor(screen, light) as page:
        page.goto(f"{book.address}{name}.html")
        page.evaluate(SETTLE)
        page.evaluate(axe)
        # In the dark nothing but colours is another.
        rules = "runOnly: ['color-contrast', 'link-in-text-block'], " if light == "dark" else ""
        run = f"axe.run(document, {{{rules}resultTypes: ['violations']}})"
        found = page.evaluate(run)["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"][:120]) for each in grave] == []


def test_a_search_shows_sentences_that_have_the_word(book):
    with book.visitor() as page:
        page.goto(f"{book.address}search.html?q=lesion")
        search_results(page)
        page.wait_for_function("document.querySelectorAll('p.context').length >= 5")
        shown = page.locator("p.context").all_inner_texts()
        assert sum("lesion" in each.lower() for each in shown) >= 5  # others have it in headings
        for sentence in shown:
            assert re.search(r"\w.*[.!?:]$", sentence)
            assert not re.search(r"Toggle|Download|\.ipynb|import |Contents", sentence)


def test_a_sentence_that_a_search_shows_has_the_word_and_not_only_what_its_stem_begins(book):
    with book.visitor() as page:
        page.goto(f"{book.address}search.html?q=ties")  # Its stem is "ti", as in "times".
        search_results(page)
        page.wait_for_function("document.querySelectorAll('p.context').length >= 3")
        shown = page.locator("p.context").all_inner_texts()
        assert sum(bool(re.search(r"\bties\b", each, re.I)) for each in shown) >= 3


@pytest.mark.parametrize("screen", SCREENS)
def test_a_reader_finds_the_search_box_and_with_it_the_pages_with_a_word(book, screen):
    with book.visitor(screen) as page:
        page.goto(book.address)
        page.wait_for_url("**/book/00-what-we-found.html")
        if screen == "desktop":
            page.keyboard.press("Control+k")
        else:
            page.locator("button[aria-label=Search]:visible").first.click()
        page.keyboard.type("lesion")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=lesion")
        results = search_results(page)
        assert results.count() >= 2
        results.first.click()
        page.wait_for_url("**/book/*.html*")
        assert "lesion" in page.locator("article").inner_text().lower()


def test_a_search_for_what_is_not_in_the_book_finds_nothing(book):
    with book.visitor() as page:
        page.goto(f"{book.address}search.html?q=zyzzyva")
        assert search_results(page).count() == 0


def search_results(page):
    """The links to what a search has found."""
    page.wait_for_function("document.querySelector('.search-summary')?.innerText")
    return page.locator("#search-results li > a")


@pytest.mark.parametrize(
    "text",
    [
        "See {ref}`there`.",
        "See {cite:p}`them`.",
        "See [there](there).",
        ":::{note}",
        "```python",
        "a **bold** claim",
        "so $x^2$ it is",
        r"so \(x^2\) it is",
    ],
)
def test_raw_markup_is_told_from_prose(text):
    assert RAW_MARKUP.search(text)
    assert not RAW_MARKUP.search("A price of $5, a factor 2 * 3, a set {1, 2} and f(x) [1] (2).")


@pytest.fixture
def faults_of(browser, tmp_path):
    """A function that tells what is wrong with the body of a page."""
    offline = importlib.util.find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
    (tmp_path / "mathjax").symlink_to(Path(offline) / "static" / "mathjax")
    with served(browser, tmp_path) as site:

        def faults_of(body):
            script = "<script defer src=mathjax/tex-chtml.js></script>" if "math" in body else ""
            (tmp_path / "page.html").write_text(
                f'<!DOCTYPE html>{script}<body><article id="top">{body}</article></body>'
            )
            return {kind for kind, found in site.faults("page").items() if found}

        yield faults_of


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ("errors", "<script>console.error('oh')</script>"),
        ("errors", "<script>undefined.oh</script>"),
        ("errors", "<script>Promise.reject('oh')</script>"),
        ("failed requests", "<link rel=stylesheet href=none.css>"),
        ("other hosts", "<style>p { background: url(//example.org/image.png) }</style><p>A</p>"),
        ("broken images", "<img src=page.html>"),
        ("dead links", "<a href=none.html>A</a>"),
        ("dead links", "<a href=#none>A</a>"),
        ("dead links", "<a href=page.html#none>A</a>"),
        ("tracebacks", "<pre>Traceback (most recent call last):</pre>"),
        ("raw markup", "<p>a **bold** claim</p>"),
        ("raw markup", "<details><summary>A</summary>a **bold** claim</details>"),
        ("raw formulas", r"<span class=math>x^2</span>"),
        ("raw formulas", r"<span class=math>\(\frac\)</span>"),
        ("raw formulas", r"<span class=math>\(\nonsense\)</span>"),
        ("overflow on a phone", "<p style='width: 800px'>A</p>"),
        (
            "overflow on a phone",
            "<div style='overflow: hidden'><p style='width: 800px'>A</p></div>",
        ),
        (
            "overflow on a phone",
            "<details><summary>A</summary><p style='width: 800px'>A</p></details>",
        ),
        ("overflow on a phone", "<pre style='overflow: auto; width: 800px'>A</pre>"),
    ],
)
def test_a_fault_is_noticed(faults_of, fault, body):
    assert faults_of(body) == {fault}


def test_what_is_too_wide_for_a_desktop_is_noticed_there_too(faults_of):
    too_wide = {"overflow on a desktop", "overflow on a phone"}
    assert faults_of("<p style='width: 2000px'>A</p>") == too_wide


def test_a_sound_page_has_no_faults(faults_of):
    body = r"""
        <p>Prose, and <code>{ref}`code`, **kwargs, $HOME$</code></p> <pre>```python</pre>
        <a href=#top>up</a> <a href=page.html#top>up</a> <a href=#>up</a>
        <a href=https://example.org>elsewhere</a>
        <img src=data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=>
        <span class=math>\(x^2\)</span>
        <div style="overflow: auto"><p style="width: 2000px">A</p></div>
        <script>console.log("hello"); console.warn("hello")</script>
    """
    assert faults_of(body) == set()
