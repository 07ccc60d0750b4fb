"""The drawing of the house is that of the code, and no arrow leads up."""

import re
from graphlib import CycleError

import pytest

from helpers import settings
from helpers.book import house

HOUSE = {"top": {"middle", "low"}, "middle": {"low"}, "low": set(), "beside": {"low"}}


def test_the_committed_picture_and_table_are_those_of_the_code(tmp_path):
    house.write(tmp_path)
    for name in ("house.svg", "rooms.txt"):
        committed = (settings.BOOK / "figures" / name).read_text()
        assert (tmp_path / name).read_text() == committed, "python -m helpers.book.house renews it"


def test_a_room_is_one_floor_above_the_highest_that_it_uses():
    assert house.floors(HOUSE) == [["low"], ["beside", "middle"], ["top"]]


def test_arrows_that_follow_from_others_are_left_out():
    drawn = [("beside", "low"), ("middle", "low"), ("top", "middle")]
    assert house.arrows(HOUSE) == drawn


def test_rooms_that_use_one_another_have_no_floors():
    with pytest.raises(CycleError):
        house.floors({"a": {"b"}, "b": {"a"}})


def test_the_library_does_not_know_the_book_and_arithmetic_knows_no_keras():
    found = house.imports()
    assert [room for room, below in found.items() if "book" in below] == ["cli"]
    for room in ("partitions", "statistics", "protocols", "measures"):
        assert "backend" not in found[room]
    assert {"lesions", "statistics"} <= found["measures"]


def test_no_two_boxes_overlap_and_none_leaves_the_picture():
    picture = house.drawing(house.imports())
    number = r'="([\d.]+)"'
    boxes = re.findall(rf"<rect x{number} y{number} width{number} height{number}", picture)
    boxes = [tuple(map(float, box)) for box in boxes]
    assert len(boxes) == len(house.imports())
    for i, (x, y, width, height) in enumerate(boxes):
        assert x >= 0
        assert x + width <= 720
        for left, top, across, _ in boxes[:i]:
            assert abs(top - y) >= height or left + across < x or x + width < left
