"""A simulated Kubernetes cluster with KServe, for development and tests. It is never the real thing.

It speaks the Kubernetes API over HTTP for InferenceServices, Secrets, ServiceAccounts and Namespaces, and
a stand-in for KServe's controller makes services ready, slow or failed (see `controller`). Run it with
`python -m modeltrail.simulated_cluster`, or in a test with `async with SimulatedCluster(...) as cluster`.
"""

from modeltrail.simulated_cluster.cluster import Options, PortInUseError, SimulatedCluster
from modeltrail.simulated_cluster.controller import BEHAVIOUR, Timing
from modeltrail.simulated_cluster.faults import (
    Delay,
    ExpireHistory,
    Fail,
    Fault,
    Hang,
    Recorded,
    Reset,
    TearWatch,
)
from modeltrail.simulated_cluster.journal import DataFileError
from modeltrail.simulated_cluster.kubeconfig import write_kubeconfig

__all__ = [
    "BEHAVIOUR",
    "DataFileError",
    "Delay",
    "ExpireHistory",
    "Fail",
    "Fault",
    "Hang",
    "Options",
    "PortInUseError",
    "Recorded",
    "Reset",
    "SimulatedCluster",
    "TearWatch",
    "Timing",
    "write_kubeconfig",
]
