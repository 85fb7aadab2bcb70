# Shared by the scripts of this folder; source it, do not run it.

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Packages of Debian by name: installs what is missing as root, else names it.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if ! command -v apt-get >/dev/null; then
        die "missing: ${missing[*]} (Debian names); install their like with your system's package manager"
    fi
    [ "$(id -u)" -eq 0 ] || die "missing packages; as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The Rust toolchain is the one thing that is not installed for you.
need_rust() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs), then run this again"
}
