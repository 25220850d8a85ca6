#!/usr/bin/env bash
# Make the virtual environment of an engine unless it is there, and print the path of its Python.
#
#   tools/make_env.sh         .venv-tf1 where a Python 3.6 or 3.7 is found, else .venv-tf2
#   tools/make_env.sh tf1     Python 3.6 or 3.7 and TensorFlow 1.14, in .venv-tf1
#   tools/make_env.sh tf2     Python 3.10 to 3.13 and TensorFlow 2, in .venv-tf2
#   tools/make_env.sh lint    the linters, in .venv-lint
#   tools/make_env.sh docs    what builds the site of the documentation, in .venv-docs
#
# EXTRAS='export.txt tracking.txt' adds optional requirements to tf2; .ci/run does so to test what takes them.
#
# An environment is made anew when its requirements change or its interpreter is gone. Its scripts
# hold its path, so it is made where it stays, in .venvs/ENGINE-HASH with the hash of its
# requirements; .venv-ENGINE is a link that is switched when it is whole. The old one goes after that.
# One that fits is kept, also where its link is gone: that needs no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tf1_versions='3.6 3.7'
tf2_versions='3.11 3.12 3.13 3.10'

stop() {
    echo "Error: $*" >&2
    exit 2
}

# An interpreter counts if it runs (a pyenv shim may not), has the version, can make environments
# and is not inside of one, which may be activated and is not there for ever.
works() {
    "$1" -c "import sys, ensurepip, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$2' \
or sys.prefix != getattr(sys, 'real_prefix', sys.base_prefix))" >/dev/null 2>&1
}

# Print the full path of the first interpreter of the given versions; the earlier ones are preferred.
find_python() {
    local version candidate
    for version in "$@"; do
        while read -r candidate; do
            if works "$candidate" "$version"; then
                "$candidate" -c 'import sys; print(sys.executable)'
                return
            fi
        done < <(type -aP "python$version" python3 python || true
                 printf '%s\n' "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python)
    done
    return 1
}

has_nvidia_driver() {
    [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1
}

# Print the path of uv, which installs in a fifth of pip's time. Its own environment is made once.
find_uv() {
    local version folder=.venvs/uv python
    version=$(sed -n 's/^uv==//p' requirements/uv.txt)
    if ! [ -e "$folder/uv-$version" ]; then
        python=$(find_python $tf2_versions) || return 1
        rm -rf "$folder"
        "$python" -m venv "$folder" &&
            "$folder/bin/python" -m pip install -q --disable-pip-version-check \
                -r requirements/uv.txt && touch "$folder/uv-$version" || return 1
    fi
    echo "$folder/bin/uv"
}

# Install requirements files into an environment, by uv where it can be had, else by pip.
install() {
    local folder=$1 uv pip
    shift
    if uv=$(find_uv) && "$uv" pip install -q --python "$PWD/$folder/bin/python" \
            $(printf ' -r requirements/%s' "$@"); then
        return
    fi
    pip="$folder/bin/python -m pip install -q --disable-pip-version-check"
    $pip -r requirements/pip.txt && $pip $(printf ' -r requirements/%s' "$@")
}

engine=${1:-}
if [ -z "$engine" ]; then
    engine=tf2
    if [ -e .venv-tf1/bin/python ] || find_python $tf1_versions >/dev/null; then engine=tf1; fi
fi

case $engine in
    tf1)
        versions=$tf1_versions
        missing="no Python 3.6 or 3.7 with venv found for ENGINE=tf1: install one \
('pyenv install 3.6.15'), or use ENGINE=tf2"
        files='pip.txt tf1.txt test.txt'
        title='TensorFlow 1.14' ;;
    tf2)
        versions=$tf2_versions
        missing="no Python 3.10 to 3.13 with venv found for ENGINE=tf2: install one \
('pyenv install 3.11', or 'apt install python3-venv')"
        files='pip.txt tf2-common.txt tf2.txt test.txt'
        if has_nvidia_driver; then files='pip.txt tf2-common.txt tf2-cuda.txt test.txt'; fi
        files="$files ${EXTRAS:-}"
        title='TensorFlow 2.21' ;;
    lint | docs)
        versions=$tf2_versions
        title='the linters'
        if [ "$engine" = docs ]; then title='MkDocs'; fi
        missing="no Python 3.10 to 3.13 with venv found for $title: install one \
('pyenv install 3.11', or 'apt install python3-venv')"
        files="pip.txt $engine.txt" ;;
    *)
        stop "ENGINE=$engine is none of tf1 (Python 3.6 or 3.7) and tf2 (Python 3.10 to 3.13)" ;;
esac

hash=$( (cd requirements && cat $files) | sha256sum | cut -c1-16)
link=.venv-$engine
folder=.venvs/$engine-$hash

# Two commands started at once make one environment, not half of one each.
exec 9<"requirements/$engine.txt"
if command -v flock >/dev/null; then flock 9; fi

is_whole() {
    [ -e "$1/whole-$hash" ] && "$1/bin/python" -c '' 2>/dev/null
}

# The stamp is written last, so that an interrupted creation starts over.
make_folder() {
    python=$(find_python $versions) || stop "$missing"
    version=$("$python" -c 'import platform; print(platform.python_version())')
    echo "Creating $link with Python $version and $title ..." >&2
    mkdir -p .venvs
    if [ "$(readlink "$link" || true)" = "$folder" ]; then rm -f "$link"; fi  # it is broken
    rm -rf "$folder"
    "$python" -m venv "$folder"
    install "$folder" $files >"$folder/install.log" 2>&1 9<&- || {
        cat "$folder/install.log" >&2
        rm -rf "$folder"
        stop "could not install the packages for $link: the messages are above"
    }
    touch "$folder/whole-$hash"
}

if ! is_whole "$link"; then
    if ! is_whole "$folder"; then make_folder; fi
    # A folder of this name is an environment of an older version of this script.
    if [ -d "$link" ] && ! [ -L "$link" ]; then mv "$link" ".venvs/$engine-old"; fi
    ln -s "$folder" "$link.$$" && mv -T "$link.$$" "$link"
    for old in .venvs/"$engine"-*; do
        if [ "$old" != "$folder" ]; then rm -rf "$old"; fi
    done
fi
echo "$link/bin/python"
