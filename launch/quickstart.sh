#!/usr/bin/env bash
# The whole path once, on this machine: renders rooms, trains a tiny Qwen3-VL from random weights to
# tell depth, evaluates it on scenes it has not seen, and exports it for transformers.
#   bash launch/quickstart.sh [DIR]           DIR is where everything goes, runs/quickstart if left out
set -euo pipefail
source "$(dirname "$0")/setup.sh" requirements.txt

out="${1:-runs/quickstart}"
if [ -e "$out" ]; then
  echo "error: $out exists; remove it, or name another folder: bash launch/quickstart.sh DIR" >&2
  exit 2
fi
mkdir -p "$out"
data="$out/data"

step() { printf '\n== %s\n' "$1" >&2; }

evaluate() { # checkpoint, name, further flags
  python -m vlm3_jax.evaluate --config=configs/quickstart_eval.py --checkpoint="$1" \
    --workdir="$out/eval/$2" --config.data_dir="$data" "${@:3}"
}

step "Rendering rooms (synthetic_rooms/quickstart)"
python -m tfds_builders.build synthetic_rooms/quickstart --data_dir="$data"

step "Making an untrained model"
python -m launch.make_model --size=tiny --dst="$out/untrained"
evaluate "$out/untrained" before

step "Training"
python -m vlm3_jax.train --config=configs/quickstart.py --workdir="$out/train" \
  --config.model.checkpoint="$out/untrained" --config.data.data_dir="$data"

step "Evaluating on scenes it has not seen, then with the images swapped between views"
evaluate "$out/train" after
evaluate "$out/train" swapped --config.swap_images=True

step "Exporting for transformers"
python -m vlm3_jax.convert --src="$out/train" --dst="$out/hf" --to=hf

python -m launch.quickstart_report --dir="$out"
