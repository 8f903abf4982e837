"""Settings are read from the environment as live deployments write them."""

import base64
import os
from datetime import timedelta
from pathlib import Path

import pytest

from modeltrail.secret_keys import generate_key
from modeltrail.settings import DeploymentMode, LogFormat, LogLevel, Settings, SettingsError

KEY = base64.b64encode(bytes(range(32))).decode()


def test_nothing_set_gives_the_contract_s_defaults() -> None:
    settings = Settings.from_environment({})

    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 8080)  # noqa: S104 compared, not bound
    assert settings.database.connect_arguments() == {
        "host": "localhost",
        "port": 5432,
        "user": "postgres",
        "password": "postgres",
        "database": "model_registry",
        "ssl": "disable",
    }
    assert (settings.database.max_open_conns, settings.database.max_idle_conns) == (25, 5)
    assert settings.database.conn_max_lifetime == timedelta(minutes=5)
    assert (settings.logger.level, settings.logger.format) == (LogLevel.INFO, LogFormat.JSON)
    assert not settings.kserve.enabled
    assert not settings.kserve.in_cluster
    assert settings.kserve.kubeconfig is None
    assert settings.kserve.default_namespace == "model-serving"
    assert settings.kserve.deployment_mode is DeploymentMode.STANDARD
    assert settings.secret_keys == ()


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": "9000",
            "DATABASE_HOST": "/run/postgresql",
            "DATABASE_PORT": "5433",
            "DATABASE_USER": "registry",
            "DATABASE_PASSWORD": " blanks belong to it ",
            "DATABASE_DBNAME": "models",
            "DATABASE_SSLMODE": "verify-full",
            "DATABASE_MAX_OPEN_CONNS": "3",
            "DATABASE_MAX_IDLE_CONNS": "9",
            "DATABASE_CONN_MAX_LIFETIME": "1h30m",
            "LOGGER_LEVEL": "WARN",
            "LOGGER_FORMAT": "text",
            "KSERVE_ENABLED": "1",
            "KUBERNETES_IN_CLUSTER": "True",
            "KUBERNETES_KUBECONFIG": "/etc/kubeconfig",
            "KUBERNETES_CONTEXT": "production",
            "KUBERNETES_DEFAULT_NAMESPACE": "serving",
            "KSERVE_DEPLOYMENT_MODE": "knative",
        }
    )

    assert settings.database.connect_arguments()["password"] == " blanks belong to it "
    assert settings.database.address == "/run/postgresql/.s.PGSQL.5433"
    assert settings.database.sslmode == "verify-full"
    assert settings.database.max_idle_conns == 3, "as in Go, no more idle ones than open ones"
    assert settings.database.conn_max_lifetime == timedelta(minutes=90)
    assert (settings.logger.level, settings.logger.format) == (LogLevel.WARNING, LogFormat.CONSOLE)
    assert settings.kserve.enabled
    assert settings.kserve.in_cluster
    assert settings.kserve.kubeconfig == Path("/etc/kubeconfig")
    assert settings.kserve.context == "production"
    assert settings.kserve.deployment_mode is DeploymentMode.KNATIVE


