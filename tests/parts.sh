# Counting for tests/run, which sources it: `part NAME COMMAND…` runs one part of the suite and adds up what it
# says of itself; `finish` prints the closing line and exits 0 only when every part ran, ended well and failed nothing.
output=$(mktemp)
passed=0 failed=0 broken=0

part() {
  echo "=== $1"
  shift
  local status=0 p f
  "$@" 2>&1 | tee "$output" || status=1
  read -r p f < <(counts <"$output")
  passed=$((passed + p)) failed=$((failed + f))
  # A part that ended badly before it could count, or that ran nothing, is no success.
  if [ "$status" -ne 0 ] || [ $((p + f)) -eq 0 ]; then broken=1; fi
}

# "PASSED FAILED", from the summaries of nextest, of each cargo test binary, of the simulator. One awk and no grep:
# a grep that finds nothing, as for failures on a good day, fails, and takes a `set -e` script with it.
counts() {
  awk '
    function sum(outcome, rest, total) {
      for (rest = $0; match(rest, "[0-9]+ (" outcome ")"); rest = substr(rest, RSTART + RLENGTH)) total += substr(rest, RSTART) + 0
      return total
    }
    /tests? run:|^test result:|^[0-9]+ passed, |^mutants: / { p += sum("passed"); f += sum("failed|timed out|exec failed") }
    END { print p + 0, f + 0 }'
}

finish() {
  local word=ok
  if [ "$failed" -ne 0 ] || [ "$broken" -ne 0 ]; then word=FAILED; fi
  echo "=== $word: $passed passed, $failed failed"
  [ $word = ok ] && exit 0
  exit 1
}
