"""Environments: ComfyUIs of the volume under names, each verified against its lock (docs/environments.md)."""
