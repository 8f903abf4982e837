"""A simulated Kubernetes cluster with KServe, for development and tests. It is never the real thing."""
