# An agent that speaks ndjson and needs a millisecond. It answers with the number in the newest
# message (`ask-0001;`) and with each version of the configuration that it sees: in its environment,
# its arguments, the system context and the user turn. Each run is a line in the file `runs`. A
# number that ends in 7 takes its time, and leaves two processes behind, one of them in a session of
# its own; some others take a little.
IFS= read -r job || exit 1 # the sidecar died before it told
number=${job##*ask-}
number=${number%%;*}
system=${job#*system-}
user=${job##*user-}
echo "$number" >> runs
case $number in
*7) sleep 300 & setsid sleep 300 & sleep 0.4 ;;
*[135]) sleep 0.1 ;;
esac
printf '{"type":"session","id":"s-%s"}\n' "$number"
printf '{"type":"thinking","text":"about %s"}\n' "$number"
printf '{"type":"text","text":"done-%s; %s %s %s %s"}\n' \
    "$number" "${VERSION:--}" "${1:--}" "${system%%;*}" "${user%%;*}"
printf '{"type":"result"}\n'
