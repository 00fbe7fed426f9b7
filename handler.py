"""RunPod's entry point."""

from engine.worker import start

if __name__ == "__main__":
    start()
