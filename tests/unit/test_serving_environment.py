"""What happens to a serving environment, and which namespace it stands for."""

import re

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec import structs

from modeltrail.domain.decider import SERVING_ENVIRONMENT
from modeltrail.domain.errors import ConflictError, NotFoundError, RuleError
from modeltrail.domain.serving_environment import (
    ChooseDefaults,
    ChooseNamespace,
    CreateEnvironment,
    DefaultsChosen,
    DeleteEnvironment,
    DescribeEnvironment,
    EnvironmentChange,
    EnvironmentDeleted,
    EnvironmentDescribed,
    EnvironmentEvent,
    EnvironmentRenamed,
    NamespaceChosen,
    RenameEnvironment,
    namespace_of,
)
from modeltrail.domain.serving_options import ServingDefaults
from support.given import stories_of
from support.samples import ENVIRONMENT, ENVIRONMENT_CREATED, PROJECT

given = stories_of(SERVING_ENVIRONMENT)

CREATE = CreateEnvironment(
    environment_id=ENVIRONMENT, project_id=PROJECT, name="prod", description="where customers are"
)
TWO_REPLICAS = ServingDefaults(min_replicas=2)


def test_an_environment_is_created() -> None:
    given().when(CREATE).then(ENVIRONMENT_CREATED)


def test_a_created_environment_is_not_created_again() -> None:
    given(ENVIRONMENT_CREATED).when(CREATE).then_refused(ConflictError, "serving environment exists already")


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_an_environment_needs_a_name(name: str) -> None:
    given().when(structs.replace(CREATE, name=name)).then_refused(RuleError, "invalid name: cannot be empty")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (RenameEnvironment(name="live"), EnvironmentRenamed(name="live", previous_name="prod")),
        (DescribeEnvironment(description="new"), EnvironmentDescribed(description="new")),
        (ChooseNamespace(external_id="ns-1"), NamespaceChosen(external_id="ns-1")),
        (ChooseDefaults(defaults=TWO_REPLICAS), DefaultsChosen(defaults=TWO_REPLICAS)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_change_of_an_environment_is_told_once(change: EnvironmentChange, told: EnvironmentEvent) -> None:
    given(ENVIRONMENT_CREATED).when(change, change).then(told)


def test_a_deleted_environment_is_not_there_any_more() -> None:
    delete = DeleteEnvironment()
    deleted = EnvironmentDeleted(name="prod")
    given(ENVIRONMENT_CREATED).when(delete).then(deleted)
    given(ENVIRONMENT_CREATED, deleted).when(delete).then_refused(NotFoundError, "serving environment not found")


def test_defaults_that_nothing_could_be_served_with_are_refused() -> None:
    upside_down = ServingDefaults(min_replicas=3, max_replicas=2)
    for command in (structs.replace(CREATE, defaults=upside_down), ChooseDefaults(defaults=upside_down)):
        history = () if isinstance(command, CreateEnvironment) else (ENVIRONMENT_CREATED,)
        given(*history).when(command).then_refused(RuleError, "invalid max_replicas: 2 is less than min_replicas, 3")


@pytest.mark.parametrize(
    ("name", "external_id", "namespace"),
    [
        ("prod", "", "prod"),
        ("prod", "ns-1", "ns-1"),
        ("", "", "models"),
        ("Not A Label!", "fine", "fine"),
        ("0", "", "0"),
    ],
)
def test_the_namespace_is_the_external_id_else_the_name_else_the_default(
    name: str, external_id: str, namespace: str
) -> None:
    assert namespace_of(name, external_id, "models") == namespace


@pytest.mark.parametrize("name", ["Prod", "a_b", "-a", "a-", "a" * 64, "a.b", "prod\n", "é"])
def test_a_name_that_is_no_namespace_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(RuleError, match=re.escape(repr(name))) as refusal:
        namespace_of(name, "", "models")

    assert "set the environment's external_id" in refusal.value.message


@hypothesis.given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_every_dns_label_is_a_namespace(label: str) -> None:
    assert namespace_of(label, "", "models") == label
