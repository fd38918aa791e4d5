# Prints a phone's state around a measurement, for fer_opt/device/phone/conditions.py.
# $1: folder of fer-opt. $2: a token that was never used before; a sign of life for the watchdog.
# $3: whether dumpsys, a slow program, is asked too: yes or no. $4 and on: numbers of the cores used.
guard=$1/guard
token=$2
dumps=$3
shift 3
owner=
if { read -r owner <"$guard/owner"; } 2>/dev/null; then
  echo "$token" >"$guard/alive"
fi
put() {
  value=
  { read -r value <"$2"; } 2>/dev/null
  [ -n "$value" ] && echo "$1 $value"
}
tell() {
  echo "guard $owner"
  put load /proc/loadavg
  for cpu in "$@"; do
    clock=/sys/devices/system/cpu/cpu$cpu/cpufreq
    put "clock $cpu" "$clock/scaling_cur_freq"
    put "limit $cpu" "$clock/scaling_max_freq"
    if [ -r "$clock/stats/time_in_state" ]; then
      while read -r row; do
        echo "time $cpu $row"
      done <"$clock/stats/time_in_state"
    fi 2>/dev/null
  done
  found=
  for zone in /sys/class/thermal/thermal_zone[0-9]*; do
    kind=
    value=
    { read -r kind <"$zone/type"; } 2>/dev/null
    { read -r value <"$zone/temp"; } 2>/dev/null
    if [ -n "$value" ]; then
      found=1
      echo "zone $value $kind"
    fi
  done
  if [ "$dumps" != yes ]; then
    echo state complete
    return
  fi
  echo :::begin battery
  dumpsys battery </dev/null 2>&1
  echo :::end 0
  if [ -z "$found" ]; then
    echo :::begin thermalservice
    dumpsys thermalservice </dev/null 2>&1
    echo :::end 0
  fi
  echo state complete
}
# One write: each of its own would cost a round trip.
text=$(tell "$@")
echo "$text"
