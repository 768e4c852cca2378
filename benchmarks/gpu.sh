#!/usr/bin/env bash
# Everything that is to be measured once on a GPU, in under ten minutes on one large one:
#   bash benchmarks/gpu.sh FOLDER [--device cuda|cpu] [--quick] [--only checks,graphs] [--data DIR]
# Each section has a time limit, a log and a CSV in FOLDER; a summary comes at the end.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
exec "${PYTHON:-python}" -m benchmarks.gpu "$@"
