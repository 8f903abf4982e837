"""Single resources: read by id if they are the project's, answered with their revision."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from modeltrail.commands.committing.batch import Outcome
from modeltrail.commands.decision import Command
from modeltrail.commands.once import AnsweredBeforeError, Once
from modeltrail.domain.errors import ForgottenPersonError, NotFoundError
from modeltrail.domain.ids import ProjectId
from modeltrail.eventlog.record import Context
from modeltrail.http.answers import Answer, Sent, T, not_modified, resource
from modeltrail.http.idempotency import from_bytes, replayed, request_seal, to_bytes
from modeltrail.http.past import past_of
from modeltrail.http.requests import ApiRequest
from modeltrail.http.revisions import has_revision
from modeltrail.projections.documents import Document
from modeltrail.projections.lists import Listing
from modeltrail.projections.past import Past
from modeltrail.projections.projection import Projection


class Resource:
    """One kind of resource: where it is read, and what is said when it is missing."""

    def __init__(
        self,
        projection: Projection[Any],  # Any: of any kind
        missing: Callable[[], NotFoundError],
        shown_as: Callable[[Document], Document] = lambda document: document,
    ) -> None:
        self._projection = projection
        self._missing = missing
        self._shown_as = shown_as

    async def show(
        self, request: ApiRequest, project_id: ProjectId, id_: UUID, parent_id: UUID | None = None
    ) -> Answer:
        """The resource, or 304 when the caller has it. With `parent_id`, it must belong to that.

        Raises NotFoundError when the project has none such.
        """
        return await self._show(request, project_id, id_, await past_of(request), parent_id)

    async def _show(
        self,
        request: ApiRequest,
        project_id: ProjectId,
        id_: UUID | None,
        past: Past | None,
        parent_id: UUID | None = None,
    ) -> Answer:
        if id_ is None:
            raise self._missing()
        document = await self.read(request, project_id, id_, past)
        if parent_id is not None and document.parent_id != parent_id:
            raise self._missing()
        if has_revision(request.listed_header(b"if-none-match"), document.revision):
            return not_modified(document)
        return resource(200, self._shown_as(document))

    async def find(
        self, request: ApiRequest, project_id: ProjectId, listing: Listing, having: Mapping[str, object]
    ) -> Answer:
        """The newest that holds all the values of `having`, by column. Raises NotFoundError when none does."""
        past = await past_of(request)
        found = listing.newest(request.services.pool, having) if past is None else past.newest(listing, having)
        return await self._show(request, project_id, await found, past)

    async def read(self, request: ApiRequest, project_id: ProjectId, id_: UUID, past: Past | None = None) -> Document:
        """What is stored of it, or was in the past. Raises NotFoundError when the project has none such."""
        documents = request.services.documents.get if past is None else past.document
        document = await documents(self._projection, id_)
        if document is None or document.project_id != project_id:
            raise self._missing()
        return document


Check = Callable[[ApiRequest, Command, Context], Awaitable[None]]
"""Raises what speaks against a command that is about to be carried out."""


async def submit(
    request: ApiRequest,
    project_id: ProjectId,
    command: Command,
    answer: Callable[[Document], Sent[T]],
    check: Check | None = None,
) -> Sent[T]:
    """Carry out `command`, and make the answer of the resource that it leaves.

    A POST with an Idempotency-Key is carried out once: the same request sent again has the first answer, byte for byte.
    Raises DomainError when the command is refused.
    """
    seal = await request_seal(request, project_id)
    if seal is None:
        return answer(await _document_left_by(command, request, project_id, check))
    once = Once(
        command=command,
        project_id=project_id,
        key=seal.key,
        fingerprint=seal.fingerprint,
        sealed_answer=lambda document: seal.seal(to_bytes(answer(document))),
    )
    try:
        return answer(await _document_left_by(once, request, project_id, check))
    except AnsweredBeforeError as before:
        return replayed(from_bytes(seal.unseal(before.box)))


async def carry_out(request: ApiRequest, command: Command, context: Context) -> Outcome:
    """Give `command` to the committer. Raises DomainError when it is refused."""
    try:
        return await request.services.committer.submit(command, context)
    except ForgottenPersonError as refusal:
        request.services.people.forget(refusal.persons)  # or the same request sent again would be refused again
        raise


async def cluster_agrees(request: ApiRequest, command: Command, context: Context) -> None:
    """A check of commands that deploy. Raises RuleError when the cluster says that it would refuse."""
    if request.services.preflight is not None:
        await request.services.preflight.check(command, context)


async def _document_left_by(
    command: Command, request: ApiRequest, project_id: ProjectId, check: Check | None
) -> Document:
    context = await request.context(project_id)
    if check is not None:
        await check(request, command, context)
    outcome = await carry_out(request, command, context)
    if outcome.document is None:
        raise RuntimeError(f"{type(command).__name__} left no document to answer with")
    return outcome.document
