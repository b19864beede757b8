//! Hands libFuzzer's inputs to the body in sidering-fuzz; nothing is checked here.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidering_fuzz::detection::run(input));
