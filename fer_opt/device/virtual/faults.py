"""What can be made to go wrong with a virtual phone."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NO_FAULTS", "Faults"]


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, and when. Setting a phone's faults anew starts their counts from 0.

    Attributes:
        drop_at_message: the link breaks instead of carrying the message of this number, counted
            from 1 in both directions together; it comes back and stays whole. None: never.
        drop_at_byte: the link breaks after carrying this many bytes, counted likewise.
        away_s: for how long no connection is answered after the link broke, in seconds.
        frozen: everything stops being answered, as when a cable is pulled or the phone hangs.
        freeze_at_message: the same from the message of this number on.
        reboot_at_message: the phone reboots instead of carrying the message of this number: what
            runs ends, and a new boot answers a little later. None: never.
        free_bytes: what is left for files; df tells it, and a longer push fails. None: plenty.
        full_after_bytes: pushes fail for want of space after this many bytes although df promised
            more.
        unauthorized: no key is accepted, whatever the phone was told when it started.
        bytes_per_s: the link is this slow, both directions together. None: as fast as it goes.
        speed: share of its full speed at which the phone computes; below 1 it is throttled: its
            processes are paused that much, its clocks and their limits fall, and it is hot.
        battery_percent: charge; None leaves the profile's.
        battery_c: temperature of the battery in degrees Celsius; None leaves the profile's.
    """

    drop_at_message: int | None = None
    drop_at_byte: int | None = None
    away_s: float = 0.0
    frozen: bool = False
    freeze_at_message: int | None = None
    reboot_at_message: int | None = None
    free_bytes: int | None = None
    full_after_bytes: int | None = None
    unauthorized: bool = False
    bytes_per_s: float | None = None
    speed: float = 1.0
    battery_percent: int | None = None
    battery_c: float | None = None


NO_FAULTS = Faults()
