//! When the process has no descriptor left. A binary of its own: the limit is the whole process's.
#![allow(dead_code)]

#[path = "../../system/tests/scenarios/descriptors.rs"]
mod descriptors;
#[path = "../../system/tests/scenarios/support.rs"]
mod support;
#[path = "engine/under_test.rs"]
mod under_test;
