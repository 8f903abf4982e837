"""Commands that callers may give again under an idempotency key, and that are carried out once."""

from collections.abc import Callable
from hmac import compare_digest

from msgspec import Struct, structs

from modeltrail.commands.decision import Command, Decision
from modeltrail.commands.question import AnswerTo
from modeltrail.commands.remembered import Remembered
from modeltrail.domain.errors import DomainError, KeyReusedError
from modeltrail.domain.ids import ProjectId
from modeltrail.projections.documents import Document


class AnsweredBeforeError(DomainError):
    """The command was carried out before, for the same request. `box` holds the answer to that, sealed."""

    def __init__(self, box: bytes) -> None:
        super().__init__("the request was carried out before")
        self.box = box


class Once(Struct, frozen=True, kw_only=True):
    """Carry out `command`, unless that was done before for a request with this key.

    `key` and `fingerprint` are what the request is known by. `sealed_answer` makes the answer of the document that the
    command leaves; it is kept in the transaction of the command's events. A refusal leaves nothing, also no memory.
    """

    command: Command
    project_id: ProjectId
    key: bytes
    fingerprint: bytes
    sealed_answer: Callable[[Document], bytes]

    async def decide(self) -> Decision:
        """Raises AnsweredBeforeError, KeyReusedError, or what the command raises."""
        first = await AnswerTo(self.project_id, self.key)
        if first is None:
            return structs.replace(await self.command.decide(), remembering=self._remembering)
        if not compare_digest(first.fingerprint, self.fingerprint):
            raise KeyReusedError(
                "this Idempotency-Key was used for another request: send that one again, or take a new key"
            )
        raise AnsweredBeforeError(first.box)

    def _remembering(self, document: Document) -> Remembered:
        return Remembered(self.project_id, self.key, self.fingerprint, self.sealed_answer(document))
