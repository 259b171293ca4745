# Sourced by the other scripts: a virtual environment with the given requirements, made on first use.
#   source launch/setup.sh requirements.txt
# VENV names another place than .venv; PYTHON another interpreter than python3.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
requirements="$1"
venv="${VENV:-.venv}"
python="${PYTHON:-python3}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "error: $python is older than Python 3.11; name a newer one with PYTHON=python3.12." >&2
  exit 2
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
# A stamp of the installed requirements saves the resolver's time on later runs.
stamp="$venv/$requirements.sha256"
want="$(cat requirements*.txt | sha256sum)"
if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  echo "$want" > "$stamp"
fi
PATH="$(cd "$venv" && pwd)/bin:$PATH"
