#!/usr/bin/env bash
# The original report's experiments on all of MiniPlaces at full size, most telling first, as far as the time goes.
#
#   DATA=miniplaces LIMIT=575 bash tools/full_size.sh            from the project's folder; on a GPU
#   EXPERIMENTS="simplenet-60 attack-table" FRAMEWORKS=minigrad,torch SEEDS=3 LIMIT=86400 bash tools/full_size.sh
#   SCALE=medium DEVICE=cpu LIMIT=86400 bash tools/full_size.sh  all images at 64 pixels, a sixth of the epochs: hours on a CPU
#
# Each experiment is a command of compare accuracy: stopped by LIMIT (seconds) or Ctrl-C it is saved, and the same line goes on with
# it. Runs are kept under OUT/runs, results in OUT/accuracy-EXPERIMENT-SCALE.json as they come: those belong into
# compare/results. DATA is the folder with images/, train.txt and val.txt. OPTIONS go to compare accuracy as they are.
export PYTHONPATH=.${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 MPLBACKEND=Agg
DATA=${DATA:-miniplaces}; OUT=${OUT:-runs/full-size}; LIMIT=${LIMIT:-575}; PYTHON=${PYTHON:-python3}
SCALE=${SCALE:-full}; DEVICE=${DEVICE:-gpu}; FRAMEWORKS=${FRAMEWORKS:-minigrad}; SEEDS=${SEEDS:-1}
EXPERIMENTS=${EXPERIMENTS:-simplenet-60 attack-table simplenet-bn-90 adversarial-training-10 vit-d4-90 simplenet-custom-conv-10
    vit-d6-90 resnet18-finetune-60}
SAVING=20  # seconds that a run has for its last checkpoint

data=()
if [[ $SCALE == full || $SCALE == medium ]]; then
    [[ -d $DATA ]] || { echo "error: DATA=$DATA is no folder: MiniPlaces is wanted, with images/, train.txt, val.txt" >&2; exit 2; }
    data=(--data "$DATA")
fi
[[ $DEVICE == gpu* && $FRAMEWORKS == *minigrad* ]] && data+=(--data-on-device)
read -ra options <<<"${OPTIONS:-}"
mkdir -p "$OUT" || exit 2
failed=()

experiment() {  # experiment NAME: as long as there is time left; a run that was stopped is no failure
    local left=$((LIMIT - SECONDS - SAVING)) code
    ((left < 5)) && { echo "== ${SECONDS}s no time left for: $1"; return; }
    echo "== ${SECONDS}s $1"
    timeout --foreground -s TERM -k $SAVING "$left" "$PYTHON" -m compare accuracy "$1" --scale "$SCALE" "${data[@]}" \
        --device "$DEVICE" --tracks "$FRAMEWORKS" --seeds "$SEEDS" --runs "$OUT/runs" \
        --json "$OUT/accuracy-$1-$SCALE.json" "${options[@]}"
    code=$?
    echo "-- exit $code at ${SECONDS}s"
    ((code == 0 || code == 124 || code == 130)) || failed+=("$1")
}
all() {
    for name in $EXPERIMENTS; do experiment "$name"; done
    echo "== ${SECONDS}s done: ${#failed[@]} experiments failed or differ ${failed[*]}"
    return $((${#failed[@]} > 0))
}
trap 'exit 130' INT
set -o pipefail
all 2>&1 | tee -a "$OUT/log.txt"
