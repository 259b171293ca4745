#!/usr/bin/env bash
# Sets up the environment of Apache Beam, in .venv-beam, and runs the tests of its builds in it;
# launch/test.sh, without Beam, skips them.
#   bash launch/test_beam.sh [pytest arguments]
set -euo pipefail
VENV="${VENV:-.venv-beam}"
source "$(dirname "$0")/setup.sh" requirements-beam.txt

python -c "import apache_beam"
python -m pytest tests/tfds_builders/test_beam.py --durations=3 "$@"
