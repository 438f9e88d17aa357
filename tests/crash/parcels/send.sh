# Sends the parcel.
. ./calls.sh
arrive
at "$n before"
late "$n"
echo send >> log
at "$n after"
echo '{"number": "N-1"}'
