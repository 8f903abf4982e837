"""The command line: `modeltrail dev`, `serve`, `worker`, `migrate`, `events`, `demo`, `simulated-cluster`."""
