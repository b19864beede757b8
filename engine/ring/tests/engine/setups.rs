//! Every set of setup flags that the engine may end up with on an older kernel, and a ring without restrictions: the same
//! scenarios pass.

use crate::echo::{Echo, echo, exchange_with};
use crate::support::Core;
use crate::under_test::{Options as RingOptions, SETUP};
use sidering_ring::{Restricted, SetupLevel, SetupReport, TaskRun};
use std::process::Command;

/// What an older kernel does not change, and the proof that the set of flags was another one.
const SCENARIOS: [&str; 5] = ["echo::", "ends::", "flow::", "relay::", "every_core_of_this_process"];
/// Each set of flags, and how it shows.
const LEVELS: [(SetupLevel, TaskRun, bool, &str); 4] = [
    (SetupLevel::Deferred, TaskRun::Deferred, true, "SINGLE_ISSUER, DEFER_TASKRUN, restricted"),
    (SetupLevel::SingleCooperative, TaskRun::Cooperative, true, "SINGLE_ISSUER, COOP_TASKRUN, restricted"),
    (SetupLevel::Cooperative, TaskRun::Cooperative, false, "many issuers, COOP_TASKRUN, restricted"),
    (SetupLevel::Plain, TaskRun::Interrupting, false, "many issuers, no TASKRUN flag, restricted"),
];

fn granted(options: RingOptions) -> SetupReport {
    let core: Core<Echo> = Core::start(options, echo);
    exchange_with(&core, 4, 100_000);
    let report = core.ask(|_, ring, _| ring.setup().clone());
    core.stop();
    report
}

#[test]
fn the_setup_that_is_asked_for_is_granted_and_told() {
    for (level, task_run, single_issuer, words) in LEVELS {
        let report = granted(RingOptions { best_setup: level, ..RingOptions::default() });
        assert_eq!((report.task_run, report.single_issuer), (task_run, single_issuer), "{level:?}");
        assert_eq!((report.restricted, report.to_string().as_str()), (Restricted::Yes, words), "{level:?}");
    }
}

#[test]
fn a_ring_without_restrictions_does_the_same() {
    let report = granted(RingOptions { restricts: false, ..RingOptions::default() });
    assert_eq!(report.restricted, Restricted::NotAsked);
    assert!(!report.to_string().contains("restrict"), "{report}");
}

#[test]
fn every_core_of_this_process_has_the_setup_of_this_process() {
    let wanted = std::env::var(SETUP).unwrap_or_else(|_| "Deferred".to_owned());
    let (.., words) = LEVELS.into_iter().find(|(level, ..)| format!("{level:?}") == wanted).expect("a level");
    assert_eq!(granted(RingOptions::default()).to_string(), words);
}

/// The best one is what this process itself runs under.
#[test]
fn the_scenarios_pass_under_every_more_modest_setup() {
    for level in &SetupLevel::ALL[1..] {
        let mut command = Command::new(std::env::current_exe().expect("this test has a file"));
        let output = command.args(SCENARIOS).env(SETUP, format!("{level:?}")).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{level:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        for scenario in SCENARIOS {
            assert!(said.contains(scenario), "{scenario} under {level:?}: {said}");
        }
    }
}
