"""Ids that nobody has twice."""

import os
from concurrent.futures import ThreadPoolExecutor

from modeltrail.postgres.ids import new_id

MANY = 2_000


def test_ids_are_random_ones_of_version_four() -> None:
    made = [new_id() for _ in range(MANY)]

    assert len(set(made)) == MANY
    assert {(each.version, each.variant) for each in made} == {(4, "specified in RFC 4122")}


def test_threads_make_different_ids() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [each for some in threads.map(lambda _: [new_id() for _ in range(MANY)], range(8)) for each in some]

    assert len(set(made)) == 8 * MANY


def test_a_forked_process_makes_ids_of_its_own() -> None:
    new_id()  # so that there are some left
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 16) != new_id().bytes
    os.close(reading)
    os.close(writing)
