"""What several test files share."""

import pytest

from helpers import settings
from helpers.book import pages


@pytest.fixture(scope="session")
def html():
    """The folder of the rendered pages of book/, which is built once."""
    return pages.render(settings.BOOK, settings.BUILD / "paper").parent
