# Runs the R code of the form, which comes as the first argument.
set -eu
if ! command -v Rscript > /dev/null; then
  echo "error: There is no R here. On a cluster choose an image with R; on this machine install it, for example with" \
    "apt-get install r-base-core (Debian, Ubuntu) or brew install r (macOS), then run the step again." >&2
  exit 1
fi
script="${TMPDIR:-/tmp}/step.R"
{
  echo 'inputs <- Sys.getenv("ATELIER_INPUTS"); outputs <- Sys.getenv("ATELIER_OUTPUTS"); results <- Sys.getenv("ATELIER_RESULTS")'
  printf '%s\n' "$1"
} > "$script"
exec Rscript --vanilla "$script"
