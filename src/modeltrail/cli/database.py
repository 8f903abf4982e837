"""Whether the database can be used, said in a sentence when it cannot."""

import os
import shlex
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from asyncpg import exceptions

from modeltrail.cli.dev_environment import DEFAULT_DATA_FOLDER
from modeltrail.cli.errors import CommandError
from modeltrail.postgres.connect import is_lost, reason_of
from modeltrail.postgres.migrate import pending
from modeltrail.settings import DatabaseSettings

__all__ = ["ConnectionLostError", "check_connection", "check_schema", "explained"]

_CONNECT_PATIENCE = 10.0  # seconds
_ADDRESS_VARIABLES = "DATABASE_HOST and DATABASE_PORT"
_CERTIFICATE_VARIABLES = ("PGSSLROOTCERT", "PGSSLCRL", "PGSSLCERT", "PGSSLKEY")


class ConnectionLostError(CommandError):
    """A connection was lost, or one more could not be made, while a command worked."""


async def check_connection(database: DatabaseSettings) -> None:
    """Raise CommandError unless the database lets us in."""
    await (await _connect(database)).close()


async def check_schema(database: DatabaseSettings) -> None:
    """Raise CommandError unless the database lets us in and has been migrated."""
    connection = await _connect(database)
    try:
        missing = await pending(connection)
    finally:
        await connection.close()
    if missing:
        raise CommandError(
            f"database {database.dbname!r} at {database.address} is not migrated (it lacks {', '.join(missing)}); "
            "run: modeltrail migrate"
        )


@contextmanager
def explained(database: DatabaseSettings) -> Iterator[None]:
    """Turn PostgreSQL's refusals inside the block, and the loss of a connection, into CommandErrors."""
    # Imported late: only some of the commands write to the log, and those have it at hand.
    from modeltrail.commands.committing.session import LogUnavailableError  # noqa: PLC0415

    try:
        yield
    except (exceptions.TooManyConnectionsError, exceptions.CannotConnectNowError) as error:
        raise CommandError(_refusal(error, database)) from error
    except LogUnavailableError as error:
        raise CommandError(
            f"PostgreSQL at {database.address} cannot be written to ({error}); see to that, then try again"
        ) from error
    except Exception as error:
        if is_lost(error) and _is_of_database(error):
            raise ConnectionLostError(_lost(error, database)) from error
        if isinstance(error, exceptions.PostgresError):
            raise CommandError(_refusal(error, database)) from error
        raise


async def _connect(database: DatabaseSettings) -> asyncpg.Connection:
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            **database.connect_arguments(), timeout=_CONNECT_PATIENCE
        )
    except (
        OSError,
        exceptions.InterfaceError,
        exceptions.InternalClientError,
        exceptions.ConnectionDoesNotExistError,
    ) as error:
        raise CommandError(_unreachable(error, database)) from error
    except exceptions.PostgresError as error:
        raise CommandError(_refusal(error, database)) from error
    return connection


def _is_of_database(error: Exception) -> bool:
    """Whether `error` came out of a connection. Others are of files, and of the output."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(name.partition(".")[0] == "asyncpg" for name in modules)


def _lost(error: Exception, database: DatabaseSettings) -> str:
    match error:
        case TimeoutError():
            reason = "it does not answer"
        case exceptions.InterfaceError():  # whose words are about our calls
            reason = "it is closed"
        case _:
            reason = reason_of(error)
    return f"the connection to PostgreSQL at {database.address} was lost ({reason}); see that it runs, then try again"


def _unreachable(error: Exception, database: DatabaseSettings) -> str:
    where = f"PostgreSQL at {database.address}"
    match error:
        case socket.gaierror():
            return f"{where} cannot be reached: the host name {database.host!r} is not known; set DATABASE_HOST"
        case TimeoutError():
            return f"{where} does not answer within {_CONNECT_PATIENCE:g} s; check it, {_ADDRESS_VARIABLES}"
        case ConnectionError() if "SSL" in str(error):
            return f"{where} does not offer TLS, which DATABASE_SSLMODE={database.sslmode} asks for; set it to disable"
        case exceptions.InterfaceError():
            return f"the connection to {where} cannot be set up ({error}); check the DATABASE_ variables"
        # A Unix socket may be missing, but of an address it can only be a file that is read before.
        case FileNotFoundError() | PermissionError() if not database.host.startswith("/") and _certificate_files():
            return f"{where} was not asked: {_certificate_files()} cannot be read ({reason_of(error)})"
        case _ if database.dev_folder is not None:
            folder = database.dev_folder
            option = "" if folder == str(DEFAULT_DATA_FOLDER) else f" --data {shlex.quote(folder)}"
            return f"{where} cannot be reached ({reason_of(error)}); start it with: modeltrail dev{option}"
        case _:
            return f"{where} cannot be reached ({reason_of(error)}); start it, or set {_ADDRESS_VARIABLES}"


def _certificate_files() -> str:
    """The variables by which asyncpg, like libpq, is told of files for TLS, with their values."""
    given = {name: os.environ[name] for name in _CERTIFICATE_VARIABLES if os.environ.get(name)}
    return " or ".join(f"{name}={value}" for name, value in given.items())


def _refusal(error: exceptions.PostgresError, database: DatabaseSettings) -> str:
    where = f"PostgreSQL at {database.address}"
    match error:
        case exceptions.InvalidPasswordError():
            return f"{where} refused the password of user {database.user!r}; set DATABASE_USER and DATABASE_PASSWORD"
        case exceptions.InvalidAuthorizationSpecificationError():
            return f"{where} refused user {database.user!r} ({error}); check DATABASE_USER and DATABASE_SSLMODE"
        case exceptions.InvalidCatalogNameError():
            return f"{where} has no database {database.dbname!r}; create it (createdb) or set DATABASE_DBNAME"
        case exceptions.UndefinedTableError() | exceptions.InvalidSchemaNameError():
            return (
                f"database {database.dbname!r} at {database.address} is not migrated ({error}); run: modeltrail migrate"
            )
        case exceptions.InsufficientPrivilegeError():
            return f"user {database.user!r} lacks a right in database {database.dbname!r} ({error}); grant it"
        case exceptions.TooManyConnectionsError():
            return f"{where} has no connection left ({error}); raise max_connections or lower DATABASE_MAX_OPEN_CONNS"
        case exceptions.ReadOnlySQLTransactionError():
            return f"{where} takes no writes ({error}); set DATABASE_HOST to the primary, or make it writable"
        case exceptions.DiskFullError():
            return f"{where} has no room left ({error.args[0]}); make room, then try again"
        case exceptions.CannotConnectNowError():
            return f"{where} takes no connections now ({error}); try again shortly"
        case _:
            return f"{where} reports: {error} ({type(error).__name__})"
