#!/usr/bin/env bash
# Sets up and runs all tests: the linter, the fast tests, then the slow ones. Those of Apache Beam
# have an environment of their own: launch/test_beam.sh.
#   bash launch/test.sh [pytest arguments]    e.g. -m "not slow"
set -euo pipefail
source "$(dirname "$0")/setup.sh" requirements-dev.txt

ruff check .
ruff format --check .
if [ $# -gt 0 ]; then
  exec python -m pytest "$@"
fi
python -m pytest -m "not slow" --durations=10
python -m pytest -m slow --durations=10
