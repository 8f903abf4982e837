"""What callers want of model versions."""

from typing import assert_never
from uuid import UUID

from msgspec import Struct

from modeltrail.commands.decision import Answer, Change, Credentials, Decision, begin, carry_on
from modeltrail.commands.existing import existing, require_revision
from modeltrail.commands.models import existing_model
from modeltrail.commands.question import row_named
from modeltrail.commands.targets import candidate_after
from modeltrail.commands.waiting import deployments_of_waiting
from modeltrail.domain.decider import MODEL_VERSION, REGISTERED_MODEL
from modeltrail.domain.errors import ConflictError, version_not_found
from modeltrail.domain.ids import ModelId, ProjectId, VersionId
from modeltrail.domain.model_version import Version
from modeltrail.domain.model_version_messages import (
    ArchiveVersion,
    DescribeVersion,
    MarkVersionFailed,
    MarkVersionPending,
    MarkVersionReady,
    RegisterVersion,
    RelabelVersion,
    RenameVersion,
    RestoreVersion,
    ReviseArtifact,
    VersionChange,
    VersionState,
    VersionStatus,
)
from modeltrail.domain.registered_model import Model
from modeltrail.domain.registered_model_messages import ClearDefaultVersion, MakeVersionDefault
from modeltrail.projections.model_versions import MODEL_VERSIONS, VersionRow


async def existing_version(project_id: ProjectId, version_id: VersionId, model_id: ModelId | None = None) -> VersionRow:
    """The version's row. Raises NotFoundError when the project, or the model if one is given, has none such."""
    row = await existing(MODEL_VERSIONS, project_id, version_id, version_not_found)
    if model_id not in (None, row.body.registered_model_id):
        raise version_not_found()
    return row


async def _require_free(model_id: ModelId, name: str) -> None:
    if await row_named(MODEL_VERSIONS, model_id, name) is not None:
        raise ConflictError("version with this name already exists for this model")


class Register(Struct, frozen=True, kw_only=True):
    """Register a version of a model, as its default if wished, with what opens its storage if given."""

    version_id: VersionId
    wish: RegisterVersion
    is_default: bool = False
    credentials: Credentials | None = None

    async def decide(self) -> Decision:
        wish = self.wish
        await existing_model(wish.project_id, wish.registered_model_id)
        await _require_free(wish.registered_model_id, wish.name)
        changes: list[Change] = [begin(MODEL_VERSION, self.version_id, wish)]
        if self.is_default:
            default = MakeVersionDefault(version_id=self.version_id)
            changes.append(await carry_on(REGISTERED_MODEL, wish.registered_model_id, default))
        credentials = () if self.credentials is None else (self.credentials,)
        return Decision(Answer(MODEL_VERSIONS, self.version_id), tuple(changes), credentials)


class Revise(Struct, frozen=True, kw_only=True):
    """Change what is named; None leaves it as it is. With `model_id`, the version must be of that model."""

    project_id: ProjectId
    version_id: VersionId
    model_id: ModelId | None = None
    expected_revision: int | None = None
    name: str | None = None
    description: str | None = None
    is_default: bool | None = None
    state: VersionState | None = None
    status: VersionStatus | None = None
    artifact: ReviseArtifact | None = None
    labels: dict[str, str] | None = None

    async def decide(self) -> Decision:
        row = await existing_version(self.project_id, self.version_id, self.model_id)
        require_revision(row, self.expected_revision)
        model_id = ModelId(row.body.registered_model_id)
        if self.name is not None and self.name != row.body.name:
            await _require_free(model_id, self.name)
        changes = [await carry_on(MODEL_VERSION, self.version_id, *self._changes())]
        version = changes[0].state
        if self.is_default is not None:
            kind = MakeVersionDefault if self.is_default else ClearDefaultVersion
            changes.append(await carry_on(REGISTERED_MODEL, model_id, kind(version_id=self.version_id)))
        if any(change.events for change in changes) and isinstance(version, Version):
            candidate = candidate_after(self.version_id, version)
            changes += await deployments_of_waiting(model_id, candidate, await self._chosen(model_id, changes))
        return Decision(Answer(MODEL_VERSIONS, self.version_id), tuple(changes))

    async def _chosen(self, model_id: ModelId, changes: list[Change]) -> UUID | None:
        """The model's default version, as the changes leave it, else its latest."""
        model = await existing_model(self.project_id, model_id)
        changed = [change.state for change in changes if isinstance(change.state, Model)]
        default = changed[0].default_version_id if changed else model.default_version_id
        return default or model.latest_version_id

    def _changes(self) -> list[VersionChange]:
        changes: list[VersionChange] = []
        if self.name is not None:
            changes.append(RenameVersion(name=self.name))
        if self.description is not None:
            changes.append(DescribeVersion(description=self.description))
        if self.state is not None:
            changes.append(ArchiveVersion() if self.state is VersionState.ARCHIVED else RestoreVersion())
        if self.status is not None:
            changes.append(_marking(self.status))
        if self.artifact is not None:
            changes.append(self.artifact)
        if self.labels is not None:
            changes.append(RelabelVersion(labels=self.labels))
        return changes


def _marking(status: VersionStatus) -> VersionChange:
    match status:
        case VersionStatus.PENDING:
            return MarkVersionPending()
        case VersionStatus.READY:
            return MarkVersionReady()
        case VersionStatus.FAILED:
            return MarkVersionFailed()
        case _:
            assert_never(status)
