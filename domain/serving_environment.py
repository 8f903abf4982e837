"""A serving environment: a place that models are deployed to, which is a Kubernetes namespace.

Missing ──create──▶ Environment ──delete──▶ Missing
"""

import re
from typing import assert_never

from msgspec import Struct, structs

from modeltrail.domain.errors import ConflictError, RuleError, environment_not_found
from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import EnvironmentId, ProjectId
from modeltrail.domain.serving_options import ServingDefaults, check_options

# RFC 1123 as Kubernetes reads it: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class CreateEnvironment(Command, frozen=True):
    environment_id: EnvironmentId
    project_id: ProjectId
    name: str
    description: str = ""
    external_id: str = ""
    defaults: ServingDefaults = ServingDefaults()


class RenameEnvironment(Command, frozen=True):
    name: str


class DescribeEnvironment(Command, frozen=True):
    description: str


class ChooseNamespace(Command, frozen=True):
    """Empty: the name is the namespace."""

    external_id: str


class ChooseDefaults(Command, frozen=True):
    """In the place of all that were chosen before."""

    defaults: ServingDefaults


class DeleteEnvironment(Command, frozen=True):
    pass


class EnvironmentCreated(Event, frozen=True, tag="serving_environment.created@2"):
    project_id: ProjectId
    name: str
    description: str
    external_id: str
    defaults: ServingDefaults


class EnvironmentRenamed(Event, frozen=True, tag="serving_environment.renamed"):
    name: str
    previous_name: str


class EnvironmentDescribed(Event, frozen=True, tag="serving_environment.described"):
    description: str


class NamespaceChosen(Event, frozen=True, tag="serving_environment.namespace_chosen"):
    """Deployments from now on go there; what is in the cluster stays where it is."""

    external_id: str


class DefaultsChosen(Event, frozen=True, tag="serving_environment.defaults_chosen"):
    """How versions are served from the next deployment on, where it does not say otherwise."""

    defaults: ServingDefaults


class EnvironmentDeleted(Event, frozen=True, tag="serving_environment.deleted"):
    name: str


EnvironmentChange = RenameEnvironment | DescribeEnvironment | ChooseNamespace | ChooseDefaults | DeleteEnvironment
EnvironmentCommand = CreateEnvironment | EnvironmentChange
EnvironmentLaterEvent = (
    EnvironmentRenamed | EnvironmentDescribed | NamespaceChosen | DefaultsChosen | EnvironmentDeleted
)
EnvironmentEvent = EnvironmentCreated | EnvironmentLaterEvent


class Missing(Struct, frozen=True, tag="missing"):
    """No such environment: none yet, or none any more."""


class Environment(Struct, frozen=True, tag="environment"):
    project_id: ProjectId
    name: str
    description: str
    external_id: str
    defaults: ServingDefaults = ServingDefaults()


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
        f"serving environment cannot be deployed to: namespace {namespace!r} is not a DNS-1123 label (at most 63 of"
        " a-z, 0-9 and '-', starting and ending with a letter or digit); set the environment's external_id"
    )


def decide(command: EnvironmentCommand, state: EnvironmentSituation) -> list[EnvironmentEvent]:
    """What happens when `command` meets `state`; nothing when it is so already.

    Raises RuleError for an empty name and for defaults that nothing could be served with, and NotFoundError for a
    change to an environment that does not exist.
    """
    if isinstance(command, CreateEnvironment):
        return [_create(command, state)]
    if isinstance(state, Missing):
        raise environment_not_found()
    match command:
        case RenameEnvironment(name=name):
            _require_name(name)
            renamed = EnvironmentRenamed(name=name, previous_name=state.name)
            return [] if name == state.name else [renamed]
        case DescribeEnvironment(description=text):
            return [] if text == state.description else [EnvironmentDescribed(description=text)]
        case ChooseNamespace(external_id=external_id):
            return [] if external_id == state.external_id else [NamespaceChosen(external_id=external_id)]
        case ChooseDefaults(defaults=defaults):
            check_options(defaults)
            return [] if defaults == state.defaults else [DefaultsChosen(defaults=defaults)]
        case DeleteEnvironment():
            return [EnvironmentDeleted(name=state.name)]
        case _:
            assert_never(command)


def _create(command: CreateEnvironment, state: EnvironmentSituation) -> EnvironmentCreated:
    if not isinstance(state, Missing):
        raise ConflictError("serving environment exists already")
    _require_name(command.name)
    check_options(command.defaults)
    return EnvironmentCreated(
        project_id=command.project_id,
        name=command.name,
        description=command.description,
        external_id=command.external_id,
        defaults=command.defaults,
    )


def _require_name(name: str) -> None:
    if not name.strip():
        raise RuleError("invalid name: cannot be empty")


def evolve(state: EnvironmentSituation, event: EnvironmentEvent) -> EnvironmentSituation:
    """The state after `event`."""
    if isinstance(event, EnvironmentCreated):
        return Environment(
            project_id=event.project_id,
            name=event.name,
            description=event.description,
            external_id=event.external_id,
            defaults=event.defaults,
        )
    if isinstance(state, Missing):
        return state
    match event:
        case EnvironmentRenamed(name=name):
            return structs.replace(state, name=name)
        case EnvironmentDescribed(description=description):
            return structs.replace(state, description=description)
        case NamespaceChosen(external_id=external_id):
            return structs.replace(state, external_id=external_id)
        case DefaultsChosen(defaults=defaults):
            return structs.replace(state, defaults=defaults)
        case EnvironmentDeleted():
            return INITIAL
        case _:
            assert_never(event)
