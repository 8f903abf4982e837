"""Routes of serving environments."""

from modeltrail.commands.environments import Create, Delete, Revise
from modeltrail.domain.errors import environment_not_found
from modeltrail.domain.ids import EnvironmentId
from modeltrail.domain.serving_environment import CreateEnvironment
from modeltrail.domain.serving_options import ServingDefaults
from modeltrail.http.answers import Answer, NoContent, created, no_content, shown
from modeltrail.http.bodies import EnvironmentCreation, EnvironmentPatch
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.documentation import Operation, Tag, nothing, one
from modeltrail.http.lists import Page, listed, page_of, text_filter
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource, carry_out, submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import delete, get, patch, post
from modeltrail.postgres.ids import new_id
from modeltrail.projections.lists import ENVIRONMENT_LIST
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS, EnvironmentBody

TAG = Tag("Serving environments", "Where models are deployed to: namespaces of the cluster.")
MISSING = {404: "The project has no such environment."}
TAKEN = {409: "An environment of the project has this name."}

_environment = Resource(SERVING_ENVIRONMENTS, environment_not_found)
_creation = BodyReader(EnvironmentCreation)
_patch = BodyReader(EnvironmentPatch)


class EnvironmentList(Page[tuple[EnvironmentBody, ...]], frozen=True):
    """A page of environments."""


@post(
    "/serving_environments",
    Operation(
        tag=TAG,
        takes=EnvironmentCreation,
        success=one(EnvironmentBody, "The new environment.", 201),
        refusals=TAKEN,
    ),
)
async def create_environment(request: ApiRequest) -> Answer:
    """Create an environment."""
    project_id = request.project_id()
    body = await request.read(_creation)
    wish = CreateEnvironment(
        environment_id=EnvironmentId(new_id()),
        project_id=project_id,
        name=body.name,
        description=body.description or "",
        external_id=body.external_id or "",
        defaults=body.defaults.defaults() if body.defaults else ServingDefaults(),
    )
    return await submit(request, project_id, Create(wish), created)


@get("/serving_environments", listed(TAG, ENVIRONMENT_LIST, EnvironmentList))
async def list_environments(request: ApiRequest) -> Answer:
    """List the project's environments."""
    return await page_of(request, ENVIRONMENT_LIST, {"project_id": request.project_id()})


@get(
    "/serving_environments/{environment_id:str}",
    Operation(tag=TAG, success=one(EnvironmentBody, "The environment."), refusals=MISSING),
)
async def show_environment(request: ApiRequest) -> Answer:
    """Show an environment."""
    project_id = request.project_id()
    return await _environment.show(request, project_id, request.path_id("environment_id", "id"))


@get(
    "/serving_environment",
    Operation(
        tag=TAG,
        query=(text_filter("name", "The environment's name."),),
        success=one(EnvironmentBody, "The environment."),
        refusals={404: "No name is given, or no environment of the project has it."},
    ),
)
async def find_environment(request: ApiRequest) -> Answer:
    """Show the environment of this name."""
    project_id, name = request.project_id(), request.parsed_query().text("name")
    if not name:
        raise environment_not_found()
    having = {"project_id": project_id, "name": name}
    return await _environment.find(request, project_id, ENVIRONMENT_LIST, having)


@patch(
    "/serving_environments/{environment_id:str}",
    Operation(
        tag=TAG,
        takes=EnvironmentPatch,
        success=one(EnvironmentBody, "The environment after the change."),
        refusals={**MISSING, **TAKEN},
        checks_revision=True,
    ),
)
async def revise_environment(request: ApiRequest) -> Answer:
    """Change what is given of an environment. What is deployed stays where it is, and as it is.

    `defaults` are replaced as a whole; they hold for deployments from now on.
    """
    project_id = request.project_id()
    environment_id = EnvironmentId(request.path_id("environment_id", "id"))
    body = await request.read(_patch)
    command = Revise(
        project_id=project_id,
        environment_id=environment_id,
        expected_revision=expected_revision(request.raw_header(b"if-match")),
        name=body.name,
        description=body.description,
        external_id=body.external_id,
        defaults=body.defaults.defaults() if body.defaults else None,
    )
    return await submit(request, project_id, command, shown)


@delete(
    "/serving_environments/{environment_id:str}",
    Operation(
        tag=TAG,
        success=nothing("It is gone."),
        refusals={**MISSING, 400: "Also refused: an environment with an inference service in it, deployed or not."},
        checks_revision=True,
    ),
)
async def delete_environment(request: ApiRequest) -> NoContent:
    """Delete an environment."""
    project_id = request.project_id()
    command = Delete(
        project_id=project_id,
        environment_id=EnvironmentId(request.path_id("environment_id", "id")),
        expected_revision=expected_revision(request.raw_header(b"if-match")),
    )
    await carry_out(request, command, await request.context(project_id))
    return no_content()


ENVIRONMENT_ROUTES = (
    create_environment,
    list_environments,
    show_environment,
    find_environment,
    revise_environment,
    delete_environment,
)
