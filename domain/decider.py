"""The shape that all aggregates share: where a stream starts, what a command causes, what an event changes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modeltrail.domain import (
    inference_service,
    model_version,
    registered_model,
    serving_environment,
)
from modeltrail.domain.inference_service import InferenceServiceCommand
from modeltrail.domain.inference_service_facts import InferenceServiceEvent
from modeltrail.domain.inference_service_state import ServiceSituation
from modeltrail.domain.model_version_messages import VersionCommand, VersionEvent
from modeltrail.domain.person import PersonEvent
from modeltrail.domain.registered_model_messages import ModelCommand, ModelEvent

C = TypeVar("C")
E = TypeVar("E")
S = TypeVar("S")


@dataclass(frozen=True, eq=False, slots=True)
class Decider(Generic[C, E, S]):
    """An aggregate as two pure functions.

    `state_type` and `shape` are for snapshots: a snapshot is used only if it was taken with the same shape, so
    raise it whenever the state's fields or their meaning change.
    """

    name: str
    initial: S
    decide: Callable[[C, S], list[E]]
    evolve: Callable[[S, E], S]
    state_type: Any  # a union of structs, which the type system has no name for
    shape: int


REGISTERED_MODEL: Decider[ModelCommand, ModelEvent, registered_model.ModelSituation] = Decider(
    name="registered_model",
    initial=registered_model.INITIAL,
    decide=registered_model.decide,
    evolve=registered_model.evolve,
    state_type=registered_model.ModelSituation,
    shape=2,
)
MODEL_VERSION: Decider[VersionCommand, VersionEvent, model_version.VersionSituation] = Decider(
    name="model_version",
    initial=model_version.INITIAL,
    decide=model_version.decide,
    evolve=model_version.evolve,
    state_type=model_version.VersionSituation,
    shape=3,
)
SERVING_ENVIRONMENT: Decider[
    serving_environment.EnvironmentCommand,
    serving_environment.EnvironmentEvent,
    serving_environment.EnvironmentSituation,
] = Decider(
    name="serving_environment",
    initial=serving_environment.INITIAL,
    decide=serving_environment.decide,
    evolve=serving_environment.evolve,
    state_type=serving_environment.EnvironmentSituation,
    shape=1,
)
INFERENCE_SERVICE: Decider[InferenceServiceCommand, InferenceServiceEvent, ServiceSituation] = Decider(
    name="inference_service",
    initial=inference_service.INITIAL,
    decide=inference_service.decide,
    evolve=inference_service.evolve,
    state_type=ServiceSituation,
    shape=8,
)

AnyEvent = ModelEvent | VersionEvent | serving_environment.EnvironmentEvent | InferenceServiceEvent | PersonEvent
