"""What ``scripts/facts.sh`` prints on phones of three generations, in their tools' own forms.

Written by hand after the formats of Android 7 (mksh, toybox 0.7.0, old dumpsys), 9 and 14.
"""

from __future__ import annotations


def transcript(sections: dict[str, tuple[str, int]]) -> str:
    """Sections as the script frames them."""
    return "".join(
        f":::begin {name}\n{text.strip()}\n\n:::end {status}\n"
        for name, (text, status) in sections.items()
    )


J3_GETPROP = """
[dalvik.vm.heapsize]: [256m]
[ro.arch]: [exynos7570]
[ro.board.platform]: [exynos5]
[ro.build.fingerprint]: [samsung/j3y17ltexx/j3y17lte:7.0/NRD90M/J330FXXU1AQF9:user/release-keys]
[ro.build.version.release]: [7.0]
[ro.build.version.sdk]: [24]
[ro.chipname]: [exynos7570]
[ro.hardware]: [samsungexynos7570]
[ro.product.brand]: [samsung]
[ro.product.cpu.abi]: [armeabi-v7a]
[ro.product.cpu.abilist]: [armeabi-v7a,armeabi]
[ro.product.device]: [j3y17lte]
[ro.product.manufacturer]: [samsung]
[ro.product.model]: [SM-J330F]
[ro.serialno]: [52000a1b2c3de91c]
[sys.note]: [first line
second line]
"""

CPU = "/sys/devices/system/cpu"
ZONE = "/sys/class/thermal/thermal_zone"


def clocks(cpu: int, max_khz: int, min_khz: int, limit_khz: int, governor: str) -> str:
    folder = f"{CPU}/cpu{cpu}/cpufreq"
    return "\n".join(
        (
            f"{folder}/cpuinfo_max_freq = {max_khz}",
            f"{folder}/cpuinfo_min_freq = {min_khz}",
            f"{folder}/scaling_max_freq = {limit_khz}",
            f"{folder}/scaling_min_freq = {min_khz}",
            f"{folder}/scaling_governor = {governor}",
        )
    )


J3 = {
    "getprop": (J3_GETPROP, 0),
    "single": (
        f"""
/proc/uptime = 86423.17 301222.40
/proc/version = Linux version 3.18.14-11104523 (dpi@SWDD6012) (gcc version 4.9 (GCC) ) #1 SMP
/proc/sys/kernel/random/boot_id ! cat: /proc/sys/kernel/random/boot_id: Permission denied
{CPU}/possible = 0-3
{CPU}/online = 0-3
""",
        0,
    ),
    "clocks": (
        "\n".join(clocks(cpu, 1430000, 449000, 1430000, "interactive") for cpu in range(4)),
        0,
    ),
    "zones": (
        f"""
{ZONE}0/type = exynos-therm-0
{ZONE}0/temp ! cat: {ZONE}0/temp: Permission denied
""",
        0,
    ),
    "cpuinfo": (
        "".join(
            f"""processor\t: {cpu}
BogoMIPS\t: 52.00
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt lpae evtstrm aes crc32
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd03
CPU revision\t: 4

"""
            for cpu in range(4)
        ),
        0,
    ),
    "meminfo": (
        "MemTotal:        1903644 kB\nMemFree:           59020 kB\nMemAvailable:     771320 kB\n",
        0,
    ),
    "df": (
        """
Filesystem     1K-blocks    Used Available Use% Mounted on
/dev/block/dm-1 11650592 5010048   6640544  44% /data
""",
        0,
    ),
    "battery": (
        """
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Charge counter: 0
  status: 2
  health: 2
  present: true
  level: 85
  scale: 100
  voltage: 4163
  temperature: 289
  technology: Li-ion
  current now: -12
Adaptive Fast Charging Settings: true
  level: 7
""",
        0,
    ),
    "power": (
        """
POWER MANAGER (dumpsys power)

Power Manager State:
  mDirty=0x0
  mWakefulness=Awake
  mStayOn=false
  mLowPowerModeEnabled=false

Display Power: state=ON
""",
        0,
    ),
    "thermalservice": ("Can't find service: thermalservice", 0),
    "low_power": ("null", 0),
    "stay_on": ("0", 0),
}
"""A Galaxy J3 with Android 7.0, whose shell may not read the sensor."""

