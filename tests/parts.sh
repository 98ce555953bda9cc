# Counting for tests/run, which sources it: `part NAME COMMAND…` runs one part of the suite and adds up what it
# says of itself; `finish` prints what failed and the closing line, and exits 0 only when every part ran, ended well
# and failed nothing.
output=$(mktemp)
passed=0 failed=0 broken=0 told=

part() {
  echo "=== $1"
  shift
  local status=0 p f
  "$@" 2>&1 | tee "$output" || status=1
  read -r p f < <(counts <"$output")
  passed=$((passed + p)) failed=$((failed + f))
  # A part that ended badly before it could count, or that ran nothing, is no success.
  if [ "$status" -ne 0 ] || [ $((p + f)) -eq 0 ]; then broken=1; fi
  if [ "$status" -ne 0 ] || [ "$f" -gt 0 ]; then told+=$(failures <"$output")$'\n'; fi
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

# What failed and the beginning of what it said, as cargo test, nextest and the simulator print it: a log that is kept
# by its end alone still names it.
failures() {
  awk '
    /^test .* \.\.\. FAILED/ || /^ +(FAIL|TIMEOUT|SIG[A-Z]+) +\[/ || /^seed [0-9]+: (FAILED|two)/ || /^error/ || /^\| .* \| not in / { print substr($0, 1, 400) }
    /^---- .* stdout ----$/ || /^ +std(out|err) ───$/ || /^--- STD(OUT|ERR): / { left = 40 }
    /^failures:$/ || /^test result:/ { left = 0 }
    left > 0 { left--; print "    " substr($0, 1, 400) }'
}

finish() {
  local word=ok
  if [ "$failed" -ne 0 ] || [ "$broken" -ne 0 ]; then
    word=FAILED
    printf '=== what failed\n%s' "$told"
  fi
  echo "=== $word: $passed passed, $failed failed"
  [ $word = ok ] && exit 0
  exit 1
}
