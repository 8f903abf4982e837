"""What is kept here from now on and was kept in another registry before."""

from uuid import UUID

from msgspec import Struct, structs

from modeltrail.commands.decision import Answer, Credentials, Decision, carry_on
from modeltrail.commands.models import existing_model
from modeltrail.commands.question import RowAt, row_named
from modeltrail.commands.targets import candidate_after
from modeltrail.commands.waiting import deployments_of_waiting
from modeltrail.domain.decider import MODEL_VERSION, REGISTERED_MODEL
from modeltrail.domain.errors import ConflictError
from modeltrail.domain.ids import VersionId
from modeltrail.domain.model_version import Version
from modeltrail.domain.model_version_messages import TakeOverVersion
from modeltrail.domain.registered_model_messages import TakeOverModel
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS, ModelRow
from modeltrail.projections.projection import Row


def _require_free(holder: Row | None, name: str, id_: UUID) -> None:
    if holder is not None and holder.id != id_:
        raise ConflictError(f"name {name!r} is held by {holder.id} here; rename one of the two")


class ModelTakeover(Struct, frozen=True):
    """Keep a model as it was there. Nothing happens when it is the same as the last time."""

    wish: TakeOverModel

    async def decide(self) -> Decision:
        wish, name = self.wish, self.wish.origin.name
        _require_free(await row_named(MODELS, wish.project_id, name), name, wish.model_id)
        change = await carry_on(REGISTERED_MODEL, wish.model_id, wish)
        return Decision(Answer(MODELS, wish.model_id), (change,))


class VersionTakeover(Struct, frozen=True, kw_only=True):
    """The same for a version, with what opens its storage if there is something."""

    version_id: VersionId
    wish: TakeOverVersion
    credentials: Credentials | None = None

    async def decide(self) -> Decision:
        wish, name = self.wish, self.wish.origin.name
        model = await existing_model(wish.project_id, wish.registered_model_id)
        _require_free(await row_named(MODEL_VERSIONS, wish.registered_model_id, name), name, self.version_id)
        # The model has the say: it may have another default here than there, and then there are not two.
        origin = structs.replace(wish.origin, is_default=model.default_version_id == self.version_id)
        wish = structs.replace(wish, origin=origin, is_latest=await self._is_latest(model))
        change = await carry_on(MODEL_VERSION, self.version_id, wish)
        answer = Answer(MODEL_VERSIONS, self.version_id)
        if not change.events or not isinstance(change.state, Version):
            return Decision(answer)
        candidate = candidate_after(self.version_id, change.state)
        chosen = model.default_version_id or (self.version_id if wish.is_latest else model.latest_version_id)
        deployments = await deployments_of_waiting(wish.registered_model_id, candidate, chosen)
        credentials = () if self.credentials is None else (self.credentials,)
        return Decision(answer, (change, *deployments), credentials)

    async def _is_latest(self, model: ModelRow) -> bool:
        if model.latest_version_id in (None, self.version_id):
            return True
        latest = await RowAt(MODEL_VERSIONS, model.latest_version_id)
        return latest is None or latest.created_at <= self.wish.origin.created_at
