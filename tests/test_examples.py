"""Every name on the page of the package has an example, and it does what it says."""

import doctest
import importlib
import inspect
import re

import pytest

from helpers import settings

PAGE = (settings.BOOK / "api.md").read_text()
NAMES = re.findall(r"^\.\. auto(?:function|class):: (\S+)", PAGE, re.M)


def named(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_the_page_has_the_names_that_other_programs_rely_on():
    assert len(NAMES) == len(set(NAMES)) >= 25
    for name in ("helpers.evaluate", "helpers.Partition", "helpers.lesions.correct"):
        assert name in NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_example_does_what_it_says(name):
    found = named(name)
    examples = doctest.DocTestParser().get_doctest(inspect.getdoc(found), {}, name, None, 0)
    assert examples.examples
    runner = doctest.DebugRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(examples)


@pytest.mark.slow
def test_what_the_page_on_running_says_can_be_pasted(capsys):
    text = (settings.BOOK / "re-execute.md").read_text()
    pasted = re.findall(r"% tests/test_examples.py pastes this\n```python\n(.*?)```", text, re.S)
    assert len(pasted) == 4
    space = {}
    for code in pasted:
        exec(code, space)
    assert space["report"].measured.intact.mean() > 0.9
    assert "clusters are" in space["report"].summary()


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_shows_of_a_class_is_there_and_documented(name):
    options = re.search(rf":: {re.escape(name)}\n   :members: (.+)", PAGE)
    for member in options[1].split(", ") if options else ():
        assert inspect.getdoc(inspect.getattr_static(named(name), member))
