# Removes our folder ($1) and nothing else, for fer_opt/device/phone/cleaning.py.
if [ -L "$1" ]; then
  echo "link $(readlink "$1")"
elif [ ! -e "$1" ]; then
  echo "freed 0"
elif [ ! -d "$1" ]; then
  echo "file"
else
  size=$(du -sk "$1" 2>/dev/null)
  rm -rf "$1"
  if [ -e "$1" ]; then
    echo "left"
  else
    echo "freed ${size%%[!0-9]*}"
  fi
fi
