#!/usr/bin/env bash
# Make the virtual environment of an engine unless it is there, and print the path of its Python.
#
#   tools/make_env.sh         .venv-tf1 where a Python 3.6 or 3.7 is found, else .venv-tf2
#   tools/make_env.sh tf1     Python 3.6 or 3.7 and TensorFlow 1.14, in .venv-tf1
#   tools/make_env.sh tf2     Python 3.10 to 3.13 and TensorFlow 2, in .venv-tf2
#   tools/make_env.sh lint    the linters, in .venv-lint
#
# An environment is made anew when its requirements or its interpreter change. The stamp inside it,
# named after the hash of both, is written last, so that an interrupted creation starts over.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tf1_versions='3.6 3.7'
tf2_versions='3.11 3.12 3.13 3.10'

stop() {
    echo "Error: $*" >&2
    exit 2
}

# An interpreter counts if it runs (a pyenv shim may not), has the version and can make environments.
works() {
    "$1" -c "import sys, ensurepip, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" \
        >/dev/null 2>&1
}

# Print the full path of the first interpreter of the given versions; the earlier ones are preferred.
find_python() {
    local version candidate
    for version in "$@"; do
        for candidate in "python$version" python3 python \
                "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
            if works "$candidate" "$version"; then
                "$candidate" -c 'import sys; print(sys.executable)'
                return
            fi
        done
    done
    return 1
}

has_nvidia_driver() {
    [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1
}

engine=${1:-}
if [ -z "$engine" ]; then
    engine=tf2
    if find_python $tf1_versions >/dev/null; then engine=tf1; fi
fi

case $engine in
    tf1)
        python=$(find_python $tf1_versions) || stop "no Python 3.6 or 3.7 with venv found for" \
            "ENGINE=tf1: install one ('pyenv install 3.6.15'), or use ENGINE=tf2"
        files='pip.txt tf1.txt test.txt'
        title='TensorFlow 1.14' ;;
    tf2)
        python=$(find_python $tf2_versions) || stop "no Python 3.10 to 3.13 with venv found for" \
            "ENGINE=tf2: install one ('pyenv install 3.11', or 'apt install python3-venv')"
        files='pip.txt tf2-common.txt tf2.txt test.txt'
        if has_nvidia_driver; then files='pip.txt tf2-common.txt tf2-cuda.txt test.txt'; fi
        title='TensorFlow 2.21' ;;
    lint)
        python=$(find_python $tf2_versions) || stop "no Python 3.10 to 3.13 with venv found for the" \
            "linters: install one ('pyenv install 3.11', or 'apt install python3-venv')"
        files='pip.txt lint.txt'
        title='the linters' ;;
    *)
        stop "ENGINE=$engine is none of tf1 (Python 3.6 or 3.7) and tf2 (Python 3.10 to 3.13)" ;;
esac

folder=.venv-$engine
version=$("$python" -c 'import platform; print(platform.python_version())')
hash=$({ echo "$python $version"; (cd requirements && cat $files); } | sha256sum | cut -c1-16)

# Two commands started at once make one environment, not half of one each.
exec 9<"requirements/$engine.txt"
if command -v flock >/dev/null; then flock 9; fi

if ! [ -e "$folder/requirements-$hash" ] || ! "$folder/bin/python" -c '' 2>/dev/null; then
    echo "Creating $folder with Python $version and $title ..." >&2
    rm -rf "$folder"
    "$python" -m venv "$folder"
    log=$folder/install.log
    install="$folder/bin/python -m pip install -q --disable-pip-version-check"
    { $install -r requirements/pip.txt &&
        $install $(printf ' -r requirements/%s' $files); } >"$log" 2>&1 9<&- || {
        cat "$log" >&2
        stop "could not install the packages into $folder: pip's messages are above"
    }
    touch "$folder/requirements-$hash"
fi
echo "$folder/bin/python"
