//! The async runtime of openraft: tokio in everything but the dice of elections, which a simulation must be able to
//! seed.
//!
//! openraft throws them once, while a Raft is made, on the thread that makes it. [`seed_election_dice`] is called right
//! before.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use openraft::{AsyncRuntime, OptionalSend, TokioRuntime};
use rand08::RngCore;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Sets where this thread's dice start.
pub(crate) fn seed_election_dice(seed: u64) {
    STATE.set(seed);
}

/// splitmix64. Good enough to keep two members from electing themselves at the same moment.
#[derive(Debug)]
pub(crate) struct Dice;

impl RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand08::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// Inherited with our dice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Runtime;

type Inherited = TokioRuntime;

impl AsyncRuntime for Runtime {
    type JoinError = <Inherited as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <Inherited as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <Inherited as AsyncRuntime>::Sleep;
    type Instant = <Inherited as AsyncRuntime>::Instant;
    type TimeoutError = <Inherited as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <Inherited as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Dice;
    type OneshotSender<T: OptionalSend> = <Inherited as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T: OptionalSend> = <Inherited as AsyncRuntime>::OneshotReceiver<T>;
    type OneshotReceiverError = <Inherited as AsyncRuntime>::OneshotReceiverError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        Inherited::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Inherited::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        Inherited::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        Inherited::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        Inherited::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        Inherited::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        Dice
    }

    fn oneshot<T>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>)
    where
        T: OptionalSend,
    {
        Inherited::oneshot()
    }
}