def test_a_variable_set_to_nothing_counts_as_not_set() -> None:
    assert Settings.from_environment({"SERVER_PORT": " ", "DATABASE_PASSWORD": ""}) == Settings.from_environment({})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        (".5s", 0.5),
        ("+1m", 60),
        ("-5m", 0),
    ],
)
def test_durations_are_written_as_in_go(text: str, seconds: float) -> None:
    settings = Settings.from_environment({"DATABASE_CONN_MAX_LIFETIME": text})

    assert settings.database.conn_max_lifetime == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("SERVER_PORT", "http", "from 1 to 65535"),
        ("SERVER_PORT", "70000", "from 1 to 65535"),
        ("SERVER_PORT", "8_080", "from 1 to 65535"),
        ("DATABASE_PORT", "-1", "from 1 to 65535"),
        ("DATABASE_MAX_OPEN_CONNS", "0", "from 1"),
        ("DATABASE_SSLMODE", "on", "verify-full"),
        ("DATABASE_CONN_MAX_LIFETIME", "5", "1h30m"),
        ("DATABASE_CONN_MAX_LIFETIME", "5 minutes", "1h30m"),
        ("DATABASE_CONN_MAX_LIFETIME", "999999999999999h", "1h30m"),
        ("LOGGER_LEVEL", "loud", "debug, info"),
        ("LOGGER_FORMAT", "xml", "json, console, text"),
        ("KSERVE_ENABLED", "maybe", "true, false, 1 or 0"),
        ("KSERVE_RESYNC_EVERY", "0", "at least 1s"),
        ("KSERVE_UNDEPLOY_STALL_AFTER", "-5m", "at least 1s"),
        ("KUBERNETES_IN_CLUSTER", "2", "true, false, 1 or 0"),
        ("KUBERNETES_DEFAULT_NAMESPACE", "Model_Serving", "lower-case letters"),
        ("KSERVE_DEPLOYMENT_MODE", "Serverless", "Standard, Knative"),
    ],
)
def test_a_bad_value_is_refused_with_the_variable_the_value_and_what_is_accepted(
    name: str, value: str, accepted: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({name: value})

    message = str(refusal.value)
    assert message.startswith(f"{name} is {value!r}; it must be ")
    assert accepted in message


def test_the_first_key_is_the_current_one() -> None:
    other = base64.urlsafe_b64encode(bytes(range(223, 255))).decode()
    settings = Settings.from_environment({"MODELTRAIL_SECRET_KEYS": f"2026:{KEY}, 2025:{other}"})

    assert [key.id for key in settings.secret_keys] == ["2026", "2025"]
    assert settings.secret_keys[0].key == bytes(range(32))
    assert settings.secret_keys[1].key == bytes(range(223, 255))


def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.touch(mode=0o600)
    file.write_text(f"# the current one\nnew:{KEY}\n\n{generate_key('old')}\n")

    settings = Settings.from_environment({"MODELTRAIL_SECRET_KEYS_FILE": str(file)})

    assert [key.id for key in settings.secret_keys] == ["new", "old"]
    assert settings.warnings == ()


def test_a_keys_file_that_others_may_read_is_warned_about(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(generate_key("dev"))
    file.chmod(0o644)

    (warning,) = Settings.from_environment({"MODELTRAIL_SECRET_KEYS_FILE": str(file)}).warnings

    assert f"chmod 600 {file}" in warning


@pytest.mark.parametrize(
    ("owner", "user", "mode", "is_warned"),
    [(0, 10001, 0o440, False), (0, 10001, 0o444, True), (10001, 10001, 0o440, True), (0, 0, 0o440, True)],
    ids=["a Secret in a pod with fsGroup", "readable by all", "its own file", "of root's for root"],
)
def test_a_file_of_root_s_may_be_read_by_the_group_through_which_another_user_reads_it(
    owner: int, user: int, mode: int, is_warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    file.write_text(generate_key("dev"))
    monkeypatch.setattr(Path, "stat", lambda _: os.stat_result((0o100000 | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0)))
    monkeypatch.setattr(os, "geteuid", lambda: user)

    warnings = Settings.from_environment({"MODELTRAIL_SECRET_KEYS_FILE": str(file)}).warnings

    assert bool(warnings) is is_warned


@pytest.mark.parametrize(
    "entry", [KEY, f":{KEY}", f"two words:{KEY}", f"short:{KEY[:20]}", f"k:{KEY}x", "k:not base64 at all"]
)
def test_a_bad_key_is_refused_without_being_shown(entry: str) -> None:
    with pytest.raises(SettingsError, match="MODELTRAIL_SECRET_KEYS: key number 1 is not of the form id:") as refusal:
        Settings.from_environment({"MODELTRAIL_SECRET_KEYS": entry})

    assert KEY[:20] not in str(refusal.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MODELTRAIL_SECRET_KEYS": f"a:{KEY},a:{KEY}"}, "the key id 'a' is there twice"),
        ({"MODELTRAIL_SECRET_KEYS": f"a:{KEY}", "MODELTRAIL_SECRET_KEYS_FILE": "keys"}, "both set"),
        ({"MODELTRAIL_SECRET_KEYS_FILE": "/nowhere/keys"}, "'/nowhere/keys', which cannot be read"),
        ({"MODELTRAIL_SECRET_KEYS_FILE": "/dev/null"}, "it holds no key"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(variables: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment(variables)


def test_no_secret_shows_when_settings_are_printed() -> None:
    settings = Settings.from_environment({"DATABASE_PASSWORD": "hunter2", "MODELTRAIL_SECRET_KEYS": f"a:{KEY}"})

    assert "hunter2" not in repr(settings)
    assert repr(bytes(range(32))) not in repr(settings)
