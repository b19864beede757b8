//! Micro-benchmarks of the codecs and of the data plane: see `benches/`. The crate itself holds nothing.
