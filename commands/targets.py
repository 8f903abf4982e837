"""Which version a deployment is of, whether that is fit to be deployed, and what the cluster would be told."""

from msgspec import UNSET, Struct

from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import VersionId
from modeltrail.domain.inference_service_messages import Target
from modeltrail.domain.model_version import Version
from modeltrail.domain.model_version_messages import VersionStatus
from modeltrail.domain.servable import check_servable
from modeltrail.domain.serving_environment import namespace_of
from modeltrail.domain.serving_options import ServingDefaults, ServingOptions, check_options
from modeltrail.projections.model_versions import VersionRow
from modeltrail.projections.serving_environments import EnvironmentRow

NOT_READY = "model version is not ready for deployment"


class Candidate(Struct, frozen=True):
    """A version that may be deployed, with what the cluster must know of it."""

    id: VersionId
    name: str
    status: str
    model_framework: str
    model_framework_version: str
    uri: str
    has_credentials: bool

    @property
    def is_ready(self) -> bool:
        """Whether whoever validates it said that it may be deployed."""
        return self.status == VersionStatus.READY

    def target(self, namespace: str, options: ServingOptions, defaults: ServingDefaults) -> Target:
        """What the cluster is told. `defaults` are the environment's. Raises RuleError when that could not work."""
        if not self.is_ready:
            raise RuleError(NOT_READY)
        check_options(options)
        _check_together(options.over(defaults))
        check_servable(self.model_framework, self.uri, options.over(defaults))
        return Target(
            namespace=namespace,
            model_version_id=self.id,
            model_version_name=self.name,
            model_framework=self.model_framework,
            model_framework_version=self.model_framework_version,
            storage_uri=self.uri,
            options=options,
            has_credentials=self.has_credentials,
            defaults=defaults,
        )


def _check_together(options: ServingOptions) -> None:
    try:
        check_options(options)
    except RuleError as error:
        raise RuleError(f"{error.message}, with the defaults of the serving environment") from None


def candidate_in(row: VersionRow) -> Candidate:
    """The version as its row tells."""
    return Candidate(
        id=VersionId(row.id),
        name=row.body.name,
        status=row.body.status,
        model_framework=row.body.model_framework,
        model_framework_version=row.body.model_framework_version,
        uri=row.body.uri,
        has_credentials=row.has_credentials,
    )


def candidate_after(version_id: VersionId, version: Version) -> Candidate:
    """The version as a command that is being decided leaves it."""
    return Candidate(
        id=version_id,
        name=version.name,
        status=version.status,
        model_framework=version.artifact.model_framework,
        model_framework_version=version.artifact.model_framework_version,
        uri=version.artifact.uri,
        has_credentials=version.has_credentials,
    )


def defaults_in(environment: EnvironmentRow) -> ServingDefaults:
    """How an environment serves what does not say otherwise."""
    defaults = environment.body.defaults
    return ServingDefaults() if defaults is UNSET else defaults.chosen()


def namespace_in(environment: EnvironmentRow, default: str) -> str:
    """The namespace that deployments to an environment go to. Raises RuleError when there can be none such."""
    external_id = environment.body.external_id
    return namespace_of(environment.body.name, "" if external_id is UNSET else external_id, default)


def is_in_namespace(environment: EnvironmentRow, namespace: str) -> bool:
    """Whether deployments to an environment go to this namespace."""
    return namespace == (environment.body.external_id or environment.body.name)
