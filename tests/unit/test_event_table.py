"""Events as people and programs read them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest

from modeltrail.cli.event_table import as_json, header, line, print_table

STREAM = UUID("0a1b2c3d-0000-4000-8000-000000000000")
PROJECT = UUID("11111111-1111-4111-8111-111111111111")


@dataclass(frozen=True)
class Event:
    position: int = 7
    stream: UUID = STREAM
    stream_version: int = 2
    type: str = "inference_service.undeployment_requested"
    project_id: UUID = PROJECT
    recorded_at: datetime = datetime(2026, 2, 10, 8, 15, 30, 123456, tzinfo=UTC)
    actor: str | None = "ada@example.com"
    request_id: str | None = "9f8e7d6c-0000-4000-8000-000000000000"
    causation_id: int | None = None
    data: dict[str, object] = field(default_factory=lambda: {"name": "iris"})


def test_a_line_is_aligned_with_the_header_and_fits_into_120_columns() -> None:
    names, row = header(120), line(Event(), 120)

    assert len(row) <= 120
    assert row[names.index("EVENT") :].startswith("inference_service.undeployment_requested ")
    assert row[names.index("STREAM") :].startswith("0a1b2c3d/2 ")
    assert row[names.index("ACTOR") :].startswith("ada@example.com ")
    assert row[names.index("REQUEST") :] == "9f8e7d6c"


def test_a_wide_terminal_shows_the_data_too() -> None:
    assert header(160).endswith("DATA")
    assert line(Event(), 160).endswith('{"name":"iris"}')


def test_what_is_too_long_is_cut_visibly() -> None:
    assert "a-very-long-address…" in line(Event(actor="a-very-long-address-of-somebody@example.com"), 120)


def test_no_escape_sequence_reaches_the_terminal() -> None:
    assert "\x1b" not in line(Event(actor="\x1b]0;title\x07", data={"name": "\x1b[2J"}), 200)


def test_json_holds_the_whole_event_on_one_line() -> None:
    text = as_json(Event(actor=None))

    assert "\n" not in text
    assert json.loads(text) == {
        "position": 7,
        "stream": "0a1b2c3d-0000-4000-8000-000000000000",
        "stream_version": 2,
        "type": "inference_service.undeployment_requested",
        "project_id": "11111111-1111-4111-8111-111111111111",
        "recorded_at": "2026-02-10T08:15:30.123456+00:00",
        "actor": None,
        "request_id": "9f8e7d6c-0000-4000-8000-000000000000",
        "causation_id": None,
        "data": {"name": "iris"},
    }


@pytest.mark.parametrize(
    ("actor", "shown"),
    [
        ("東京@example.com", "東京@example.com    "),  # two columns each
        ("東京大学工学部計数工学科@example.com", "東京大学工学部計数… "),
        ("e\u0301" * 30, "e\u0301" * 19 + "…"),  # an accent of its own takes none
        ("🙂", "🙂" + " " * 18),
        ("👍🏽", "👍🏽" + " " * 18),  # two columns for both
        ("❤\ufe0f", "❤\ufe0f" + " " * 18),
    ],
    ids=["wide", "wide and cut", "accents", "emoji", "emoji of a colour", "letter as emoji"],
)
def test_columns_stay_aligned_whatever_is_written_in_them(actor: str, shown: str) -> None:
    assert f" {shown} 9f8e7d6c" in line(Event(actor=actor), 120)


def test_wide_characters_do_not_make_a_line_too_long() -> None:
    narrow, wide = line(Event(data={"name": "x" * 200}), 160), line(Event(data={"name": "東" * 200}), 160)

    assert len(narrow) == 160
    assert len(wide) + wide.count("東") in (159, 160)


def test_tables_are_as_wide_as_what_they_show(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([("NAME", "ROWS"), ("東京", "1"), ("abc", "2")])

    assert capsys.readouterr().out == "NAME  ROWS\n東京  1\nabc   2\n"
