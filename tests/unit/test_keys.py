"""Encryption under keys that the database never sees."""

import base64

import pytest
from cryptography.exceptions import InvalidTag

from modeltrail.commands.decision import Credentials
from modeltrail.eventlog.keys import KEY_BYTES, NONCE_BYTES, KeyRing, UnusableKeyError, seal, unseal
from modeltrail.postgres.connect import DatabaseAddress
from support.samples import PROJECT, VERSION

OLD, NEW = b"o" * KEY_BYTES, b"n" * KEY_BYTES


def test_what_was_sealed_can_be_unsealed() -> None:
    assert unseal(OLD, seal(OLD, b"secret", b"purpose"), b"purpose") == b"secret"


def test_a_box_does_not_show_its_text() -> None:
    assert b"secret" not in seal(OLD, b"secret", b"purpose")


def test_no_two_boxes_are_alike() -> None:
    assert seal(OLD, b"secret", b"purpose") != seal(OLD, b"secret", b"purpose")


@pytest.mark.parametrize("purpose", [b"", b"other"])
def test_a_box_cannot_be_used_for_another_purpose(purpose: bytes) -> None:
    with pytest.raises(InvalidTag):
        unseal(OLD, seal(OLD, b"secret", b"purpose"), purpose)


def test_a_box_does_not_open_with_another_key() -> None:
    with pytest.raises(InvalidTag):
        unseal(NEW, seal(OLD, b"secret", b"purpose"), b"purpose")


@pytest.mark.parametrize("place", [0, NONCE_BYTES, -1], ids=["nonce", "text", "tag"])
def test_a_box_that_was_tampered_with_does_not_open(place: int) -> None:
    box = bytearray(seal(OLD, b"secret", b"purpose"))
    box[place] ^= 1

    with pytest.raises(InvalidTag):
        unseal(OLD, bytes(box), b"purpose")


def test_a_ring_needs_a_key() -> None:
    with pytest.raises(ValueError, match="at least one secret key is needed"):
        KeyRing([])


def test_a_ring_seals_with_its_first_key() -> None:
    key_id, box = KeyRing([("new", NEW), ("old", OLD)]).seal(b"secret", b"purpose")

    assert key_id == "new"
    assert unseal(NEW, box, b"purpose") == b"secret"


def test_after_a_rotation_what_was_sealed_before_still_opens() -> None:
    key_id, box = KeyRing([("old", OLD)]).seal(b"secret", b"purpose")

    assert KeyRing([("new", NEW), ("old", OLD)]).unseal(key_id, box, b"purpose") == b"secret"


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(
        UnusableKeyError, match="secret key 'lost' is not configured, but stored data is encrypted under it"
    ):
        KeyRing([("old", OLD)]).unseal("lost", b"box", b"purpose")


@pytest.mark.parametrize("box", [seal(NEW, b"secret", b"purpose"), b"", b"short"], ids=["other key", "empty", "short"])
def test_a_key_that_does_not_fit_is_named(box: bytes) -> None:
    with pytest.raises(UnusableKeyError, match="secret key 'old' does not fit what was stored under that id"):
        KeyRing([("old", OLD)]).unseal("old", box, b"purpose")


def test_a_ring_tells_which_keys_it_has() -> None:
    assert KeyRing([("new", NEW), ("old", OLD)]).ids == {"old", "new"}


@pytest.mark.parametrize(
    "holder",
    [
        KeyRing([("old", b"\xab" * KEY_BYTES)]),
        Credentials(VERSION, PROJECT, "old", b"\xab" * KEY_BYTES),
        DatabaseAddress("db", 5432, "me", repr(b"\xab" * KEY_BYTES), "models"),
    ],
    ids=["keys", "credentials", "address"],
)
def test_a_holder_of_secrets_does_not_show_them(holder: object) -> None:
    secret = b"\xab" * KEY_BYTES
    shown = f"{holder!r} {holder!s}"

    for form in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode()):
        assert form not in shown
