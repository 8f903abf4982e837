"""The table of an inference service's states, as the domain's docstring holds it."""

from modeltrail.domain import inference_service
from modeltrail.domain.inference_service_state import Service, ServiceSituation


def name_of(state: ServiceSituation) -> str:
    """What the table calls this state."""
    return type(state.deployment if isinstance(state, Service) else state).__name__


def table() -> dict[tuple[str, str], tuple[str, str]]:
    """Event and next state, by state and command."""
    text = inference_service.__doc__ or ""
    _, *rows = [line.split() for line in text.splitlines() if line.startswith("    ")]
    return {(state, command): (event, after) for state, command, event, after in rows}
