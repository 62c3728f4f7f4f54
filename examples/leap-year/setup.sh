#!/bin/sh
# Installs what the tests need. Runs once, with network, before the agent starts.
set -eu
cd "$(dirname "$0")"
python3 -m pip install --quiet --requirement tests/requirements.txt
python3 -m pytest --version
