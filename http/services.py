"""What the routes work with. The composition root brings it."""

from dataclasses import dataclass

from asyncpg import Pool

from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.deployments import Cluster
from modeltrail.commands.preflight import Preflight
from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.people import People
from modeltrail.http.event_stream import EventStreams
from modeltrail.postgres.asking import Asker
from modeltrail.projections.documents import DocumentReader
from modeltrail.projections.list_reader import ListReader
from modeltrail.projections.past import PastReader


@dataclass(frozen=True, slots=True)
class Services:
    """One set per process. `default_namespace` is for environments that name none; `mode` is how KServe runs
    services; without `preflight` the cluster is not asked before a deployment is accepted."""

    committer: Committer
    documents: DocumentReader
    lists: ListReader
    pool: Pool
    people: People
    keys: KeyRing
    cluster: Cluster
    default_namespace: str
    asker: Asker
    past: PastReader
    streams: EventStreams
    mode: DeploymentMode = DeploymentMode.STANDARD
    preflight: Preflight | None = None
