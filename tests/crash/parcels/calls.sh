# What the desk's shell programs have in common; `tools.py` says what the files are.

# Kill the engine if it is to die at this moment, such as `7 before`.
at() { grep -qx "$1" kills && kill -9 "$(cat pid)" && exit 1; }

# The same, but live on, and write down having outlived the engine.
late() {
  grep -qx "$1 late" kills || return
  engine=$(cat pid)
  kill -9 "$engine"
  while kill -0 "$engine" 2> /dev/null; do sleep 0.01; done
  sleep 1
  echo "call $1" >> outlived
}

# Set `n` to the number of this call.
arrive() {
  set -C
  n=1
  until true > "calls/$n"; do n=$((n + 1)); done 2> /dev/null
}
