//! Seccomp profiles as a container's runtime applies them: read from their JSON, compiled, and in force in the process
//! that executes the proxy before it does so.

use seccompiler::{BpfProgram, TargetArch, apply_filter, compile_from_json};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::NamedTempFile;

/// Names the file of the profile, in the process that is to become the program.
const PROFILE: &str = "SIDERING_TEST_PROFILE";
/// The calls that a runtime's default does not allow.
pub(crate) const IO_URING: [&str; 3] = ["io_uring_setup", "io_uring_enter", "io_uring_register"];
/// Calls that came to the kernel after the compiler's table was made. A name that is neither there nor here is a mistake.
const NEWER_THAN_THE_TABLE: [&str; 4] = ["getxattrat", "listxattrat", "removexattrat", "setxattrat"];

/// A profile in the format of the OCI's runtime specification.
#[derive(Clone)]
pub(crate) struct Profile {
    whole: Value,
}

impl Profile {
    /// One of those in configs/seccomp.
    pub(crate) fn shipped(name: &str) -> Profile {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/seccomp").join(name);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        Profile::parse(&text)
    }

    fn parse(text: &str) -> Profile {
        Profile { whole: serde_json::from_str(text).expect("a profile is JSON") }
    }

    /// The same, but these calls are no longer in it.
    pub(crate) fn without(mut self, names: &[&str]) -> Profile {
        let entries = self.whole["syscalls"].as_array_mut().expect("a list of rules");
        for entry in entries.iter_mut() {
            let listed = entry["names"].as_array_mut().expect("rules have names");
            listed.retain(|name| !names.contains(&name.as_str().expect("a name is text")));
        }
        entries.retain(|entry| entry["names"].as_array().is_some_and(|names| !names.is_empty()));
        self
    }

    /// The same, but these calls meet this action, with `errno` if it is SCMP_ACT_ERRNO.
    pub(crate) fn with(self, names: &[&str], action: &str, errno: i32) -> Profile {
        let mut changed = self.without(names);
        let rule = json!({ "names": names, "action": action, "errnoRet": errno });
        changed.whole["syscalls"].as_array_mut().expect("a list of rules").push(rule);
        changed
    }

    /// Every name that a rule allows, with or without conditions.
    pub(crate) fn allowed(&self) -> BTreeSet<String> {
        let rules = self.rules().into_iter().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW");
        rules.flat_map(|rule| names_of(&rule)).collect()
    }

    fn rules(&self) -> Vec<Value> {
        self.whole["syscalls"].as_array().expect("a list of rules").clone()
    }

    /// A command that executes `program` under this profile: this test's own binary, which runs nothing but
    /// `becomes_another_program`. The profile's file lives as long as the test.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let file = NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), self.whole.to_string()).expect("it takes the profile");
        let (_, path) = file.keep().expect("it stays until it is read");
        let mut command = Command::new(std::env::current_exe().expect("this test has a file"));
        command.args(["--exact", "--nocapture", LAUNCHER, "--"]).arg(program);
        command.env(PROFILE, path).stdout(Stdio::null());
        command
    }

    /// One filter for each rule that does not allow; the last is the list of what has any rule. Of several answers the
    /// kernel takes the strictest.
    fn compile(&self) -> Vec<BpfProgram> {
        let others = self.rules().into_iter().filter(|rule| rule["action"] != "SCMP_ACT_ALLOW");
        let others = others.map(|rule| {
            filter(&json!("allow"), &action(&rule["action"], &rule["errnoRet"]), rules_of(&rule))
        });
        let default = action(&self.whole["defaultAction"], &self.whole["defaultErrnoRet"]);
        let listed = self.rules().iter().flat_map(rules_of).collect();
        let all = others.chain([filter(&default, &json!("allow"), listed)]);
        all.map(|filter| compile(&filter).unwrap_or_else(|error| panic!("{error} in {filter}"))).collect()
    }
}

/// The test that is also the way from a filter to the program.
const LAUNCHER: &str = "seccomp::a_profile_is_in_force_in_what_is_started_under_it";

/// In a process that [`Profile::command`] started: puts the profile in force and becomes the program. Returns in any
/// other.
pub(crate) fn become_the_program_if_asked() {
    let Some(file) = std::env::var_os(PROFILE) else { return };
    let text = std::fs::read_to_string(&file).expect("the profile's file is there");
    std::fs::remove_file(&file).expect("nobody else needs it");
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words).env_remove(PROFILE);
    for program in Profile::parse(&text).compile() {
        apply_filter(&program).expect("the kernel takes the filter");
    }
    panic!("not executed: {}", command.exec());
}

/// A filter in the compiler's own format, of which there is one to a file under a name.
fn filter(mismatch: &Value, matched: &Value, rules: Vec<Value>) -> Value {
    json!({ "filter": { "mismatch_action": mismatch, "match_action": matched, "filter": rules } })
}

fn compile(filter: &Value) -> Result<BpfProgram, seccompiler::Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture with a table");
    let mut programs = compile_from_json(filter.to_string().as_bytes(), architecture)?;
    Ok(programs.remove("filter").expect("it was asked for"))
}

fn action(action: &Value, errno: &Value) -> Value {
    match action.as_str() {
        Some("SCMP_ACT_ERRNO") => json!({ "errno": errno.as_u64().unwrap_or(1) }),
        Some("SCMP_ACT_KILL_PROCESS") => json!("kill_process"),
        other => panic!("the test does not know the action {other:?}"),
    }
}

fn names_of(rule: &Value) -> Vec<String> {
    let names = rule["names"].as_array().expect("rules have names");
    names.iter().map(|name| name.as_str().expect("a name is text").to_owned()).collect()
}

/// A rule of the runtimes' format, call by call.
fn rules_of(rule: &Value) -> Vec<Value> {
    let arguments = rule["args"].as_array().map(|list| list.iter().map(condition).collect::<Vec<_>>());
    let names = names_of(rule).into_iter().filter(|name| is_known(name));
    names.map(|name| json!({ "syscall": name, "args": arguments })).collect()
}

fn condition(argument: &Value) -> Value {
    let (value, second) = (&argument["value"], &argument["valueTwo"]);
    let (operation, value) = match argument["op"].as_str().unwrap_or_default() {
        "SCMP_CMP_EQ" => (json!("eq"), value),
        "SCMP_CMP_LT" => (json!("lt"), value),
        "SCMP_CMP_GT" => (json!("gt"), value),
        "SCMP_CMP_MASKED_EQ" => (json!({ "masked_eq": value }), second),
        other => panic!("the test does not know the comparison {other}"),
    };
    json!({ "index": argument["index"], "type": "qword", "op": operation, "val": value })
}

fn is_known(name: &str) -> bool {
    let alone = filter(&json!("allow"), &json!({ "errno": 1 }), vec![json!({ "syscall": name })]);
    let known = compile(&alone).is_ok();
    assert!(known || NEWER_THAN_THE_TABLE.contains(&name), "nobody knows the call {name}");
    known
}
