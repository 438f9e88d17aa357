# How many of $1 there are: 3, once it has been asked before.
. ./calls.sh
arrive
at "$n before"
late "$n"
seen=$(grep -cx "stock $1" log)
echo "stock $1" >> log
at "$n after"
[ "$seen" = 0 ] && exit 75
echo 3
