# Thin names for the scripts; `just` alone lists them.

_list:
    @{{ just_executable() }} --list --unsorted

# Runs the proxy: just run -c configs/http.yaml
run *arguments:
    cargo run --release -p sidering -- run {{ arguments }}

# Checks a configuration: just check configs/http.yaml
check file:
    cargo run --release -p sidering -- check -c {{ file }}

# All tests, or some parts of them: just test unit
test *parts:
    scripts/test {{ parts }}

# Shows that the simulator notices planted bugs: just mutants pool
mutants *arguments:
    scripts/mutants {{ arguments }}

# Formats everything.
fmt:
    cargo fmt --all

# Kills, freezes and slows origins under load through Sidering: just chaos --duration 30
chaos *arguments:
    scripts/chaos {{ arguments }}

# Fuzzes what reads bytes from outside, on nightly: just fuzz http1_requests --seconds 1200
fuzz *arguments:
    scripts/fuzz {{ arguments }}

# Licenses, sources and versions of what comes from outside.
deny:
    scripts/test deny

# Micro-benchmarks: just bench timer_wheel
bench *filter:
    cargo bench -p sidering-benches --bench '*' -- {{ filter }}

# Side by side with nginx, HAProxy and Envoy.
compare *arguments:
    scripts/compare {{ arguments }}

flamegraph *arguments:
    scripts/flamegraph {{ arguments }}

load *arguments:
    scripts/load {{ arguments }}

# Simulated runs of the data plane: just sim 10000; from SIM_START on, and SIM_SEED=7 cargo run ... tells one in full.
sim seeds:
    cargo run --quiet --profile sim -p sidering-sim --bin sidering-sim -- {{ seeds }}
