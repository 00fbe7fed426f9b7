"""The start of a worker: what shell scripts do elsewhere (docs/running.md)."""
