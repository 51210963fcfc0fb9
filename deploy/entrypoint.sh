#!/bin/sh
# Starts the server of the project at /project (or FACESTATS_PROJECT). With FACESTATS_PULL set, its
# models come from the project's DVC remote first.
set -eu
project="${FACESTATS_PROJECT:-/project}"
if [ -n "${FACESTATS_PULL:-}" ]; then
    (cd "$project" && dvc pull --allow-missing)
fi
exec python -m facestats serve --root "$project" "$@"
