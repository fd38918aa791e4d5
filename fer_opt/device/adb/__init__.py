"""The connection to a phone over the Android Debug Bridge."""

from fer_opt.device.adb.link import Finished, Link, RemoteFile, Route
from fer_opt.device.adb.listing import ListedPhone, list_phones
from fer_opt.device.adb.opening import open_phone

__all__ = [
    "Finished",
    "Link",
    "ListedPhone",
    "RemoteFile",
    "Route",
    "list_phones",
    "open_phone",
]
