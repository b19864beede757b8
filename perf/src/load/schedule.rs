//! The clock of the open loop: when each request is meant to start.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::sync::Notify;

/// The clock ticks no faster than this; requests that came due since the last tick start together.
const MIN_TICK: Duration = Duration::from_micros(50);

/// Requests that are due and not yet taken by a connection.
pub(crate) struct Schedule {
    rate: f64,
    due: RefCell<VecDeque<Instant>>,
    came_due: Notify,
    issued: Cell<u64>,
}

impl Schedule {
    pub(crate) fn new(rate: f64) -> Self {
        Self { rate, due: RefCell::default(), came_due: Notify::new(), issued: Cell::new(0) }
    }

    /// Waits for the next request that is due and gives the time it was meant to start.
    pub(crate) async fn next(&self) -> Instant {
        loop {
            if let Some(intended) = self.due.borrow_mut().pop_front() {
                return intended;
            }
            self.came_due.notified().await;
        }
    }

    /// Adds every request that is due `elapsed` after `began`.
    fn advance(&self, began: Instant, elapsed: Duration) {
        let target = (elapsed.as_secs_f64() * self.rate) as u64;
        for index in self.issued.get()..target {
            let intended = began + Duration::from_secs_f64(index as f64 / self.rate);
            self.due.borrow_mut().push_back(intended);
            self.came_due.notify_one();
        }
        self.issued.set(target.max(self.issued.get()));
    }
}

/// Turns the schedule for ever. A timer descriptor is read through the ring, because the runtime's own timers are no
/// finer than a millisecond, which is more than most latencies measured here.
pub(crate) async fn run_clock(schedule: Rc<Schedule>) {
    let tick = Duration::from_secs_f64(1.0 / schedule.rate).max(MIN_TICK);
    let timer = match ticking_timer(tick) {
        Ok(timer) => tokio_uring::fs::File::from_std(timer),
        Err(error) => {
            eprintln!("load: the kernel gives no timer for --rate ({error}); run a closed loop instead");
            return;
        }
    };
    let began = Instant::now();
    let mut buffer = Vec::with_capacity(size_of::<u64>());
    loop {
        let (read, returned) = timer.read_at(buffer, 0).await;
        buffer = returned;
        buffer.clear();
        if let Err(error) = read {
            eprintln!("load: the timer for --rate stopped ({error}); run a closed loop instead");
            return;
        }
        schedule.advance(began, began.elapsed());
    }
}

fn ticking_timer(tick: Duration) -> rustix::io::Result<File> {
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    let interval = Timespec { tv_sec: tick.as_secs() as i64, tv_nsec: i64::from(tick.subsec_nanos()) };
    let every = Itimerspec { it_interval: interval, it_value: interval };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every)?;
    Ok(File::from(timer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_due_once_at_its_own_time() {
        let schedule = Schedule::new(1000.0);
        let began = Instant::now();
        schedule.advance(began, Duration::from_micros(2500));
        schedule.advance(began, Duration::from_micros(2500));
        schedule.advance(began, Duration::from_micros(4100));
        let due: Vec<_> = schedule.due.borrow().iter().map(|at| at.duration_since(began)).collect();
        assert_eq!(due, [0, 1, 2, 3].map(Duration::from_millis));
    }
}
