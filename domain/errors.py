"""Why a command was refused, in words for the caller. What that means on the wire is decided in http."""

from uuid import UUID


class DomainError(Exception):
    """A command that the rules refuse. Nothing of it is stored."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFoundError(DomainError):
    """The named thing does not exist in the caller's project."""


class ConflictError(DomainError):
    """Something else already holds what the command asks for."""


class RuleError(DomainError):
    """The command breaks a rule of the business."""


class StaleError(DomainError):
    """The caller decided on an older revision than the newest."""


class KeyReusedError(DomainError):
    """The caller gave a key, which stands for one request, with another request."""


class ForgottenPersonError(DomainError):
    """Somebody whom the command names was erased after the caller's process had looked up that person's key."""

    def __init__(self, persons: frozenset[UUID]) -> None:
        super().__init__("somebody whom this names was erased at the same time, and nothing was changed; try again")
        self.persons = persons


def id_is_taken() -> ConflictError:
    return ConflictError("a resource with this id exists already")


def model_not_found() -> NotFoundError:
    return NotFoundError("registered model not found")


def version_not_found() -> NotFoundError:
    return NotFoundError("model version not found")


def environment_not_found() -> NotFoundError:
    return NotFoundError("serving environment not found")


def service_not_found() -> NotFoundError:
    return NotFoundError("inference service not found")


def serve_model_not_found() -> NotFoundError:
    return NotFoundError("serve model not found")
