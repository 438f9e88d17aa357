# Store parcel $1 under the key $2.
. ./calls.sh
arrive
at "$n before"
late "$n"
echo "store $1" >> log
echo "$1 $2" >> keys
at "$n after"
echo "$1"
