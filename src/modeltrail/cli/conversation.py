"""HTTP requests that are shown together with their answers."""

import json
import os
from typing import Any, Self
from uuid import UUID, uuid4

import aiohttp
import click

from modeltrail.cli.errors import MISUSED, CommandError

__all__ = ["Answer", "Conversation"]

BASE_PATH = "/api/v1/model-registry"

_PATIENCE = 30.0  # seconds for one answer

Answer = dict[str, Any]  # Any: JSON


class Conversation:
    """Talks to the API as one person in one project, and prints what is said."""

    def __init__(self, url: str, project: UUID, actor: str) -> None:
        self.request_ids: list[str] = []
        self._url = url.rstrip("/")
        self._session = aiohttp.ClientSession(
            headers={"Project-ID": str(project), "X-User-Email": actor},
            timeout=aiohttp.ClientTimeout(total=_PATIENCE),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: Answer | None = None, *, expected: tuple[int, ...]) -> Answer:
        """Send a request and show it with its answer. Raises CommandError for any status but the expected."""
        words = f"{method} {path}"
        click.echo(
            f"{click.style('→', fg='cyan')} {click.style(words, bold=True)}"
            f"{' ' + json.dumps(body, ensure_ascii=False) if body else ''}"
        )
        status, answer = await self.send(method, path, body)
        show_answer(status, answer)
        if status not in expected:
            raise CommandError(f"the demo stops: {words} was answered with {status}: {answer.get('error', answer)}")
        return answer

    async def send(self, method: str, path: str, body: Answer | None = None) -> tuple[int, Answer]:
        """Send a request without a word and return the status and the body."""
        request_id = str(uuid4())
        self.request_ids.append(request_id)
        try:
            async with self._session.request(
                method, f"{self._url}{BASE_PATH}{path}", json=body, headers={"X-Request-ID": request_id}
            ) as answer:
                return answer.status, _decode(await answer.text())
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise CommandError(
                f"--url is {self._url!r}; it must be like http://127.0.0.1:8080", exit_code=MISUSED
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CommandError(
                f"the API at {self._url} does not answer ({_reason(error)}); "
                "start it with `modeltrail dev`, or name another one with --url"
            ) from error


def show_answer(status: int, answer: Answer) -> None:
    """Print an answer in full."""
    click.echo(f"{click.style('←', fg='green' if status < 400 else 'red')} {status}")
    if answer:
        text = json.dumps(answer, indent=2, ensure_ascii=False)
        click.echo("".join(f"  {line}\n" for line in text.splitlines()))


def _decode(text: str) -> Answer:
    if not text:
        return {}
    try:
        answer = json.loads(text)
    except ValueError:
        return {"error": text[:200]}
    return answer if isinstance(answer, dict) else {"error": text[:200]}


def _reason(error: aiohttp.ClientError | TimeoutError) -> str:
    match error:
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))) if number > 0:
            return os.strerror(number)  # aiohttp puts a wording of its own into the error
        case aiohttp.ClientConnectorError(os_error=OSError(strerror=str(reason))):
            return reason
        case TimeoutError():
            return f"not within {_PATIENCE:g} s"
        case _:
            return str(error) or type(error).__name__
