"""TCP ports of this machine."""

import errno
import socket

from modeltrail.cli.errors import MISUSED, CommandError

__all__ = ["check_port", "free_port"]


def check_port(host: str, port: int, *, remedy: str) -> None:
    """Raise CommandError unless a server could listen there; `remedy` says how to choose another port."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CommandError(
            f"SERVER_HOST is {host!r}, which is not a host name or address; try 127.0.0.1 or 0.0.0.0",
            exit_code=MISUSED,
        ) from error
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as listener:
                # As servers do it, so that connections in TIME_WAIT do not count as taken.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen()
        except OSError as error:
            raise _refusal(error, host, port, remedy) from error


def free_port(host: str, preferred: int) -> int:
    """`preferred` if nobody listens there, else any free port."""
    for port in (preferred, 0):
        try:
            with socket.create_server((host, port)) as listener:
                number: int = listener.getsockname()[1]
                return number
        except OSError:
            continue
    raise CommandError(f"no TCP port is free on {host}; end some programs that listen there")


def _refusal(error: OSError, host: str, port: int, remedy: str) -> CommandError:
    if error.errno == errno.EADDRINUSE:
        return CommandError(f"port {port} on {host} is in use by another program; stop it, or {remedy}")
    if error.errno == errno.EACCES:
        return CommandError(f"this user may not listen on port {port} (those below 1024 are reserved); {remedy}")
    if error.errno == errno.EADDRNOTAVAIL:
        return CommandError(
            f"SERVER_HOST is {host!r}, which is not an address of this machine; try 127.0.0.1 or 0.0.0.0",
            exit_code=MISUSED,
        )
    return CommandError(f"cannot listen on port {port} on {host} ({error.strerror}); {remedy}")
