#!/bin/sh
# Holds model.tflite against the one on the main branch; exits with the gate's code.
set -eu
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git show origin/main:model.tflite >"$old/main.tflite" || rm "$old/main.tflite"
fer-opt gate --baseline "$old/main.tflite" --candidate model.tflite --fresh --junit gate.xml
