"""Deleting a model, with its versions, unless it is deployed."""

from msgspec import Struct

from modeltrail.commands.decision import Answer, Decision, carry_on
from modeltrail.commands.existing import require_revision
from modeltrail.commands.models import existing_model
from modeltrail.commands.question import RowsHaving
from modeltrail.domain.decider import MODEL_VERSION, REGISTERED_MODEL
from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.model_version_messages import DeleteVersion
from modeltrail.domain.registered_model_messages import DeleteModel, RemoveParent
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS
from modeltrail.projections.service_body import ServiceState


class Delete(Struct, frozen=True, kw_only=True):
    """Delete an archived model. Its versions and their credentials go with it, its children lose their parent.

    Inference services of it that are off the cluster stay as a record of what was deployed. Raises RuleError while
    one is deployed or is to be.
    """

    project_id: ProjectId
    model_id: ModelId
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        row = await existing_model(self.project_id, self.model_id)
        require_revision(row, self.expected_revision)
        model = await carry_on(REGISTERED_MODEL, self.model_id, DeleteModel())
        for service in await RowsHaving(INFERENCE_SERVICES, "registered_model_id", self.model_id):
            if ServiceState.DEPLOYED in (service.body.desired_state, service.body.current_state):
                raise RuleError("model has active deployments")
        versions = await RowsHaving(MODEL_VERSIONS, "registered_model_id", self.model_id)
        children = await RowsHaving(MODELS, "parent_model_id", self.model_id)
        orphan = RemoveParent(parent_model_id=self.model_id)
        changes = [
            *[await carry_on(MODEL_VERSION, version.id, DeleteVersion()) for version in versions],
            *[await carry_on(REGISTERED_MODEL, child.id, orphan) for child in children],
            model,
        ]
        forgotten = tuple(version.id for version in versions)
        return Decision(Answer(MODELS, self.model_id), tuple(changes), forgotten=forgotten)
