"""Settings from the environment; see `Settings.from_environment` for the variables and their defaults."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self, TypedDict

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.environment import Environment, SettingsError
from modeltrail.secret_keys import SecretKey, load_keys

__all__ = [
    "DEV_FOLDER_VARIABLE",
    "ConnectArguments",
    "DatabaseSettings",
    "DeploymentMode",
    "KServeSettings",
    "LogFormat",
    "LogLevel",
    "LoggerSettings",
    "OnDrift",
    "SecretKey",
    "ServerSettings",
    "Settings",
    "SettingsError",
]

DEV_FOLDER_VARIABLE = "MODELTRAIL_DEV_FOLDER"
"""Set by commands that take the database of `modeltrail dev`, for those who say that it cannot be reached."""

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# The deploy worker asks the cluster as often: without a pause it would do nothing else.
_OFTEN = timedelta(seconds=1)
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogFormat(StrEnum):
    JSON = "json"
    CONSOLE = "console"


class OnDrift(StrEnum):
    """What the worker does about an object that was changed or deleted outside of the registry."""

    REPAIR = "repair"
    REPORT = "report"


# The spellings of Go's log libraries are accepted beside Python's.
_LOG_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "fatal": "critical",
    "critical": "critical",
}
_LOG_FORMATS = {"json": "json", "console": "console", "text": "console"}


class ConnectArguments(TypedDict):
    """Keyword arguments of `asyncpg.connect` and `asyncpg.create_pool`."""

    host: str
    port: int
    user: str
    password: str
    database: str
    ssl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where PostgreSQL is. `host` may be the folder of a Unix socket."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    dbname: str
    sslmode: str
    max_open_conns: int
    max_idle_conns: int
    conn_max_lifetime: timedelta
    """How long a connection is used before it is replaced; zero is for ever."""
    dev_folder: str | None
    """The data folder of the `modeltrail dev` whose database it is; None for one that others start."""

    def connect_arguments(self) -> ConnectArguments:
        """asyncpg takes libpq's names of the modes in its `ssl` argument and ignores it on a Unix socket."""
        return ConnectArguments(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=self.dbname,
            ssl=self.sslmode,
        )

    @property
    def address(self) -> str:
        """For messages: `host:port`, or the socket's path."""
        if self.host.startswith("/"):
            return f"{self.host.rstrip('/')}/.s.PGSQL.{self.port}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggerSettings:
    level: LogLevel
    format: LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeSettings:
    enabled: bool
    in_cluster: bool
    kubeconfig: Path | None
    """None leaves it to the usual rules: KUBECONFIG, then ~/.kube/config."""
    context: str | None
    """Of the kubeconfig; None is its current one."""
    default_namespace: str
    deployment_mode: DeploymentMode
    preflight: bool
    """Whether the cluster is asked before a deployment is accepted."""
    on_drift: OnDrift
    ready_within: timedelta
    """After how long a deployment that is not ready has failed."""
    undeploy_stall_after: timedelta
    """After how long an undeployment that is not done is reported."""
    resync_every: timedelta
    storage: Mapping[str, str]
    """KServe's annotations about S3, for the credentials of all versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    server: ServerSettings
    database: DatabaseSettings
    logger: LoggerSettings
    kserve: KServeSettings
    secret_keys: tuple[SecretKey, ...]
    """The first one encrypts, all of them decrypt. May be empty: then no secret can be kept."""
    warnings: tuple[str, ...] = ()
    """What is accepted but unwise, for the log."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Settings from `environ`, by default the process's own environment.

        Raises SettingsError, whose message names the variable, its value unless that is a secret, and
        what is accepted.
        """
        environment = Environment(os.environ if environ is None else environ)
        secret_keys, warnings = load_keys(environment)
        return cls(
            server=ServerSettings(
                host=environment.text("SERVER_HOST", "0.0.0.0"),  # noqa: S104 the contract's default
                port=environment.integer("SERVER_PORT", 8080, minimum=1, maximum=65535),
            ),
            database=_database(environment),
            logger=LoggerSettings(
                level=LogLevel(environment.choice("LOGGER_LEVEL", "info", _LOG_LEVELS)),
                format=LogFormat(environment.choice("LOGGER_FORMAT", "json", _LOG_FORMATS)),
            ),
            kserve=_kserve(environment),
            secret_keys=secret_keys,
            warnings=warnings,
        )


def _database(environment: Environment) -> DatabaseSettings:
    # Go's zero means no limit; a pool without one would exhaust the server, so here it is refused.
    max_open_conns = environment.integer("DATABASE_MAX_OPEN_CONNS", 25, minimum=1, maximum=10_000)
    max_idle_conns = environment.integer("DATABASE_MAX_IDLE_CONNS", 5, minimum=0, maximum=10_000)
    return DatabaseSettings(
        host=environment.text("DATABASE_HOST", "localhost"),
        port=environment.integer("DATABASE_PORT", 5432, minimum=1, maximum=65535),
        user=environment.text("DATABASE_USER", "postgres"),
        password=environment.secret("DATABASE_PASSWORD", "postgres"),
        dbname=environment.text("DATABASE_DBNAME", "model_registry"),
        sslmode=environment.choice("DATABASE_SSLMODE", "disable", {mode: mode for mode in _SSL_MODES}),
        max_open_conns=max_open_conns,
        max_idle_conns=min(max_idle_conns, max_open_conns),
        conn_max_lifetime=environment.duration("DATABASE_CONN_MAX_LIFETIME", timedelta(minutes=5)),
        dev_folder=environment.get(DEV_FOLDER_VARIABLE),
    )


_STORAGE_VARIABLES = {
    "KSERVE_S3_ENDPOINT": "serving.kserve.io/s3-endpoint",
    "KSERVE_S3_REGION": "serving.kserve.io/s3-region",
    "KSERVE_S3_USE_HTTPS": "serving.kserve.io/s3-usehttps",
    "KSERVE_S3_VERIFY_SSL": "serving.kserve.io/s3-verifyssl",
}


def _kserve(environment: Environment) -> KServeSettings:
    kubeconfig = environment.get("KUBERNETES_KUBECONFIG")
    modes = {mode.value: mode.value for mode in DeploymentMode}
    return KServeSettings(
        enabled=environment.boolean("KSERVE_ENABLED", default=False),
        in_cluster=environment.boolean("KUBERNETES_IN_CLUSTER", default=False),
        kubeconfig=Path(kubeconfig).expanduser() if kubeconfig else None,
        context=environment.get("KUBERNETES_CONTEXT"),
        default_namespace=environment.matching(
            "KUBERNETES_DEFAULT_NAMESPACE",
            "model-serving",
            _DNS_LABEL,
            "1 to 63 lower-case letters, digits and dashes, with no dash at either end",
        ),
        deployment_mode=DeploymentMode(environment.choice("KSERVE_DEPLOYMENT_MODE", "Standard", modes)),
        preflight=environment.boolean("KSERVE_PREFLIGHT", default=True),
        on_drift=OnDrift(environment.choice("KSERVE_ON_DRIFT", "repair", {each.value: each.value for each in OnDrift})),
        ready_within=environment.duration("KSERVE_READY_WITHIN", timedelta(minutes=15), least=_OFTEN),
        undeploy_stall_after=environment.duration("KSERVE_UNDEPLOY_STALL_AFTER", timedelta(minutes=1), least=_OFTEN),
        resync_every=environment.duration("KSERVE_RESYNC_EVERY", timedelta(minutes=5), least=_OFTEN),
        storage={
            annotation: value
            for variable, annotation in _STORAGE_VARIABLES.items()
            if (value := environment.get(variable)) is not None
        },
    )
