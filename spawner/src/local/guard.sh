# Runs the program it is given, and asks it to end when standard input does: when the process at the other end of that pipe
# closes it, ends, or is killed. $1: seconds the program may take to end before it is killed. The rest: the program.
#
# A pipe does what a death signal of the kernel does, on every Unix, for any program, and the same way for a stop that is asked for.
grace=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
{
  exec >/dev/null 2>&1
  while read -r line <&3; do :; done
  kill -TERM "$child"
  sleep "$grace"
  kill -KILL "$child"
} &
watch=$!
exec 3<&-
# A signal for everybody is the program's to answer; this shell ends when it does.
trap : TERM INT HUP
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  code=$?
done
kill -KILL "$watch" 2>/dev/null
exit "$code"
