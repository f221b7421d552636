# Runs the program it is given, and asks it to end when the word "stop" comes by a pipe, or when nobody has held the other end of
# that pipe for a time: whoever starts relays may end and come back meanwhile. $1: seconds the program may take to end before it
# is killed. $2: seconds it goes on alone. $3: the pipe, which has a name, so that the next one who starts relays finds it.
# The rest: the program.
#
# A pipe works on every Unix and for any program, needs no process number that may be another's by now, and closes by itself when
# the process at its other end is killed.
grace=$1 alone=$2 pipe=$3
shift 3
"$@" &
child=$!
trap 'kill -TERM "$child"; { sleep "$grace"; kill -KILL "$child"; } >/dev/null 2>&1 &' USR1
# A signal for everybody is the program's to answer; this shell ends when it does.
trap : TERM INT HUP
{
  # What these hold open would look as if the program still ran.
  exec >/dev/null 2>&1
  word=
  while [ "$word" != stop ]; do
    { sleep "$alone"; kill -USR1 $$; } &
    timer=$!
    # Waits until somebody holds the other end.
    exec 3<"$pipe"
    kill -KILL "$timer"
    while read -r word <&3 && [ "$word" != stop ]; do :; done
    exec 3<&-
  done
  kill -USR1 $$
} &
watch=$!
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  code=$?
done
# What was started above is a group of its own. The watch may still hold the program's output: then it would look as if that ran.
kill -KILL "$watch"
kill -TERM 0 2>/dev/null
wait "$watch" 2>/dev/null
exit "$code"
