"""Protocols: the paper's choices and those of the released code, side by side."""

import dataclasses

import pytest

from helpers import protocols
from helpers.protocols import PAPER, RELEASED


@pytest.mark.parametrize(
    ("choice", "paper", "released"),
    [
        ("name", "paper", "released"),
        ("edge_norm", "l1", "max_column_sum"),
        ("batch_norm", "outgoing", "none"),
        ("ties", "inclusive", "strict"),
        ("keeps_complete", False, True),
        ("keeps_undefined", False, True),
        ("accuracy", "overall", "class_mean"),
        ("construction_pool", "live", "all"),
        ("sign_iterations", 20, 0),
        ("taxonomy", "text", "code"),
    ],
)
def test_the_protocols_differ_in_every_choice(choice, paper, released):
    assert (getattr(PAPER, choice), getattr(RELEASED, choice)) == (paper, released)


def test_protocols_are_known_by_name():
    assert protocols.protocol("paper") is PAPER
    assert protocols.protocol("released") is RELEASED
    assert protocols.protocol(RELEASED) is RELEASED


def test_unknown_protocols_are_refused():
    with pytest.raises(
        ValueError, match="protocol: 'PAPER' was given; accepted are paper, released"
    ):
        protocols.protocol("PAPER")


def test_protocols_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAPER.ties = "strict"
