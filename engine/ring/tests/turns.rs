//! The loop: deadlines, wake-ups from other threads, and options that make no sense.

mod common;

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use common::Core;
use sidering_dataplane::io::{Completion, Time};
use sidering_ring::{Ring, RingChunk, RingError, RingOptions, TaskRun};
use sidering_system::{Delivery, Undelivered};

#[derive(Default)]
struct Clock {
    due: Option<Time>,
    fired: Option<Sender<Time>>,
}

fn ignore(_: &mut Clock, _: &mut Ring, _: Time, _: Completion<RingChunk>) {}

fn note(state: &mut Clock, _: &mut Ring, now: Time) {
    if state.due.is_some_and(|due| due <= now) {
        state.due = None;
        state.fired.take().unwrap().send(now).unwrap();
    }
}

#[test]
fn a_deadline_is_met_without_any_event() {
    let core = Core::start(RingOptions::default(), ignore);
    let (sender, receiver) = channel();
    let due = core.ask(|script, _, now| {
        let due = now.after_ms(50);
        script.on_turn = Some(note);
        script.deadline = Some(due);
        script.state = Clock { due: Some(due), fired: Some(sender) };
        due
    });
    let fired = receiver.recv_timeout(Duration::from_secs(30)).expect("the deadline passed unseen");
    assert!(fired >= due && fired.micros_since(due) < 500_000, "{fired:?} for {due:?}");
    core.stop();
}

#[test]
fn an_idle_core_sleeps() {
    let core = Core::start(RingOptions::default(), ignore);
    core.ask(|_, _, _| ());
    let turns = core.counters.turns.get();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        assert!(core.counters.turns.get() <= turns + 1, "an idle core took turns");
        std::thread::yield_now();
    }
    core.stop();
}

#[test]
fn many_threads_wake_the_core_and_no_message_is_lost() {
    let core: Core<Clock> = Core::start(RingOptions::default(), ignore);
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (mailbox, sender) = (core.mailbox.clone(), sender.clone());
            scope.spawn(move || {
                for number in 0..1000 {
                    let sender = sender.clone();
                    let mut delivery = Delivery::Message(Box::new(move |_: &mut _, _: &mut _, _| {
                        sender.send((thread, number)).unwrap();
                    }) as common::Order<Clock>);
                    while let Err(Undelivered::Full(back)) = mailbox.send(delivery) {
                        delivery = back;
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    drop(sender);
    let mut next = [0; 4];
    for _ in 0..4000 {
        let (thread, number): (usize, i32) = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(number, next[thread]);
        next[thread] += 1;
    }
    core.stop();
}

#[test]
fn the_setup_is_told() {
    let core: Core<Clock> = Core::start(RingOptions::default(), ignore);
    let (task_run, text) = core.ask(|_, ring, _| (ring.setup().task_run, ring.setup().to_string()));
    assert!(matches!(task_run, TaskRun::Deferred | TaskRun::Cooperative | TaskRun::Interrupting));
    assert!(!text.is_empty());
    core.stop();
}

#[test]
fn options_out_of_bounds_are_refused_by_name() {
    let counters = std::sync::Arc::new(sidering_dataplane::observe::counters::EngineCounters::default());
    for (options, expected) in [
        (RingOptions { entries: 0, ..RingOptions::default() }, "entries"),
        (RingOptions { completion_entries: 4, ..RingOptions::default() }, "completion_entries"),
        (RingOptions { slot_bytes: 1000, ..RingOptions::default() }, "slot_bytes"),
        (RingOptions { slots_max: 0, ..RingOptions::default() }, "slots_max"),
        (RingOptions { connections_max: 0, ..RingOptions::default() }, "connections_max"),
        (RingOptions { pipes_max: 0, ..RingOptions::default() }, "pipes_max"),
        (RingOptions { completions_per_turn: 0, ..RingOptions::default() }, "completions_per_turn"),
    ] {
        let Err(RingError::Option { option, .. }) = Ring::new(options, counters.clone()) else {
            panic!("{expected} was taken");
        };
        assert_eq!(option, expected);
    }
}
