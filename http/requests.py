"""A request as the routes read it: whose project, which resource, what body, on whose behalf."""

import asyncio
from typing import Any, TypeVar
from uuid import UUID

from litestar import Request
from litestar.exceptions import HTTPException
from msgspec import Struct

from modeltrail.domain.ids import ProjectId
from modeltrail.domain.personal import Personal
from modeltrail.eventlog.record import Context
from modeltrail.http.application import first_header
from modeltrail.http.bodies import EMAIL_LENGTH
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.errors import BadRequestError, invalid
from modeltrail.http.limits import BODY_SECONDS
from modeltrail.http.query import Query
from modeltrail.http.services import Services
from modeltrail.http.texts import FORBIDDEN, is_storable
from modeltrail.http.uuids import parse_uuid
from modeltrail.postgres.ids import new_id

B = TypeVar("B", bound=Struct)

PROJECT_ID_REQUIRED = "project ID is required (Project-ID header)"


class ApiRequest(Request[Any, Any, Any]):  # Any: litestar's user, auth and state, which we do not use
    """Reads what litestar leaves as bytes. Routes ask in this order: project, ids in the path, body."""

    __slots__ = ()

    @property
    def services(self) -> Services:
        """What the process works with."""
        services: Services = self.scope["litestar_app"].state.services
        return services

    @property
    def request_id(self) -> str:
        """The id that the answer carries, too."""
        request_id: str = self.scope["request_id"]  # type: ignore[typeddict-item] # ours; see application.py
        return request_id

    def raw_header(self, name: bytes) -> bytes | None:
        """The value of a header. `name` in lower case. Raises BadRequestError when it is there with several values."""
        given = first_header(self.scope, name)
        if given is not None and any(value != given for each, value in self.scope["headers"] if each == name):
            raise invalid(name.decode(), "the header is there more than once, with different values")
        return given

    def listed_header(self, name: bytes) -> bytes | None:
        """A header that may be there several times, as one list (RFC 9110, section 5.3). `name` in lower case."""
        return b",".join(value for each, value in self.scope["headers"] if each == name) or None

    def project_id(self) -> ProjectId:
        """Whose rows the request is about. Raises BadRequestError when the header is missing or no UUID."""
        project = parse_uuid((self.raw_header(b"project-id") or b"").decode("latin-1"))
        if project is None:
            raise BadRequestError(PROJECT_ID_REQUIRED)
        return ProjectId(project)

    def path_id(self, name: str, called: str) -> UUID:
        """The id at `{name}` in the path. Raises BadRequestError, which says what it is `called`."""
        parsed = parse_uuid(self.scope["path_params"][name])
        if parsed is None:
            raise BadRequestError(f"invalid {called}")
        return parsed

    def parsed_query(self) -> Query:
        """The query string."""
        return Query(self.scope["query_string"])

    async def read(self, reader: BodyReader[B]) -> B:
        """The body, whatever its Content-Type. Raises BadRequestError, or 413 or 408 when it is too large or late."""
        return reader.read(await self.raw_body())

    async def raw_body(self) -> bytes:
        """The bytes of the body. Raises HTTPException, 413 or 408, when it is too large or late."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self.body()
        except TimeoutError:
            raise HTTPException("the request body did not arrive in time", status_code=408) from None

    async def context(self, project_id: ProjectId) -> Context:
        """Why a command is given. Raises BadRequestError for an X-User-Email that cannot be kept."""
        return Context(project_id, new_id(), self.request_id, await self._actor())

    async def _actor(self) -> Personal | None:
        given = (self.raw_header(b"x-user-email") or b"").strip()
        address = given.decode("utf-8", "surrogateescape")
        if not is_storable(address):
            raise invalid("X-User-Email", FORBIDDEN)
        if len(address) > EMAIL_LENGTH:
            raise invalid("X-User-Email", f"at most {EMAIL_LENGTH} characters are allowed")
        if address and "@" not in address:  # the audit names parts of this service, which have no address
            raise invalid("X-User-Email", "expected an e-mail address")
        return await self.sealed(address)

    async def sealed(self, address: str | None) -> Personal | None:
        """A person's address as it may be stored, or None when there is none."""
        return await self.services.people.seal(address) if address else None
