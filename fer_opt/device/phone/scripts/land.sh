# Gives a pushed file its name once it is known to be whole, for fer_opt/device/phone/files.py.
# $1: its path; it was pushed as $1.part. $2: program that hashes. $3: hash. $4: permissions.
part=$1.part
sum=$($2 <"$part" 2>&1)
if [ "${sum%% *}" = "$3" ]; then
  chmod "$4" "$part" && mv -f "$part" "$1" && echo landed
else
  echo "differs $(stat -c %s "$part" 2>&1)"
  rm -f "$part"
fi