PIE = {
    **J3,
    "getprop": (
        J3_GETPROP.replace("7.0", "9").replace("[24]", "[28]").replace("SM-J330F", "SM-G960F"),
        0,
    ),
    "single": (
        f"""
/proc/uptime = 512.01 3800.00
/proc/version = Linux version 4.9.59-16126264 (dpi@21DHA724) (clang) #1 SMP PREEMPT
/proc/sys/kernel/random/boot_id = 9b2b2f0e-2a3f-4be5-9a51-0f0c1c4a7d11
{CPU}/possible = 0-7
{CPU}/online = 0-3,6-7
""",
        0,
    ),
    "clocks": (
        "\n".join(
            [clocks(cpu, 1794000, 455000, 1794000, "schedutil") for cpu in range(4)]
            + [
                f"{CPU}/cpu{cpu}/cpufreq ! cat: {CPU}/cpu{cpu}/cpufreq: No such file or directory"
                for cpu in (4, 5)
            ]
            + [clocks(cpu, 2704000, 650000, 1794000, "schedutil") for cpu in (6, 7)]
        ),
        0,
    ),
    "zones": (
        """
/sys/class/thermal/thermal_zone0/type = BIG
/sys/class/thermal/thermal_zone0/temp = 41000
/sys/class/thermal/thermal_zone1/type = LITTLE
/sys/class/thermal/thermal_zone1/temp = 39000
/sys/class/thermal/thermal_zone2/type = battery
/sys/class/thermal/thermal_zone2/temp = 312
/sys/class/thermal/thermal_zone3/type = soc
/sys/class/thermal/thermal_zone3/temp = 87
/sys/class/thermal/thermal_zone4/type = ac
/sys/class/thermal/thermal_zone4/temp = 0
""",
        0,
    ),
    "power": ("  mWakefulness=Asleep\n  mWakefulnessChanging=false\nDisplay Power: state=OFF\n", 0),
    "low_power": ("1", 0),
}
"""An eight-core phone with Android 9: two big cores switched off, the others held back."""

UPSIDE_DOWN = {
    "getprop": (
        """
[ro.board.platform]: [zuma]
[ro.build.fingerprint]: [google/shiba/shiba:14/UQ1A.240105.004/11206848:user/release-keys]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.hardware]: [shiba]
[ro.product.cpu.abilist]: [arm64-v8a]
[ro.product.device]: [shiba]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
""",
        0,
    ),
    "single": (
        f"""
/proc/uptime ! cat: /proc/uptime: Permission denied
/proc/version = Linux version 5.15.110-android14 (build-user@build-host) #1 SMP PREEMPT
/proc/sys/kernel/random/boot_id = 9b2b2f0e-2a3f-4be5-9a51-0f0c1c4a7d11
{CPU}/possible = 0-8
{CPU}/online = 0-8
""",
        0,
    ),
    "clocks": (
        "\n".join(
            [clocks(cpu, 1704000, 324000, 1704000, "sched_pixel") for cpu in range(4)]
            + [clocks(cpu, 2367000, 402000, 2367000, "sched_pixel") for cpu in range(4, 8)]
            + [clocks(8, 2914000, 500000, 2914000, "sched_pixel")]
        ),
        0,
    ),
    "zones": (
        f"{ZONE}[0-9]*/type ! cat: {ZONE}[0-9]*/type: No such file or directory",
        0,
    ),
    "cpuinfo": (
        "Features\t: fp asimd evtstrm aes fphp asimdhp cpuid asimdrdm asimddp sve sve2 i8mm bf16\n"
        "CPU part\t: 0xd46\nCPU part\t: 0xd4d\nCPU part\t: 0xd4e\n",
        0,
    ),
    "meminfo": ("MemTotal:        7732068 kB\nMemAvailable:    3117716 kB\n", 0),
    "df": (
        "Filesystem       1K-blocks     Used Available Use% Mounted on\n"
        "/dev/block/dm-59 113205244 70519164  42538624  63% /data\n",
        0,
    ),
    "battery": (
        """
Current Battery Service state:
  (UPDATES STOPPED -- use 'reset' to restart)
  AC powered: false
  USB powered: false
  Wireless powered: false
  Dock powered: true
  status: 5
  level: 100
  scale: 100
  temperature: 251
""",
        0,
    ),
    "power": ("Power Manager State:\n  mWakefulness=Dozing\n", 0),
    "thermalservice": (
        """
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 3
Thermal Status: 1
Cached temperatures:
\tTemperature{mValue=30.1, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
\tTemperature{mValue=36.5, mType=0, mName=BIG, mStatus=0}
\tTemperature{mValue=35.25, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
\tTemperature{mValue=NaN, mType=9, mName=TPU, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=3, mName=tpu_cooling}
""",
        0,
    ),
    "low_power": ("0", 0),
    "stay_on": ("cmd: Can't find service: settings", 20),
}
"""A nine-core phone with Android 14."""
