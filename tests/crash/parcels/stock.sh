# How many of $1 there are: 3, once it has been asked before. `tools.py` says what the files are.
at() { grep -qx "$1" kills && kill -9 "$(cat pid)" && exit 1; }
set -C
n=1
until true > "calls/$n"; do n=$((n + 1)); done 2> /dev/null
at "$n before"
seen=$(grep -cx "stock $1" log)
echo "stock $1" >> log
at "$n after"
[ "$seen" = 0 ] && exit 75
echo 3
