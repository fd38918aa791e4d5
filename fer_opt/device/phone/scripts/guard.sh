# Holds settings of a phone for the time of a bench, and gives them back; see
# fer_opt/device/phone/settings.py. $1: what to do. $2: our folder's subfolder guard, which has
#   before    settings as they were: NAMESPACE KEY VALUE, a line each ("null" for none); while it
#             exists there is something to give back
#   owner     token of the session whose watchdog may act
#   alive     changes with every sign of life of that session
#   watchdog  the watchdog's process and when it started
#   jobs      the same of each program started for a measurement
guard=$2

# began PID: sets $start to when that process started (field 22 of its stat); empty for none.
began() {
  start=
  row=
  { read -r row <"/proc/$1/stat"; } 2>/dev/null
  fields ${row##*") "}
}
fields() {
  if [ $# -ge 20 ] && [ "$1" != Z ]; then
    shift 19
    start=$1
  fi
}
# runs PID START: whether that very process still runs.
runs() {
  began "$1"
  [ -n "$start" ] && [ "$start" = "$2" ]
}
# end PID: with its group, which it leads where setsid started it: what it is just running ends too.
end() {
  kill -9 "-$1" 2>/dev/null || kill -9 "$1" 2>/dev/null
}
end_watchdog() {
  pid=
  { read -r pid when <"$guard/watchdog"; } 2>/dev/null
  [ -n "$pid" ] && runs "$pid" "$when" && end "$pid"
  rm -f "$guard/watchdog"
}
end_jobs() {
  [ -f "$guard/jobs" ] || return 0
  while read -r pid when; do
    runs "$pid" "$when" && end "$pid" && echo "ended $pid"
  done <"$guard/jobs"
  rm -f "$guard/jobs"
}
# Whether the program started last still runs: a measurement may be silent for long.
job_runs() {
  [ -f "$guard/jobs" ] || return 1
  last=
  while read -r pid when; do
    last="$pid $when"
  done <"$guard/jobs"
  [ -n "$last" ] && runs $last
}
get() {
  now=$(settings get "$1" "$2" </dev/null 2>&1)
}
# note SPACE KEY VALUE: writes down what was before, whole or not at all.
note() {
  echo "$*" >"$guard/new" && mv "$guard/new" "$guard/before"
}
# give_back SPACE KEY VALUE: fails where that did not work.
give_back() {
  if [ "$3" = null ]; then
    settings delete "$1" "$2" </dev/null >/dev/null 2>&1
  else
    settings put "$1" "$2" "$3" </dev/null >/dev/null 2>&1
  fi
  get "$1" "$2"
  if [ "$now" != "$3" ]; then
    echo "unrestored $1 $2 $3 $now"
    return 1
  fi
  echo "restored $1 $2 $3"
}
# Gives back what "before" holds; fails, and keeps it, where that did not work.
restore() {
  [ -f "$guard/before" ] || return 0
  left=
  while read -r space key value; do
    give_back "$space" "$key" "$value" || left=1
  done <"$guard/before"
  [ -z "$left" ] && rm -f "$guard/before"
}
# Sets $owner to the token of the session that holds the settings; empty for none.
whose() {
  owner=
  { read -r owner <"$guard/owner"; } 2>/dev/null
}

# What an earlier session left is put right: programs, settings, watchdog.
clear_up() {
  end_watchdog
  rm -f "$guard/owner" "$guard/alive"
  end_jobs
  restore
}

# hold GUARD TOKEN SCRIPT TICK QUIET MOST: writes down what is, sets a watchdog, then changes it.
hold() {
  mkdir -p "$guard" || return 1
  clear_up
  if [ ! -f "$guard/before" ]; then
    get global stay_on_while_plugged_in
    case $now in
      null | [0-9] | [0-9][0-9]) ;;
      *)
        echo "unreadable $now"
        return 0
        ;;
    esac
    note global stay_on_while_plugged_in "$now" || return 1
    sync
  fi
  before=$now
  read -r space key value <"$guard/before" || return 1
  echo "$1" >"$guard/owner"
  echo "$1" >"$guard/alive"
  if command -v setsid >/dev/null 2>&1; then
    setsid sh "$2" watch "$guard" "$1" "$3" "$4" "$5" </dev/null >/dev/null 2>&1 &
  else
    sh "$2" watch "$guard" "$1" "$3" "$4" "$5" </dev/null >/dev/null 2>&1 &
  fi
  waited=0
  until [ -s "$guard/watchdog" ]; do
    waited=$((waited + 1))
    if [ "$waited" -gt 50 ]; then
      clear_up
      echo "unwatched"
      return 0
    fi
    sleep 0.1 2>/dev/null || sleep 1
  done
  svc power stayon true </dev/null 2>&1
  # That may take a phone which is just starting longer than the watchdog waits, or than we do:
  # what was given back meanwhile would now be changed with nothing on record.
  whose
  if [ "$owner" != "$1" ]; then
    [ -n "$owner" ] || give_back "$space" "$key" "$value" >/dev/null ||
      note "$space" "$key" "$value"
    echo "late"
    return 0
  fi
  echo "$1 held" >"$guard/alive"
  get global stay_on_while_plugged_in
  echo "held $before $now"
}

# watch GUARD TOKEN TICK QUIET MOST: gives everything back when our session is silent for QUIET
# ticks in which none of its programs runs, or for MOST. Ends when the session is another or over.
watch() {
  trap '' HUP INT PIPE
  began $$
  echo "$$ $start" >"$guard/watchdog"
  quiet=0
  silent=0
  seen=
  while sleep "$2"; do
    whose
    [ "$owner" = "$1" ] || return 0
    alive=
    { read -r alive <"$guard/alive"; } 2>/dev/null
    quiet=$((quiet + 1))
    silent=$((silent + 1))
    if [ "$alive" != "$seen" ]; then
      seen=$alive
      quiet=0
      silent=0
    fi
    # When a program has just ended, its session still has to hear of it.
    job_runs && quiet=0
    [ "$quiet" -lt "$3" ] && [ "$silent" -lt "$4" ] || break
  done
  rm -f "$guard/owner" "$guard/alive"
  end_jobs
  # Settings may not answer for a while, for example when the phone is just starting.
  tries=0
  until restore || [ "$tries" -ge 30 ] || [ -e "$guard/owner" ]; do
    tries=$((tries + 1))
    sleep "$2" || return 1
  done
  [ -e "$guard/owner" ] || rm -f "$guard/watchdog"
}

# release GUARD TOKEN: the end of a session, unless another one has taken over.
release() {
  whose
  if [ "$owner" = "$1" ]; then
    end_jobs
    restore && clear_up
    echo "released"
  else
    echo "lapsed $owner"
  fi
}

# sign GUARD TOKEN NEW: a sign of life.
sign() {
  whose
  if [ "$owner" = "$1" ]; then
    echo "$2" >"$guard/alive"
  fi
  echo "owner $owner"
}

verb=$1
shift 2
"$verb" "$@"
echo "$verb ends"
