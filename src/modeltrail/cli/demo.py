"""`modeltrail demo`: from a new model to a running inference service, with all that is said on the way."""

import asyncio
import os
import secrets
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import click

from modeltrail.cli.conversation import Answer, Conversation, show_answer
from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import CommandError
from modeltrail.cli.event_reader import EventReader, EventRecord
from modeltrail.cli.event_table import header, line, table_width
from modeltrail.cli.options import data_option
from modeltrail.cli.running import load_settings, run_until_stopped
from modeltrail.settings import Settings

__all__ = ["DEMO_PROJECT", "demo"]

DEMO_PROJECT = UUID("11111111-1111-4111-8111-111111111111")

_ACTOR = "demo@example.com"
_ENVIRONMENT = "demo"
_DEPLOYED_WITHIN = 120.0  # seconds
_ASK_EVERY = 0.25  # seconds
_PAGE = 500
# KServe's own example model.
_URI = "gs://kfserving-examples/models/sklearn/1.0/model"


@click.command
@click.option("--url", help="The API [default: that of `modeltrail dev`, else http://127.0.0.1:SERVER_PORT].")
@click.option("--project", type=click.UUID, default=DEMO_PROJECT, show_default=True, help="Project to work in.")
@data_option
def demo(*, url: str | None, project: UUID, data: Path | None) -> None:
    """Register a model, deploy it, and show the trail that this leaves in the event log.

    Each request is shown with its answer. It may be run any number of times.
    """
    environment = with_dev_environment(data)
    dev_url = environment.get("MODELTRAIL_URL")
    # The database of `dev` knows nothing of what another API does.
    if url and dev_url and url.rstrip("/") != dev_url:
        environment = dict(os.environ)
    has_database = any(name.startswith("DATABASE_") for name in environment)
    settings = load_settings({"LOGGER_FORMAT": "console", **environment})
    target = url or dev_url or f"http://127.0.0.1:{settings.server.port}"
    with explained(settings.database):
        run_until_stopped(_run(target, project, settings if has_database else None))


async def _run(url: str, project: UUID, settings: Settings | None) -> None:
    async with Conversation(url, project, _ACTOR) as api:
        await api.send("GET", "/models?limit=1")  # tells whether the API is there before the database is tried
        if settings is None:
            service = await _deploy_a_model(api)
            click.echo(
                "The trail of this is in the event log: set the DATABASE_ variables and run `modeltrail events`."
            )
        else:
            await check_schema(settings.database)
            async with load_core().open_event_reader(settings) as reader:
                end = await reader.end()
                service = await _deploy_a_model(api)
                await _show_trail(reader, end, project, api.request_ids)
    click.secho(f"\n{service['name']} is {service['current_state']} at {service.get('url', 'no URL')}", bold=True)


async def _deploy_a_model(api: Conversation) -> Answer:
    """Walk the whole way once and return the deployed inference service."""
    name = f"Iris {secrets.token_hex(4)}"
    _step("Register a model, with a version whose files are in a bucket")
    model = await api.ask(
        "POST",
        "/models",
        {"name": name, "owner_email": _ACTOR, "labels": {"team": "demo"}, "tags": {"frameworks": ["sklearn"]}},
        expected=(201,),
    )
    version = await api.ask(
        "POST",
        f"/models/{model['id']}/versions",
        {
            "name": "v1",
            "model_framework": "sklearn",
            "model_framework_version": "1",
            "uri": _URI,
            "created_by_email": _ACTOR,
        },
        expected=(201,),
    )
    _step("The version is READY: it may be deployed")
    await api.ask("PATCH", f"/model_versions/{version['id']}", {"status": "READY"}, expected=(200,))
    _step("Where it is to run: a serving environment is a namespace of the cluster")
    environment = await _environment(api)
    _step("Click to deploy")
    answer = await api.ask(
        "POST",
        "/deploy",
        {
            "registered_model_id": model["id"],
            "serving_environment_id": environment["id"],
            "model_version_id": version["id"],
        },
        expected=(202,),
    )
    return await _await_deployment(api, answer["inference_service"]["id"])


async def _environment(api: Conversation) -> Answer:
    query = urlencode({"name": _ENVIRONMENT})
    found = await api.ask("GET", f"/serving_environment?{query}", expected=(200, 404))
    if "id" in found:
        return found
    body: Answer = {"name": _ENVIRONMENT, "description": "Made by modeltrail demo"}
    return await api.ask("POST", "/serving_environments", body, expected=(201,))


async def _await_deployment(api: Conversation, service_id: str) -> Answer:
    """Ask until the service is deployed; answers that say nothing new are left out."""
    path = f"/inference_services/{service_id}"
    _step("The worker brings it to the cluster, which takes a while; meanwhile we ask")
    service = await api.ask("GET", path, expected=(200,))
    shown = service
    deadline = asyncio.get_running_loop().time() + _DEPLOYED_WITHIN
    while service["current_state"] != "DEPLOYED":
        if service.get("last_error"):
            raise CommandError(f"the deployment of {service['name']} failed: {service['last_error']}")
        if asyncio.get_running_loop().time() > deadline:
            raise CommandError(
                f"{service['name']} is not deployed after {_DEPLOYED_WITHIN:g} s; "
                "is `modeltrail worker` running, with KSERVE_ENABLED=true?"
            )
        await asyncio.sleep(_ASK_EVERY)
        status, service = await api.send("GET", path)
        if status != 200:
            raise CommandError(f"GET {path} was answered with {status}: {service.get('error', service)}")
        if service != shown:
            click.echo(f"{click.style('→', fg='cyan')} {click.style(f'GET {path}', bold=True)}")
            show_answer(status, service)
            shown = service
    return service


async def _show_trail(reader: EventReader, position: int, project: UUID, request_ids: list[str]) -> None:
    _step("What the log has kept of it: who asked for what, when, and what came of it")
    width = table_width()
    click.echo(click.style(header(width), bold=True))
    known = set(request_ids)
    positions: set[str] = set()
    streams: set[UUID] = set()
    while page := await reader.after(position, _PAGE):
        position = page[-1].position
        for event in page:
            if event.project_id == project and _is_ours(event, known, positions, streams):
                positions.add(str(event.position))
                streams.add(event.stream)
                click.echo(line(event, width))


def _is_ours(event: EventRecord, request_ids: set[str], positions: set[str], streams: set[UUID]) -> bool:
    """Whether we asked for it, or it follows from what we asked for."""
    return event.request_id in request_ids or str(event.causation_id) in positions or event.stream in streams


def _step(text: str) -> None:
    click.echo(f"\n{click.style(f'# {text}', fg='yellow')}")
