# The project's commands, for https://just.systems: `just` lists them. They are those of
# CONTRIBUTING.md, and CI runs the same; nobody needs `just` for anything.

_list:
    @just --list --unsorted

# A server to try, with users and a database that is gone afterwards
demo:
    cargo run -- demo

# All tests on SQLite, or those of the suite whose name has WORD in it
test word="":
    {{ if word == "" { ".ci/run test" } else { "cargo test --test suite -- " + quote(word) } }}

# What every change needs, as CI runs it: about 12 minutes
quick:
    .ci/run quick

# Everything that CI runs: about half an hour
all:
    .ci/run

# Some steps of CI: just ci lint diesel
ci +steps:
    .ci/run {{ steps }}

# Formats the code
format:
    cargo fmt --all

# Clippy, spelling, shell scripts
lint:
    .ci/run format typos scripts lint

# Takes the defences out that have NAME in their name, or all, and expects tests to fail
mutations name="":
    .ci/mutations {{ name }}

# Installs what the checks need
install:
    .ci/install
