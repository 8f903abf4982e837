"""Ids that nobody has twice."""

import subprocess
import sys
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
    forking = (
        "import os; from modeltrail.postgres.ids import new_id; new_id(); os.fork() and os.wait();"
        " print(new_id(), flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", forking], capture_output=True, text=True, check=True)

    first, second = done.stdout.split()
    assert first != second
