#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quell::fuzzing::run("plan_file", data));
