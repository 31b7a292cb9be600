#!/usr/bin/env bash
# Everything worth knowing of a GPU in one run of under ten minutes, most telling first; all is written as it comes.
#
#   OUT=folder LIMIT=575 bash tools/gpu_check.sh          from the project's folder; numpy, cupy, torch and pytest installed
#   PARTS="facts train" SMALL=1 bash tools/gpu_check.sh   some of the parts; on a few small images, as its own test runs it
#
# Nothing of it stops at a failure. The last line counts the commands that failed, and the exit code is 1 if any did.
# What it measured belongs into compare/results and docs/gpu.md, with the machine's name.
export PYTHONPATH=.${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 MPLBACKEND=Agg
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4} OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-4}
OUT=${OUT:-runs/gpu-check}; LIMIT=${LIMIT:-575}; PYTHON=${PYTHON:-python3}
PARTS=${PARTS:-facts kernels train steps speed tests}
mkdir -p "$OUT"; work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=()

say() { echo "== ${SECONDS}s $*"; }
run() {  # run SECONDS COMMAND...: never longer than that, nor than what is left of LIMIT
    local limit=$1 left=$((LIMIT - SECONDS)) code; shift
    [[ ${SMALL:-} ]] && limit=$((limit * 3))  # its own test runs on an emulator, beside other tests
    ((left < 5)) && { say "no time left for: $*"; failed+=("$*"); return; }
    say "$*"; timeout -k 5 $((limit < left ? limit : left)) "$@"; code=$?
    echo "-- exit $code at ${SECONDS}s"
    ((code)) && failed+=("$*")
}
has() { "$PYTHON" -c "import $1" 2>/dev/null; }

if [[ ${SMALL:-} ]]; then
    train=(--limit-train 8 --limit-val 8 --batch-size 4 --image-size 32 --epochs 2); few=("${train[@]}"); attack=1
    all=simplenet; others=vit; job=(--batch 2 --image-size 32); timed=(--steps 1); measured=("${job[@]}" --rounds 1 --steps 1)
    kernels=(-k "test_softmax and shape0"); rest=(tests/ops/test_elementwise.py -k "test_as_torch and gpu-exp and not 2"); workers=0
else
    train=(); few=(--limit-train 2000 --epochs 1); attack=10
    all="simplenet vit simplenet-bn resnet18"; others="simplenet-bn vit resnet18"; job=(); timed=()
    measured=(--batch 256 --rounds 6 --steps 5)
    kernels=(); rest=(--ignore tests/backends --maxfail 300); workers=8
fi
pytest=("$PYTHON" -m pytest -m gpu -v -p no:cacheprovider -rf)
((workers)) && has xdist && pytest+=(-n $workers)
has pytest_timeout && pytest+=(--timeout 60)  # a test that hangs is one failure

facts() {
    run 20 nvidia-smi --query-gpu=name,driver_version,clocks.sm,memory.total --format=csv
    nproc; git log -1 --format=%h 2>/dev/null
    run 30 "$PYTHON" -c "import cupy, minigrad, numpy; print(cupy.__version__, numpy.__version__, minigrad.get_device('gpu'))"
    run 30 "$PYTHON" -c "import cupy; cupy.show_config()"
    run 30 "$PYTHON" -c "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"
}
kernels() {  # each against torch, a line each
    run 90 "${pytest[@]}" tests/backends/test_gpu_kernels.py "${kernels[@]}"
}
train() {  # train on the embedded images, evaluate, attack, interrupt and resume; the other networks for one epoch
    local script=("$PYTHON" train_minigrad.py)
    run 75 "${script[@]}" --device gpu --out "$work/run" "${train[@]}"
    run 60 "${script[@]}" --device gpu --data-on-device --out "$work/kept" "${train[@]}"
    run 20 "${script[@]}" --resume "$work/run" --evaluate --tta
    run 40 "${script[@]}" --resume "$work/run" --evaluate --attack untargeted --attack-steps $attack --limit-val 500
    interrupt "${script[@]}" --device gpu --out "$work/half" "${train[@]}"
    run 60 "${script[@]}" --resume "$work/half"
    for model in $others; do
        run 30 "${script[@]}" --device gpu --model "$model" "${few[@]}" --out "$work/$model"
    done
}
interrupt() {  # the command, interrupted after its first epoch
    say "to be interrupted: $*"
    set -m; timeout 40 "$@" & local job=$!; set +m  # with job control: in a script's background SIGINT is ignored
    while kill -0 $job 2>/dev/null && [[ ! -s $work/half/metrics.jsonl ]]; do sleep 0.1; done
    kill -INT -- -$job 2>/dev/null; wait $job
    echo "-- exit $? at ${SECONDS}s"
}
steps() {  # the kernels of one step
    for model in $all; do
        run 40 "$PYTHON" tools/gpu_steps.py "$model" "${job[@]}" "${timed[@]}" --json "$OUT/steps-$model.json"
    done
}
speed() {  # beside PyTorch
    for model in $all; do
        run 65 "$PYTHON" -m compare speed --model "$model" --device gpu "${measured[@]}" --no-compile \
            --json "$OUT/speed-$model.json"
    done
}
tests() {  # the GPU half of all the tests, with what time is left
    run 999 "${pytest[@]}" "${rest[@]}"
}

check() {
    for part in $PARTS; do say "part: $part"; $part; done
    say "done: ${#failed[@]} commands failed"
    printf '   %s\n' "${failed[@]}"
    return $((${#failed[@]} > 0))
}
set -o pipefail
check 2>&1 | tee -a "$OUT/log.txt"
