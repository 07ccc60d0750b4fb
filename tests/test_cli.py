"""The command `modularity`: what it says of itself."""

import shlex

import pytest
from click.testing import CliRunner

from helpers.cli import main


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_shows_an_example_that_the_command_takes(name):
    text = CliRunner().invoke(main, [name, "--help"], prog_name="modularity").output
    _, found, example = text.partition(f"\n    modularity {name} ")
    assert found, text
    command = main.commands[name]
    command.make_context(name, shlex.split(example.splitlines()[0]))
