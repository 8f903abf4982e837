"""What those who watch the service want to know of the database, at a cost that does not grow."""

from asyncpg import Connection
from msgspec import Struct

from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.projections", "vitals.sql")


class Follower(Struct, frozen=True):
    """A projection that follows the log by itself. `is_stuck` at an event that it cannot take."""

    name: str
    lag_events: int
    lag_seconds: float
    is_stuck: bool


class Vitals(Struct, frozen=True):
    """Where the log ends, and what is still to be done. `oldest_task_seconds` leaves parked tasks out.

    `is_worked_on` says whether a deploy worker holds the lease, and `is_cluster_followed` whether the cluster answers
    that one.
    """

    position: int
    tasks_open: int
    tasks_parked: int
    oldest_task_seconds: float
    is_worked_on: bool
    is_cluster_followed: bool
    followers: tuple[Follower, ...]


async def read_vitals(connection: Connection, subscription: str) -> Vitals:
    """The newest. `subscription` is the deploy worker's."""
    row = await connection.fetchrow(SQL.get_vitals, subscription)
    followers = tuple(Follower(**each) for each in await connection.fetch(SQL.list_followers))
    return Vitals(**row, followers=followers)
