"""The figures of the Method page are those of the code, and letters in drawings can be read."""

import re

import pytest

from helpers import settings
from helpers.book import method_figures

FIGURES = settings.BOOK / "figures"
WITH_LETTERS = [path for path in sorted(FIGURES.glob("*.svg")) if "<text" in path.read_text()]
COLUMN = 720  # pixels, the width of a page's text on a desktop


@pytest.mark.slow
def test_the_committed_figures_are_those_of_the_code(tmp_path):
    method_figures.write(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    for path in tmp_path.iterdir():
        committed = (FIGURES / path.name).read_text()
        assert path.read_text() == committed, "python -m helpers.book.method_figures renews it"


@pytest.mark.parametrize("path", WITH_LETTERS, ids=lambda path: path.stem)
def test_letters_in_drawings_are_ten_points_on_a_desktop(path):
    text = path.read_text()
    across = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])
    smallest = min(float(size) for size in re.findall(r'font-size="([\d.]+)"', text))
    assert smallest * COLUMN / across >= 10 * 96 / 72
