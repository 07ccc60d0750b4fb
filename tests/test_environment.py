"""One environment: what pyproject.toml asks for, requirements.txt pins and conda installs."""

import json
import os
import re
import shutil
import subprocess
import sys
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


EXTRAS = PROJECT["optional-dependencies"]
ASKED = PROJECT["dependencies"] + EXTRAS["book"] + EXTRAS["dev"]


@pytest.mark.parametrize("asked", ASKED)
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


def test_the_container_installs_the_same_list_in_the_same_way_as_binder():
    steps = (settings.ROOT / "docker" / "Dockerfile").read_text()
    (python,) = re.findall(r"^FROM python:([\d.]+)", steps, re.M)
    assert python in SpecifierSet(PROJECT["requires-python"])
    of_lock, of_package = re.findall(r"^RUN pip install --user (.*)", steps, re.M)
    nested = ENVIRONMENT["dependencies"][-1]["pip"][0]
    assert of_lock == f"--require-hashes {nested}"
    assert f"pip install {of_package}" in (settings.ROOT / "postBuild").read_text()
    assert steps.index("COPY --chown=reader requirements.txt") < steps.index(of_lock)
    assert not (settings.ROOT / "Dockerfile").exists()  # Binder would build it instead


def test_what_the_browser_tests_take_from_npm_is_pinned_by_checksum_and_without_an_address():
    asked = json.loads((settings.ROOT / "tests" / "package.json").read_text())
    lock = (settings.ROOT / "tests" / "package-lock.json").read_text()
    locked = json.loads(lock)["packages"]
    for name, version in asked["devDependencies"].items():
        assert locked[f"node_modules/{name}"]["version"] == version
        assert locked[f"node_modules/{name}"]["integrity"].startswith("sha512-")
    assert "://" not in lock


def test_jupyter_book_stays_at_version_1():
    assert "2.0.0" not in Requirement("jupyter-book>=1.0.4.post1,<2").specifier
    assert "jupyter-book>=1.0.4.post1,<2" in EXTRAS["book"]


def test_make_help_lists_the_targets_of_the_readme():
    makefile = (settings.ROOT / "Makefile").read_text()
    listed = re.findall(r"^([a-z]+):.*## ", makefile, re.M)
    used = re.findall(r"make ([a-z]+)", (settings.ROOT / "README.md").read_text())
    assert {"reproduce", "test", "book", "lab", "help"} <= set(listed)
    assert set(used) <= set(listed)


USES = """
import json, sys
from helpers import settings, stored
from helpers.statistics import p_value
import helpers.measures, helpers.plots
path = stored.find("digits-mlp-0")
found = [stored.manifest(path)["recipe"]["name"], path.exists(), p_value(1, [0, 2, 3])]
found.append((settings.PUBLISHED / "published_table1.csv").exists())
print(json.dumps([settings.__file__, found, [str(settings.RESULTS), str(settings.BUILD)]]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Run Python on an installed package, in a folder that has nothing to do with it."""
    folder = tmp_path_factory.mktemp("installed")
    site, checkout, work = (folder / name for name in ("site", "checkout", "work"))
    not_needed = (".*", "_build", "build", "*.egg-info", "mnist-*", "fashion-*")
    shutil.copytree(settings.ROOT, checkout, ignore=shutil.ignore_patterns(*not_needed))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", site, checkout], check=True
    )
    shutil.rmtree(checkout)
    work.mkdir()

    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(site)}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True)
        return done.returncode, done.stdout, " ".join(done.stderr.split())

    python.site, python.work = site, work
    return python


@pytest.mark.process
def test_the_package_works_installed_the_ordinary_way(installed):
    where, found, folders = json.loads(installed("-c", USES)[1])
    assert where.startswith(str(installed.site))
    assert found == ["digits-mlp", True, 0.75, True]
    assert folders == [str(installed.work / name) for name in ("results", "_build")]


@pytest.mark.process
def test_an_installed_package_names_what_is_in_the_repository_only(installed):
    (installed.work / "any.yaml").write_text("notebook: 05-lesion-tests\nrows: [{}]\n")
    status, _, error = installed("-m", "helpers", "sweep", "any.yaml", "--dry-run")
    assert status == 2
    assert f"there is no {installed.work / 'notebooks' / '05-lesion-tests.ipynb'}" in error
    assert "the book's own are in its repository only" in error


@pytest.mark.process
def test_the_command_says_how_to_get_what_only_the_book_needs(installed):
    code = "import sys; sys.modules['yaml'] = None; from helpers import cli; cli.main()"
    status, _, error = installed("-c", code, "sweep", "any.yaml")
    assert status == 1
    assert "yaml is not installed; pip install 'importance-and-coherence[book]'" in error


def test_every_package_is_installed_with_the_rest():
    setuptools = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    there = {f"helpers.{path.parent.name}" for path in settings.HELPERS.glob("*/__init__.py")}
    data = {"helpers.data.results", "helpers.data.zoo"}
    assert set(setuptools["packages"]) == {"helpers"} | there | data


def test_the_quick_check_leaves_out_all_that_is_marked():
    makefile = (settings.ROOT / "Makefile").read_text()
    pytest_options = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    markers = {line.partition(":")[0] for line in pytest_options["ini_options"]["markers"]}
    left_out = re.findall(r'-q -m "not \((.*)\)"', makefile)[0]
    assert set(left_out.split(" or ")) == markers


def test_both_halves_of_the_tests_are_all_of_them():
    makefile = (settings.ROOT / "Makefile").read_text()
    (units,) = re.findall(r'-m pytest -m "not \((.*)\)"', makefile)
    (pages,) = re.findall(r'-m pytest -m "(?!not)(.*)"', makefile)
    assert units == pages
