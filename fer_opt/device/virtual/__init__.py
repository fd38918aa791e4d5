"""A virtual phone: a real ADB daemon on this computer that runs what is pushed to it."""

from fer_opt.device.virtual.faults import NO_FAULTS, Faults
from fer_opt.device.virtual.phone import Counters, VirtualPhone
from fer_opt.device.virtual.profile import load_profile, profile_names
from fer_opt.device.virtual.starting import SandboxWanted, serve, start_virtual_phone

__all__ = [
    "NO_FAULTS",
    "Counters",
    "Faults",
    "SandboxWanted",
    "VirtualPhone",
    "load_profile",
    "profile_names",
    "serve",
    "start_virtual_phone",
]
