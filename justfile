# Short names; `just` lists them.
default:
    @just --list
test:
    cargo xtask test
ci:
    cargo xtask ci
fix:
    cargo xtask fix
demo:
    cargo xtask demo
bench:
    cargo xtask bench
