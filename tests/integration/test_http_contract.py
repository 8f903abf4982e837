"""Requests by chance, answered by the service and by a plain model of the contract: they must agree on every one.

`make model-test` does it for longer.
"""

import asyncio
import os

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.people import PersonKeys
from modeltrail.projections.catalogue import INLINE
from support.api import Api, running_api
from support.committing import read_log_over
from support.contract_conversation import Conversation
from support.contract_requests import Request, request
from support.database import Database
from support.fold import Fold

LONG = os.environ.get("MODEL_EXAMPLES")
EXAMPLES = int(LONG or 60)
STEPS = 80


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, *([Phase.target, Phase.shrink] if LONG else [])],  # shrinking takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(asked=st.lists(request, min_size=STEPS // 2, max_size=STEPS))
def hold(conversations: "Conversations", asked: list[Request]) -> None:
    conversations.run(asked)


class Conversations:
    """One after the other, on one running API."""

    def __init__(self, runner: asyncio.Runner, api: Api) -> None:
        self._runner = runner
        self._api = api

    def run(self, asked: list[Request]) -> None:
        self._runner.run(self._hold(asked))

    async def _hold(self, asked: list[Request]) -> None:
        conversation = Conversation(self._api)
        for each in asked:
            await conversation.say(each)


def test_every_answer_is_what_the_contract_says(database: Database) -> None:
    with asyncio.Runner() as runner:
        running = running_api(database)
        api = runner.run(running.__aenter__())
        try:
            hold(Conversations(runner, api))
            assert runner.run(differences(api)) == []
        finally:
            runner.run(running.__aexit__(None, None, None))


async def differences(api: Api) -> list[str]:
    """Where the read tables are not what the log says."""
    people = PersonKeys(api.pool, api.services.keys)
    await people.learn([row["person"] for row in await api.pool.fetch("SELECT person FROM person_keys")])
    codec = Codec(people.open)
    async with api.pool.acquire() as connection:
        events = await read_log_over(connection, codec)
        return await Fold(*INLINE).over(events).differences(connection)
