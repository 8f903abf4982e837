"""What callers want of serve models. They belong to their inference service, and so do their events."""

from msgspec import Struct

from modeltrail.commands.decision import Answer, Decision, carry_on
from modeltrail.commands.deployments import existing_service
from modeltrail.commands.existing import existing, require_revision
from modeltrail.commands.versions import existing_version
from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import serve_model_not_found
from modeltrail.domain.ids import ModelId, ProjectId, ServeModelId, ServiceId, VersionId, serve_model_id
from modeltrail.domain.inference_service_messages import AddServeModel, RemoveServeModel
from modeltrail.projections.serve_models import SERVE_MODELS


class Add(Struct, frozen=True, kw_only=True):
    """Note that a service is to serve a version of its model. Deployments do so by themselves."""

    project_id: ProjectId
    service_id: ServiceId
    version_id: VersionId

    async def decide(self) -> Decision:
        service = await existing_service(self.project_id, self.service_id)
        model_id = ModelId(service.body.registered_model_id)
        version = await existing_version(self.project_id, self.version_id, model_id)
        wish = AddServeModel(model_version_id=self.version_id, model_version_name=version.body.name)
        change = await carry_on(INFERENCE_SERVICE, self.service_id, wish)
        return Decision(Answer(SERVE_MODELS, serve_model_id(self.service_id, self.version_id)), (change,))


class Remove(Struct, frozen=True, kw_only=True):
    """Delete a serve model whose version is neither deployed nor on its way."""

    project_id: ProjectId
    serve_model_id: ServeModelId
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        row = await existing(SERVE_MODELS, self.project_id, self.serve_model_id, serve_model_not_found)
        require_revision(row, self.expected_revision)
        wish = RemoveServeModel(model_version_id=VersionId(row.body.model_version_id))
        change = await carry_on(INFERENCE_SERVICE, row.body.inference_service_id, wish)
        return Decision(Answer(SERVE_MODELS, self.serve_model_id), (change,))
