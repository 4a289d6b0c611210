# Runs the script of the form, which comes as the first argument: with bash where there is one, to its first failure.
set -eu
script="${TMPDIR:-/tmp}/script.sh"
printf '%s\n' "$1" > "$script"
if command -v bash > /dev/null; then
  exec bash -euo pipefail "$script"
fi
exec sh -eu "$script"
