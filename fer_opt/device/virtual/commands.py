"""Commands of Android that ask a service, answered from the phone's state. No input or output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fer_opt.device.virtual.dumps import dump_service
from fer_opt.device.virtual.state import PhoneState

__all__ = ["Answer", "answer_command"]

PLUGS = {"true": 7, "false": 0, "ac": 1, "usb": 2, "wireless": 4}
"""android.os.BatteryManager.BATTERY_PLUGGED_*, as ``svc power stayon`` takes them."""

WAKEUP, SLEEP, POWER = 224, 223, 26  # android.view.KeyEvent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command prints, and its exit status."""

    output: str = ""
    error: str = ""
    status: int = 0


def answer_command(state: PhoneState, words: list[str], *, used_bytes: int) -> Answer:
    """Answer a command line; settings and the like change in ``state``.

    Args:
        state: of the phone.
        words: the command and its arguments.
        used_bytes: by the files of ``/data/local/tmp``.
    """
    if words[:1] == ["df"]:
        return _df(state, words[1:], used_bytes)
    command = COMMANDS.get(words[0]) if words else None
    if command is None:
        return Answer(error=f"{' '.join(words[:1])}: inaccessible or not found\n", status=127)
    return command(state, words[1:])


def _getprop(state: PhoneState, words: list[str]) -> Answer:
    if not words:
        rows = sorted(state.properties.items())
        return Answer("".join(f"[{name}]: [{value}]\n" for name, value in rows))
    return Answer(state.properties.get(words[0], "".join(words[1:2])) + "\n")


def _setprop(state: PhoneState, words: list[str]) -> Answer:
    if len(words) != 2:
        return Answer(error="usage: setprop NAME VALUE\n", status=1)
    name, value = words
    if not name.startswith(("debug.", "log.")):
        # The shell user may set no others.
        return Answer(error=f"setprop: failed to set property '{name}' to '{value}'\n", status=1)
    state.properties[name] = value
    return Answer()


def _settings(state: PhoneState, words: list[str]) -> Answer:
    if words[:1] == ["--user"]:
        words = words[2:]
    if len(words) < 2 or words[0] not in ("get", "put", "delete", "list"):
        return Answer(error="usage: settings [--user NUM] get|put|delete|list ...\n", status=255)
    verb, namespace, *rest = words
    values = state.settings.get(namespace.lower())
    if values is None:
        return Answer(error=f"Invalid namespace '{namespace}'\n", status=255)
    if verb == "list":
        return Answer("".join(f"{key}={value}\n" for key, value in sorted(values.items())))
    if len(rest) < (2 if verb == "put" else 1):
        return Answer(error="Bad arguments\n", status=255)
    if verb == "get":
        return Answer(values.get(rest[0], "null") + "\n")
    if verb == "put":
        values[rest[0]] = rest[1]
        return Answer()
    return Answer(f"Deleted {int(values.pop(rest[0], None) is not None)} rows\n")


def _svc(state: PhoneState, words: list[str]) -> Answer:
    if words[:2] == ["power", "stayon"] and len(words) == 3 and words[2] in PLUGS:
        plugs = PLUGS[words[2]]
        if words[2] == "true" and state.profile.sdk >= 33:
            plugs |= 8  # a dock, which Android 13 counts too
        state.settings["global"]["stay_on_while_plugged_in"] = str(plugs)
        if plugs:
            state.screen_on = True
        return Answer()
    if words[:2] == ["power", "reboot"]:
        return _reboot(state, words[2:])
    return Answer(error="Control the power manager\n\nusage: svc power stayon "
                        "[true|false|usb|ac|wireless]\n", status=1)  # fmt: skip


def _cmd(state: PhoneState, words: list[str]) -> Answer:
    if words[:1] == ["settings"] and state.profile.sdk >= 27:
        return _settings(state, words[1:])
    if words[:1] == ["battery"] and state.profile.sdk >= 26:
        return _dumpsys(state, words)
    if words[:2] == ["thermalservice", "override-status"] and state.profile.sdk >= 29:
        if len(words) != 3 or words[2] not in "0123456":
            return Answer(error="Invalid status\n", status=255)
        state.thermal_status = int(words[2])
        return Answer()
    if words == ["thermalservice", "reset"] and state.profile.sdk >= 29:
        state.thermal_status = None
        return Answer()
    return Answer(error=f"cmd: Can't find service: {' '.join(words[:1])}\n", status=20)


def _dumpsys(state: PhoneState, words: list[str]) -> Answer:
    if not words:
        return Answer(error="dumpsys: name a service\n", status=1)
    dump = dump_service(state, words)
    if dump is None:
        return Answer(error=f"Can't find service: {words[0]}\n")
    return Answer(dump)


def _input(state: PhoneState, words: list[str]) -> Answer:
    keys = {"KEYCODE_WAKEUP": WAKEUP, "KEYCODE_SLEEP": SLEEP, "KEYCODE_POWER": POWER}
    if words[:1] != ["keyevent"] or len(words) != 2:
        return Answer(error="Usage: input keyevent <key code number or name>\n", status=255)
    key = keys.get(words[1]) or (int(words[1]) if words[1].isdigit() else 0)
    if key in (WAKEUP, SLEEP):
        state.screen_on = key == WAKEUP
    elif key == POWER:
        state.screen_on = not state.screen_on
    return Answer()


def _uname(state: PhoneState, words: list[str]) -> Answer:
    facts = {
        "s": "Linux", "n": "localhost", "r": state.profile.kernel,
        "v": "#1 SMP PREEMPT", "m": state.profile.machine,
    }  # fmt: skip
    wanted = "".join(word.lstrip("-") for word in words) or "s"
    shown = facts if "a" in wanted else [letter for letter in facts if letter in wanted]
    return Answer(" ".join(facts[letter] for letter in shown) + "\n")


def _df(state: PhoneState, words: list[str], used_bytes: int) -> Answer:
    """Toybox's table, of /data alone: the one file system of the phone that matters."""
    total_kb = state.profile.storage_kb
    free_kb = state.free_bytes(used_bytes) // 1024
    used_kb = total_kb - free_kb
    percent = -(-100 * used_kb // total_kb)
    if "-h" in words:
        cells = [f"{kb / (1 << 20):.1f}G" for kb in (total_kb, used_kb, free_kb)]
    else:
        cells = [str(kb) for kb in (total_kb, used_kb, free_kb)]
    title = "1K-blocks" if "-h" not in words else "Size"
    return Answer(
        f"{'Filesystem':<16} {title:>10} {'Used':>9} {'Available':>10} Use% Mounted on\n"
        f"{'/dev/block/data':<16} {cells[0]:>10} {cells[1]:>9} {cells[2]:>10} {percent:>3}% /data\n"
    )


def _reboot(state: PhoneState, _words: list[str]) -> Answer:
    state.rebooting = True
    return Answer()


COMMANDS: dict[str, Callable[[PhoneState, list[str]], Answer]] = {
    "cmd": _cmd,
    "dumpsys": _dumpsys,
    "getprop": _getprop,
    "input": _input,
    "reboot": _reboot,
    "setprop": _setprop,
    "settings": _settings,
    "svc": _svc,
    "uname": _uname,
}
