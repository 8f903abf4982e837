"""All projections: those that run in the writing transaction, and those that follow the log by themselves."""

from typing import Any

from modeltrail.projections.activity import ACTIVITY
from modeltrail.projections.deployment_tasks import DEPLOYMENT_TASKS
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS
from modeltrail.projections.projection import Projection
from modeltrail.projections.search import SEARCH
from modeltrail.projections.serve_models import SERVE_MODELS
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS
from modeltrail.projections.standing_deployments import STANDING_DEPLOYMENTS

INLINE: tuple[Projection[Any], ...] = (  # Any: each has rows of its own
    MODELS,
    MODEL_VERSIONS,
    SERVING_ENVIRONMENTS,
    INFERENCE_SERVICES,
    SERVE_MODELS,
    DEPLOYMENT_TASKS,
    STANDING_DEPLOYMENTS,
)
ASYNC: tuple[Projection[Any], ...] = (ACTIVITY, SEARCH)  # Any: the same
ALL = INLINE + ASYNC
