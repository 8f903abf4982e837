"""Settings from the environment; see `Settings` for names and defaults."""
