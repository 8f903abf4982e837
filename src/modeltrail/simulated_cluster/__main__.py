"""`python -m modeltrail.simulated_cluster`: run the simulated cluster until a signal."""

import asyncio
import logging
import signal
import socket
from pathlib import Path

import click

from modeltrail.paths import NamedPath
from modeltrail.quantities import Seconds, WholeNumber
from modeltrail.simulated_cluster.cluster import Options, PortInUseError, SimulatedCluster
from modeltrail.simulated_cluster.controller import Timing
from modeltrail.simulated_cluster.journal import DataFileError
from modeltrail.simulated_cluster.kubeconfig import write_kubeconfig

_FILE = NamedPath(dir_okay=False, path_type=Path)


@click.command(help="Run a simulated Kubernetes cluster with KServe. It is for development: it serves no models.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=WholeNumber(0, 65535), default=8001, show_default=True, help="Port to listen on; 0 picks a free one."
)
@click.option("--data", type=_FILE, help="File that keeps the objects across restarts; without it none are kept.")
@click.option("--kubeconfig", type=_FILE, help="Write a kubeconfig for this cluster to this file.")
@click.option("--token", envvar="SIMULATED_CLUSTER_TOKEN", help="Demand this bearer token.")
@click.option("--token-file", type=_FILE, help="Demand the bearer token in this file, which may change meanwhile.")
@click.option(
    "--ready-after", type=Seconds(), default=1.0, show_default=True, help="Until a service is ready, or failed."
)
@click.option("--slow-after", type=Seconds(), default=15.0, show_default=True, help="Until a slow service is ready.")
@click.option("--strict-namespaces", is_flag=True, help="Refuse unknown namespaces; else they appear on first use.")
@click.option(
    "--history",
    type=WholeNumber(0),
    default=10_000,
    show_default=True,
    help="Changes that a watch can be resumed over.",
)
def main(
    host: str,
    port: int,
    data: Path | None,
    kubeconfig: Path | None,
    token: str | None,
    token_file: Path | None,
    ready_after: float,
    slow_after: float,
    strict_namespaces: bool,
    history: int,
) -> None:
    if token_file is not None and (token is not None or not token_file.is_file()):
        raise click.UsageError("--token-file must be the only token, and a file that is there")
    _require_folders(data, kubeconfig)
    _require_host(host)
    logging.basicConfig(level=logging.WARNING, format="simulated cluster | %(levelname)s %(message)s")
    options = Options(
        host=host,
        port=port,
        data=data,
        token=token,
        token_file=token_file,
        strict_namespaces=strict_namespaces,
        history=history,
        timing=Timing(ready_after=ready_after, slow_after=slow_after),
    )
    try:
        asyncio.run(_serve(options, kubeconfig))
    except (PortInUseError, DataFileError, OSError) as error:
        raise click.ClickException(f"the simulated cluster cannot start: {error}") from error


def _require_folders(data: Path | None, kubeconfig: Path | None) -> None:
    """Raise UsageError for a file in a folder that is not there: a mistyped path is not to make folders."""
    for option, file in (("--data", data), ("--kubeconfig", kubeconfig)):
        if file is not None and not file.absolute().parent.is_dir():
            raise click.UsageError(f"{option} is {str(file)!r}, and there is no folder {str(file.parent)!r}; make it")


def _require_host(host: str) -> None:
    """Raise UsageError unless it is a host name that is known, or an address."""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        hint = "which is not a host name or address; try 127.0.0.1 or 0.0.0.0"
        raise click.UsageError(f"--host is {host!r}, {hint}") from None


async def _serve(options: Options, kubeconfig: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with SimulatedCluster(options) as cluster:
        if kubeconfig:
            write_kubeconfig(kubeconfig, cluster.url, options.token, options.token_file)
        click.echo(f"simulated cluster listening on {cluster.url}")
        await stop.wait()


if __name__ == "__main__":
    main()
