"""Snapshots: ComfyUI with its node packs under a name, and the locks that say what it provided when it ran."""
