"""What several test files share."""

import pytest

from helpers import settings
from helpers.book import pages, printing


@pytest.fixture(scope="session")
def html():
    """The folder of the rendered pages of book/, which is built once."""
    return pages.render(settings.BOOK, settings.BUILD / "paper").parent


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; where there is none, what needs it is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = printing.chromium()
    if path is None:
        pytest.skip("no Chromium here; on Debian, `apt-get install chromium` brings it")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--disable-gpu", "--disable-quic", "--disable-sync"]
        )
        yield browser
        browser.close()
