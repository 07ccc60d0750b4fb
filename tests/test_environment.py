"""One environment: what pyproject.toml asks for, requirements.txt pins and conda installs."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from helpers import settings

PROJECT = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["project"]
LOCK = (settings.ROOT / "requirements.txt").read_text()
PINS = {
    each.name: each.specifier
    for each in (Requirement(line.rstrip(" \\")) for line in re.findall(r"^\S+==.*", LOCK, re.M))
}
ENVIRONMENT = yaml.safe_load((settings.ROOT / "environment.yml").read_text())


@pytest.mark.parametrize("asked", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
def test_every_dependency_is_pinned_to_a_version_that_is_asked_for(asked):
    requirement = Requirement(asked)
    (pin,) = PINS[requirement.name]
    assert pin.version in requirement.specifier


def test_every_pin_has_a_hash_and_none_an_address():
    pinned = re.findall(r"^\S+==.*\\$(?:\n {4}--hash=sha256:[0-9a-f]{64}(?: \\)?$)+", LOCK, re.M)
    assert len(pinned) == len(PINS)
    assert "://" not in LOCK
    assert "index" not in re.sub(r"^\S+==.*", "", LOCK, flags=re.M)


def test_conda_and_binder_install_the_same_list_on_the_same_pythons():
    python, pip, nested = ENVIRONMENT["dependencies"]
    assert Requirement(python).specifier == SpecifierSet(PROJECT["requires-python"])
    assert pip == "pip"
    assert nested == {"pip": ["--requirement requirements.txt"]}
    assert "pip install --no-deps" in (settings.ROOT / "postBuild").read_text()


def test_jupyter_book_stays_at_version_1():
    assert "2.0.0" not in Requirement("jupyter-book>=1.0.4.post1,<2").specifier
    assert "jupyter-book>=1.0.4.post1,<2" in PROJECT["dependencies"]


def test_make_help_lists_the_targets_of_the_readme():
    makefile = (settings.ROOT / "Makefile").read_text()
    listed = re.findall(r"^([a-z]+):.*## ", makefile, re.M)
    used = re.findall(r"make ([a-z]+)", (settings.ROOT / "README.md").read_text())
    assert {"reproduce", "test", "book", "lab", "help"} <= set(listed)
    assert set(used) <= set(listed)
