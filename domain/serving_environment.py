"""A serving environment: a place that models are deployed to, which is a Kubernetes namespace.

Missing ──create──▶ Environment
"""

import re

from msgspec import Struct

from modeltrail.domain.errors import ConflictError, RuleError
from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import EnvironmentId, ProjectId

# RFC 1123 as Kubernetes reads it: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class CreateEnvironment(Command, frozen=True):
    environment_id: EnvironmentId
    project_id: ProjectId
    name: str
    description: str = ""
    external_id: str = ""


class EnvironmentCreated(Event, frozen=True, tag="serving_environment.created"):
    project_id: ProjectId
    name: str
    description: str
    external_id: str


EnvironmentCommand = CreateEnvironment
EnvironmentEvent = EnvironmentCreated


class Missing(Struct, frozen=True, tag="missing"):
    """No such environment, or none yet."""


class Environment(Struct, frozen=True, tag="environment"):
    project_id: ProjectId
    name: str
    description: str
    external_id: str


EnvironmentSituation = Missing | Environment
INITIAL = Missing()


def namespace_of(name: str, external_id: str, default: str) -> str:
    """The Kubernetes namespace of an environment: its external id, else its name, else the default.

    Raises RuleError when that is no name for a namespace.
    """
    namespace = external_id or name or default
    if DNS_LABEL.fullmatch(namespace):
        return namespace
    raise RuleError(
        f"serving environment cannot be deployed to: namespace {namespace!r} is no DNS-1123 label (at most 63 of"
        " a-z, 0-9 and '-', starting and ending with a letter or digit); set the environment's external_id"
    )


def decide(command: EnvironmentCommand, state: EnvironmentSituation) -> list[EnvironmentEvent]:
    """What happens when `command` meets `state`.

    Raises RuleError for an empty name.
    """
    if not isinstance(state, Missing):
        raise ConflictError("serving environment exists already")
    if not command.name.strip():
        raise RuleError("invalid name: cannot be empty")
    created = EnvironmentCreated(
        project_id=command.project_id,
        name=command.name,
        description=command.description,
        external_id=command.external_id,
    )
    return [created]


def evolve(_state: EnvironmentSituation, event: EnvironmentEvent) -> EnvironmentSituation:
    """The state after `event`."""
    return Environment(
        project_id=event.project_id,
        name=event.name,
        description=event.description,
        external_id=event.external_id,
    )
