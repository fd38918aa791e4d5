# Prints everything fer-opt wants to know about a phone, in sections that
# fer_opt/device/phone/fact_parsing.py takes apart. Reads only. $1: folder whose free space counts.
# Builtins wherever possible: starting a program costs a Galaxy J3 some 15 ms.
run() {
  echo ":::begin $1"
  shift
  "$@" </dev/null 2>&1
  code=$?
  echo
  echo ":::end $code"
}
line() {
  value=
  if { read -r value <"$1"; } 2>/dev/null || [ -n "$value" ]; then
    echo "$1 = $value"
  else
    echo "$1 ! $(cat "$1" 2>&1)"
  fi
}
single() {
  line /proc/uptime
  line /proc/version
  line /proc/sys/kernel/random/boot_id
  line /sys/devices/system/cpu/possible
  line /sys/devices/system/cpu/online
}
clocks() {
  for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
    if [ -d "$cpu/cpufreq" ]; then
      for name in cpuinfo_max_freq cpuinfo_min_freq scaling_max_freq scaling_min_freq scaling_governor; do
        line "$cpu/cpufreq/$name"
      done
    else
      line "$cpu/cpufreq"
    fi
  done
}
zones() {
  for zone in /sys/class/thermal/thermal_zone[0-9]*; do
    line "$zone/type"
    line "$zone/temp"
  done
}
all() {
  run getprop getprop
  run single single
  run clocks clocks
  run zones zones
  run cpuinfo cat /proc/cpuinfo
  run meminfo cat /proc/meminfo
  run df df -k "$1"
  run battery dumpsys battery
  run power dumpsys power
  run thermalservice dumpsys thermalservice
  run low_power settings get global low_power
  run stay_on settings get global stay_on_while_plugged_in
}
# One write: each of its own would cost a round trip.
text=$(all "$1")
echo "$text"
