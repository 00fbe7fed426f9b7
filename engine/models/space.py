"""Room on the disk, so that of several downloads at once none takes what another counts on."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from engine.models.problems import NoRoom


def size_text(count: int) -> str:
    """A number of bytes for people: `2.13 GB`, in powers of ten as the sites show them."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:  # above, three digits show a thousand
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 100 or unit == "bytes" else f"{value:.3g} {unit}"


class Reservation:
    """What one download still needs."""

    def __init__(self, device: int) -> None:
        self.device = device
        self.bytes_left = 0


class Space:
    """What the downloads of this process may still count on. May be used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[Reservation] = set()

    def reserve(self, folder: Path, count: int, before: Reservation | None = None) -> Reservation:
        """Put room aside.

        Args:
            folder: where the file goes; it is there.
            count: bytes that are yet to be written.
            before: what was put aside for the same file, which this replaces.

        Raises:
            NoRoom: there is not as much.
        """
        reservation = before or Reservation(folder.stat().st_dev)
        with self._lock:
            free = shutil.disk_usage(folder).free
            others = sum(
                each.bytes_left for each in self._held if each is not reservation and each.device == reservation.device
            )
            if count > free - others:
                beside = f", {size_text(others)} of it for other downloads" if others else ""
                raise NoRoom(
                    f"it needs {size_text(count)}, and {size_text(free)} are free in {folder}{beside}",
                    "make room, or name another folder with --into or MODELS_DIR",
                )
            reservation.bytes_left = count
            self._held.add(reservation)
        return reservation

    def release(self, reservation: Reservation | None) -> None:
        """Nothing more is written."""
        with self._lock:
            if reservation is not None:
                self._held.discard(reservation)
