"""What ``dumpsys`` prints of the few services a bench asks, in the words of its Android version."""

from __future__ import annotations

from fer_opt.device.virtual.state import PhoneState

__all__ = ["dump_service"]

CHARGING, DISCHARGING = "2", "3"  # android.os.BatteryManager.BATTERY_STATUS_*


def dump_service(state: PhoneState, words: list[str]) -> str | None:
    """The dump of a service, or what its debug command says; None for a service there is not.

    Args:
        state: of the phone.
        words: the service's name and its arguments.
    """
    name, *rest = words
    if name == "battery":
        return _change_battery(state, rest) if rest else _battery(state)
    if name == "power":
        return _power(state)
    if name == "display":
        return f"DISPLAY MANAGER (dumpsys display)\n  mScreenState={_screen(state)}\n"
    if name == "thermalservice" and state.profile.sdk >= 29:
        return _thermal(state)
    if name == "meminfo":
        return f"Total RAM: {state.profile.memory_kb:,}K (status normal)\n"
    return None


def _battery(state: PhoneState) -> str:
    plugged = state.battery.get("plugged", "usb")
    values = {
        "AC powered": str(plugged == "ac").lower(),
        "USB powered": str(plugged == "usb").lower(),
        "Wireless powered": str(plugged == "wireless").lower(),
        "Max charging current": "500000",
        "status": CHARGING if plugged else DISCHARGING,
        "health": "2",
        "present": "true",
        "level": str(state.battery_percent),
        "scale": "100",
        "voltage": str(state.profile.battery.voltage_mv),
        "temperature": str(round(state.battery_c * 10)),
        "technology": "Li-ion",
    }
    values.update({key: value for key, value in state.battery.items() if key in values})
    title = "Current Battery Service state:\n"
    if state.battery:
        title += "  (UPDATES STOPPED -- use 'reset' to restart)\n"
    return title + "".join(f"  {key}: {value}\n" for key, value in values.items())


def _change_battery(state: PhoneState, words: list[str]) -> str:
    """``set KEY VALUE``, ``unplug`` and ``reset``: what is pretended for tests of apps."""
    short = {"temp": "temperature"}
    if words == ["reset"]:
        state.battery.clear()
    elif words == ["unplug"]:
        state.battery["plugged"] = ""
    elif len(words) == 3 and words[0] == "set":
        if words[1] in ("ac", "usb", "wireless"):
            state.battery["plugged"] = words[1] if words[2] != "0" else ""
        else:
            state.battery[short.get(words[1], words[1])] = words[2]
    else:
        return "Battery service (battery) commands:\n  set|unplug|reset\n"
    return ""


def _power(state: PhoneState) -> str:
    on = state.settings["global"]
    low_power = str(on.get("low_power") == "1").lower()
    low_name = "mLowPowerModeEnabled" if state.profile.sdk < 28 else "mBatterySaverEnabled"
    return (
        "POWER MANAGER (dumpsys power)\n\nPower Manager State:\n"
        f"  mWakefulness={'Awake' if state.screen_on else 'Asleep'}\n"
        "  mIsPowered=true\n  mPlugType=2\n"
        f"  mBatteryLevel={state.battery_percent}\n"
        f"  mStayOn={str(on.get('stay_on_while_plugged_in', '0') != '0').lower()}\n"
        f"  {low_name}={low_power}\n\n"
        "Settings and Configuration:\n"
        f"  mStayOnWhilePluggedInSetting={on.get('stay_on_while_plugged_in', '0')}\n"
        f"  mScreenOffTimeoutSetting={state.settings['system'].get('screen_off_timeout', '')}\n\n"
        f"Display Power: state={_screen(state)}\n"
    )


def _screen(state: PhoneState) -> str:
    return "ON" if state.screen_on else "OFF"


def _thermal(state: PhoneState) -> str:
    status = state.thermal_status
    if status is None:
        status = 3 if state.throttled else 0  # android.os.PowerManager.THERMAL_STATUS_SEVERE
    kinds = {"battery": 2}
    rows = "".join(
        f"\tTemperature{{mValue={celsius:.1f}, mType={kinds.get(name, 0)}, mName={name}, "
        f"mStatus={status}}}\n"
        for name, celsius in state.temperatures().items()
    )
    return (
        f"IsStatusOverride: {str(state.thermal_status is not None).lower()}\n"
        "ThermalEventListeners:\n\tcallbacks: 1\nThermalStatusListeners:\n\tcallbacks: 1\n"
        f"Thermal Status: {status}\nCached temperatures:\n{rows}HAL Ready: true\n"
        "HAL connection:\n\tThermalHAL 2.0 connected: yes\n"
        f"Current temperatures from HAL:\n{rows}Current cooling devices from HAL:\n"
    )
