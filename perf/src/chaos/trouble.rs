//! What happens to the origins and when: a fixed sequence for a seed, at most three origins in trouble at a time.
//!
//! ```text
//! Fine ──kill──► Dead ──restart──► Fine      Fine ──freeze──► Frozen ──thaw──► Fine
//! Fine ──slow──► Slowed (frozen and thawed in turns) ──► Fine
//! ```

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::client;
use super::origin::Origin;

/// Origins in trouble at the same time: the others carry the load meanwhile.
const AT_ONCE: u32 = 3;
/// A slowed origin works and stands still for so long in turns.
const SLOW_TURN: Duration = Duration::from_millis(60);
/// A restarted origin listens by then.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

/// A deterministic source of chance (SplitMix64, Steele et al. 2014).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.roll() % (most - least + 1))
    }
}

/// How often each kind of trouble was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Troubles {
    killed: u32,
    frozen: u32,
    slowed: u32,
}

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "origins       killed {}, frozen {}, slowed {}", self.killed, self.frozen, self.slowed)
    }
}

#[derive(Clone, Copy)]
enum Trouble {
    Kill,
    Freeze,
    Slow,
}

/// Makes trouble for `duration_s`; when it returns, every origin is well again.
pub(crate) async fn make(
    origins: Vec<Origin>,
    mut dice: Dice,
    duration_s: f64,
) -> anyhow::Result<(Troubles, Vec<Origin>)> {
    let end = Instant::now() + Duration::from_secs_f64(duration_s);
    let mut well: Vec<Origin> = origins;
    let mut troubles = Troubles::default();
    let mut ill = tokio::task::JoinSet::new();
    let ill_now = Rc::new(Cell::new(0u32));
    loop {
        let pause = dice.between_ms(200, 1200);
        if Instant::now() + pause >= end {
            break;
        }
        sleep(pause).await;
        while let Some(recovered) = ill.try_join_next() {
            well.push(recovered??);
        }
        if ill_now.get() == AT_ONCE {
            continue;
        }
        // By index, so that the choice does not hang on the order in which they recovered.
        well.sort_by_key(Origin::index);
        let origin = well.swap_remove((dice.roll() % well.len() as u64) as usize);
        let trouble = match dice.roll() % 3 {
            0 => Trouble::Kill,
            1 => Trouble::Freeze,
            _ => Trouble::Slow,
        };
        troubles.count(trouble);
        ill_now.set(ill_now.get() + 1);
        let (ill_now, length) = (Rc::clone(&ill_now), dice.between_ms(300, 5000));
        ill.spawn_local(async move {
            let origin = suffer(origin, trouble, length).await;
            ill_now.set(ill_now.get() - 1);
            origin
        });
    }
    while let Some(recovered) = ill.join_next().await {
        well.push(recovered??);
    }
    Ok((troubles, well))
}

impl Troubles {
    fn count(&mut self, trouble: Trouble) {
        *match trouble {
            Trouble::Kill => &mut self.killed,
            Trouble::Freeze => &mut self.frozen,
            Trouble::Slow => &mut self.slowed,
        } += 1;
    }
}

async fn suffer(mut origin: Origin, trouble: Trouble, length: Duration) -> anyhow::Result<Origin> {
    match trouble {
        Trouble::Kill => {
            origin.kill();
            sleep(length).await;
            origin.restart()?;
            client::until_listening(origin.address, RESTART_PATIENCE).await?;
        }
        Trouble::Freeze => {
            origin.freeze();
            sleep(length).await;
            origin.thaw();
        }
        Trouble::Slow => {
            let end = Instant::now() + length;
            while Instant::now() < end {
                origin.freeze();
                sleep(SLOW_TURN).await;
                origin.thaw();
                sleep_until((Instant::now() + SLOW_TURN).min(end)).await;
            }
        }
    }
    Ok(origin)
}
