"""``python -m helpers`` is the command ``modularity``."""

from helpers.cli import main

main(prog_name="modularity")
