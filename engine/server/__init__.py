"""The local server: RunPod's routes on this machine, typed routes, and pages to try every workflow."""
