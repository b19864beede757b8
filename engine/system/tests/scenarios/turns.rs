//! The loop: deadlines, and wake-ups from other threads.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::support::{Core, MAILBOX, Order};
use crate::under_test::{Engine, EngineChunk, Options};
use sidering_dataplane::io::{Completion, Time};
use sidering_system::{Delivery, Undelivered};

#[derive(Default)]
struct Clock {
    due: Option<Time>,
    fired: Option<Sender<Time>>,
}

fn ignore(_: &mut Clock, _: &mut Engine, _: Time, _: Completion<EngineChunk>) {}

fn note(state: &mut Clock, _: &mut Engine, now: Time) {
    if state.due.is_some_and(|due| due <= now) {
        state.due = None;
        state.fired.take().unwrap().send(now).unwrap();
    }
}

#[test]
fn a_deadline_is_met_without_any_event() {
    let core = Core::start(Options::default(), ignore);
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
    let core = Core::start(Options::default(), ignore);
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
    let core: Core<Clock> = Core::start(Options::default(), ignore);
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (mailbox, sender) = (core.mailbox.clone(), sender.clone());
            scope.spawn(move || {
                for number in 0..1000 {
                    let sender = sender.clone();
                    let mut delivery = Delivery::Message(Box::new(move |_: &mut _, _: &mut _, _| {
                        sender.send((thread, number)).unwrap();
                    }) as Order<Clock>);
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
fn a_mailbox_fuller_than_a_turn_is_emptied() {
    let core: Core<Clock> = Core::start(Options::default(), ignore);
    let (release, held) = channel::<()>();
    let (sender, receiver) = channel();
    let message = |order: Order<Clock>| core.mailbox.send(Delivery::Message(order)).ok().unwrap();
    message(Box::new(move |_, _, _| held.recv().unwrap()));
    // One is taken, and holds the core up until all others are there.
    for number in 0..MAILBOX - 1 {
        let sender = sender.clone();
        message(Box::new(move |_, _, _| sender.send(number).unwrap()));
    }
    release.send(()).unwrap();
    for expected in 0..MAILBOX - 1 {
        assert_eq!(receiver.recv_timeout(Duration::from_secs(30)), Ok(expected));
    }
    core.stop();
}
