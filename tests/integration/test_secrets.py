"""Keys: which are in use, putting everything under a new one, and what happens without the right one."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import json
import os
import signal
import stat
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from modeltrail.commands.committing.entry import SQL as CREDENTIALS
from modeltrail.commands.committing.entry import _columns_of_credentials
from modeltrail.commands.decision import Credentials
from modeltrail.domain.personal import Personal
from modeltrail.eventlog.first_mention import FirstMention, columns_of
from modeltrail.eventlog.keys import KeyRing, UnusableKeyError
from modeltrail.eventlog.people import SQL, People, PersonKeys
from modeltrail.eventlog.rotation import check_keys, list_key_uses, rotate
from support.api import Api, Project, made, refusal
from support.database import Database

OLD, NEW = ("old", b"o" * 32), ("new", b"n" * 32)
BEFORE, BOTH, AFTER = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
ADDRESS = "ann@example.org"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[asyncpg.Pool]:
    pool = await asyncpg.create_pool(database.dsn, min_size=1, max_size=6)
    yield pool
    await pool.close()


async def known(pool: asyncpg.Pool, ring: KeyRing, address: str = ADDRESS) -> Personal:
    """An address of somebody whose key is stored, as the committer does with the first event that names a person."""
    mention = await People(pool, ring).seal(address)
    assert isinstance(mention, FirstMention)
    key = mention.new_key()
    await pool.execute(SQL.insert_keys, *columns_of([key]))
    return mention.sealed(key)


def quiet(_moved: int, _total: int) -> None: ...


async def turn(pool: asyncpg.Pool, ring: KeyRing = BOTH) -> int:
    async with pool.acquire() as connection:
        return (await rotate(connection, ring, quiet)).moved


async def waiting(pool: asyncpg.Pool, sessions: int) -> None:
    """Until so many wait for a lock."""
    async with asyncio.timeout(30):
        while await pool.fetchval(WAITING) < sessions:  # noqa: ASYNC110 some of them are of other processes
            await asyncio.sleep(0.01)


async def store(pool: asyncpg.Pool, count: int, ring: KeyRing = BEFORE) -> dict[UUID, bytes]:
    """Credentials as the committer stores them; their texts by version."""
    texts = {uuid4(): b"secret %d" % number for number in range(count)}
    rows = [(version, uuid4(), *ring.seal(text, version.bytes)) for version, text in texts.items()]
    await pool.executemany("INSERT INTO credentials VALUES ($1, $2, $3, $4)", rows)
    return texts


async def opened(pool: asyncpg.Pool, ring: KeyRing) -> dict[UUID, bytes]:
    rows = await pool.fetch("SELECT * FROM credentials")
    return {row["version_id"]: ring.unseal(row["key_id"], row["box"], row["version_id"].bytes) for row in rows}


def variables(database: Database, *keys: tuple[str, bytes]) -> dict[str, str]:
    return os.environ | {
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
        "DATABASE_DBNAME": database.name,
        "MODELTRAIL_SECRET_KEYS": ",".join(f"{name}:{b64encode(key).decode()}" for name, key in keys),
    }


async def modeltrail(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await start(environment, *arguments)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def start(environment: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_everything_opens_with_the_new_key_alone_after_a_rotation(pool: asyncpg.Pool) -> None:
    texts = await store(pool, 450)
    ann = await known(pool, BEFORE)

    assert await turn(pool) == 450 + 2

    await check_keys(pool, AFTER)
    assert await opened(pool, AFTER) == texts
    keys = PersonKeys(pool, AFTER)
    await keys.learn([ann.person])
    assert keys.open(ann.person, ann.box) == ADDRESS


async def test_a_person_is_found_again_after_a_rotation_and_without_the_oldest_key(pool: asyncpg.Pool) -> None:
    before = await known(pool, BEFORE)
    await turn(pool)

    assert (await People(pool, AFTER).seal(ADDRESS.upper())).person == before.person
    assert (await People(pool, BOTH).seal(ADDRESS)).person == before.person


async def test_a_second_rotation_has_nothing_to_do(pool: asyncpg.Pool) -> None:
    await store(pool, 3)

    assert [await turn(pool), await turn(pool)] == [3, 0]


async def test_two_rotations_at_once_share_the_work(pool: asyncpg.Pool) -> None:
    texts = await store(pool, 900)

    assert sum(await asyncio.gather(turn(pool), turn(pool))) == 900
    assert await opened(pool, AFTER) == texts


async def test_what_writers_write_during_a_rotation_is_readable_and_people_stay_one(pool: asyncpg.Pool) -> None:
    texts = await store(pool, 900)
    ring = KeyRing([OLD, NEW])  # as long as not all hosts have been restarted
    rotation = asyncio.create_task(turn(pool))
    sealed: list[Personal] = []
    while not rotation.done():
        texts |= await store(pool, 5, BOTH)
        sealed.append(await known(pool, ring, f"{len(sealed)}@example.org"))
    await rotation
    await turn(pool)

    assert await opened(pool, AFTER) == texts
    found = [(await People(pool, AFTER).seal(each.text or "")).person for each in sealed]
    assert found == [each.person for each in sealed]


async def test_a_rotation_that_is_killed_loses_nothing_and_is_finished_by_the_next(
    pool: asyncpg.Pool, database: Database
) -> None:
    texts = await store(pool, 500)
    environment = variables(database, NEW, OLD)
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.fetch("SELECT FROM credentials ORDER BY version_id DESC LIMIT 1 FOR UPDATE")
        process = await start(environment, "secrets", "rotate")
        await waiting(pool, 1)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        assert await pool.fetchval("SELECT count(*) FROM credentials WHERE key_id = 'new'") == 400
        assert await opened(pool, BOTH) == texts

    code, out, _ = await modeltrail(environment, "secrets", "rotate", "--json")

    result = json.loads(out)
    assert (code, result["moved"], result["removable"]) == (0, 100, ["old"])
    assert await opened(pool, AFTER) == texts


async def test_a_rotation_and_a_batch_that_brings_other_credentials_do_not_wait_for_each_other(
    pool: asyncpg.Pool,
) -> None:
    first, middle, last = sorted(await store(pool, 3))
    again = [Credentials(version, uuid4(), *BEFORE.seal(b"again", version.bytes)) for version in (last, first)]
    async with pool.acquire() as blocker, pool.acquire() as writer:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT FROM credentials WHERE version_id = $1 FOR UPDATE", middle)
        rotation = asyncio.create_task(turn(pool))
        await waiting(pool, 1)
        saving = asyncio.create_task(writer.execute(CREDENTIALS.save_credentials, *_columns_of_credentials(again)))
        await waiting(pool, 2)
        await blocker.execute("ROLLBACK")
        await asyncio.gather(rotation, saving)

    await turn(pool)
    assert (await opened(pool, AFTER))[first] == b"again"


async def test_a_rotation_that_is_cancelled_leaves_whole_batches(pool: asyncpg.Pool) -> None:
    texts = await store(pool, 500)
    async with pool.acquire() as connection:
        rotation: asyncio.Task[object]

        def stop(_moved: int, _total: int) -> None:
            rotation.cancel()

        rotation = asyncio.create_task(rotate(connection, BOTH, stop))
        with pytest.raises(asyncio.CancelledError):
            await rotation

    assert await opened(pool, BOTH) == texts
    assert await pool.fetchval("SELECT count(*) % 200 FROM credentials WHERE key_id = 'new'") == 0


async def test_what_cannot_be_opened_stays_and_is_told(pool: asyncpg.Pool, database: Database) -> None:
    await store(pool, 2)
    await store(pool, 1, KeyRing([("lost", b"l" * 32)]))

    code, out, _ = await modeltrail(variables(database, NEW, OLD), "secrets", "rotate", "--json")

    result = json.loads(out)
    assert (code, result["moved"], result["unopened"], result["removable"]) == (1, 2, 1, ["old"])


async def test_a_digest_key_that_cannot_be_opened_is_told_like_all_else(pool: asyncpg.Pool, database: Database) -> None:
    await known(pool, BEFORE)
    await pool.execute("DELETE FROM person_keys")  # the digest key outlives the last person that was erased

    code, out, _ = await modeltrail(variables(database, NEW), "secrets", "rotate")

    assert (code, out.splitlines()) == (
        1,
        [
            "encrypted anew: 0",
            "new: current; 0 credentials, 0 people",
            "old: in use; 0 credentials, 0 people, the digest key; NO FITTING KEY is configured",
            "1 could not be opened and stay as they are: their key is missing or another one",
        ],
    )


async def test_status_counts_and_tells_what_lacks_a_key(pool: asyncpg.Pool, database: Database) -> None:
    await store(pool, 2)
    await known(pool, BEFORE)

    code, out, _ = await modeltrail(variables(database, NEW), "secrets", "status", "--json")
    assert code == 1
    assert json.loads(out)["keys"] == [
        {"id": "new", "current": True, "has_key": True, "credentials": 0, "person_keys": 0, "digest_key": 0},
        {"id": "old", "current": False, "has_key": False, "credentials": 2, "person_keys": 1, "digest_key": 1},
    ]
    assert (await modeltrail(variables(database, NEW, OLD), "secrets", "status"))[0] == 0


async def test_another_key_under_a_known_id_is_found_out(pool: asyncpg.Pool) -> None:
    await store(pool, 1)
    wrong = KeyRing([("old", b"x" * 32)])

    with pytest.raises(UnusableKeyError, match="'old' does not fit"):
        await check_keys(pool, wrong)
    assert [use.has_key for use in await list_key_uses(pool, wrong)] == [False]


async def test_a_rotation_to_another_key_of_an_id_in_use_is_refused(pool: asyncpg.Pool, database: Database) -> None:
    await store(pool, 1, AFTER)
    texts = await store(pool, 1)
    other = ("new", b"x" * 32)  # made on another host, under the id of the day

    code, out, err = await modeltrail(variables(database, other, OLD), "secrets", "rotate")

    assert (code, out, err.count("secret key 'new' does not fit what was stored under that id")) == (2, "", 1)
    assert texts.items() <= (await opened(pool, BOTH)).items()


async def test_of_two_rotations_at_once_to_two_keys_of_one_id_only_one_is_made(pool: asyncpg.Pool) -> None:
    texts = await store(pool, 900)
    other = KeyRing([("new", b"x" * 32), OLD])

    ends = await asyncio.gather(turn(pool), turn(pool, other), return_exceptions=True)

    assert {type(end) for end in ends} == {int, UnusableKeyError}
    assert await opened(pool, BOTH if isinstance(ends[0], int) else other) == texts


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_nothing_starts_without_a_key_that_is_in_use(
    pool: asyncpg.Pool, database: Database, command: str, unused_tcp_port: int, tmp_path: Path
) -> None:
    await store(pool, 1)
    environment = variables(database, NEW) | {"SERVER_PORT": str(unused_tcp_port), "KSERVE_ENABLED": "true"}

    code, _, err = await modeltrail(environment, command)

    assert code == 2
    (sentence,) = [line for line in err.splitlines() if line.startswith("modeltrail: ")]
    assert "encrypted under secret key 'old', which is not configured" in sentence


async def test_an_unknown_key_is_no_fault_of_the_request(api: Api, project: Project) -> None:
    await project.post("/models", {"name": "iris", "owner_email": ADDRESS})
    await api.pool.execute("UPDATE person_keys SET key_id = 'newer'")
    project.services.people._known.clear()  # another process, which has not seen the person

    answer = await project.post("/models", {"name": "other", "owner_email": ADDRESS})

    message = "this cannot be decrypted or encrypted: a secret key is missing here; tell whoever runs this service"
    assert refusal(answer) == (503, message)
    assert answer.headers["retry-after"] == "1"
    assert made(await project.post("/models", {"name": "third"}))["name"] == "third"


@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["no key", "another key"])
async def test_only_somebody_whose_key_is_gone_is_shown_as_erased(
    api: Api, database: Database, keys: tuple[tuple[str, bytes], ...]
) -> None:
    made(await api.project().post("/models", {"name": "iris"}, X_User_Email=ADDRESS))

    async def shown(*arguments: str) -> list[str]:
        code, out, err = await modeltrail(variables(database, *keys), "events", *arguments, "--json")
        assert code == 0, err
        return [json.loads(line)["actor"] for line in out.splitlines()]

    assert await shown() == await shown("list") == await shown("show", "1") == ["(sealed)"]
    await api.pool.execute("DELETE FROM person_keys")
    assert await shown() == await shown("list") == await shown("show", "1") == ["(erased)"]


async def test_a_process_that_knows_a_person_goes_on_when_others_rotate(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.eventlog.people.FRESH_SECONDS", 0.0)
    before = await known(pool, BEFORE)
    people = People(pool, BEFORE)
    await people.seal(ADDRESS)
    await turn(pool)

    assert (await people.seal(ADDRESS)).person == before.person


async def test_the_key_of_somebody_who_was_erased_is_forgotten(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.eventlog.people.FRESH_SECONDS", 0.0)
    before = await known(pool, BEFORE)
    people, readers = People(pool, BEFORE), PersonKeys(pool, BEFORE)
    await people.seal(ADDRESS)
    await readers.learn([before.person])
    await pool.execute("DELETE FROM person_keys")

    assert (await people.seal(ADDRESS)).person != before.person
    await readers.learn([])
    assert readers.open(before.person, before.box) is None


async def test_a_key_file_is_made_private_and_its_keys_take_turns(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    environment = variables(database) | {"MODELTRAIL_SECRET_KEYS": "", "MODELTRAIL_SECRET_KEYS_FILE": str(file)}
    for arguments, then in (
        (("new-key", "a"), "keep a copy"),  # the only one: it encrypts
        (("new-key", "b"), "modeltrail secrets use-key b"),
        (("use-key", "b"), "modeltrail secrets rotate"),
    ):
        code, out, err = await modeltrail(environment, "secrets", *arguments)
        assert (code, then in out) == (0, True), err

    assert [line.partition(":")[0] for line in file.read_text().splitlines()] == ["b", "a"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["keys"]  # noqa: PTH208 pathlib is refused in coroutines
    for arguments, problem in (
        (("new-key", "a"), "already"),
        (("use-key", "c"), "no key 'c'"),
        (("new-key", "@"), "1 to 64"),
    ):
        code, _, err = await modeltrail(environment, "secrets", *arguments)
        assert (code, problem in err) == (2, True), err


@pytest.mark.parametrize("command", ["new-key", "use-key"])
async def test_a_key_that_is_pasted_for_its_id_is_not_shown(database: Database, tmp_path: Path, command: str) -> None:
    file = tmp_path / "keys"
    file.write_text("a:" + b64encode(b"a" * 32).decode())
    file.chmod(0o600)
    environment = variables(database) | {"MODELTRAIL_SECRET_KEYS": "", "MODELTRAIL_SECRET_KEYS_FILE": str(file)}
    key = b64encode(b"k" * 32).decode()

    for pasted in (key, f"k:{key}"):
        code, out, err = await modeltrail(environment, "secrets", command, pasted)

        assert (code, out, "KEY_ID must be 1 to 64" in err, key in err) == (2, "", True, False), err


async def test_keys_that_are_added_at_once_are_all_kept(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    environment = variables(database) | {"MODELTRAIL_SECRET_KEYS": "", "MODELTRAIL_SECRET_KEYS_FILE": str(file)}

    await asyncio.gather(*(modeltrail(environment, "secrets", "new-key", f"k{number}") for number in range(4)))

    assert sorted(line.partition(":")[0] for line in file.read_text().splitlines()) == ["k0", "k1", "k2", "k3"]
