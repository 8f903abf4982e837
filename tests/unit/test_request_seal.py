"""What is kept of a request that may be sent again."""

from uuid import UUID

import pytest
from msgspec import structs

from modeltrail.eventlog.keys import UnusableKeyError
from modeltrail.eventlog.request_seal import Asked, RequestSeal

SECRET = b"s" * 32
ASKED = Asked(UUID(int=1), b"a-key", "POST", b"/models", b'{"name":"iris","owner_email":"ann@example.org"}')
ANSWER = b'{"owner_email":"ann@example.org"}'
SEAL = RequestSeal.of(ASKED, SECRET)

OTHERS = [
    structs.replace(ASKED, project_id=UUID(int=2)),
    structs.replace(ASKED, key=b"b-key"),
    structs.replace(ASKED, method="PUT"),
    structs.replace(ASKED, path=b"/other"),
    structs.replace(ASKED, body=b"{}"),
    structs.replace(ASKED, path=b"/models{", body=ASKED.body[1:]),
]


def test_the_same_request_is_known_again() -> None:
    again = RequestSeal.of(structs.replace(ASKED), SECRET)

    assert (again.key, again.fingerprint) == (SEAL.key, SEAL.fingerprint)
    assert again.unseal(SEAL.seal(ANSWER)) == ANSWER


@pytest.mark.parametrize("other", OTHERS)
def test_another_request_is_told_apart_and_opens_nothing(other: Asked) -> None:
    seal = RequestSeal.of(other, SECRET)

    assert seal.fingerprint != SEAL.fingerprint
    with pytest.raises(UnusableKeyError):
        seal.unseal(SEAL.seal(ANSWER))


def test_a_key_stands_for_itself_whatever_is_sent_with_it() -> None:
    assert RequestSeal.of(structs.replace(ASKED, body=b"{}"), SECRET).key == SEAL.key


@pytest.mark.parametrize("other", OTHERS[:2])
def test_a_key_is_another_one_in_another_project(other: Asked) -> None:
    assert RequestSeal.of(other, SECRET).key != SEAL.key


def test_nothing_is_known_or_opened_without_the_secret() -> None:
    stranger = RequestSeal.of(ASKED, b"t" * 32)

    assert stranger.key != SEAL.key
    assert stranger.fingerprint != SEAL.fingerprint
    with pytest.raises(UnusableKeyError):
        stranger.unseal(SEAL.seal(ANSWER))


def test_two_answers_to_one_request_are_sealed_differently() -> None:
    assert SEAL.seal(ANSWER) != SEAL.seal(ANSWER)


def test_neither_request_nor_seal_shows_what_it_holds() -> None:
    shown = f"{ASKED!r} {SEAL!r}"

    assert "ann@example.org" not in shown
    assert "a-key" not in shown
    assert repr(SEAL._answer_key) not in shown
